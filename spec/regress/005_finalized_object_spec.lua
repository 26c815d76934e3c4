-- A state object that was finalized while its own call, or its own finalizer,
-- was running gave its reference back too early or twice.

local mtstates = require "mtstates"

describe("a state object that is finalized", function()
  it("during its own call lets the call return", function()
    local a = mtstates.newstate("regress finalized a", function()
      local mt = require "mtstates"
      local object
      return function(what)
        if what == "drop" then
          getmetatable(object).__gc(object)
          return
        end
        object = mt.newstate(function()
          local inner = require "mtstates"
          return function()
            inner.state("regress finalized a"):call("drop")
            return "returned"
          end
        end)
        local result = object:call()
        return result, pcall(object.call, object)
      end
    end)
    local result, again, err = a:call()
    assert.equal("returned", result)
    assert.is_false(again)
    assert.truthy(err:find(mtstates.error.object_closed, 1, true))
  end)

  it("again by code that its finalizer calls is finalized once", function()
    local a = mtstates.newstate("regress finalized b", function()
      local mt = require "mtstates"
      local object, count
      return function(what)
        if what == "release" then
          getmetatable(object).__gc(object)
          count = count + 1
          return
        end
        count = 0
        object = mt.newstate(function()
          local caller = require("mtstates").state("regress finalized b")
          local guard = require "on_collect"(function()
            caller:call("release")
          end)
          return function() return guard end
        end)
        getmetatable(object).__gc(object)
        return count, (pcall(object.id, object))
      end
    end)
    local count, has_id = a:call()
    assert.equal(1, count)
    assert.is_false(has_id)
  end)
end)
