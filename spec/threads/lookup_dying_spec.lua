-- Names whose states are closed while they are looked up. In a process of its
-- own, where memory that was freed is filled with bytes, and where threads
-- dawdle when they have released a mutex (jitter.c).

local helpers = require "helpers"

local JITTER = package.cpath:match("[^;]*support/%?%.so"):gsub("%?", "jitter")
local SETTING = "MALLOC_PERTURB_=165 " ..
  "GLIBC_TUNABLES=glibc.malloc.tcache_count=0 LD_PRELOAD=" .. JITTER

local PROGRAM = [[
  local handoff = require "handoff"
  local threads = require "threads"
  handoff.watchdog(150, "lookup of dying names")

  local makers, users = {}, {}
  for i = 1, 2 do
    makers[i] = threads.start(function()
      local gates, mtstates = require "handoff", require "mtstates"
      gates.wait("users", 4)
      local made = 0
      repeat
        mtstates.newstate("dying", false, "return function() return 7 end")
        collectgarbage() -- closes it and frees its memory
        made = made + 1
      until made >= 15000 / (tonumber(os.getenv("SLOWNESS")) or 1)
        and gates.get("called") > 0
    end)
  end
  for i = 1, 4 do
    users[i] = threads.start(function()
      local gates, mtstates = require "handoff", require "mtstates"
      local calls = 0
      gates.add("users")
      repeat
        local ok, s = pcall(mtstates.state, "dying")
        if ok then
          local called, result = pcall(s.call, s)
          if called then
            assert(result == 7)
            calls = calls + 1
            if calls == 1 then gates.add("called") end
          else
            assert(result:find("mtstates.error.object_closed", 1, true),
                   result)
          end
        else
          assert(s:find("mtstates.error.unknown_object", 1, true) or
                 s:find("mtstates.error.ambiguous_name", 1, true), s)
        end
        s = nil
      until gates.get("over") == 1
      return calls
    end)
  end
  for _, maker in ipairs(makers) do
    maker:results()
  end
  handoff.set("over", 1)
  local calls = 0
  for _, user in ipairs(users) do
    calls = calls + user:results()
  end
  print(calls > 0 and "done")
]]

local it_preloads = helpers.it_needs(
  io.open("/proc/self/maps") ~= nil, "preloaded libraries")

describe("a name whose states are closed all the time #preload", function()
  it_preloads("is found with a state that is still there", function()
    local output, status = helpers.run_program(PROGRAM, SETTING)
    assert.equals("done\n", output)
    assert.equals(0, status)
  end)
end)
