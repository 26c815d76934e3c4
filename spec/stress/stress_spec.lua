local helpers = require "helpers"

local MEASURES = "GLIBC_TUNABLES=glibc.malloc.tcache_count=0"
local JITTER = package.cpath:match("[^;]*support/%?%.so"):gsub("%?", "jitter")

local it_preloads = helpers.it_needs(
  io.open("/proc/self/maps") ~= nil, "preloaded libraries")

local function run(setting)
  local output, status = helpers.run_program([[
    arg = {0, 1}
    dofile "spec/stress/stress.lua"
  ]], setting, 600)
  for seed = 1, 2 do
    assert.truthy(output:find("seed " .. seed .. ": [^\n]+: ok\n"), output)
  end
  assert.equals(0, status)
end

describe("the random program of spec/stress", function()
  it("accounts for all its calls, its states and its memory", function()
    run(MEASURES)
  end)

  it_preloads("does so where threads dawdle after each mutex #preload",
              function()
    run(MEASURES .. " LD_PRELOAD=" .. JITTER)
  end)
end)
