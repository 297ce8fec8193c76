-- SPDX-License-Identifier: Apache-2.0
-- step(c:<owner>, o:<routing>, d:<uid>, j:<routing>, e:<event>, whole, k…;
--      worker, epoch, generation, owner, ref, uid, record, event, run, seq, text, shared, dirty, now_ms)
-- The last word before a write: still the owner, still the newest, nobody else's thing. Then the intent is on record.
if redis.call('EXISTS', KEYS[6]) == 0 then
    return { 'unsure' }
end
local o = redis.call('HMGET', KEYS[2], 'worker', 'epoch', 'released')
if o[1] ~= ARGV[1] or o[2] ~= ARGV[2] or o[3] == '1' then
    return { 'lost', o[1] or '' }
end
local c = redis.call('HMGET', KEYS[1], 'gen', 'event')
if tonumber(c[1] or '0') > tonumber(ARGV[3]) then
    return { 'superseded', c[2] or '' }
end
for i = 7, #KEYS do
    if ARGV[12] ~= '1' then
        local all = redis.call('HGETALL', KEYS[i])
        for j = 1, #all, 2 do
            if all[j] ~= ARGV[4] then
                return { 'conflict', string.match(all[j + 1], '^%d+ (.*)$') or all[j] }
            end
        end
    end
end
for i = 7, #KEYS do
    redis.call('HSET', KEYS[i], ARGV[4], ARGV[3] .. ' ' .. ARGV[5])
end
redis.call('HSET', KEYS[1], 't:' .. ARGV[6], ARGV[7])
redis.call('HSET', KEYS[5], 'wrote', '1')
if ARGV[13] == '1' then
    redis.call('HSET', KEYS[3], 'epoch', ARGV[2])
    redis.call('HSETNX', KEYS[3], 'since', ARGV[14])
    redis.call('HINCRBY', KEYS[3], 'writes', 1)
end
local id = redis.call('XADD', KEYS[4], '*', 'event', ARGV[8], 'run', ARGV[9], 'seq', ARGV[10], 'uid', ARGV[6],
    'epoch', ARGV[2], 'worker', ARGV[1], 'dir', '>', 'text', ARGV[11], 'at', ARGV[14])
return { 'ok', id }
