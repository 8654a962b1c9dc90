-- Arguments: queues. Returns now, and in how many microseconds one of them has something that is due or a lease that ends;
-- -1: never.
function handle(from, to)
  local again = -1
  local function sooner(key)
    local head = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if head[2] then
      local rest = math.max(0, tonumber(head[2]) - now)
      if again < 0 or rest < again then again = rest end
    end
  end
  for i = from, to do
    local queue = ARGV[i]
    for _, prio in ipairs(priorities(queue)) do sooner(P .. 'due:' .. prio .. ':' .. queue) end
    sooner(P .. 'leases:' .. queue)
  end
  return {text(now), text(again)}
end
