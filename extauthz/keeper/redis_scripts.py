"""The Lua that runs in Redis: each script is one step that happens whole or not at all.

Keys: `PREFIX:incarnation` names one life of the shared state; `PREFIX:journal` is the stream of changes, numbered
without gaps, so that who follows it sees when something is missing; `PREFIX:restrictions` holds the newest of each row
for who begins, `PREFIX:restrictions:ends` when a row may be forgotten; `PREFIX:streams` is the same for how streams of
signals fare, which has no ends; `PREFIX:nodes` who is there, and how far. A row
is `INCARNATION TIME MAC TEXT`. Its field ends in `n` when it narrows and in `w` when it widens, so that what widens
never takes the place of what narrows.
"""

from __future__ import annotations

from typing import Final

from extauthz.keeper.redis_connection import Script

_LAST: Final = """
local function last_of(journal)
  local facts = redis.call('XINFO', 'STREAM', journal)
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' then return tonumber(string.match(facts[i + 1], '^%d+')) end
  end
end
"""

BEGIN: Final = Script(
    _LAST
    + """
local incarnation = redis.call('GET', KEYS[1])
local there = redis.call('EXISTS', KEYS[2]) == 1
if not incarnation or not there then
  incarnation = ARGV[1]
  redis.call('SET', KEYS[1], incarnation)
  local id = there and last_of(KEYS[2]) + 1 or 1
  redis.call('XADD', KEYS[2], id .. '-0', 'begin', incarnation)
end
return {incarnation, last_of(KEYS[2])}
"""
)
"""Keys: incarnation, journal. Arguments: the incarnation to begin when there is none. Returns it, and the position."""

PUBLISH: Final = Script(
    _LAST
    + """
local incarnation, kind, node, keep, leeway = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if redis.call('GET', KEYS[1]) ~= incarnation or redis.call('EXISTS', KEYS[2]) == 0 then return {0, 0} end
local now = tonumber(redis.call('TIME')[1])
local last, added = last_of(KEYS[2]), 0

local function at_of(row)
  local of, at = string.match(row, '^(%S*) (%S+) ')
  if of ~= incarnation then return nil end
  at = tonumber(at)
  if at and at <= now + leeway then return at end
end

local function end_by(field, ends)
  local before = redis.call('ZSCORE', KEYS[4], field)
  if not before or tonumber(before) > ends then redis.call('ZADD', KEYS[4], ends, field) end
end

for i = 6, #ARGV, 4 do
  local field, at, ends, row = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), ARGV[i + 3]
  local before = redis.call('HGET', KEYS[3], field)
  if before ~= row then
    last, added = last + 1, added + 1
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', keep, last .. '-0', 'kind', kind, 'row', row, 'node', node)
    local before_at = before and at_of(before)
    if not before_at or before_at <= at then
      redis.call('HSET', KEYS[3], field, row)
      if ends then redis.call('ZADD', KEYS[4], ends, field) else redis.call('ZREM', KEYS[4], field) end
      local narrows = string.sub(field, -1) == 'n'
      local other = string.sub(field, 1, -2) .. (narrows and 'w' or 'n')
      local row_there = redis.call('HGET', KEYS[3], other)
      local there_at = row_there and at_of(row_there)
      if there_at and narrows and there_at > at then
        local there_ends = tonumber(redis.call('ZSCORE', KEYS[4], other))
        if there_ends then end_by(field, there_ends) end
      elseif there_at and not narrows and there_at < at and ends then
        end_by(other, ends)
      end
    end
  end
end

local over = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - leeway, 'LIMIT', 0, 64 + (#ARGV - 5) / 2)
for _, field in ipairs(over) do
  redis.call('HDEL', KEYS[3], field)
  redis.call('ZREM', KEYS[4], field)
end
return {last, added}
"""
)
"""Keys: incarnation, journal, the rows of a kind, their ends. Arguments: incarnation, kind, node, entries to keep,
leeway in seconds; then for each row its field, its time, its end or nothing, and itself. Returns the position and how
many rows were new; twice 0 when the incarnation is another one. A row that a widening one makes void is forgotten no
later than that one, or it would come to life again."""

BEAT: Final = Script(
    _LAST
    + """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local incarnation = redis.call('GET', KEYS[1]) or ''
local last = redis.call('EXISTS', KEYS[2]) == 1 and last_of(KEYS[2]) or 0
redis.call('HSET', KEYS[3], ARGV[1], string.format('%d', now) .. ' ' .. ARGV[2])
local nodes = redis.call('HGETALL', KEYS[3])
local heard = {}
for i = 1, #nodes, 2 do
  local at = tonumber(string.match(nodes[i + 1], '^(%d+) '))
  if not at or at + tonumber(ARGV[3]) * 1000 < now or at > now then
    redis.call('HDEL', KEYS[3], nodes[i])
  else
    heard[#heard + 1] = nodes[i]
    heard[#heard + 1] = nodes[i + 1]
  end
end
return {incarnation, last, now, heard}
"""
)
"""Keys: incarnation, journal, nodes. Arguments: the node, what it says, seconds after which silent nodes are forgotten.
Returns the incarnation, the position, the time of Redis in milliseconds, and what every node said last, after the time
at which it did."""

SPEND: Final = Script(
    """
local at, grace = tonumber(ARGV[1]), tonumber(ARGV[2])
local answered = redis.call('GET', KEYS[1])
if answered and tonumber(answered) > at then return 0 end

local function stay(key, ends)
  redis.call('PEXPIRE', key, math.ceil((ends - at + grace) * 1000))
end

local wanted, joined = {}, {}
for n = 2, #KEYS do
  local key, limit, member = KEYS[n], tonumber(ARGV[3 * n - 3]), ARGV[3 * n - 1]
  local used, takes = 0, true
  if member == '' then
    local kept = redis.call('HMGET', key, 'used', 'until')
    if kept[1] and tonumber(kept[2]) > at then used = tonumber(kept[1]) end
  else
    local ends = redis.call('ZSCORE', key, member)
    takes = not (ends and tonumber(ends) > at) and not joined[key .. member]
    joined[key .. member] = true
    used = redis.call('ZCOUNT', key, '(' .. ARGV[1], '+inf')
  end
  if takes then
    if used + (wanted[key] or 0) >= limit then return n - 1 end
    wanted[key] = (wanted[key] or 0) + 1
  end
end

local longest = 0
for n = 2, #KEYS do
  local key, ends, member = KEYS[n], tonumber(ARGV[3 * n - 2]), ARGV[3 * n - 1]
  if member == '' then
    longest = math.max(longest, ends)
    local kept = redis.call('HMGET', key, 'used', 'until')
    local used = 0
    if kept[1] and tonumber(kept[2]) > at then
      used, ends = tonumber(kept[1]), math.max(ends, tonumber(kept[2]))
    end
    redis.call('HSET', key, 'used', used + 1, 'until', string.format('%.17g', ends))
  else
    redis.call('ZREMRANGEBYSCORE', key, '-inf', ARGV[1])
    local before = redis.call('ZSCORE', key, member)
    if not before or tonumber(before) < ends then redis.call('ZADD', key, ARGV[3 * n - 2], member) end
    ends = tonumber(redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2])
  end
  stay(key, ends)
end
if longest > 0 then
  redis.call('SET', KEYS[1], string.format('%.17g', longest))
  stay(KEYS[1], longest)
end
return 0
"""
)
"""Keys: the question, then one for each spend. Arguments: the instant, seconds of grace; then for each spend its limit,
its end and its member or nothing. Returns 0 when all is taken, or was by the same question before; else which spend,
counted from 1, is used up, and nothing is taken."""

FOLLOWING: Final = (BEGIN, PUBLISH, BEAT)
"""The scripts of who carries changes."""
