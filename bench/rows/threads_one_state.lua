-- Threads that all call the same state, compared with one thread alone.  How
-- many calls they get done together; how fair that is: what the thread that is
-- served least gets of what the one served most gets; how long a single call
-- had to wait; and how many cores they keep busy: beyond one, that is burnt by
-- waiting.
--
-- Calls are timed in runs of their own, as that makes them slower.

local crew = require "crew"
local harness = require "harness"
local mtstates = require "mtstates"

local SECONDS, SHORT = 2, 0.5
local states = { mtstates.newstate("return function(...) return ... end") }

for _, number in ipairs { 2, 8 } do
  local alone, together, least, most, busy, longest = {}, {}, {}, {}, {}, {}
  for round = 1, harness.LONG_ROUNDS do
    local before = crew.alone(SHORT, number, states, crew.CALL)
    local calls = crew.run(SECONDS, number, states, crew.CALL)
    local after = crew.alone(SHORT, number, states, crew.CALL)
    together[round], alone[round] = calls.sum / 1e3, (before + after) / 2e3
    table.sort(calls)
    least[round], most[round] = calls[1] / 1e3, calls[number] / 1e3
    busy[round] = calls.cores

    longest[round] = 1e3 *
      crew.run(SECONDS, number, states, crew.TIME_CALLS).longest
  end

  local function report(row)
    row.name = ("%d threads, 1 state: %s"):format(number, row.name)
    harness.report(row)
  end
  report {
    name = "calls", compared_with = "1 thread", unit = "K/s",
    at_least = number == 2 and 0.85 or 0.8, work = together, base = alone,
  }
  report {
    name = "served least", compared_with = "served most", unit = "K/s",
    at_least = 0.7, work = least, base = most,
  }
  report {
    name = "longest wait", unit = "ms", at_most = 5, work = longest,
  }
  report { name = "busy", unit = "cores", work = busy }
end
