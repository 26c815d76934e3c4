local helpers = require "helpers"

local MEASURES = "GLIBC_TUNABLES=glibc.malloc.tcache_count=0"
local JITTER = package.cpath:match("[^;]*support/%?%.so"):gsub("%?", "jitter")

local it_preloads = helpers.it_needs(
  io.open("/proc/self/maps") ~= nil, "preloaded libraries")

local function run(program, setting)
  local output, status = helpers.run_program(([[
    arg = {0, 1}
    dofile "spec/stress/%s.lua"
  ]]):format(program), setting, 600)
  for seed = 1, 2 do
    assert.truthy(output:find("seed " .. seed .. ": [^\n]+: ok\n"), output)
  end
  assert.equals(0, status)
end

for program, topic in pairs({stress = "calls", tasks = "tasks"}) do
  describe("the random program of " .. topic, function()
    it("accounts for all that was done, and for memory", function()
      run(program, MEASURES)
    end)

    it_preloads("does so where threads dawdle after each mutex #preload",
                function()
      run(program, MEASURES .. " LD_PRELOAD=" .. JITTER)
    end)
  end)
end
