-- A hook that was set from outside, as the thread blocks the signal, was not
-- looked after: if the interpreter lost it, the interrupt was lost.

local helpers = require "helpers"

local PROGRAM = [[
  local handoff = require "handoff"
  local signals = require "signals"
  local threads = require "threads"
  handoff.watchdog(150, "hook from outside")
  local s = require("mtstates").newstate(function()
    require "interruptible"
    local gates, pipes = require "handoff", require "signals"
    return function(gate, pipe)
      pipes.block(true)
      gates.add(gate)
      pipes.read_and_unhook(pipe)
      while true do end
    end
  end)
  local from, to = signals.pipe()
  signals.block(true) -- new threads start like this one: no need to find out
  local thread = threads.start(function(id, ...)
    local state = require("mtstates").state(id)
    return pcall(state.call, state, ...)
  end, s:id(), "entered", from)
  handoff.wait("entered", 1)
  thread:wait_asleep()
  s:interrupt()
  signals.write(to)
  local ok, err = thread:results()
  print(not ok and err:find("mtstates.error.interrupted", 1, true) ~= nil)
]]

describe("a hook that was set from outside #race", function()
  it("is set again if it got lost", function()
    assert.equals("true\n", (helpers.run_program(PROGRAM)))
  end)
end)
