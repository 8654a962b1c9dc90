-- Arguments: what to do (find, remove, redrive), id, queue, name, tid, state ('', p, l or d), after which seq, how many
-- at most, how many bytes.
-- Looks at a thousand items, about. Returns the seq of the last one that it has looked at, or '' if there are no more; how
-- many had something done; for redrive the queues of those; and for find of each its id, record, headers and payload, reason.
function handle(from, to)
  local what, id, queue, name, tid, state, after = unpack(ARGV, from, from + 6)
  local limit, room = tonumber(ARGV[from + 7]), tonumber(ARGV[from + 8])
  local CHUNK = 1000
  local list = {} -- {id, seq}, in the order of seq
  local bound = math.huge -- after this seq some may be missing in the list

  -- some adds some of a set that is ordered by seq.
  local function some(key)
    local found = call('ZRANGEBYSCORE', key, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, CHUNK)
    for i = 1, #found, 2 do list[#list + 1] = {found[i], tonumber(found[i + 1])} end
    if #found == 2 * CHUNK then bound = math.min(bound, tonumber(found[#found])) end
  end

  -- leased adds the leases of a queue, which are ordered by their ends.
  local function leased(queue)
    local ids = call('ZRANGE', P .. 'leases:' .. queue, 0, -1)
    for i = 1, #ids, CHUNK do
      local part = {unpack(ids, i, math.min(i + CHUNK - 1, #ids))}
      for j, seq in ipairs(call('ZMSCORE', P .. 'all:' .. queue, unpack(part))) do
        if seq and tonumber(seq) > tonumber(after) then list[#list + 1] = {part[j], tonumber(seq)} end
      end
    end
  end

  local function of(queue)
    if state == 'l' then
      leased(queue)
    elseif state == 'd' then
      some(P .. 'dead:' .. queue)
    else
      some(P .. 'all:' .. queue)
    end
  end

  if id ~= '' then
    local r = get(id)
    if r and tonumber(r.seq) > tonumber(after) then list[1] = {id, tonumber(r.seq)} end
  elseif tid ~= '' then
    some(P .. 'tid:' .. tid)
  elseif queue ~= '' then
    of(queue)
  else
    local queues = {}
    for _, field in ipairs(call('HKEYS', KEYS[1])) do
      if string.sub(field, 1, 2) == 'q:' then queues[#queues + 1] = string.sub(field, 3) end
    end
    CHUNK = math.max(20, math.floor(CHUNK / math.max(1, #queues)))
    for _, queue in ipairs(queues) do of(queue) end
  end
  table.sort(list, function(a, b) return a[2] < b[2] end)
  while #list > 0 and list[#list][2] > bound do list[#list] = nil end
  local more = bound < math.huge

  -- out takes an item out of where it waits.
  local function out(r)
    if r.state == 'p' then
      call('ZREM', P .. 'due:' .. r.prio .. ':' .. r.queue, r.seq .. r.id)
    elseif r.state == 'w' then
      call('ZREM', P .. 'wait:' .. r.prio .. ':' .. r.queue .. '\n' .. r.serial, r.seq .. r.id)
      call('ZREM', P .. 'parked:' .. r.queue, r.id)
    else
      call('ZREM', P .. 'dead:' .. r.queue, r.id)
    end
  end

  local found, queues, done, last = {}, {}, 0, after

  local function act(r)
    if what == 'find' then
      local values = call('HMGET', ITEMS, 'b' .. r.id, 'r' .. r.id)
      local body, reason = values[1] or '', values[2] or ''
      local n = #found
      found[n + 1], found[n + 2], found[n + 3], found[n + 4] = r.id, record(r), body, reason
      room = room - #body
      done = done + 1
    elseif r.state == 'l' then
      return
    elseif what == 'remove' then
      out(r)
      freekey(r, true)
      drop(r)
      if r.serial ~= '' and r.state == 'p' and unpark(r.queue, r.serial) then queues[r.queue] = true end
      done = done + 1
    elseif r.state == 'd' or r.state == 'p' and tonumber(r.due) > now then
      out(r)
      if r.state == 'd' then r.fails = '0' end
      r.due = text(now)
      pend(r)
      queues[r.queue] = true
      done = done + 1
    end
  end

  for i = 1, #list, 100 do
    local fields = {}
    for j = i, math.min(i + 99, #list) do fields[#fields + 1] = 's' .. list[j][1] end
    local values = call('HMGET', ITEMS, unpack(fields))
    for j, s in ipairs(values) do
      if done >= limit or room < 0 then
        more = true
        break
      end
      local c = list[i + j - 1]
      last = text(c[2])
      -- What was done before in this call may have changed the record, if the item has a serial.
      local r = parse(c[1], s)
      if r and r.serial ~= '' then r = get(c[1]) end
      if r and (queue == '' or queue == r.queue) and (name == '' or name == r.name) and (tid == '' or tid == r.tid) and
        (state == '' or state == r.state or state == 'p' and r.state == 'w') then
        act(r)
      end
    end
    if done >= limit or room < 0 then break end
  end
  if #list > 0 and last ~= text(list[#list][2]) then more = true end
  local rung = {}
  for queue in pairs(queues) do rung[#rung + 1] = queue end
  return {more and last or '', text(done), rung, found}
end
