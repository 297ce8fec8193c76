-- SPDX-License-Identifier: Apache-2.0
-- whole(whole; server): the records are written back, to this server, not to one that was replaced meanwhile.
if string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
