#!lua
-- Append a message to a session, which begins with it if need be, and keep the session within its bounds.
-- KEYS: messages, info. ARGV: owner, id of this append, record, default ms to live, ms to live or '' for the
-- session's own, messages_max, bytes_max.
-- Answers nothing when the session is somebody else's, else {birth, created, updated, length, ms to live}.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local info = redis.call('HMGET', KEYS[2], 'owner', 'created', 'updated', 'seq', 'bytes', 'ttl', 'recent', 'birth')
local owner, recent = info[1], info[7] or ''
if owner and owner ~= ARGV[1] then
  return false
end

local birth = info[8] or ARGV[2] -- tells the session from others of its id, before and after
local created = owner and tonumber(info[2]) or now
local updated = math.max(now, tonumber(info[3]) or 0) -- clocks are set back; a conversation goes on
local seq, bytes = tonumber(info[4]) or 0, tonumber(info[5]) or 0
local ttl = tonumber(ARGV[5]) or tonumber(info[6]) or tonumber(ARGV[4])
if not owner then
  redis.call('DEL', KEYS[1])
end

-- An answer that was lost is asked for again, and must not append again.
if not string.find(recent, ARGV[2], 1, true) then
  local element = string.format('%.0f:', updated) .. ARGV[3]
  local length = redis.call('RPUSH', KEYS[1], element)
  if length == 1 then
    bytes = 0
  end
  seq, bytes = seq + 1, bytes + #element
  while length > 1 and (length > tonumber(ARGV[6]) or bytes > tonumber(ARGV[7])) do
    bytes = bytes - #redis.call('LPOP', KEYS[1])
    length = length - 1
  end
  recent = string.sub(recent .. ARGV[2], -8 * #ARGV[2])
  redis.call('HSET', KEYS[2], 'owner', ARGV[1], 'created', string.format('%.0f', created),
    'updated', string.format('%.0f', updated), 'seq', seq, 'bytes', bytes, 'ttl', ttl, 'recent', recent, 'birth', birth)
end

redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', now + ttl))
redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', now + ttl))
return { birth, created, updated, redis.call('LLEN', KEYS[1]), ttl }
