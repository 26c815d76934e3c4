-- While threads interrupted a state again and again, no call of it ended: each
-- signal put the thread that ran it back to the end of those who waited for
-- the mutex that interrupts take.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("a state that is interrupted all the time", function()
  before_each(helpers.watch("interrupt storm"))
  after_each(helpers.unwatch)

  it("still serves its callers", function()
    local s = mtstates.newstate(function()
      require "interruptible"
      return function()
        for _ = 1, 1000 do end
      end
    end)
    local over = handoff.unique()
    local started = {}
    for i = 1, 8 do
      started[i] = threads.start(function(id, gate)
        local gates = require "handoff"
        local state = require("mtstates").state(id)
        repeat
          for _ = 1, 10 do
            state:interrupt()
          end
        until gates.get(gate) > 0
      end, s:id(), over)
    end
    local callers = {}
    for i = 1, 3 do
      callers[i] = threads.start(function(id)
        local state = require("mtstates").state(id)
        local calls = 0
        for _ = 1, 1000 do
          local ok, err = pcall(state.call, state)
          if ok or err:find("mtstates.error.interrupted", 1, true) then
            calls = calls + 1
          end
        end
        return calls
      end, s:id())
    end
    for _, caller in ipairs(callers) do
      assert.equals(1000, (caller:results()))
    end
    handoff.add(over)
    for _, thread in ipairs(started) do
      thread:results()
    end
    s:interrupt(false)
    s:call()
  end)
end)
