-- Arrays among the arguments of a classic state are looked up before the call,
-- which makes an object of Lua. So the collector can run a finalizer, and that
-- can finalize the state object that is being called: its state was gone.

local helpers = require "helpers"

describe("a state object that is finalized while arguments are examined",
  function()
    before_each(helpers.watch("finalized while examined"))
    after_each(helpers.unwatch)

    it("is closed for this call and for this request", function()
      local output, status = helpers.run_program([[
        local array = require "carray".new("double", 3)
        local mtstates = require "mtstates"
        local on_collect = require "on_collect"
        local s = mtstates.newstate("return function() end")
        local finalize = debug.getmetatable(s).__gc
        local finalized = 0
        for _, method in ipairs({"call", "send", "async", "await"}) do
          for i = 1, 3000 do
            local object = mtstates.state(s:id())
            on_collect(function() finalize(object) end)
            for _ = 1, i % 7 do on_collect(function() end) end
            local ok, err = pcall(object[method], object, array)
            if not ok then
              assert(err:find(mtstates.error.object_closed, 1, true) == 1, err)
              finalized = finalized + 1
            end
          end
        end
        s:await()
        print(finalized > 0)
      ]])
      assert.equals("true\n", output)
      assert.equals(0, status)
    end)
  end)
