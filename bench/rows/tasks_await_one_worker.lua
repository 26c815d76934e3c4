-- A service awaits another one; both are run by the same worker.  Compared
-- with what it takes in C: a coroutine yields the values, they are copied into
-- another Lua state, whose function is called, and the results are copied back
-- and the coroutine is resumed with them.
--
-- All threads are on one core.  The wall clock tells the time, as it is the
-- worker that works.

local floor = require "floor"
floor.pin() -- before there are workers, so that they stay here

local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not mtstates.fork then return print("this needs tasks") end

local ECHO = "return function(...) return ... end"
local TEXT = requests.TEXT

mtstates.workers(1)
local echo = mtstates.newstate({}, ECHO)
local asker = mtstates.newstate({}, function()
  return function(n) for _ = 1, n do echo:await(1, 2.5, TEXT) end end
end)

local callee = floor.callee(ECHO)
local yield = coroutine.yield
local function ask(n) for _ = 1, n do yield(1, 2.5, TEXT) end end

harness.compare {
  name = "service awaits service, 1 worker",
  compared_with = "yield, lua_pcall, resume in C",
  at_most = 2.5, clock = requests.clock,
  work = function(n) asker:await(n) end,
  base = function(n) callee:serve(ask, n) end,
}
