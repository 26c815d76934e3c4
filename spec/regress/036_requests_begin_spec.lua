-- What others see of a state while a request begins there, or has just ended:
-- a request ran from the moment at which it was in no queue any more.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("a state where a request", function()
  before_each(helpers.watch("requests that begin"))
  after_each(helpers.unwatch)

  -- A callback that waits at a gate, if one is given.
  local function waiter()
    local gates = require "handoff"
    return function(gate)
      if gate then
        gates.wait(gate, 1)
      end
      return "done"
    end
  end

  -- Closing waited for the end of a request that was about to begin.
  it("begins is closed behind that, without waiting for it", function()
    for i = 1, 200 do
      local s = mtstates.newstate({own_thread = i % 2 == 0}, waiter)
      local gate = handoff.unique()
      local running = s:async(gate)
      while s:stats().tasks == 0 do end
      s:close()
      assert.is_false(running:ready())
      handoff.set(gate, 1)
      assert.equals("done", running:await())
    end
  end)

  -- The thread of the state, about to sleep, counted as busy.
  it("has ended lets the next call in at once", function()
    local s = mtstates.newstate({own_thread = true}, waiter)
    for i = 1, 5000 do
      local future = s:async()
      while not future:ready() do end
      assert.same({i, true, "done"}, {i, s:tcall(0)})
    end
    s:close()
  end)
end)
