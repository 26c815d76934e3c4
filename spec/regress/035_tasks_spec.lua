-- Faults that were found in tasks when they were read once more:
-- 1. An error value that the choice of a function raised, before the task
--    began, was given to the caller as text.
-- 2. A call of a state with a thread of its own that was to get in at once did
--    not, while a task of the state waited for room.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("a task", function()
  before_each(helpers.watch("tasks"))
  after_each(helpers.unwatch)

  it("fails with the value that the choice of its function raises", function()
    local s = mtstates.newstate({}, function()
      return setmetatable({}, {__index = function(_, choice)
        error({choice = choice})
      end})
    end)
    for _, method in ipairs({"call", "await"}) do
      local ok, err = pcall(s[method], s, "none")
      assert.is_false(ok)
      assert.same({choice = "none"}, err)
    end
    s:close()
  end)

  it("that waits for room lets calls in", function()
    local entered, leave = handoff.unique(), handoff.unique()
    local full = mtstates.newstate({queue = 1}, function()
      local gates = require "handoff"
      return function(gate, turn)
        if gate then
          gates.enter(gate, turn, 1)
        end
      end
    end)
    local s = mtstates.newstate({own_thread = true}, function()
      return function(other)
        if other then
          other:send()
        end
        return "in"
      end
    end)
    full:send(entered, leave)
    handoff.wait(entered, 1)
    full:send() -- for which there is room
    local future = s:async(full)
    helpers.wait_until(function()
      return s:stats().tasks == 1 and s:tcall(0)
    end)
    for _ = 1, 20 do
      assert.same({true, "in"}, {s:tcall(0)})
    end
    assert.is_false(future:ready())
    handoff.set(leave, 1)
    assert.equals("in", future:await())
    full:close()
    s:close()
  end)
end)
