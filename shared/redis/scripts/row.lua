-- What put.lua and drop.lua have in common: a row as it is stored.
--
-- KEYS  1 rows: "<version>\n<score>\n<index>\n…\n\n<body>" by id
-- ARGV  1 start of the keys of indexes  2 start of the keys of fields' values
local call = redis.call

-- head takes a stored row apart: version, member, its indexes.
local function head(id, value)
  local stop = string.find(value, '\n\n', 1, true)
  local parts = {}
  for part in string.gmatch(string.sub(value, 1, stop - 1), '[^\n]+') do parts[#parts + 1] = part end
  local indexes = {['']= true}
  for i = 3, #parts do indexes[parts[i]] = true end
  return tonumber(parts[1]), parts[2] .. '/' .. id, indexes
end

local function leave(index, member)
  local key = ARGV[1] .. index
  call('ZREM', key, member)
  if index ~= '' and call('EXISTS', key) == 0 then
    local field, value = string.match(index, '^([^=]*)=(.*)$')
    call('ZREM', ARGV[2] .. field, value)
  end
end

