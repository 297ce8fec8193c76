-- SPDX-License-Identifier: Apache-2.0
-- record(c:<owner>, k…; generation, owner, uid, record or ''): what the contract holds on the target after a visit.
-- A newer generation has its own idea of the record: it is left alone then.
local gen = tonumber(redis.call('HGET', KEYS[1], 'gen') or '0')
if gen > tonumber(ARGV[1]) then
    return 0
end
if ARGV[4] == '' then
    redis.call('HDEL', KEYS[1], 't:' .. ARGV[3])
else
    redis.call('HSET', KEYS[1], 't:' .. ARGV[3], ARGV[4])
end
for i = 2, #KEYS do
    redis.call('HDEL', KEYS[i], ARGV[2])
end
return 1
