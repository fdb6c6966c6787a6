-- Forgets the bytes of a closed log, which are kept elsewhere, and not that it was.
--
-- KEYS  1 lengths  2 limits  3 chunks  4 bytes of all logs  5 closed logs
-- ARGV  1 the log's name  2 the log and its run
-- returns 1, or 0 where the log is open
local length = redis.call('HGET', KEYS[1], ARGV[1]) or '0'
local limit = redis.call('HGET', KEYS[2], ARGV[1]) or '-1'
if length ~= limit then return 0 end
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('UNLINK', KEYS[3])
  redis.call('DECRBY', KEYS[4], length)
end
redis.call('ZREM', KEYS[5], ARGV[2])
return 1
