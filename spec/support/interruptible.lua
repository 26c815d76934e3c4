-- To be required by a state whose loops are interrupted while they run: code
-- that LuaJIT has compiled is not reached, so here it compiles nothing.

local jit = rawget(_G, "jit")

if jit then
  jit.off()
end
