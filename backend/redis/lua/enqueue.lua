-- Arguments: a revision or '', and for each item its id, when it is due ('+' is from now), the end of its record,
-- headers and payload.
-- Returns now, and for each item: 'i' inserted, 'd' a duplicate, 'D<id>' or 'R<id>' for the item that holds the key.
local seq = math.max((tonumber(meta[2]) or 0) + 1, now) -- also if the server has lost its newest numbers
local first = seq
local clock = text(now)
local stamp = '\n' .. clock .. '\n'
local seen = {} -- what is new
local TAIL = '^(%-?%d+)\n%-?%d+\n%d\n(%d+)\n(%d)\n([^\n]*)\n[^\n]*\n([^\n]*)\n[^\n]*\n([^\n]*)\n([^\n]*)$'

-- forget drops some of the keys that were held for a time which is over.
local function forget()
  for _, place in ipairs(call('ZRANGEBYSCORE', P .. 'holds', '-inf', text(now), 'LIMIT', 0, 10)) do
    if string.match(call('HGET', P .. 'keys', place) or '', '^(%d)') == '0' then
      call('HDEL', P .. 'keys', place)
    end
    call('ZREM', P .. 'holds', place)
  end
  forget = nil
end

-- claim takes the key for an item, or returns what becomes of the item if another one holds it.
local function claim(id, due, hold, replace, queue, key, body)
  if forget then forget() end
  local place = queue .. '\n' .. key
  local held, till, by, holder = string.match(call('HGET', P .. 'keys', place) or '', '^(%d)\n(%d+)\n(%d+)\n(.*)$')
  if held == '1' or held and tonumber(till) > now then
    if replace == '1' then
      flush() -- it may have come in this very call
      local r = get(holder)
      if r and r.seq == by and (r.state == 'p' or r.state == 'w') then
        local member = r.seq .. r.id
        if r.state == 'p' then
          call('ZREM', P .. 'due:' .. r.prio .. ':' .. r.queue, member)
        else
          call('ZREM', P .. 'wait:' .. r.prio .. ':' .. r.queue .. '\n' .. r.serial, member)
          call('ZREM', P .. 'parked:' .. r.queue, r.id)
        end
        r.due = due
        call('HSET', ITEMS, 'b' .. r.id, body)
        pend(r)
        if r.serial ~= '' then unpark(r.queue, r.serial) end
        return 'R' .. holder
      end
    end
    return 'D' .. holder
  end
  till = hold == '0' and '0' or text(now + hold)
  call('HSET', P .. 'keys', place, '1\n' .. till .. '\n' .. string.format('%016.0f', seq) .. '\n' .. id)
end

-- insert stores a new item.
local function insert(id, due, prio, queue, tid, tail, body)
  local number = string.format('%016.0f', seq)
  seq = seq + 1
  seen[id] = true
  defer('HSET', ITEMS, 's' .. id, 'p\n0\n0\n' .. due .. '\n0\n0\n\n' .. number .. stamp .. tail, 'b' .. id, body)
  register(queue, prio)
  local place, member = prio .. ':' .. queue, number .. id
  defer('ZADD', P .. 'due:' .. place, due, member)
  defer('ZADD', P .. 'all:' .. queue, number, id)
  if tid ~= '' then defer('ZADD', P .. 'tid:' .. tid, number, id) end
  note(queue, place, tonumber(due), member)
end

function handle(from, to)
  if ARGV[from] ~= '' and ARGV[from] ~= meta[3] then return 'stale' end
  local answer = {clock}
  for i = from + 1, to, 4 do
    local id, due, tail, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local status
    if seen[id] or call('HEXISTS', ITEMS, 's' .. id) == 1 then
      status = 'd'
    else
      if string.byte(due) == 43 then due = text(now + string.sub(due, 2)) end
      local prio, held, replace, queue, tid, key, serial = string.match(tail, TAIL)
      if key ~= '' then status = claim(id, due, held, replace, queue, key, body) end
      if not status then
        status = 'i'
        insert(id, due, prio, queue, tid, tail, body)
      end
    end
    answer[#answer + 1] = status
  end
  return answer
end

function finally()
  if seq == first then return end
  if meta[1] then
    call('HSET', KEYS[1], 'seq', text(seq - 1))
  else
    call('HSET', KEYS[1], 'version', '1', 'seq', text(seq - 1))
  end
end
