-- A finalizer that called a C function which resumes a coroutine was hit: the
-- hook asked only Lua threads that the coroutine library had resumed from.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("an interrupt within a finalizer that resumes from C", function()
  before_each(helpers.watch("interrupt C resume"))
  after_each(helpers.unwatch)

  for _, how in ipairs {"alone", "around a coroutine"} do
    it("hits the code around it: " .. how, function()
      local s = mtstates.newstate(nil, [[
        require "interruptible"
        local how = ...
        local mt, resume = require "mtstates", require "cresume"
        local on_collect = require "on_collect"
        local ok, err
        local function work()
          for _ = 1, 1000 do end
        end
        local function wrapped()
          coroutine.wrap(work)()
        end
        return function(is_over)
          if is_over then
            return ok, err
          end
          on_collect(function()
            mt.state(mt.id()):interrupt()
            ok, err = resume(how == "alone" and work or wrapped)
          end)
          collectgarbage()
          collectgarbage()
          for _ = 1, 1000 do end
        end
      ]], how)
      local is_missed = pcall(s.call, s)
      s:interrupt(false)
      assert.same({true}, {s:call(true)})
      assert.is_false(is_missed)
    end)
  end
end)
