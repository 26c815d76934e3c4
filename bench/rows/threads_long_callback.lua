-- Eight threads that call the same state, whose callback takes 1 ms: how often
-- the thread that is served least gets in, compared with the one that is
-- served most.

local crew = require "crew"
local harness = require "harness"
local mtstates = require "mtstates"

local SECONDS, THREADS = 2, 8
local states = { mtstates.newstate [[
  local clock = require("threads").clock
  return function()
    local finish = clock() + 1e-3
    repeat until clock() >= finish
  end]] }

local least, most = {}, {}
for round = 1, harness.LONG_ROUNDS do
  local calls = crew.run(SECONDS, THREADS, states, crew.CALL_ONCE)
  table.sort(calls)
  least[round], most[round] = calls[1], calls[THREADS]
end

harness.report {
  name = "8 threads, callback of 1 ms: served least",
  compared_with = "served most",
  unit = "1/s", at_least = 0.9, work = least, base = most,
}
