-- An error that is raised in the callback, crosses the border and is caught,
-- compared with the same error caught inside one state, with a traceback that
-- is as deep: there it contains xpcall and the loop around it, so here the
-- callback calls `fail` through two more functions.
--
-- A traceback looks for the names of functions in all modules that are loaded,
-- so that other loop runs in a state which is as empty as the one called.

local harness = require "harness"
local mtstates = require "mtstates"

local state = mtstates.newstate [[
  local function fail() error("no luck") end
  local function inner() fail() return nil end
  return function() inner() return nil end]]

local one_state = mtstates.newstate [[
  local function fail() error("no luck") end
  return function(n)
    for _ = 1, n do xpcall(fail, debug.traceback) end
  end]]

harness.compare {
  name = "call(), an error", compared_with = "xpcall(f, debug.traceback)",
  at_most = 1.5,
  work = function(n) for _ = 1, n do pcall(state.call, state) end end,
  base = function(n) one_state:call(n) end,
}
