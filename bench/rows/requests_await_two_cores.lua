-- The main program awaits a service whose worker is on another core, compared
-- with two threads in C that wake one another by futex, on the same two cores.
-- The wall clock tells the time.

local channel = require "channel"
local crew = require "crew"
local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not requests.are_there() then return print("this needs requests") end
if not crew.has_two_cores() then return print("this needs two cores") end

local TEXT = requests.TEXT
local service = mtstates.newstate({}, "return function(...) return ... end")
local partner = channel.partner(crew.core(2))

requests.pin_workers { crew.core(2) }
floor.pin(crew.core(1))

harness.compare {
  name = "await, 3 values there and back, two cores",
  compared_with = "2 wake-ups by futex", at_most = 1, grace = 5000,
  clock = requests.clock,
  work = function(n) for _ = 1, n do service:await(1, 2.5, TEXT) end end,
  base = function(n) partner:wake(n) end,
}
