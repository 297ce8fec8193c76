-- SPDX-License-Identifier: Apache-2.0
-- claim(e:<event>, o:<routing>, whole; replay, worker, epoch, outcome, result, ttl_s, check_owner)
if redis.call('EXISTS', KEYS[3]) == 0 then
    return { 'unsure' }
end
local e = redis.call('HMGET', KEYS[1], 'replay', 'outcome', 'result')
local known = tonumber(e[1] or '-1')
if known > tonumber(ARGV[1]) then
    return { 'lost' }
end
if known == tonumber(ARGV[1]) and e[2] then
    return { 'stored', e[3] or '' }
end
if ARGV[7] == '1' then
    local o = redis.call('HMGET', KEYS[2], 'worker', 'epoch', 'released')
    if o[1] ~= ARGV[2] or o[2] ~= ARGV[3] or o[3] == '1' then
        return { 'lost' }
    end
end
redis.call('HSET', KEYS[1], 'replay', ARGV[1], 'outcome', ARGV[4], 'result', ARGV[5], 'running', '')
redis.call('EXPIRE', KEYS[1], ARGV[6])
return { 'claimed' }
