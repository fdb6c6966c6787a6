-- Forgets the logs of a run, unless there are others by now than those named.
--
-- KEYS  1 lengths  2 limits  3 bytes of all logs  4 … chunks, in the order of ARGV
-- ARGV  the names of the run's logs
-- returns 1, or 0 where the names are to be read again
if redis.call('HLEN', KEYS[1]) ~= #ARGV then return 0 end
local bytes = 0
for _, name in ipairs(ARGV) do
  local length = redis.call('HGET', KEYS[1], name)
  if not length then return 0 end
  bytes = bytes + tonumber(length)
end
for i = 4, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
redis.call('DEL', KEYS[1], KEYS[2])
if bytes > 0 then
  redis.call('DECRBY', KEYS[3], string.format('%.0f', bytes))
end
return 1
