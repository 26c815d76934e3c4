-- A state whose code had cleared its registry crashed when interrupted.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("the interrupt of a state that has cleared its registry", function()
  it("hits as any other", function()
    local s = mtstates.newstate([[
      for key in pairs(debug.getregistry()) do
        if type(key) == "string" and key:find "^mtstates" then
          debug.getregistry()[key] = nil
        end
      end
      return function()
        for _ = 1, 9 do end
        return "untouched"
      end
    ]])
    s:interrupt()
    local err = helpers.raises_error("invoking_state", s.call, s)
    assert.equals(mtstates.error.interrupted, mtstates.error(err):cause())
    assert.equals("untouched", s:call())
  end)
end)
