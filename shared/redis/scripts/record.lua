-- Keeps an event in the feed, once, and lets the oldest go. The feed counts its
-- entries from 1; that is how they are named.
--
-- KEYS  1 the feed: generation, last, dropped, bytes  2 number by event id  3 entries
-- ARGV  1 generation, should there be none yet  2 event id  3 type  4 run id
--       5 event as JSON  6 its weight in bytes  7 most entries  8 most bytes  9 channel
-- returns its number, 0 where the feed holds it already
redis.call('HSETNX', KEYS[1], 'generation', ARGV[1])
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 0 end
local n = redis.call('HINCRBY', KEYS[1], 'last', 1)
redis.call('XADD', KEYS[3], string.format('%.0f-0', n), 'i', ARGV[2], 'w', ARGV[6], 't', ARGV[3], 'r', ARGV[4], 'd', ARGV[5])
redis.call('HSET', KEYS[2], ARGV[2], n)
local bytes = redis.call('HINCRBY', KEYS[1], 'bytes', ARGV[6])
local count = redis.call('XLEN', KEYS[3])

-- Each drops a few at most, but for an event as big as many others.
while count > 1 and (count > tonumber(ARGV[7]) or bytes > tonumber(ARGV[8])) do
  local oldest = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', '1')[1]
  redis.call('XDEL', KEYS[3], oldest[1])
  redis.call('HDEL', KEYS[2], oldest[2][2])
  bytes = redis.call('HINCRBY', KEYS[1], 'bytes', -tonumber(oldest[2][4]))
  redis.call('HSET', KEYS[1], 'dropped', string.match(oldest[1], '^%d+'))
  count = count - 1
end
redis.call('PUBLISH', ARGV[9], '')
return n
