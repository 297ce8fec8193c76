-- SPDX-License-Identifier: Apache-2.0
-- restore(c:<owner>; generation, rev or '', event, owner, uid, record or '', …): what the ledger knows of a contract; record '' = it holds
-- nothing there, rev '' = only a cleanup of this generation has been heard of.
-- What was admitted since counts more ('newer'). Of an older generation nothing is left, its claims included: it came back with an old
-- snapshot. Of the same generation: where there is another record already, it is told, and the caller judges.
local gen = tonumber(redis.call('HGET', KEYS[1], 'gen') or '0')
if gen > tonumber(ARGV[1]) then
    return { 'newer' }
end
local reply = { 'restored' }
if gen < tonumber(ARGV[1]) then
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        local uid = string.match(all[i], '^t:(.*)$')
        local known, record = pcall(cjson.decode, all[i + 1])
        if uid and known and type(record) == 'table' and type(record.claims) == 'table' then
            for _, claim in ipairs(record.claims) do
                redis.call('HDEL', 'sn:1:k:' .. uid .. '/' .. claim, ARGV[4])
            end
        end
    end
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'gen', ARGV[1], 'rev', ARGV[2], 'event', ARGV[3])
end
for i = 5, #ARGV, 2 do
    local there = redis.call('HGET', KEYS[1], 't:' .. ARGV[i])
    if there and there ~= ARGV[i + 1] then
        reply[#reply + 1] = ARGV[i]
        reply[#reply + 1] = there
    elseif not there and ARGV[i + 1] ~= '' then
        redis.call('HSET', KEYS[1], 't:' .. ARGV[i], ARGV[i + 1])
    end
end
return reply
