-- The garbage collector of a new state.

local mtstates = require "mtstates"

describe("the collector of a state", function()
  local makers = {
    ["a classic state"] = function(code) return mtstates.newstate(code) end,
    ["a service"] = function(code) return mtstates.newstate({}, code) end,
  }

  -- The most that the state takes while it makes garbage of some MB.
  local CODE = [[
    local mode = %q
    local before = mode ~= "" and collectgarbage(mode)
    return function()
      local most = 0
      for i = 1, 100000 do
        local t = {i}
        most = math.max(most, collectgarbage "count")
      end
      return most, before
    end]]

  for name, new in pairs(makers) do
    it("goes on by itself in " .. name, function()
      assert.True(new(CODE:format("")):call() < 3000)
    end)

    if _VERSION >= "Lua 5.4" then
      it("begins incrementally in " .. name .. ", which can change it",
        function()
          local most, before = new(CODE:format("generational")):call()
          assert.equal("incremental", before)
          assert.True(most < 3000)
        end)
    end
  end
end)
