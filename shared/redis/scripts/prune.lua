-- Forgets inbox entries, and records that wait in no outbox, older than a
-- horizon: a bounded number of each. The scan of the inbox goes on where the
-- last call, by whomever, left off.
--
-- KEYS  1 inbox  2 ledger  3 outbox  4 cursor of the scan
-- ARGV  1 horizon in ms  2 how many to look at
-- returns how many were forgotten
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
local pruned = 0

local scan = redis.call('HSCAN', KEYS[1], redis.call('GET', KEYS[4]) or '0', 'COUNT', ARGV[2])
local entries = scan[2]
for i = 1, #entries, 2 do
  if tonumber(string.match(entries[i + 1], '^%-?%d+')) < oldest then
    pruned = pruned + redis.call('HDEL', KEYS[1], entries[i])
  end
end
if scan[1] == '0' then
  redis.call('DEL', KEYS[4])
else
  redis.call('SET', KEYS[4], scan[1])
end

local records = redis.call('XRANGE', KEYS[2], '-', string.format('(%.0f-0', math.max(oldest, 0)), 'COUNT', ARGV[2])
for _, record in ipairs(records) do
  local id = record[1]
  local dash = string.find(id, '-', 1, true)
  local member = string.sub(id, 1, dash) .. string.format('%010d', tonumber(string.sub(id, dash + 1)))
  if not redis.call('ZSCORE', KEYS[3], member) then
    pruned = pruned + redis.call('XDEL', KEYS[2], id)
  end
end
return pruned
