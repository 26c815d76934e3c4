-- A service awaits another one, with two workers on a core each, and nobody
-- else has anything to do: it is best to leave both services with one worker.
-- Compared with the same floor as in tasks_await_one_worker.lua.
--
-- The main program sleeps meanwhile.  The wall clock tells the time.

local crew = require "crew"
local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not mtstates.fork then return print("this needs tasks") end
if not crew.has_two_cores() then return print("this needs two cores") end

local ECHO = "return function(...) return ... end"
local TEXT = requests.TEXT

local echo = mtstates.newstate({}, ECHO)
local asker = mtstates.newstate({}, function()
  return function(n) for _ = 1, n do echo:await(1, 2.5, TEXT) end end
end)
requests.pin_workers { crew.core(1), crew.core(2) }

local callee = floor.callee(ECHO)
local yield = coroutine.yield
local function ask(n) for _ = 1, n do yield(1, 2.5, TEXT) end end

harness.compare {
  name = "service awaits service, 2 workers",
  compared_with = "yield, lua_pcall, resume in C",
  at_most = 3, clock = requests.clock,
  work = function(n) asker:await(n) end,
  base = function(n) callee:serve(ask, n) end,
}
