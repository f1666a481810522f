#!lua
-- Put a session at the head of its owner's list. KEYS: list. ARGV: session, ms for which the list is kept.
-- Answers the length of the list.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2] -- microseconds: of two messages, one is later
redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
