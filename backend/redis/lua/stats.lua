-- Returns now, and for each queue its name, ready, delayed, leased, dead, and when the oldest that is ready was due.
function handle()
  local all = call('HGETALL', KEYS[1])
  local queues, seen = {}, {}
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'q:' then
      local queue = string.sub(all[i], 3)
      queues[#queues + 1], seen[queue], lists[queue] = queue, true, all[i + 1]
    end
  end
  local bound = {}
  for _, b in ipairs(call('HKEYS', P .. 'bindings')) do
    local queue = string.match(b, '^[^\n]*')
    bound[queue] = true
    if not seen[queue] then
      queues[#queues + 1], seen[queue], lists[queue] = queue, true, ''
    end
  end
  local answer, clock = {text(now)}, text(now)
  for _, queue in ipairs(queues) do
    local ready, delayed, oldest = 0, 0, nil
    local function count(key)
      local n = call('ZCARD', key)
      if n == 0 then return end
      local due = call('ZCOUNT', key, '-inf', clock)
      ready, delayed = ready + due, delayed + n - due
      if due > 0 then
        local head = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
        if not oldest or head < oldest then oldest = head end
      end
    end
    for _, prio in ipairs(priorities(queue)) do count(P .. 'due:' .. prio .. ':' .. queue) end
    count(P .. 'parked:' .. queue)
    local leased, dead = call('ZCARD', P .. 'leases:' .. queue), call('ZCARD', P .. 'dead:' .. queue)
    if ready + delayed + leased + dead > 0 or bound[queue] then
      for _, v in ipairs({queue, text(ready), text(delayed), text(leased), text(dead), oldest and text(oldest) or ''}) do
        answer[#answer + 1] = v
      end
    end
  end
  return answer
end
