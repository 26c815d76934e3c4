-- A task forks an empty function and awaits that; compared with a coroutine of
-- bare Lua that runs the same function, in the main program.
--
-- All threads are on one core.  The wall clock tells the time, as it is the
-- worker that works.

local floor = require "floor"
floor.pin() -- before there are workers, so that they stay here

local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not mtstates.fork then return print("this needs tasks") end

local function f() end

mtstates.workers(1)
local service = mtstates.newstate({}, function()
  local fork = mtstates.fork
  return {
    fork = function(n) for _ = 1, n do fork(f):await() end end,
    collect = function() collectgarbage() end,
  }
end)

harness.compare {
  name = "fork(f):await()",
  compared_with = "coroutine.wrap(f)()",
  at_most = 3, clock = requests.clock,
  collect = function()
    collectgarbage()
    service:await("collect")
  end,
  work = function(n) service:await("fork", n) end,
  base = function(n)
    local wrap = coroutine.wrap
    for _ = 1, n do wrap(f)() end
  end,
}
