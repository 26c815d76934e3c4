-- Many short calls beside threads that wait, some of them not for long. The
-- first in the queue of a lock backs off then, and can lose patience while it
-- does; whoever is the next one must not sleep on when the calls are over.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("bursts of short calls", function()
  before_each(helpers.watch("bursts"))
  after_each(helpers.unwatch)

  local ROUNDS = math.floor(100 / (tonumber(os.getenv("SLOWNESS")) or 1))

  -- In each round one calls, and the others try to until it falls silent; so
  -- nobody calls any more who could wake one that was forgotten.
  local function call_in_bursts(id, meeting, over, rounds)
    local gates = require "handoff"
    local state = require("mtstates").state(id)
    for round = 1, rounds do
      gates.enter(meeting, meeting, 5 * round)
      for _ = 1, 3000 + round * 7919 % 6000 do
        state:call()
      end
      while gates.get(over .. " lost") < 0 do -- that has to be before the end
        for _ = 1, 1000 do
          state:call()
        end
      end
      gates.set(over, round)
    end
    return 0
  end

  local function lose_patience(id, meeting, over, rounds)
    local gates = require "handoff"
    local state = require("mtstates").state(id)
    local timeouts = 0
    for round = 1, rounds do
      gates.enter(meeting, meeting, 5 * round)
      repeat
        if not state:tcall(math.random() * 4e-4) then
          timeouts = timeouts + 1
          gates.set(over .. " lost", 1)
        end
      until gates.get(over) == round
    end
    return timeouts
  end

  local function wait_long(id, meeting, over, rounds)
    local gates = require "handoff"
    local state = require("mtstates").state(id)
    for round = 1, rounds do
      gates.enter(meeting, meeting, 5 * round)
      repeat
        state:call()
      until gates.get(over) == round
    end
    return 0
  end

  it("leave nobody asleep when one that waits has lost patience", function()
    local s = mtstates.newstate(false, [[
      return function()
      end
    ]])
    local meeting, over = handoff.unique(), handoff.unique()
    handoff.set(over, -1) -- a gate that stands at 0 is looked for for long
    handoff.set(over .. " lost", -1)
    local bodies = {call_in_bursts, lose_patience, lose_patience, wait_long,
                    wait_long}
    local started, timeouts = {}, 0
    for i, body in ipairs(bodies) do
      started[i] = threads.start(body, s:id(), meeting, over, ROUNDS)
    end
    for i, thread in ipairs(started) do
      local ok, result = pcall(thread.results, thread)
      assert(ok, ("thread %d: %s; %d have met, %d rounds are over"):format(
        i, tostring(result), handoff.get(meeting), handoff.get(over)))
      timeouts = timeouts + result
    end
    assert.is_true(timeouts > 0)
  end)
end)
