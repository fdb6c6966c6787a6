-- Joins one life of the server: gives the store its installation id once, and
-- raises the epoch where the server was restarted or replaced since, because
-- writes may have been lost.
--
-- The epoch of a later life is the second in which it was joined, not just the
-- next number: the count itself may be among what was lost, or come from an old
-- backup, and must not be given twice.
--
-- KEYS  1 what is known of the store
-- ARGV  1 run id of the server  2 its replication id  3 a new installation id
-- returns {installation id, epoch}
local known = redis.call('HMGET', KEYS[1], 'installation', 'epoch', 'run', 'replication')
if known[1] and known[3] == ARGV[1] and known[4] == ARGV[2] then
  return {known[1], known[2]}
end
local epoch = 1
if known[2] then
  epoch = math.max(known[2] + 1, tonumber(redis.call('TIME')[1]))
end
local installation = known[1] or ARGV[3]
local text = string.format('%.0f', epoch)
redis.call('HSET', KEYS[1], 'installation', installation, 'epoch', text, 'run', ARGV[1], 'replication', ARGV[2])
return {installation, text}
