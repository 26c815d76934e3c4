-- While an interrupt waited for a thread that did not take its signal, it held
-- the mutex of the state; close, and with that the registry, waited for it, so
-- nobody in the process could look up a state.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("an interrupt that waits", function()
  before_each(helpers.watch("interrupt waits"))
  after_each(helpers.unwatch)

  -- Interrupts a thread that has just begun to block all signals. Returns
  -- whether everything else was done before that interrupt had returned.
  local function is_alone()
    local s = mtstates.newstate("waits alone", function()
      require "interruptible"
      local gates, signals = require "handoff", require "signals"
      return function(entered, leave)
        signals.block(true)
        gates.enter(entered, leave, 1)
      end
    end)
    local entered, leave = handoff.unique(), handoff.unique()
    local over = handoff.unique()
    local holder = threads.start(function(id, ...)
      local state = require("mtstates").state(id)
      return pcall(state.call, state, ...)
    end, s:id(), entered, leave)
    handoff.wait(entered, 1)
    local about = handoff.unique()
    local interrupter = threads.start(function(id, before, gate)
      local state = require("mtstates").state(id)
      require("handoff").add(before)
      state:interrupt()
      require("handoff").add(gate)
    end, s:id(), about, over)
    handoff.wait(about, 1)
    handoff.wait_asleep(interrupter:tid(), 1) -- it sleeps now and then

    helpers.raises_error("concurrent_access", s.close, s)
    assert.is_false(s:tcall(0.001))
    assert.equals(s:id(), mtstates.state("waits alone"):id())
    assert.equals(s:id(), mtstates.state(s:id()):id())
    s:interrupt(false)
    local was_alone = handoff.get(over) == 0

    handoff.set(leave, 1)
    holder:results()
    interrupter:results()
    s:close()
    return was_alone
  end

  it("holds up neither its state nor the registry", function()
    local tries = 0
    repeat -- the interrupt does not wait long
      tries = tries + 1
      assert.is_true(tries < 20)
    until is_alone()
  end)
end)
