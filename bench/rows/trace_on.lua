-- Requests while a trace is written, compared with the same without a trace.
-- The main program awaits a service; it and the worker are on one core, so
-- what both spend on the trace, writing the file included, counts.  The wall
-- clock tells the time.

local floor = require "floor"
floor.pin() -- before there are workers, so that they stay here

local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not mtstates.trace then return print("this needs mtstates.trace") end

local TEXT = requests.TEXT
local service = mtstates.newstate({}, "return function(...) return ... end")
local path = os.tmpname()

local function await(n)
  for _ = 1, n do service:await(1, 2.5, TEXT) end
end

harness.compare {
  name = "await, 3 values there and back, one core, with a trace",
  compared_with = "without",
  at_most = 1.1, clock = requests.clock,
  work = function(n)
    mtstates.trace(path)
    await(n)
    mtstates.trace(nil)
  end,
  base = await,
}
os.remove(path)
