-- SPDX-License-Identifier: Apache-2.0
-- own(o:<uid>, d:<uid>; worker): who may write to the device.
-- Repeatable: asking again while owning answers "mine". epoch only grows, also after a flush (it is at least the time).
local cur = redis.call('HMGET', KEYS[1], 'worker', 'epoch', 'released')
local dirty = redis.call('EXISTS', KEYS[2])
local holder, epoch, released = cur[1], tonumber(cur[2] or '0'), cur[3] == '1'
if holder == ARGV[1] and not released then
    return { 'mine', string.format('%.0f', epoch), '0', dirty, holder }
end
if holder and not released and redis.call('EXISTS', 'sn:1:w:' .. holder) == 1 then
    return { 'taken', '0', '0', dirty, holder }
end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local new = math.max(epoch + 1, now)
redis.call('HSET', KEYS[1], 'worker', ARGV[1], 'epoch', string.format('%.0f', new), 'released', '0')
return { 'claimed', string.format('%.0f', new), released and '1' or '0', dirty, holder or '' }
