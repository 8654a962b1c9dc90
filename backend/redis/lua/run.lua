-- What all scripts end with.
local replies = {}
local at = 2
while at <= #ARGV do
  local n = tonumber(ARGV[at])
  replies[#replies + 1] = handle(at + 1, at + n)
  at = at + n + 1
end
if finally then finally() end
flush()
tell()
return replies
