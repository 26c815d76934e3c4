-- close() came back before the state was closed if more than 8 closings were
-- nested, each in a finalizer of the state around it.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("close in finalizers", function()
  before_each(helpers.watch("close nested"))
  after_each(helpers.unwatch)

  it("comes back when the state is closed, 100 levels deep", function()
    local count = 100
    local closed, late = handoff.unique(), handoff.unique()
    local states, next_id = {}, nil
    for i = count, 1, -1 do
      states[i] = mtstates.newstate(nil, [[
        local id, level, closed, late = ...
        local gates = require "handoff"
        local inner = id and require("mtstates").state(id)
        guard = require "on_collect"(function()
          if inner then
            local before = gates.get(closed)
            inner:close()
            if gates.get(closed) ~= before + level then
              gates.add(late)
            end
          end
          gates.add(closed)
        end)
        return function() end
      ]], next_id, count - i, closed, late)
      next_id = states[i]:id()
    end
    states[1]:close()
    assert.equals(count, handoff.get(closed))
    assert.equals(0, handoff.get(late))
    for i = 1, count do
      helpers.raises_error("object_closed", states[i].call, states[i])
    end
  end)
end)
