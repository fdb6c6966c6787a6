-- Deletes rows of one kind that were projected from a version up to this one,
-- and remembers that for a while.
--
-- KEYS  1 rows, as in put.lua
-- ARGV  1 start of the keys of indexes  2 start of the keys of fields' values
--       3 start of the keys of what was deleted
--       4 version  5 for how long it is remembered, in ms  6… ids
-- returns how many rows were deleted
local call = redis.call
local version = tonumber(ARGV[4])

local function leave(index, member)
  local key = ARGV[1] .. index
  call('ZREM', key, member)
  if index ~= '' and call('EXISTS', key) == 0 then
    local field, value = string.match(index, '^([^=]*)=(.*)$')
    call('ZREM', ARGV[2] .. field, value)
  end
end

local dropped = 0
for i = 6, #ARGV do
  local id = ARGV[i]
  local old = call('HGET', KEYS[1], id)
  if old and tonumber(string.match(old, '^%d+')) <= version then
    local parts = {}
    for part in string.gmatch(string.sub(old, 1, string.find(old, '\n\n', 1, true) - 1), '[^\n]+') do
      parts[#parts + 1] = part
    end
    leave('', parts[2] .. '/' .. id)
    for n = 3, #parts do leave(parts[n], parts[2] .. '/' .. id) end
    call('HDEL', KEYS[1], id)
    dropped = dropped + 1
  end
  local gone = call('GET', ARGV[3] .. id)
  if not gone or tonumber(gone) < version then
    call('SET', ARGV[3] .. id, ARGV[4], 'PX', ARGV[5])
  end
end
return dropped
