-- SPDX-License-Identifier: Apache-2.0
-- restore(c:<owner>; generation, rev, event, uid, record, uid, record, ...): what the ledger knows of a contract, after a flush.
-- An event that was admitted since counts more than what the ledger remembers. Repeatable.
local gen = tonumber(redis.call('HGET', KEYS[1], 'gen') or '0')
if gen > tonumber(ARGV[1]) then
    return 0
end
redis.call('HSET', KEYS[1], 'gen', ARGV[1], 'rev', ARGV[2], 'event', ARGV[3])
for i = 4, #ARGV, 2 do
    redis.call('HSETNX', KEYS[1], 't:' .. ARGV[i], ARGV[i + 1])
end
return 1
