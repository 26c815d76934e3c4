-- lua_resume has to make a text when coroutines nest too deep. Without memory
-- for it the error jumped past the module's own resume, and the state took a
-- dead coroutine for the one that runs (seen in Lua 5.3).

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("a coroutine that cannot be resumed without memory", function()
  before_each(helpers.watch("resume without memory"))
  after_each(helpers.unwatch)

  it("is not taken for the one that runs", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      require "interruptible"
      local limit = require "memlimit"
      local function nest(depth)
        local chain = {}
        for i = 1, depth do
          chain[i] = coroutine.create(function()
            if i == depth then
              limit.refuse_after(0)
            end
            local ok, err = coroutine.resume(chain[i + 1])
            if not ok then
              error(err, 0)
            end
          end)
        end
        chain[depth + 1] = coroutine.create(function() end)
        return coroutine.resume(chain[1])
      end
      -- Whether an interrupt hits after a chain of that length.
      return function(depth)
        pcall(nest, depth)
        limit.allow()
        return (pcall(function()
          mt.state(mt.id()):interrupt()
          for _ = 1, 1000 do end
        end))
      end
    end)
    for depth = 180, 205 do
      assert.is_false(s:call(depth), depth)
    end
  end)
end)
