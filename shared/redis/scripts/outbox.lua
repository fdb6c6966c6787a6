-- Reads the oldest records that wait in the outbox.
--
-- KEYS  1 ledger  2 outbox
-- ARGV  1 age in ms that they must have reached  2 how many at most
-- returns {id, fields, id, fields, …} as XRANGE gives them
local time = redis.call('TIME')
local latest = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
local waiting = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', latest), 'LIMIT', '0', ARGV[2])
local answer = {}
for _, member in ipairs(waiting) do
  local dash = string.find(member, '-', 1, true)
  local id = string.sub(member, 1, dash) .. string.format('%.0f', tonumber(string.sub(member, dash + 1)))
  local record = redis.call('XRANGE', KEYS[1], id, id)[1]
  if record then
    answer[#answer + 1] = id
    answer[#answer + 1] = record[2]
  end
end
return answer
