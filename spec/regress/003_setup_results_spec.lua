-- A setup with many further results used a stack slot that nobody had asked
-- for: a Lua with API checks aborted.

local mtstates = require "mtstates"

describe("setup with many further results", function()
  for _, count in ipairs {1, 16, 17, 18, 30, 300} do
    it("gives all " .. count .. " of them", function()
      local results = {mtstates.newstate(function(n)
        local list = {}
        for i = 1, n do
          list[i] = i
        end
        local unpack = require "helpers".unpack
        return function() return "callback" end, unpack(list)
      end, count)}
      assert.equal(count + 1, #results)
      assert.equal(count, results[#results])
      assert.equal("callback", results[1]:call())
    end)
  end
end)
