-- Requests that nobody waits for, with an integer, a float and a string of 20
-- bytes, until the receiver is done with them all; compared with calls of the
-- same service that do the same.  All threads are on one core: whatever sender
-- and worker do counts.  The wall clock tells the time.  The floor is a ring
-- with a mutex in C, with a thread that calls the same Lua function.
--
-- The last request is awaited, to know when all are done; of the thousands of
-- a turn that one costs more.

local floor = require "floor"
local core = floor.pin() -- before there are workers, so that they stay here

local channel = require "channel"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not requests.are_there() then return print("this needs requests") end

local CODE = "return function() end"
local TEXT = requests.TEXT
local service = mtstates.newstate({}, CODE)
local bare = channel.channel(core, CODE)

harness.compare {
  name = "send(1, 2.5, string of 20 bytes)",
  compared_with = "call of the same",
  at_most = 1.5, clock = requests.clock,
  work = function(n)
    for _ = 2, n do service:send(1, 2.5, TEXT) end
    service:await(1, 2.5, TEXT)
  end,
  base = function(n) for _ = 1, n do service:call(1, 2.5, TEXT) end end,
  floor = function(n)
    for _ = 1, n do bare:send(1, 2.5, TEXT) end
    bare:drain()
  end,
}
