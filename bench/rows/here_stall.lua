-- The longest time for which a loop of luv does not look at what else there is
-- to do, while 100 services work: each computes for a tenth of a millisecond,
-- asks the loop, which is a state by mtstates.here, and so on; a timer of the
-- loop asks each of them, too, in forks.  The loop sees to all that in
-- here:run, when the descriptor is readable.
--
-- The floor is the same loop with the timer alone: what the system does to a
-- thread that shares its cores with workers.  The workers have the other core.

local crew = require "crew"
local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

local has_luv, luv = pcall(require, "luv")
if not mtstates.here then return print("this needs here") end
if not has_luv then return print("this needs luv") end
if not crew.has_two_cores() then return print("this needs two cores") end

local SERVICES, SECONDS = 100, 1

requests.pin_workers { crew.core(2) }
floor.pin(crew.core(1))

local here = mtstates.here("loop", function(x) return x end)

local services = {}
for i = 1, SERVICES do
  services[i] = mtstates.newstate({}, function()
    local now, state = mtstates.now, mtstates.state
    local works
    local function compute()
      local stop = now() + 1e-4
      repeat until now() >= stop
    end
    local function work()
      local loop = state("loop")
      while works do
        compute()
        loop:await(1)
      end
    end
    return function(what)
      if what ~= nil then
        works = what
        if works then mtstates.fork(pcall, work) end -- the loop ends first
      end
    end
  end)
end

-- Seconds; look: what the timer does.
local function longest_stall(look)
  local poll, timer = luv.new_poll(here:fd()), luv.new_timer()
  local check, prepare = luv.new_check(), luv.new_prepare()
  local longest, began = 0, luv.hrtime()
  local stop = began + SECONDS * 1e9
  poll:start("r", function() here:run() end)
  timer:start(1, 1, look)
  check:start(function() began = luv.hrtime() end)
  prepare:start(function()
    longest = math.max(longest, luv.hrtime() - began)
    if luv.hrtime() >= stop then luv.stop() end
  end)
  luv.run()
  for _, handle in ipairs { poll, timer, check, prepare } do
    handle:close()
  end
  luv.run "nowait"
  return longest / 1e9
end

local turn = 0
local function ask_one()
  turn = turn % SERVICES + 1
  mtstates.fork(services[turn].await, services[turn])
end

local stalls = { work = {}, floor = {} }
for round = 1, harness.LONG_ROUNDS do
  stalls.floor[round] = 1e3 * longest_stall(function() end)
  for i = 1, SERVICES do services[i]:await(true) end
  stalls.work[round] = 1e3 * longest_stall(ask_one)
  for i = 1, SERVICES do services[i]:await(false) end
end

harness.report {
  name = "longest stall of a loop, 100 services work", unit = "ms",
  at_most = 5, work = stalls.work, floor = stalls.floor,
}
