local function interpreter()
  local i = -1
  while arg[i - 1] do
    i = i - 1
  end
  return arg[i]
end

describe("the random program of spec/stress", function()
  for _, seed in ipairs {1, 2, 3} do
    it("accounts for all its calls, with seed " .. seed, function()
      local pipe = assert(io.popen(interpreter() ..
        " spec/stress/stress.lua 200 " .. seed .. " 2>&1"))
      local output = pipe:read("*a")
      pipe:close()
      assert.truthy(output:find("seed " .. seed .. ": ok\n", 1, true), output)
    end)
  end
end)
