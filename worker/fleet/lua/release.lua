-- SPDX-License-Identifier: Apache-2.0
-- release(o:<uid>; worker, epoch): a note for the next owner: nothing of ours is under way any more.
local cur = redis.call('HMGET', KEYS[1], 'worker', 'epoch')
if cur[1] == ARGV[1] and cur[2] == ARGV[2] then
    redis.call('HSET', KEYS[1], 'released', '1')
    return 1
end
return 0
