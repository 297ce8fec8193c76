-- SPDX-License-Identifier: Apache-2.0
-- clean(d:<uid>; epoch): saved. A later owner's dirt is not ours to clear.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then
    return 0
end
return redis.call('DEL', KEYS[1])
