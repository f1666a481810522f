#!lua flags=allow-oom
-- Forget a session. KEYS: messages, info. ARGV: owner. Answers 1, or 0 when there is no such session of the owner.
if redis.call('HGET', KEYS[2], 'owner') ~= ARGV[1] then
  return 0
end
redis.call('UNLINK', KEYS[1], KEYS[2])
return 1
