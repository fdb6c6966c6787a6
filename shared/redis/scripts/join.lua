-- Joins one life of the server: gives the store its installation id once, and
-- raises the epoch where the server was restarted or replaced since, because
-- writes may have been lost.
--
-- A count would not do: the last raise may be among what was lost, or come from
-- an old backup, and the same epoch would be given twice. So the epoch of a
-- later life is the next full second. Where this raise could be lost, nobody
-- writes before that second has come: the life after it begins in a later one.
--
-- KEYS  1 what is known of the store
-- ARGV  1 run id of the server  2 its replication id  3 a new installation id
-- returns {installation id, epoch, ms until its second comes}
local known = redis.call('HMGET', KEYS[1], 'installation', 'epoch', 'run', 'replication')
local time = redis.call('TIME')
local installation, epoch = known[1] or ARGV[3], tonumber(known[2] or '1')
if not (known[1] and known[3] == ARGV[1] and known[4] == ARGV[2]) then
  if known[2] then epoch = math.max(epoch, tonumber(time[1])) + 1 end
  redis.call('HSET', KEYS[1], 'installation', installation, 'epoch', string.format('%.0f', epoch),
    'run', ARGV[1], 'replication', ARGV[2])
end
local left = epoch * 1000 - time[1] * 1000 - math.floor(time[2] / 1000)
-- Seconds ahead means that the clock was put back: no waiting for that.
if left < 0 or left > 5000 then left = 0 end
return {installation, string.format('%.0f', epoch), string.format('%.0f', left)}
