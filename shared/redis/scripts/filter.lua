-- Reads rows of an index, the highest member first, to which one index of each
-- group leads as well; of others nothing is read but their place.
--
-- KEYS  1 index  2 rows  then the indexes of the groups, one group after another
-- ARGV  1 where to begin: "(<member>", or "+"  2 most rows  3 most members to look at
--       then for each group how many indexes it has
-- returns {last member looked at, empty where there are no more; id, value, id, value …}
local call = redis.call
local members = call('ZREVRANGEBYLEX', KEYS[1], ARGV[1], '-', 'LIMIT', 0, ARGV[3])
local most, at = tonumber(ARGV[2]), ''

local function led(member)
  local from = 3
  for g = 4, #ARGV do
    local stop, found = from + tonumber(ARGV[g]), false
    while from < stop and not found do
      found = call('ZSCORE', KEYS[from], member)
      from = from + 1
    end
    if not found then return false end
    from = stop
  end
  return true
end

local ids = {}
for i = 1, #members do
  if #ids == most then break end
  at = members[i]
  if led(at) then ids[#ids + 1] = string.sub(at, string.find(at, '/', 1, true) + 1) end
end
if at == members[#members] and #members < tonumber(ARGV[3]) then at = '' end
local out = {at}
if #ids == 0 then return out end
local values = call('HMGET', KEYS[2], unpack(ids))
for i, id in ipairs(ids) do
  if values[i] then
    out[#out + 1] = id
    out[#out + 1] = values[i]
  end
end
return out
