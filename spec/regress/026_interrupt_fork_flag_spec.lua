-- The flag that a signal is on its way was copied to a child process, the
-- pending signal was not: nobody sent another one to the thread that forked
-- in a callback.

local helpers = require "helpers"

local PROGRAM = [[
  local handoff = require "handoff"
  handoff.watchdog(150, "fork flag")
  local s = require("mtstates").newstate(function()
    require "interruptible"
    local gates, signals = require "handoff", require "signals"
    local mtstates, threads = require "mtstates", require "threads"
    return function()
      local id = mtstates.id()
      signals.block(true)
      threads.start(function(number)
        local state = require("mtstates").state(number)
        state:interrupt()
        state:interrupt(false)
      end, id):results()
      local status = signals.fork()
      if status then
        return status
      end
      gates.watchdog(150, "child")
      signals.block(false)
      threads.start(function(number)
        require("handoff").wait("running", 1)
        require("mtstates").state(number):interrupt()
        require("handoff").set("enough", 1)
      end, id)
      local ok = pcall(function()
        gates.add("running")
        while gates.get("enough") == 0 do end -- half a second if it is missed
        for _ = 1, 1000 do end
      end)
      os.exit(ok and 1 or 0)
    end
  end)
  print(s:call())
]]

describe("a child process of a thread with a signal #fork", function()
  it("is interrupted by another one", function()
    assert.equals("0\n", (helpers.run_program(PROGRAM):gsub("%.0", "")))
  end)
end)
