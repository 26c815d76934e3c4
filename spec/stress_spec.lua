local helpers = require "helpers"

describe("the random program of spec/stress", function()
  it("accounts for all its calls, its states and its memory", function()
    local pipe = assert(io.popen(
      "GLIBC_TUNABLES=glibc.malloc.tcache_count=0 " ..
      helpers.interpreter() .. " spec/stress/stress.lua 0 1 2>&1"))
    local output = pipe:read("*a")
    pipe:close()
    for seed = 1, 2 do
      assert.truthy(output:find("seed " .. seed .. ": [^\n]+: ok\n"), output)
    end
    assert.falsy(output:find("FAILED", 1, true), output)
  end)
end)
