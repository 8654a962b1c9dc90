-- Arguments: the revision that the caller knows ('-' wants no list), how many to remove, those, and those to add.
-- Returns the revision, and the bindings if it is another one.
function handle(from, to)
  local rev = tonumber(meta[3]) or 0
  local n = tonumber(ARGV[from + 1])
  local changed = 0
  for i = from + 2, from + 1 + n do changed = changed + call('HDEL', P .. 'bindings', ARGV[i]) end
  for i = from + 2 + n, to do changed = changed + call('HSETNX', P .. 'bindings', ARGV[i], '') end
  if changed > 0 or rev == 0 then
    rev = math.max(rev + 1, now) -- a store that was made anew has others
    meta[3] = text(rev)
    call('HSET', KEYS[1], 'version', '1', 'rev', meta[3])
  end
  if ARGV[from] == '-' or ARGV[from] == text(rev) then return {text(rev)} end
  local answer = call('HKEYS', P .. 'bindings')
  table.insert(answer, 1, text(rev))
  return answer
end
