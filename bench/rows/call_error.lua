-- An error that is raised in the callback, crosses the border and is caught,
-- compared with the same error caught in one state, with a traceback that is
-- as deep: it ends at the border of a coroutine, as it ends at that of the
-- other state, and for the two functions that it contains besides `fail` the
-- callback calls it through two functions, too.

local harness = require "harness"
local mtstates = require "mtstates"

local state = mtstates.newstate [[
  local function fail() error("no luck") end
  local function inner() fail() return nil end
  return function() inner() return nil end]]

local function fail() error("no luck") end

harness.compare {
  name = "call(), an error", compared_with = "xpcall(f, debug.traceback)",
  at_most = 1.5,
  work = function(n) for _ = 1, n do pcall(state.call, state) end end,
  base = function(n)
    coroutine.wrap(function()
      for _ = 1, n do xpcall(fail, debug.traceback) end
    end)()
  end,
}
