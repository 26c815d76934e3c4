-- Before Lua 5.3 luaL_newmetatable sets no __name, so this module did that,
-- but only for a new metatable. If memory was out in between, the metatable
-- was there the next time, and mtstates.type took states for any userdata.

local mtstates = require "mtstates"

describe("a module that had too little memory to open", function()
  it("is complete when it is opened again", function()
    local failures, opened = 0, 0
    while opened < 3 and failures < 2000 do
      local s = mtstates.newstate(function(allowed)
        local limit = require "memlimit"
        limit.refuse_after(allowed)
        local is_open = pcall(require, "mtstates")
        limit.allow()
        package.loaded.mtstates = nil -- Lua 5.1 leaves a mark there
        local mt = require "mtstates"
        local state = mt.newstate(false, "return function() end")
        local err = mt.error(mt.error.deadlock)
        return function()
          return is_open, mt.type(state), mt.type(err)
        end
      end, failures + opened)
      local is_open, state_type, error_type = s:call()
      assert.equals("mtstates.state", state_type)
      assert.equals("mtstates.error", error_type)
      if is_open then
        opened = opened + 1
      else
        failures = failures + 1
      end
      s:close()
    end
    assert.is_true(failures > 0 and opened > 0)
  end)
end)
