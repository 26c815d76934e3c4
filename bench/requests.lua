-- requests.lua - what the programs with requests have in common
--
-- Requests run in other threads than the one that makes them, so their time is
-- that of the wall clock.

local mtstates = require "mtstates"
local threads = require "threads"

local requests = {}

requests.clock = threads.clock

-- What a request is made with, together with an integer and a float.
requests.TEXT = ("x"):rep(20)

-- An earlier revision may know of none.
function requests.are_there()
  return mtstates.workers ~= nil
end

-- Each in a thread of its own, since all must meet before one can go on.
local PIN = [[
  local floor, threads = require "floor", require "threads"
  return function(core, number)
    threads.meet(number)
    return floor.pin(core)
  end]]

-- Has as many workers as there are cores in the list, one on each.
function requests.pin_workers(cores)
  mtstates.workers(#cores)
  local pinned = {}
  for i, core in ipairs(cores) do
    pinned[i] = mtstates.newstate({}, PIN):async(core, #cores)
  end
  for i, core in ipairs(cores) do
    assert(pinned[i]:await() == core, "a worker is on another core")
  end
  assert(mtstates.stats().replacements == 0, "not a worker has been pinned")
end

-- How many are done in a second, if fn does so many.
function requests.rate(number, fn)
  collectgarbage()
  local start = requests.clock()
  fn()
  return number / (requests.clock() - start)
end

-- Each side is a function that returns its rate.  They take turns; returns the
-- best of each.
function requests.best(turns, sides)
  local best = {}
  for _ = 1, turns do
    for side, fn in pairs(sides) do
      best[side] = math.max(best[side] or 0, fn())
    end
  end
  return best
end

return requests
