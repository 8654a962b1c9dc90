-- What all scripts begin with. KEYS[1] is the hash "meta": what the other keys begin with stands before it. ARGV is the
-- sender, and then for each of one or more requests how many arguments it has, and those.
--
--   meta                           HASH  version, seq, rev, and for each queue q:<queue>, the priorities it has: "0,5,"
--   items                          HASH  s<id> a record, b<id> headers and payload, r<id> the last reason
--   due:<prio>:<queue>             ZSET  pending: <seq><id> by the time it is due
--   leases:<queue>                 ZSET  <id> by the end of the lease
--   dead:<queue>                   ZSET  <id> by seq
--   all:<queue>                    ZSET  <id> by seq
--   tid:<tid>                      ZSET  <id> by seq
--   keys                           HASH  <queue>\n<key>: who holds it
--   holds                          ZSET  <queue>\n<key> of those that are held for a time only, by its end
--   busy                           HASH  <queue>\n<serial>: the id that is leased
--   wait:<prio>:<queue>\n<serial>  ZSET  pending, and not in due because the serial is busy: <seq><id> by due
--   parked:<queue>                 ZSET  the same of all serials: <id> by due
--   bindings                       HASH  <queue>\n<kind>\n<text>
--
-- Times are microseconds since 1970, in records as decimal text: as a score, and in Lua, they are exact up to 2^53, the
-- year 2255, and to some microseconds beyond. Names have no control characters, so that \n can stand between them.

local call = redis.call
local P = string.sub(KEYS[1], 1, -5)
local ITEMS = P .. 'items'
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

-- text writes a whole number; tostring would round it.
local function text(n) return string.format('%.0f', n) end

local meta = call('HMGET', KEYS[1], 'version', 'seq', 'rev')
if meta[1] and meta[1] ~= '1' then return redis.error_reply('NEWER ' .. meta[1]) end

-- handle is the script: it is given where in ARGV the arguments of a request begin and end, and returns its answer.
-- finally is called after the last one, if it is there.
local handle, finally

-- defer collects changes of what this script does not read: one command for many costs less time, and less of
-- the append-only file. flush makes them.
local deferred = {}

local function defer(command, key, ...)
  local d = deferred[key]
  if not d then
    d = {command, key}
    deferred[key] = d
  end
  for i = 1, select('#', ...) do d[#d + 1] = (select(i, ...)) end
  if #d > 500 then
    call(unpack(d))
    deferred[key] = nil
  end
end

local function flush()
  for key, d in pairs(deferred) do
    call(unpack(d))
    deferred[key] = nil
  end
end

-- A record is what changes with each lease, a line each, and then what never does: the tail.
local RECORD = '^(%a)\n(%d+)\n(%d+)\n(%-?%d+)\n(%d+)\n(%d+)\n([^\n]*)\n' ..
  '((%d+)\n%d+\n(%-?%d+)\n(%-?%d+)\n(%d)\n%d+\n%d\n([^\n]*)\n([^\n]*)\n([^\n]*)\n[^\n]*\n([^\n]*)\n([^\n]*))$'

-- parse reads a record. It returns nil for what is none. The states are p pending, w pending and parked, l leased,
-- d dead.
local function parse(id, s)
  if not s then return nil end
  local state, deliveries, fails, due, till, at, worker, tail, seq, prio, maxfails, scope, queue, name, tid, key, serial =
    string.match(s, RECORD)
  if not state then return nil end
  return {id = id, state = state, deliveries = deliveries, fails = fails, due = due, till = till, at = at,
    worker = worker, tail = tail, seq = seq, prio = prio, maxfails = maxfails, scope = scope, queue = queue,
    name = name, tid = tid, key = key, serial = serial}
end

local function get(id) return parse(id, call('HGET', ITEMS, 's' .. id)) end

local function record(r)
  return table.concat({r.state, r.deliveries, r.fails, r.due, r.till, r.at, r.worker, r.tail}, '\n')
end

local function put(r) call('HSET', ITEMS, 's' .. r.id, record(r)) end

-- The priorities of queues, as they stand in meta.
local lists = {}

local function list(queue)
  local l = lists[queue]
  if not l then
    l = call('HGET', KEYS[1], 'q:' .. queue) or ''
    lists[queue] = l
  end
  return l
end

local function register(queue, prio)
  local l = list(queue)
  if not string.find(',' .. l, ',' .. prio .. ',', 1, true) then
    l = l .. prio .. ','
    lists[queue] = l
    call('HSET', KEYS[1], 'q:' .. queue, l)
  end
end

-- priorities returns them as numbers, the highest first.
local function priorities(queue)
  local found = {}
  for prio in string.gmatch(list(queue), '(%-?%d+),') do found[#found + 1] = tonumber(prio) end
  if #found > 1 then table.sort(found, function(a, b) return a > b end) end
  return found
end

-- What became pending in this call, the first of each priority of a queue.
local fresh = {}

-- note remembers an item that is pending now.
local function note(queue, place, due, member)
  local f = fresh[place]
  if not f or due < f.due then fresh[place] = {due = due, queue = queue, member = member} end
end

local function pend(r)
  r.state, r.till = 'p', '0'
  put(r)
  register(r.queue, r.prio)
  local place, member = r.prio .. ':' .. r.queue, r.seq .. r.id
  call('ZADD', P .. 'due:' .. place, r.due, member)
  note(r.queue, place, tonumber(r.due), member)
end

-- tell wakes other processes. Only what comes first now is told: if something is due before it, they were told of that.
local function tell()
  for place, f in pairs(fresh) do
    if call('ZRANGE', P .. 'due:' .. place, 0, 0)[1] == f.member then
      call('PUBLISH', P .. 'wake', ARGV[1] .. ' ' .. text(math.max(0, f.due - now)) .. ' ' .. f.queue)
    end
  end
end

-- unpark makes the first of those leasable that wait for a serial, unless it is busy.
local function unpark(queue, serial)
  local place = queue .. '\n' .. serial
  if call('HEXISTS', P .. 'busy', place) == 1 then return end
  for _, prio in ipairs(priorities(queue)) do
    while true do
      local member = call('ZPOPMIN', P .. 'wait:' .. prio .. ':' .. place)[1]
      if not member then break end
      local id = string.sub(member, 17)
      call('ZREM', P .. 'parked:' .. queue, id)
      local r = get(id)
      if r and r.state == 'w' then
        pend(r)
        return true
      end
    end
  end
end

-- freekey ends what an item holds of its key: all of it, or only up to the end of its Hold.
local function freekey(r, all)
  if r.key == '' then return end
  local place = r.queue .. '\n' .. r.key
  local held, till, seq = string.match(call('HGET', P .. 'keys', place) or '', '^(%d)\n(%d+)\n(%d+)\n')
  if seq ~= r.seq then return end
  if all or tonumber(till) <= now then
    call('HDEL', P .. 'keys', place)
    call('ZREM', P .. 'holds', place)
  elseif held == '1' then
    call('HSET', P .. 'keys', place, '0\n' .. till .. '\n' .. seq .. '\n' .. r.id)
    call('ZADD', P .. 'holds', till, place)
  end
end

-- freed lets the next item of a serial come. It reports whether there is one.
local function freed(r)
  if r.serial == '' then return end
  call('HDEL', P .. 'busy', r.queue .. '\n' .. r.serial)
  return unpark(r.queue, r.serial)
end

local function die(r)
  r.state, r.till = 'd', text(now)
  put(r)
  call('ZADD', P .. 'dead:' .. r.queue, r.seq, r.id)
  freekey(r, false)
end

-- fail counts a fail of an item that has left its lease, which is due again then. What becomes of its serial is up to
-- the caller, who calls freed.
local function fail(r, due, reason)
  r.fails = text(r.fails + 1)
  call('HSET', ITEMS, 'r' .. r.id, reason)
  local most = tonumber(r.maxfails)
  if most == 0 then most = 25 end
  if most > 0 and tonumber(r.fails) >= most then
    die(r)
    return
  end
  r.due = due
  pend(r)
end

-- drop forgets an item that is in no place any more but those of all items.
local function drop(r)
  call('HDEL', ITEMS, 's' .. r.id, 'b' .. r.id, 'r' .. r.id)
  defer('ZREM', P .. 'all:' .. r.queue, r.id)
  if r.tid ~= '' then defer('ZREM', P .. 'tid:' .. r.tid, r.id) end
end
