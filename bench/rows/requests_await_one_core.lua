-- The main program awaits a service; it and the worker are on one core.  The
-- wall clock tells the time.  The floor is two threads in C that wake one
-- another by futex.

local floor = require "floor"
local core = floor.pin() -- before there are workers, so that they stay here

local channel = require "channel"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not requests.are_there() then return print("this needs requests") end

local TEXT = requests.TEXT
local service = mtstates.newstate({}, "return function(...) return ... end")
local partner = channel.partner(core)

harness.compare {
  name = "await, 3 values there and back, one core",
  at_most = 6000, clock = requests.clock,
  work = function(n) for _ = 1, n do service:await(1, 2.5, TEXT) end end,
  floor = function(n) partner:wake(n) end,
}
