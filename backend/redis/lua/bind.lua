-- Arguments: the revision that the caller knows ('-' wants no list), how many to add, those, and those to remove.
-- Returns the revision, and the bindings if it is another one.
function handle(from, to)
  local rev = tonumber(meta[3]) or 0
  local n = tonumber(ARGV[from + 1])
  local wanted, changed = {}, 0 -- what is in both is removed, and was no change if it was not there before
  for i = from + 2, to do wanted[ARGV[i]] = i < from + 2 + n end
  for binding, there in pairs(wanted) do
    if there then
      changed = changed + call('HSETNX', P .. 'bindings', binding, '')
    else
      changed = changed + call('HDEL', P .. 'bindings', binding)
    end
  end
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
