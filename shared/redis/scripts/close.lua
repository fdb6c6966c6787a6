-- Fixes a log's size: no less than its length, and never raised again.
--
-- KEYS  1 lengths  2 limits  3 closed logs
-- ARGV  1 the log's name  2 size, -1 for the length  3 channel  4 the log and its
--       run, which is said there
-- returns the size
local length = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local limit = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '-1')
local size = math.max(tonumber(ARGV[2]), length)
if limit >= 0 then size = math.min(size, limit) end
if size ~= limit then
  redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', size))
  if size == length and length > 0 then
    redis.call('ZADD', KEYS[3], 'NX', redis.call('TIME')[1], ARGV[4])
  end
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return string.format('%.0f', size)
