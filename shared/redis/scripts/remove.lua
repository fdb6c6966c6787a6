-- Forgets the logs of a run, unless there are others by now than those named.
--
-- KEYS  1 lengths  2 limits  3 bytes of all logs  4 closed logs
--       5 … chunks, in the order of the names
-- ARGV  1 the run  2 … the names of its logs
-- returns 1, or 0 where the names are to be read again
if redis.call('HLEN', KEYS[1]) ~= #ARGV - 1 then return 0 end
local bytes = 0
for i = 2, #ARGV do
  local length = redis.call('HGET', KEYS[1], ARGV[i])
  if not length then return 0 end
  if redis.call('EXISTS', KEYS[i + 3]) == 1 then -- else they are elsewhere
    bytes = bytes + tonumber(length)
  end
end
for i = 2, #ARGV do
  redis.call('UNLINK', KEYS[i + 3])
  redis.call('ZREM', KEYS[4], ARGV[1] .. '/' .. ARGV[i])
end
redis.call('DEL', KEYS[1], KEYS[2])
if bytes > 0 then
  redis.call('DECRBY', KEYS[3], string.format('%.0f', bytes))
end
return 1
