-- Lua 5.4 can lose a hook that a signal handler sets: it reads the hook mask,
-- the signal comes, and then it notes that there is no hook. A state whose
-- code was not hit is interrupted again after a moment.

local helpers = require "helpers"

local PROGRAM = [[
  local handoff = require "handoff"
  local mtstates = require "mtstates"
  local signals = require "signals"
  local threads = require "threads"
  handoff.watchdog(150, "interrupt lost")

  local s = mtstates.newstate(function()
    require "interruptible"
    local gates, pipes = require "handoff", require "signals"
    return function(gate, pipe)
      gates.add(gate)
      pipes.read_and_unhook(pipe)
      while true do end
    end
  end)

  local function lose_hook(level)
    local gate, from, to = handoff.unique(), signals.pipe()
    local thread = threads.start(function(id, ...)
      local state = require("mtstates").state(id)
      return pcall(state.call, state, ...)
    end, s:id(), gate, from)
    handoff.wait(gate, 1)
    thread:wait_asleep()
    s:interrupt(level)
    signals.write(to)
    local ok, err = thread:results()
    assert(not ok and err:find("mtstates.error.interrupted", 1, true), err)
    s:interrupt(false)
  end
]]

local function run(code)
  return (helpers.run_program(PROGRAM .. code):gsub("\n$", ""))
end

describe("a hook that got lost #read", function()
  it("is set again while the code runs", function()
    assert.equals("done", run [[
      lose_hook()
      lose_hook(true)
      lose_hook()
      print("done")
    ]])
  end)

  it("is set again in a child process of one where that happened #fork",
     function()
    assert.equals("0	0", run [[
      lose_hook()
      local first = signals.fork()
      if not first then
        handoff.watchdog(150, "child")
        lose_hook()
        os.exit(0)
      end
      lose_hook(true)
      local second = signals.fork()
      if not second then
        handoff.watchdog(150, "second child")
        lose_hook(true)
        os.exit(0)
      end
      print(first, second)
    ]])
  end)
end)
