-- An interrupt from another thread walked call frames that the running thread
-- was freeing, which a sanitizer sees.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("interrupting code that grows and shrinks its stack", function()
  before_each(helpers.watch("interrupt frames"))
  after_each(helpers.unwatch)

  it("hits it every time", function()
    local s = mtstates.newstate(function()
      require "interruptible"
      local gates = require "handoff"
      local function deep(n)
        return n > 0 and 1 + deep(n - 1) or 0
      end
      return function(gate)
        gates.add(gate)
        while true do
          deep(150)
          collectgarbage("step")
        end
      end
    end)
    local gate, count = handoff.unique(), 100
    local thread = threads.start(function(id, name, n)
      local state = require("mtstates").state(id)
      for i = 1, n do
        require("handoff").wait(name, i)
        state:interrupt()
      end
    end, s:id(), gate, count)
    for _ = 1, count do
      local err = helpers.raises_error("invoking_state", s.call, s, gate)
      assert.truthy(err:find(mtstates.error.interrupted, 1, true))
    end
    thread:results()
  end)
end)
