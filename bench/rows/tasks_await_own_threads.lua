-- A service with a thread of its own awaits another one, which has one, too;
-- each thread is on a core of its own, and looks for work for a while before
-- it sleeps.  The floor is two threads in C that do so, without any values.
-- The wall clock tells the time.

local channel = require "channel"
local crew = require "crew"
local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not mtstates.fork then return print("this needs tasks") end
if not crew.has_two_cores() then return print("this needs two cores") end

local OPTIONS = { own_thread = true }
local TEXT = requests.TEXT

local function pin(core)
  assert(require("floor").pin(core) == core, "a thread is on another core")
end

local echo = mtstates.newstate(OPTIONS, function()
  return { pin = pin, echo = function(...) return ... end }
end)
local asker = mtstates.newstate(OPTIONS, function()
  return {
    pin = pin,
    ask = function(n)
      for _ = 1, n do echo:await("echo", 1, 2.5, TEXT) end
    end,
  }
end)
asker:await("pin", crew.core(1))
echo:await("pin", crew.core(2))

floor.pin(crew.core(1))
local looker = channel.looker(crew.core(2))

harness.compare {
  name = "service awaits service, own threads",
  at_most = 5000, clock = requests.clock,
  work = function(n) asker:await("ask", n) end,
  floor = function(n) looker:ask(n) end,
}
