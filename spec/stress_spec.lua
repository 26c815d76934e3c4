local helpers = require "helpers"

describe("the random program of spec/stress", function()
  for _, seed in ipairs {1, 2, 3} do
    it("accounts for all its calls, with seed " .. seed, function()
      local pipe = assert(io.popen(helpers.interpreter() ..
        " spec/stress/stress.lua 200 " .. seed .. " 2>&1"))
      local output = pipe:read("*a")
      pipe:close()
      assert.truthy(output:find("seed " .. seed .. ": ok\n", 1, true), output)
    end)
  end
end)
