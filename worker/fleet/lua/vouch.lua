-- SPDX-License-Identifier: Apache-2.0
-- vouch(whole): which server this is. A sentinel that was set for another one came with its data: a snapshot that was loaded, a replica
-- that was promoted. What is missing in them nobody knows, so the records are not whole until they are written back.
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local whole = redis.call('GET', KEYS[1])
if whole and whole ~= server then
    redis.call('DEL', KEYS[1])
end
return server
