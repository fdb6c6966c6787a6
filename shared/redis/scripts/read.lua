-- Reads what is at an offset of a log.
--
-- KEYS  1 lengths  2 limits  3 chunks
-- ARGV  1 the log's name  2 offset  3 most bytes
-- returns {length, limit or -1, bytes}
local length = redis.call('HGET', KEYS[1], ARGV[1]) or '0'
local limit = redis.call('HGET', KEYS[2], ARGV[1]) or '-1'
local offset = tonumber(ARGV[2])
local wanted = math.min(tonumber(ARGV[3]), tonumber(length) - offset)
local parts, got, last = {}, 0, nil

local function take(entry, from)
  local part = string.sub(entry[2][2], from, from + wanted - got - 1)
  parts[#parts + 1] = part
  got = got + #part
  last = entry[1]
end

if wanted > 0 then
  local first = redis.call('XREVRANGE', KEYS[3], string.format('%.0f', offset + 1), '-', 'COUNT', '1')[1]
  if first then
    take(first, offset + 2 - tonumber(string.match(first[1], '^%d+')))
  end
  while last and got < wanted do
    local more = redis.call('XRANGE', KEYS[3], '(' .. last, '+', 'COUNT', '16')
    if #more == 0 then break end
    for _, entry in ipairs(more) do
      if got < wanted then take(entry, 1) end
    end
  end
end
return {length, limit, table.concat(parts)}
