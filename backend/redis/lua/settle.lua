-- Arguments: for each settlement queue, id, receipt, action, time, reason. A time that begins with '+' is from
-- now; '' is none.
-- Returns for each '-' if the lease is lost, or in how many microseconds the queue has something that is due; '' is
-- nothing that was not there before.
local function when(t)
  if string.byte(t) == 43 then return text(now + string.sub(t, 2)) end
  return t
end

local function settle(queue, id, receipt, action, t, reason)
  local r = get(id)
  if not r or r.state ~= 'l' or r.queue ~= queue or receipt ~= r.seq .. '.' .. r.deliveries .. '.' .. r.at then
    return '-'
  end
  if action == 'e' then
    r.till = when(t)
    put(r)
    call('ZADD', P .. 'leases:' .. queue, r.till, id)
    return ''
  end
  defer('ZREM', P .. 'leases:' .. queue, id)
  if action == 'a' then
    freekey(r, false)
    drop(r)
  elseif action == 'f' then
    fail(r, when(t), reason)
  elseif action == 'r' then
    if t ~= '' then r.due = when(t) end
    pend(r)
  elseif action == 'b' then
    call('HSET', ITEMS, 'r' .. id, reason)
    die(r)
  end
  if freed(r) then return '0' end
  if r.state == 'p' then return text(math.max(0, r.due - now)) end
  return ''
end

function handle(from, to)
  local answer = {}
  for i = from, to, 6 do
    answer[#answer + 1] = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
  end
  return answer
end
