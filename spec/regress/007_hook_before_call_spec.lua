-- An error that a hook raised before the arguments of a call were copied was
-- reported as out_of_memory.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("an error of a call hook", function()
  for name, value in pairs({string = "text", number = 1}) do
    it("is an error of the state, before a " .. name .. " too", function()
      local s = mtstates.newstate(function()
        return function(what)
          if what == "arm" then
            debug.sethook(function()
              debug.sethook()
              error("raised by the hook")
            end, "c")
          end
          return what
        end
      end)
      pcall(s.call, s, "arm")
      local err = helpers.raises_error("invoking_state", s.call, s, value)
      assert.truthy(err:find("raised by the hook", 1, true))
      assert.equals(value, s:call(value))
    end)
  end
end)
