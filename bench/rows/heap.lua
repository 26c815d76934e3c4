-- Programs that allocate, in a state and in a bare Lua state, which has the
-- system's allocator.  Both collect incrementally, as states begin, and keep
-- nothing else that the collector would have to look at.

local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"
local programs = require "programs"

local AT_MOST = {
  strings = 0.85, ["small tables"] = 0.78, records = 0.88, trees = 0.78,
  closures = 0.78, ["gmatch and concat"] = 0.95, arithmetic = 1.01,
}

local CODE = [[
  local program = (loadstring or load)(%q)
  return function(is_collecting)
    if is_collecting then collectgarbage() else program() end
  end]]

for _, program in ipairs(programs) do
  local name, code = program[1], CODE:format(program[2])
  local state, bare = mtstates.newstate(code), floor.callee(code)
  harness.compare {
    name = "program: " .. name, compared_with = "bare Lua state",
    at_most = assert(AT_MOST[name]),
    work = function(n) for _ = 1, n do state:call() end end,
    base = function(n) for _ = 1, n do bare:call() end end,
    collect = function()
      collectgarbage()
      state:call(true)
      bare:call(true)
    end,
  }
  state:close()
end
