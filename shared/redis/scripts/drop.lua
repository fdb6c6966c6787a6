-- Deletes rows of one kind that were projected from a version up to this one,
-- and remembers that for a while.
--
-- KEYS and ARGV 1 and 2 as in row.lua
-- ARGV  3 start of the keys of what was deleted
--       4 version  5 for how long it is remembered, in ms  6… ids
-- returns how many rows were deleted
local version = tonumber(ARGV[4])

local dropped = 0
for i = 6, #ARGV do
  local id = ARGV[i]
  local old = call('HGET', KEYS[1], id)
  if old then
    local was, place, indexes = head(id, old)
    if was <= version then
      for index in pairs(indexes) do leave(index, place) end
      call('HDEL', KEYS[1], id)
      dropped = dropped + 1
    end
  end
  local gone = call('GET', ARGV[3] .. id)
  if not gone or tonumber(gone) < version then
    call('SET', ARGV[3] .. id, ARGV[4], 'PX', ARGV[5])
  end
end
return dropped
