-- Reads documents and the time.
--
-- KEYS  the kinds of documents
-- ARGV  for each document: index into KEYS, id
-- returns {seconds, microseconds, '<version>|<body>' or nil, …}
local answer = redis.call('TIME')
for i = 1, #ARGV, 2 do
  answer[#answer + 1] = redis.call('HGET', KEYS[tonumber(ARGV[i])], ARGV[i + 1])
end
return answer
