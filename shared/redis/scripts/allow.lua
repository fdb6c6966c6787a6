-- Counts a request of a caller, or tells how long it would have to wait for that.
-- The arithmetic is that of limit.Bound, in microseconds.
--
-- KEYS  1 until when the caller's room is taken up; gone once that is past
-- ARGV  1 room that one request takes, 2 room that there is
-- returns 0, or how long to wait

local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local taken = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0)) + ARGV[1]
local wait = taken - now - ARGV[2]
if wait > 0 then
  return wait
end
redis.call('SET', KEYS[1], string.format('%.0f', taken), 'PX', math.ceil((taken - now) / 1000))
return 0
