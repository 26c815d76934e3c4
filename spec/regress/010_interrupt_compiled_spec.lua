-- Once LuaJIT had compiled the callback, an interrupt that was pending did not
-- hit it.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("a pending interrupt hits a callback that was often called",
         function()
  local callbacks = {
    ["and ends with a C function"] = [[
      local co = coroutine.wrap(function(n)
        while true do n = coroutine.yield(n) end
      end)
      return function(n) return co(n) end]],
    ["and calls itself"] = [[
      local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
      return fib]],
    ["and loops"] = [[
      return function(n) for i = 1, n do n = n + i end return n end]],
  }
  for name, code in pairs(callbacks) do
    it(name, function()
      for _, level in ipairs {"once", "always"} do
        local s = mtstates.newstate(code)
        for _ = 1, 200 do
          s:call(10)
        end
        s:interrupt(level == "always" or nil)
        local err = helpers.raises_error("invoking_state", s.call, s, 10)
        assert.truthy(err:find(mtstates.error.interrupted, 1, true))
      end
    end)
  end
end)
