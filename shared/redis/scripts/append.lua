-- Keeps a piece of a log at its offset: what of it is new, in chunks that are
-- named by where they begin (offset + 1, since no stream entry is called 0).
--
-- KEYS  1 lengths  2 limits  3 chunks  4 bytes of all logs  5 closed logs
-- ARGV  1 the log's name  2 offset  3 piece  4 most bytes of a log
--       5 most of all logs  6 most of a chunk  7 channel  8 the log and its run,
--       which is said there
-- returns {answer, length}: "ok", "closed", "long" (the log is at its bound) or
--         "full" (all of them are)
local length = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local limit = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '-1')
local offset = tonumber(ARGV[2])
local stop = offset + #ARGV[3]
local function answer(word) return {word, string.format('%.0f', length)} end

if limit >= 0 and stop > limit then return answer('closed') end
if offset > length or stop <= length then return answer('ok') end
local fresh = string.sub(ARGV[3], length - offset + 1)
if stop > tonumber(ARGV[4]) then return answer('long') end
if tonumber(redis.call('GET', KEYS[4]) or '0') + #fresh > tonumber(ARGV[5]) then return answer('full') end

local most = tonumber(ARGV[6])
for at = 1, #fresh, most do
  local chunk = string.sub(fresh, at, at + most - 1)
  redis.call('XADD', KEYS[3], string.format('%.0f-0', length + 1), 'd', chunk)
  length = length + #chunk
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', length))
redis.call('INCRBY', KEYS[4], #fresh)
if length == limit then
  redis.call('ZADD', KEYS[5], 'NX', redis.call('TIME')[1], ARGV[8])
end
redis.call('PUBLISH', ARGV[7], ARGV[8])
return answer('ok')
