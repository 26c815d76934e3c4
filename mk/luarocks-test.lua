-- What `luarocks test` runs, with the Lua that luarocks works for: `make test`
-- for that Lua only.  Arguments are handed to make; those of busted would be:
--
--   luarocks test -- SPECS="-p transfer"

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local version = rawget(_G, "jit") and "jit" or _VERSION:match("%d%.%d")
local words = {
  "make --no-print-directory test", "LUA_VERSION=" .. version,
  "LUA=" .. quote(arg[-1]),
}
for _, word in ipairs(arg) do
  words[#words + 1] = quote(word)
end
local status = os.execute(table.concat(words, " "))
os.exit((status == true or status == 0) and 0 or 1)
