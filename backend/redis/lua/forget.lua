-- Forgets the queues that have no items, and the keys that were held for a time which is over, a thousand at most.
function handle()
  for _, field in ipairs(call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 2) == 'q:' and call('EXISTS', P .. 'all:' .. string.sub(field, 3)) == 0 then
      call('HDEL', KEYS[1], field)
    end
  end
  for _, place in ipairs(call('ZRANGEBYSCORE', P .. 'holds', '-inf', text(now), 'LIMIT', 0, 1000)) do
    if string.match(call('HGET', P .. 'keys', place) or '', '^(%d)') == '0' then call('HDEL', P .. 'keys', place) end
    call('ZREM', P .. 'holds', place)
  end
  return 'OK'
end
