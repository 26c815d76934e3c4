-- Two threads, each with a program that allocates in a state of its own, on
-- two cores, compared with one thread: how much of what a state gains over a
-- bare Lua state is left when both cores allocate.  Bare states have the same
-- malloc for both threads; states have memory of their own, and must not be
-- slowed down by the other thread.

local crew = require "crew"
local harness = require "harness"
local mtstates = require "mtstates"

if not crew.has_two_cores() then return print("this needs two cores") end

-- Many small tables that live for a while.
local WORK = [[
  local kept = {}
  local function work()
    for i = 1, 2000 do kept[i % 500 + 1] = { i, { i } } end
  end ]]

local IN_STATE = [[
  local state = require("mtstates").state(...)
  return function() state:call() return 1 end]]
local BARE = WORK .. "return function() work() return 1 end"

local RUNS, SECONDS = 10, 0.03

local states = {}
for i = 1, 2 do states[i] = mtstates.newstate(WORK .. "return work") end

local function together_and_alone(code)
  local together, alone = 0, 0
  for _ = 1, RUNS do
    together = together + crew.run(SECONDS, 2, states, code).sum
    alone = alone + crew.alone(2 * SECONDS, 2, states, code)
  end
  return together, alone
end

local gain_together, gain_alone = {}, {}
for round = 1, harness.ROUNDS do
  local together, alone = together_and_alone(IN_STATE)
  local bare_together, bare_alone = together_and_alone(BARE)
  gain_together[round] = together / bare_together
  gain_alone[round] = alone / bare_alone
end

harness.report {
  name = "2 threads that allocate, 2 states: gain over bare ones",
  compared_with = "1 thread", unit = "times", at_least = 0.97,
  work = gain_together, base = gain_alone,
}
