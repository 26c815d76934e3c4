-- Two threads that call one state each, on two cores, compared with one thread
-- alone: states must not slow down each other.  What the machine gives, two
-- threads that call no state but pcall in a loop, is in the floor's column.
-- Short runs take turns, so that what others do on the machine hits all.

local crew = require "crew"
local harness = require "harness"
local mtstates = require "mtstates"

if not crew.has_two_cores() then return print("this needs two cores") end

local CODE = "return function(...) return ... end"
local states = { mtstates.newstate(CODE), mtstates.newstate(CODE) }

local RUNS, SECONDS = 10, 0.03

local function together_and_alone(code)
  local together, alone = 0, 0
  for _ = 1, RUNS do
    together = together + crew.run(SECONDS, 2, states, code).sum
    alone = alone + crew.alone(2 * SECONDS, 2, states, code)
  end
  return together / RUNS / 1e3, alone / RUNS / 1e3
end

local both, alone, plain = {}, {}, {}
for round = 1, harness.ROUNDS do
  both[round], alone[round] = together_and_alone(crew.CALL)
  local plain_both, plain_alone = together_and_alone(crew.PCALL)
  plain[round] = alone[round] * plain_both / plain_alone
end

harness.report {
  name = "2 threads, 2 states: calls", compared_with = "1 thread",
  unit = "K/s", at_least = 1.9, work = both, base = alone, floor = plain,
}
