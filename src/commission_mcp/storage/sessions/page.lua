#!lua flags=no-writes,allow-oom
-- The newest messages of a session before a place in it, oldest first.
-- KEYS: messages, info. ARGV: owner, or '' for anybody's; the sequence number to stop before; how many messages.
-- Answers nothing when there is no such session, else
-- {birth, created, updated, length, ms to live, sequence number of the first kept, of the first returned, messages}.
local info = redis.call('HMGET', KEYS[2], 'owner', 'created', 'updated', 'seq', 'birth')
if not info[1] or (ARGV[1] ~= '' and info[1] ~= ARGV[1]) then
  return false
end
local seq, length = tonumber(info[4]), redis.call('LLEN', KEYS[1])
local first = seq - length
local stop = math.min(tonumber(ARGV[2]), seq)
local start = math.max(first, stop - tonumber(ARGV[3]))
local messages = {}
if start < stop then
  messages = redis.call('LRANGE', KEYS[1], start - first, stop - first - 1)
end
local ttl = redis.call('PTTL', KEYS[2])
return { info[5], tonumber(info[2]), tonumber(info[3]), length, ttl, first, start, messages }
