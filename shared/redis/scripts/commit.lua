-- Applies one commit to one partition, or changes nothing. Lua does not roll
-- back: everything is judged first, the first write is below "judged".
--
-- KEYS  1 inbox  2 ledger  3 outbox  4 due  5 queue  6… kinds of documents
-- ARGV  1 entry for the inbox, '' for none
--       2 time of the cause in ms, '' where it is surely young
--       3 how long the inbox remembers, in ms
--       4 '1' where the epoch is no longer the one decided in, else ''
--       5, 6 events absorbed and emitted, JSON lines, '' for none
--       then five lists, each led by its length:
--         checks  index into KEYS, id, '<version>|' ('' for no document)
--         puts    index into KEYS, id, '<version>|' replaced ('' for none),
--                 '<version>|<body>' ('' deletes)
--         due     name, ms ('' removes)
--         queue   member, score ('' removes)
--         struck  member of the outbox
-- returns {'ok', ledger id or ''}
--         {'again', ledger id or '', events emitted then}
--         {'old'}  {'epoch'}  {'conflict', id, version found}
local call, argv, keys = redis.call, ARGV, KEYS
local inbox = argv[1]

local function millis()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

if inbox ~= '' then
  local first = call('HGET', keys[1], inbox)
  if first then
    if not string.find(first, '-', 1, true) then return {'again', '', ''} end
    local record = call('XRANGE', keys[2], first, first)[1]
    local fields = record and record[2] or {}
    for f = 1, #fields, 2 do
      if fields[f] == 'e' then return {'again', first, fields[f + 1]} end
    end
    return {'again', first, ''}
  end
  if argv[2] ~= '' and millis() - argv[2] > tonumber(argv[3]) then return {'old'} end
end

if argv[4] ~= '' then return {'epoch'} end

local function differs(key, id, want)
  local got = call('HGET', keys[tonumber(key)], id)
  if not got then return want ~= '' and '0' end
  if want == '' or string.sub(got, 1, #want) ~= want then
    return string.match(got, '^%d+')
  end
end

local i = 7
for _ = 1, tonumber(argv[i]) do
  local found = differs(argv[i + 1], argv[i + 2], argv[i + 3])
  if found then return {'conflict', argv[i + 2], found} end
  i = i + 3
end
i = i + 1
local puts = i
for _ = 1, tonumber(argv[i]) do
  local found = differs(argv[i + 1], argv[i + 2], argv[i + 3])
  if found then return {'conflict', argv[i + 2], found} end
  i = i + 4
end

-- judged

i = puts
for _ = 1, tonumber(argv[i]) do
  if argv[i + 4] == '' then
    call('HDEL', keys[tonumber(argv[i + 1])], argv[i + 2])
  else
    call('HSET', keys[tonumber(argv[i + 1])], argv[i + 2], argv[i + 4])
  end
  i = i + 4
end
i = i + 1
for _ = 1, tonumber(argv[i]) do
  if argv[i + 2] == '' then
    call('ZREM', keys[4], argv[i + 1])
  else
    call('ZADD', keys[4], argv[i + 2], argv[i + 1])
  end
  i = i + 2
end
i = i + 1
for _ = 1, tonumber(argv[i]) do
  if argv[i + 2] == '' then
    call('ZREM', keys[5], argv[i + 1])
  else
    call('ZADD', keys[5], argv[i + 2], argv[i + 1])
  end
  i = i + 2
end
i = i + 1
for _ = 1, tonumber(argv[i]) do
  call('ZREM', keys[3], argv[i + 1])
  i = i + 1
end

local id = ''
if argv[6] ~= '' then
  if argv[5] ~= '' then
    id = call('XADD', keys[2], '*', 'a', argv[5], 'e', argv[6])
  else
    id = call('XADD', keys[2], '*', 'e', argv[6])
  end
  -- Padded, so that members of one millisecond stand in the ledger's order.
  local dash = string.find(id, '-', 1, true)
  local ms = string.sub(id, 1, dash - 1)
  call('ZADD', keys[3], ms, string.format('%s-%010d', ms, tonumber(string.sub(id, dash + 1))))
elseif argv[5] ~= '' then
  id = call('XADD', keys[2], '*', 'a', argv[5])
end
if inbox ~= '' then
  call('HSET', keys[1], inbox, id ~= '' and id or string.format('%.0f', millis()))
end
return {'ok', id}
