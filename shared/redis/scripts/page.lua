-- Reads a page of an index, the highest member first, with the rows.
--
-- KEYS  1 index  2 rows
-- ARGV  1 where to begin: "(<member>", or "+"  2 most rows
-- returns {id, value, id, value …}
local members = redis.call('ZREVRANGEBYLEX', KEYS[1], ARGV[1], '-', 'LIMIT', 0, ARGV[2])
local out = {}
if #members == 0 then return out end
local ids = {}
for i, member in ipairs(members) do ids[i] = string.sub(member, string.find(member, '/', 1, true) + 1) end
local values = redis.call('HMGET', KEYS[2], unpack(ids))
for i, id in ipairs(ids) do
  if values[i] then
    out[#out + 1] = id
    out[#out + 1] = values[i]
  end
end
return out
