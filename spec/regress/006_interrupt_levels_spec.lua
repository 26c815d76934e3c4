-- A single interrupt ended a permanent one, and an interrupt of a closed
-- state, though refused, hit the coroutines of its finalizers.

local mtstates = require "mtstates"

describe("interrupt", function()
  it("once does not end interrupt for good", function()
    local s = mtstates.newstate("return function() return 1 end")
    s:interrupt(true)
    s:interrupt()
    for _ = 1, 3 do
      local ok, err = pcall(s.call, s)
      assert.is_false(ok)
      assert.truthy(err:find(mtstates.error.interrupted, 1, true))
    end
    s:interrupt(false)
    assert.equal(1, s:call())
  end)

  it("of a closed state has no effect", function()
    local box = mtstates.newstate("regress interrupter", function()
      local mt = require "mtstates"
      local object
      local results = {}
      return function(what, ...)
        if what == "id" then
          object = mt.state(...)
        elseif what == "interrupt" then
          return (pcall(object.interrupt, object, true))
        elseif what == "result" then
          results = {...}
        else
          return require "helpers".unpack(results)
        end
      end
    end)
    local s = mtstates.newstate(function()
      local other = require("mtstates").state("regress interrupter")
      local co = coroutine.create(function()
        local x = 1
        x = x + 1
        return x
      end)
      local guard = require "on_collect"(function()
        local was_taken = other:call("interrupt")
        local ok = coroutine.resume(co)
        other:call("result", was_taken, ok)
      end)
      return function() return guard end
    end)
    box:call("id", s:id())
    s:close()
    local was_taken, ok = box:call("get")
    assert.is_false(was_taken)
    assert.is_true(ok)
  end)
end)
