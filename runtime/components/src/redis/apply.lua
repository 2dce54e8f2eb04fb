-- Decides and applies writes in one step, so that nobody sees or causes anything in between.
--
-- KEYS: one per write; then, if ARGV[2] is not empty, the key that remembers the answer.
-- ARGV: 1  "all" (all or nothing) or "each" (every write for itself, in order)
--       2  milliseconds for which the answer is remembered, or empty
--       3  a digest of the call, remembered with the answer
--       then six per write:
--       condition   n(one) a(bsent) m(atch) o (match or absent) f(irst write) x (forced, for tests)
--       wanted      a version, or empty
--       expiry      d (delete the entry) n(ever) k(eep), or milliseconds
--       value
--       generation  for a key that has none yet
--       media       a blank and the content type, or empty
--
-- The answer is `R` if another call is remembered, else one line per write:
--       A <version> <existed>   applied
--       D <existed>             deleted
--       C [<version found>]     conflict
--       X                       not tried
--       N                       the user may not do all that this write takes
--       T <type>                the key holds something that is no entry
--       V                       its version cannot be counted on
local EXACT = 9007199254740992 -- from here on a Lua number skips integers
local FIRST, WIDTH = 4, 6

local all, window, digest = ARGV[1] == 'all', ARGV[2], ARGV[3]
local count = #KEYS
local memory
if window ~= '' then
  memory = KEYS[count]
  count = count - 1
  local remembered = redis.call('GET', memory)
  if remembered then
    if string.sub(remembered, 1, #digest) ~= digest then
      return 'R'
    end
    -- A write, though it changes little: WAIT counts from the last write of a connection.
    redis.call('PEXPIRE', memory, window)
    return string.sub(remembered, #digest + 2)
  end
end

-- The present entry of a key, or nil and why it cannot be used.
local function look(key)
  local fields = redis.pcall('HMGET', key, 'version', 'first-write', 'pillion')
  if fields.err then
    local kind = redis.call('TYPE', key).ok
    if kind ~= 'string' then
      return nil, 'T ' .. kind
    end
    return { text = '0', bare = '0', plain = true }
  end
  local bare = fields[1]
  if not bare then
    if redis.call('HEXISTS', key, 'data') == 0 then
      return nil
    end
    return { text = '0', bare = '0', marked = fields[2] }
  end
  if #bare > 18 or not string.find(bare, '^%d+$') then
    return nil, 'V'
  end
  local entry = { text = bare, bare = bare, marked = fields[2] }
  if fields[3] then
    -- Another runtime counts the version but leaves our field: what that says is then out of date.
    local of, generation = string.match(fields[3], '^(%d+)%-(%w+)')
    if of == bare then
      entry.generation = generation
      entry.text = bare .. '-' .. generation
    end
  end
  return entry
end

local function holds(condition, wanted, entry, deletes)
  if condition == 'n' then
    return deletes or not entry or not entry.marked
  elseif condition == 'x' then
    return true
  elseif condition == 'a' then
    return not entry
  elseif condition == 'f' and wanted == '' then
    return not entry or not entry.marked
  elseif not entry then
    return condition ~= 'm'
  end
  return wanted == entry.text or wanted == entry.bare
end

-- Nil if the write can be applied to `entry`, else the line that says why not.
local function refusal(at, entry, trouble)
  if trouble then
    return trouble
  end
  if holds(ARGV[at], ARGV[at + 1], entry, ARGV[at + 2] == 'd') then
    return nil
  end
  return entry and 'C ' .. entry.text or 'C'
end

local function perform(key, at, entry)
  local expiry = ARGV[at + 2]
  local existed = entry and '1' or '0'
  if expiry == 'd' then
    if entry then
      redis.call('DEL', key)
    end
    return 'D ' .. existed
  end
  local left = -1
  if entry and entry.plain then
    if expiry == 'k' then
      left = redis.call('PTTL', key)
    end
    redis.call('DEL', key)
  end
  local number = tonumber(entry and entry.bare or 0) + 1
  local bare
  if number < EXACT then
    bare = string.format('%.0f', number)
  else
    redis.call('HINCRBY', key, 'version', 1)
    bare = redis.call('HGET', key, 'version')
  end
  local text = bare .. '-' .. (entry and entry.generation or ARGV[at + 4])
  local tag = text .. ARGV[at + 5]
  if ARGV[at] == 'f' then
    redis.call('HSET', key, 'version', bare, 'data', ARGV[at + 3], 'pillion', tag, 'first-write', '0')
  else
    redis.call('HSET', key, 'version', bare, 'data', ARGV[at + 3], 'pillion', tag)
  end
  if expiry == 'n' then
    if entry then
      redis.call('PERSIST', key)
    end
  elseif expiry ~= 'k' then
    redis.call('PEXPIRE', key, expiry)
  elseif left > 0 then
    redis.call('PEXPIRE', key, left)
  end
  return 'A ' .. text .. ' ' .. existed
end

-- Whether the user may run every command that `perform` takes (known since Redis 7). What it may
-- not would stop a group in its middle.
local may = redis.acl_check_cmd
local function permitted(key, expiry)
  if not may then
    return true
  elseif expiry == 'd' then
    return may('DEL', key)
  end
  return may('DEL', key) and may('HSET', key, 'data', '') and may('HINCRBY', key, 'version', 1)
    and (expiry == 'k' or may('PERSIST', key)) and (expiry == 'n' or may('PEXPIRE', key, 1))
end

local lines = {}
if all and count > 1 then
  local entries = {}
  local refused = false
  for i = 1, count do
    local entry, trouble = look(KEYS[i])
    local at = FIRST + (i - 1) * WIDTH
    local line = refusal(at, entry, trouble)
    if not line and not permitted(KEYS[i], ARGV[at + 2]) then
      line = 'N'
    end
    refused = refused or line
    entries[i] = entry
    lines[i] = line or 'X'
  end
  if not refused then
    for i = 1, count do
      lines[i] = perform(KEYS[i], FIRST + (i - 1) * WIDTH, entries[i])
    end
  end
else
  for i = 1, count do
    local at = FIRST + (i - 1) * WIDTH
    local entry, trouble = look(KEYS[i])
    lines[i] = refusal(at, entry, trouble) or perform(KEYS[i], at, entry)
  end
end

local answer = table.concat(lines, '\n')
if memory then
  redis.call('SET', memory, digest .. '\n' .. answer, 'PX', window)
end
return answer
