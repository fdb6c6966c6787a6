-- Writes rows of one kind, each unless a newer version stands there or it was
-- deleted by one, and moves them between their indexes.
--
-- KEYS and ARGV 1 and 2 as in row.lua
-- ARGV  3 start of the keys of what was deleted
--       then for each row: id, version, value as it is stored
-- returns how many rows were written

local function enter(index, member)
  call('ZADD', ARGV[1] .. index, 0, member)
  if index ~= '' then
    local field, value = string.match(index, '^([^=]*)=(.*)$')
    call('ZADD', ARGV[2] .. field, 0, value)
  end
end

local written = 0
for i = 4, #ARGV, 3 do
  local id, version, value = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local old = call('HGET', KEYS[1], id)
  local gone = call('GET', ARGV[3] .. id)
  local _, member, indexes = head(id, value)
  local was, place, before = 0, '', {}
  if old then was, place, before = head(id, old) end
  if not (was > version or old == value or (gone and tonumber(gone) >= version)) then
    for index in pairs(before) do
      if place ~= member or not indexes[index] then leave(index, place) end
    end
    for index in pairs(indexes) do
      if place ~= member or not before[index] then enter(index, member) end
    end
    call('HSET', KEYS[1], id, value)
    written = written + 1
  end
end
return written
