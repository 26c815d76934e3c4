-- Native code that runs in a state can call that state. If its stack was empty
-- and the callback failed, the error value and the message handler stayed
-- there: a top of 0 was taken for one that is not known yet.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("a native call by code whose stack is empty", function()
  before_each(helpers.watch("bare stack"))
  after_each(helpers.unwatch)

  local function notify_itself(fails)
    local s = mtstates.newstate(function(is_to_fail)
      local mt = require "mtstates"
      local driver = require "capidriver"
      return function(is_outer)
        if is_outer then
          return driver.notifier(mt.state(mt.id())):notify_bare()
        end
        return not is_to_fail or error("failed")
      end
    end, fails)
    return select(2, s:call(true))
  end

  it("leaves nothing there if the callback succeeds", function()
    assert.equals(0, notify_itself(false))
  end)

  it("leaves nothing there if the callback fails", function()
    assert.equals(0, notify_itself(true))
  end)
end)
