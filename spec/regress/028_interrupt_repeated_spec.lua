-- A thread that begins to block the signal is asked for its mask when the
-- interrupt has waited for half a second. Each further interrupt() began that
-- time anew, so a program that interrupted until it helped was never helped.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("an interrupt that is repeated #race", function()
  before_each(helpers.watch("interrupt repeated"))
  after_each(helpers.unwatch)

  it("reaches a thread that blocks the signal", function()
    local s = mtstates.newstate(function()
      require "interruptible"
      local gates, signals = require "handoff", require "signals"
      return function(entered, leave)
        signals.block(true)
        gates.add(entered)
        while gates.get(leave) == 0 do end
      end
    end)
    local entered, leave = handoff.unique(), handoff.unique()
    local over = handoff.unique()
    local holder = threads.start(function(id, gate, ...)
      local state = require("mtstates").state(id)
      local ok, err = pcall(state.call, state, ...)
      require("handoff").add(gate)
      return ok, err
    end, s:id(), over, entered, leave)
    handoff.wait(entered, 1)
    local tries = 0
    repeat
      s:interrupt()
      tries = tries + 1
    until tries == 10 or handoff.get(over) > 0
    if tries == 10 then -- a moment for the last one to take effect
      handoff.set(leave, 1)
    end
    local ok, err = holder:results()
    assert.is_false(ok)
    assert.truthy(err:find(mtstates.error.interrupted, 1, true), err)
  end)
end)
