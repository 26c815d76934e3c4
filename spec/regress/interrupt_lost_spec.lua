-- Lua 5.4 can lose a hook that a signal handler sets: it reads the hook mask,
-- the signal comes, and then it notes that there is no hook. A state whose
-- code was not hit is interrupted again after a moment.

local helpers = require "helpers"
local mtstates = require "mtstates"
local signals = require "signals"
local threads = require "threads"
local handoff = require "handoff"

describe("a hook that got lost", function()
  before_each(helpers.watch("interrupt lost"))
  after_each(helpers.unwatch)

  it("is set again while the code runs #read", function()
    local s = mtstates.newstate(function()
      require "interruptible"
      local gates, pipes = require "handoff", require "signals"
      return function(gate, pipe)
        gates.add(gate)
        pipes.read_and_unhook(pipe)
        while true do end
      end
    end)
    local gate = handoff.unique()
    for i = 1, 3 do
      local from, to = signals.pipe()
      local thread = threads.start(function(id, ...)
        local state = require("mtstates").state(id)
        return pcall(state.call, state, ...)
      end, s:id(), gate, from)
      handoff.wait(gate, i)
      thread:wait_asleep()
      s:interrupt(i == 2 or nil)
      signals.write(to)
      local ok, err = thread:results()
      assert.is_false(ok)
      assert.truthy(err:find(mtstates.error.interrupted, 1, true), err)
      s:interrupt(false)
    end
  end)
end)
