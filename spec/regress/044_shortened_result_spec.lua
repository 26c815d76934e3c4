-- An array that a finalizer made shorter while it became the answer of a
-- classic state was `out_of_memory`.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("an array that is made shorter while it is a result", function()
  before_each(helpers.watch("shortened result"))
  after_each(helpers.unwatch)

  for kind, libs in pairs({classic = true, service = {}}) do
    it("cannot be transferred, by a state that is " .. kind, function()
      local s = mtstates.newstate(nil, libs, function()
        local carray, on_collect = require "carray", require "on_collect"
        return function(is_made_shorter, is_examined)
          local array = carray.new("int", 1000)
          local function shorten_next()
            on_collect(function() array:resize(10) end)
            carray.collect_next(1)
          end
          if is_made_shorter and is_examined then
            on_collect(shorten_next)
            carray.collect_next(1)
          elseif is_made_shorter then
            shorten_next()
          end
          return array
        end
      end)
      local err = helpers.raises_error("state_result", s.await, s, true,
        kind == "classic") -- whose results are looked up before, too
      assert.truthy(err:find("result #1 is an array that has been changed, " ..
        "which cannot be transferred", 1, true), err)
      assert.equals(1000, s:await(false):len())
      s:close()
    end)
  end
end)
