-- A thread of the stress of tasks: carries plans out, as a main program does.

local handoff = require "handoff"
local helpers = require "helpers"
local plan = require "stress.taskplan"

local driver = {}

-- Forks of the thread run while it waits, and end with its Lua state. They can
-- make others meanwhile.
local function join()
  local i = 1
  while plan.unjoined[i] do
    pcall(plan.unjoined[i].await, plan.unjoined[i])
    i = i + 1
  end
end

local function work(seed, thread, rounds, members, may_lose)
  plan.unjoined = {}
  for round = 1, rounds do
    local random = helpers.random(
      (seed * 7919 + thread * 104729 + round * 611953) % 2147483646 + 1)
    for _ = 1, 5 do
      random(1)
    end
    local how = {random = random, members = members, cancels = may_lose,
                 timeouts = may_lose, is_host = true}
    plan.run_steps(plan.new_steps(how, random(members) - 1, 3, true))
  end
  join()
end

function driver.run(...)
  local ok, err = pcall(work, ...)
  handoff.put("finished", ok, tostring(err))
  handoff.add("drivers")
end

return driver
