-- A state of mtstates.here that a finalizer makes while its Lua state is
-- closed: it was never closed, so others waited for it, and shutdown failed.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local host = require "host"
local mtstates = require "mtstates"

describe("a state that is made while its Lua state is closed", function()
  before_each(helpers.watch("late states"))
  after_each(helpers.unwatch)

  it("is closed with that", function()
    local name = handoff.unique("late")
    local lua = host.open()
    assert.is_true(host.run(lua, ([[
      local mtstates = require "mtstates"
      kept = require "on_collect"(function()
        local here = mtstates.here(%q)
        require "handoff".set(%q, here:id())
      end)
    ]]):format(name, name)))
    host.close(lua)
    assert.is_true(handoff.get(name) > 0)
    helpers.raises_error("unknown_object", mtstates.state, name)
    helpers.raises_error("unknown_object", mtstates.state, handoff.get(name))
  end)

  it("is none when the Lua state has ended for the module", function()
    local name = handoff.unique("late")
    local lua = host.open()
    assert.is_true(host.run(lua, ([[
      local mtstates
      kept = require "on_collect"(function()
        local ok, err = pcall(mtstates.here, %q)
        if not ok and err:find(mtstates.error.object_closed, 1, true) then
          require "handoff".set(%q, 7)
        end
      end)
      mtstates = require "mtstates"
    ]]):format(name, name)))
    host.close(lua)
    assert.equals(7, handoff.get(name))
    helpers.raises_error("unknown_object", mtstates.state, name)
  end)
end)
