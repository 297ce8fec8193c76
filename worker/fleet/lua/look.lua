-- SPDX-License-Identifier: Apache-2.0
-- look(c:<owner>, v:<worker>, k…; owner, uid, thread, event or ''): record of the contract on the target, and the refs of others that claim its
-- keys. The thread has the event in hand from now on: should the process die, it may be the reason.
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
local reply = { redis.call('HGET', KEYS[1], 't:' .. ARGV[2]) or '' }
local seen = {}
for i = 3, #KEYS do
    local all = redis.call('HGETALL', KEYS[i])
    for j = 1, #all, 2 do
        if all[j] ~= ARGV[1] and not seen[all[j]] then
            seen[all[j]] = true
            reply[#reply + 1] = string.match(all[j + 1], '^%d+ (.*)$') or all[j]
        end
    end
end
return reply
