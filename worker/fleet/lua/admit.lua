-- SPDX-License-Identifier: Apache-2.0
-- admit(c:<owner>, e:<event>, whole; event, replay, generation, rev, worker, ttl_s, thread)
-- Order: is this life of the event already decided? is the generation still the highest? then it runs.
if redis.call('EXISTS', KEYS[3]) == 0 then
    return { 'unsure' }
end
local replay, generation, rev, worker = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local e = redis.call('HMGET', KEYS[2], 'replay', 'outcome', 'result', 'running', 'run', 'crashes', 'wrote')
-- An id is one event's: of one contract, of one generation. Whoever uses it again is not answered with another one's result.
local of = redis.call('HGET', KEYS[2], 'of')
local this = KEYS[1] .. '#' .. ARGV[3]
if of and of ~= this then
    return { 'foreign', string.match(of, '^sn:1:c:(.*)#') or '' }
end
if not of then
    redis.call('HSET', KEYS[2], 'of', this)
    redis.call('EXPIRE', KEYS[2], ARGV[6])
end
local known = tonumber(e[1] or '-1')
if known > replay then
    return { 'stale' }
end
if known == replay and e[2] then
    return { 'done', e[3] or '' }
end
local c = redis.call('HMGET', KEYS[1], 'gen', 'rev', 'event')
local highest = tonumber(c[1] or '0')
-- A cleanup (no rev of its own) follows the event that left something behind; it never leads.
if generation < highest or (rev == '' and generation > highest) then
    return { 'superseded', c[3] or '', c[1] }
end
local unheard = not c[2] or c[2] == '' -- of this generation only a cleanup is known, written back after a flush
if generation == highest and rev ~= '' and not unheard and c[2] ~= rev then
    return { 'reused', c[3] or '', c[1] }
end
if generation > highest or (unheard and rev ~= '') then
    redis.call('HSET', KEYS[1], 'gen', ARGV[3], 'rev', rev, 'event', ARGV[1])
end
-- A run that never said how it ended, and whose process is neither this one nor one that ended in order: it died with its process. It counts
-- against the event when one of the process's threads had it in hand: who only waited in a queue, or for a save, has killed nobody.
local function had_in_hand(who)
    for _, event in ipairs(redis.call('HVALS', 'sn:1:v:' .. who)) do
        if event == ARGV[1] then
            return true
        end
    end
    return false
end
local crashes = tonumber(e[6] or '0')
if known == replay then
    if e[4] and e[4] ~= '' and e[4] ~= worker and redis.call('EXISTS', 'sn:1:w:' .. e[4], 'sn:1:x:' .. e[4]) == 0 and
        had_in_hand(e[4]) then
        crashes = crashes + 1
    end
else
    crashes = 0
    redis.call('HDEL', KEYS[2], 'outcome', 'result')
end
local run = tonumber(e[5] or '0') + 1
redis.call('HSET', KEYS[2], 'replay', replay, 'run', run, 'crashes', crashes, 'running', worker)
redis.call('EXPIRE', KEYS[2], ARGV[6])
redis.call('HSET', 'sn:1:v:' .. worker, ARGV[7], ARGV[1])
redis.call('EXPIRE', 'sn:1:v:' .. worker, ARGV[6])
return { 'run', tostring(run), tostring(crashes), e[7] or '0' }
