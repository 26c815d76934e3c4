-- A state whose code had cleared its registry crashed when interrupted.

local mtstates = require "mtstates"

describe("the interrupt of a state that has cleared its registry", function()
  it("does nothing", function()
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
    assert.equals("untouched", s:call())
  end)
end)
