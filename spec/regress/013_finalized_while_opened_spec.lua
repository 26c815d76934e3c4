-- A state object that was finalized while the setup of its state was running
-- gave the state's memory back: the singletons in creation had a pointer to
-- it, and so had the thread.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("a state object that is finalized during the setup", function()
  local it = helpers.it_needs_closing_exit()

  it("by os.exit keeps the state in creation", function()
    local output = helpers.run_program([[
      local mt = require "mtstates"
      local a = mt.newstate("a", [=[
        local mt = require "mtstates"
        local guard = require "on_collect"(function()
          print((select(2, pcall(mt.singleton, "b"))))
        end)
        return function(what)
          if what == "exit" then
            os.exit(0, true)
          end
          return mt.singleton("b",
            "require('mtstates').state('a'):call('exit')"), guard
        end
      ]=])
      a:call()
    ]])
    assert.equals(1, (output:find(mtstates.error.deadlock, 1, true)), output)
  end)
end)
