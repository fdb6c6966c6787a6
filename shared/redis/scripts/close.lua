-- Fixes a log's size: no less than its length, and never raised again.
--
-- KEYS  1 lengths  2 limits
-- ARGV  1 the log's name  2 size, -1 for the length  3 channel  4 what to say there
-- returns the size
local length = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local limit = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '-1')
local size = math.max(tonumber(ARGV[2]), length)
if limit >= 0 then size = math.min(size, limit) end
if size ~= limit then
  redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', size))
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
return string.format('%.0f', size)
