local helpers = require "helpers"

describe("the random program of spec/stress", function()
  it("accounts for all its calls, its states and its memory", function()
    local output, status = helpers.run_program([[
      arg = {0, 1}
      dofile "spec/stress/stress.lua"
    ]], "GLIBC_TUNABLES=glibc.malloc.tcache_count=0", 600)
    for seed = 1, 2 do
      assert.truthy(output:find("seed " .. seed .. ": [^\n]+: ok\n"), output)
    end
    assert.equals(0, status)
  end)
end)
