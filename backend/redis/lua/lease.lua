-- Arguments: worker, how many (0 only takes back), for how long, how many bytes, the queues (none are all).
-- Returns now, how many were taken back, when it is worthwhile to look again (in microseconds; -1 never, 0 now), and
-- for each item its id, record, headers and payload.

-- How many bytes there is room for, in all requests of this run: their answers are in memory at the same time. If there
-- is none left for a request, it is to ask again. The first item always finds room.
local room, started

function handle(from, to)
  local worker, max, ttl = ARGV[from], tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])
  room = room or tonumber(ARGV[from + 3])
  local queues = {}
  for i = from + 4, to do queues[#queues + 1] = ARGV[i] end
  if #queues == 0 then
    for _, field in ipairs(call('HKEYS', KEYS[1])) do
      if string.sub(field, 1, 2) == 'q:' then queues[#queues + 1] = string.sub(field, 3) end
    end
  end

  -- take back what has expired
  local back, clock = 0, text(now)
  for _, queue in ipairs(queues) do
    if back >= 1000 then break end
    for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'leases:' .. queue, '-inf', clock, 'LIMIT', 0, 1000 - back)) do
      local r = get(id)
      if r and r.state == 'l' then
        call('ZREM', P .. 'leases:' .. queue, id)
        fail(r, r.due, r.worker == '' and 'the lease has expired' or 'the lease of worker "' .. r.worker .. '" has expired')
        freed(r)
        back = back + 1
      else
        call('ZREM', P .. 'leases:' .. queue, id)
      end
    end
  end

  local till = text(now + ttl)
  local answer, parked, full = {clock, '0', '0'}, 0, false

  -- park puts an item aside until its serial is free.
  local function park(r, member, place)
    call('ZREM', place, member)
    r.state = 'w'
    put(r)
    call('ZADD', P .. 'wait:' .. r.prio .. ':' .. r.queue .. '\n' .. r.serial, r.due, member)
    call('ZADD', P .. 'parked:' .. r.queue, r.due, r.id)
    parked = parked + 1
  end

  -- take leases the items of a list of {member, place}.
  local function take(list)
    local fields, bodies, hset, zrem, zadd = {}, {}, {}, {}, {}
    for i, c in ipairs(list) do fields[i] = 's' .. string.sub(c[1], 17) end
    local values, begin = call('HMGET', ITEMS, unpack(fields)), #answer
    for i, c in ipairs(list) do
      if max == 0 or full then break end
      local member, place = c[1], c[2]
      local id = string.sub(member, 17)
      local r = parse(id, values[i])
      local size = r and call('HSTRLEN', ITEMS, 'b' .. id)
      if not r or r.state ~= 'p' then
        call('ZREM', place, member) -- it was not put there by a store
      elseif started and room < size then
        full = true
      else
        local serial = r.serial ~= '' and r.queue .. '\n' .. r.serial
        if serial and call('HSETNX', P .. 'busy', serial, id) == 0 then
          park(r, member, place)
        else
          r.state, r.till, r.at, r.worker = 'l', till, clock, worker
          r.deliveries = text(r.deliveries + 1)
          if r.scope == '1' then freekey(r, false) end
          local s = record(r)
          hset[#hset + 1], hset[#hset + 2] = 's' .. id, s
          local gone, leased = zrem[place] or {}, zadd[r.queue] or {}
          gone[#gone + 1] = member
          leased[#leased + 1], leased[#leased + 2] = till, id
          zrem[place], zadd[r.queue] = gone, leased
          local n = #answer
          answer[n + 1], answer[n + 2], answer[n + 3] = id, s, ''
          bodies[#bodies + 1] = 'b' .. id
          room, started = room - size, true
          max = max - 1
        end
      end
    end
    if #hset > 0 then
      call('HSET', ITEMS, unpack(hset))
      -- Only now, so that nothing is read but what is handed out.
      for i, body in ipairs(call('HMGET', ITEMS, unpack(bodies))) do answer[begin + 3 * i] = body or '' end
    end
    for place, members in pairs(zrem) do call('ZREM', place, unpack(members)) end
    for queue, ids in pairs(zadd) do call('ZADD', P .. 'leases:' .. queue, unpack(ids)) end
  end

  -- The places to look at: those of the highest priority first, over all queues.
  local places = {}
  for _, queue in ipairs(queues) do
    local prios = priorities(queue)
    for _, prio in ipairs(prios) do
      places[#places + 1] = {prio = prio, queue = queue, key = P .. 'due:' .. prio .. ':' .. queue, many = #prios > 8}
    end
  end
  if #queues > 1 then table.sort(places, function(a, b) return a.prio > b.prio end) end

  -- due returns what is due in places[first] to places[last], which have the same priority, in order, n at most.
  local function due(first, last, n)
    if first == last then
      local key = places[first].key
      local members = call('ZRANGEBYSCORE', key, '-inf', clock, 'LIMIT', 0, n)
      for i, member in ipairs(members) do members[i] = {member, key} end
      return members
    end
    local list = {}
    for i = first, last do
      local key = places[i].key
      local scored = call('ZRANGEBYSCORE', key, '-inf', clock, 'WITHSCORES', 'LIMIT', 0, n)
      for j = 1, #scored, 2 do list[#list + 1] = {scored[j], key, tonumber(scored[j + 1])} end
    end
    table.sort(list, function(a, b)
      if a[3] ~= b[3] then return a[3] < b[3] end
      return a[1] < b[1]
    end)
    for i = n + 1, #list do list[i] = nil end
    return list
  end

  local first = 1
  while first <= #places and max > 0 and not full do
    local last = first
    while last < #places and places[last + 1].prio == places[first].prio do last = last + 1 end
    while max > 0 and not full do
      local n = math.min(max, 100)
      local list = due(first, last, n)
      if #list == 0 then break end
      take(list)
      -- Those that are parked are looked at once each, but they may be many: the caller asks again.
      if parked >= 1000 then full = true end
      if #list < n then break end
    end
    first = last + 1
  end

  local again = 0
  if max > 0 and not full and ARGV[from + 1] ~= '0' then
    again = -1
    local function sooner(key)
      local head = call('ZRANGE', key, 0, 0, 'WITHSCORES')
      if head[2] then
        local rest = math.max(1, tonumber(head[2]) - now)
        if again < 0 or rest < again then again = rest end
      end
      return head[2]
    end
    for _, p in ipairs(places) do
      -- A queue that had many priorities forgets those that it does not have any more.
      if not sooner(p.key) and p.many and call('EXISTS', P .. 'parked:' .. p.queue) == 0 then
        local l = string.gsub(',' .. list(p.queue), ',' .. text(p.prio):gsub('%-', '%%-') .. ',', ',', 1)
        lists[p.queue] = string.sub(l, 2)
        call('HSET', KEYS[1], 'q:' .. p.queue, lists[p.queue])
      end
    end
    for _, queue in ipairs(queues) do sooner(P .. 'leases:' .. queue) end
  end
  answer[2], answer[3] = text(back), text(again)
  return answer
end
