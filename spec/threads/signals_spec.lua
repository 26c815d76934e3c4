-- Which signal interrupts use, and what threads do that do not take it. Each
-- spec is a process of its own: who handles a signal is a matter of processes.

local helpers = require "helpers"
local signals = require "signals"

local _, LAST = signals.range()

-- The end of each program: interrupts a loop on another thread, in a state
-- that waits for an interrupt after its setup has done what it has to.
local PRELUDE = [[
  local handoff = require "handoff"
  local signals = require "signals"
  local threads = require "threads"
  local first, last = signals.range()

  handoff.watchdog(150, "signals")

  -- Runs the loop of s on a new thread and stops it.
  local function interrupt(s)
    local gate = handoff.unique()
    local thread = threads.start(function(id, g)
      local state = require("mtstates").state(id)
      return pcall(state.call, state, g)
    end, s:id(), gate)
    handoff.wait(gate, 1)
    s:interrupt()
    local ok, err = thread:results()
    assert(not ok and err:find("mtstates.error.interrupted", 1, true), err)
  end

  -- A state that loops, after it has blocked all signals or none, and then
  -- perhaps taken the one that it gets.
  local function looping(block, swallows)
    return require("mtstates").newstate(nil, [=[
      require "interruptible"
      local block, swallows = ...
      local gates, signals = require "handoff", require "signals"
      return function(gate)
        if block ~= nil then signals.block(block) end
        gates.add(gate)
        if swallows then signals.swallow() end
        while true do end
      end
    ]=], block, swallows)
  end

  -- The real-time signals that somebody has a handler for.
  local function handled()
    local numbers = {}
    for number = first, last do
      if signals.handler(number) ~= "default" then
        numbers[#numbers + 1] = last - number .. " " ..
          signals.handler(number)
      end
    end
    return table.concat(numbers, ", ")
  end
]]

-- What the program prints, without a line feed.
local function run(code, setting)
  return (helpers.run_program(PRELUDE .. code, setting):gsub("\n$", ""))
end

describe("the signal of interrupts", function()
  it("is taken when running code is interrupted for the first time",
     function()
    assert.equals("[] [] [1 other]", run [[
      local s = looping()
      local before = handled()
      s:interrupt()
      pcall(s.call, s, "no gate")
      local between = handled()
      interrupt(s)
      print(("[%s] [%s] [%s]"):format(before, between, handled()))
    ]])
  end)

  it("is one that nobody uses", function()
    assert.equals("2 other, 1 taken\t0", run [[
      signals.take(last - 1)
      interrupt(looping())
      print(handled(), signals.count())
    ]])
  end)

  it("is none that is blocked, for which somebody may wait", function()
    assert.equals("2 other", run [[
      signals.block(true, last - 1)
      interrupt(looping())
      print(handled())
    ]])
  end)

  it("is another one when somebody takes it later", function()
    assert.equals("2 other, 1 taken\t0", run [[
      interrupt(looping())
      signals.take(last - 1)
      interrupt(looping())
      interrupt(looping())
      print(handled(), signals.count())
    ]])
  end)

  it("is the one that the environment names", function()
    assert.equals("3 other", run([[
      interrupt(looping())
      print(handled())
    ]], "MTSTATES_SIGNAL=" .. LAST - 3))
  end)

  it("does not end a system call that waits #read", function()
    assert.equals("true\t1", run [[
      local from, to = signals.pipe()
      local mtstates = require "mtstates"
      local s = mtstates.newstate(function()
        local gates, pipes = require "handoff", require "signals"
        return function(gate, pipe)
          gates.add(gate)
          pipes.read(pipe)
          while true do end
        end
      end)
      local thread = threads.start(function(id, pipe)
        local state = require("mtstates").state(id)
        return pcall(state.call, state, "entered", pipe)
      end, s:id(), from)
      handoff.wait("entered", 1)
      thread:wait_asleep()
      s:interrupt(true)
      signals.write(to)
      local _, err = thread:results()
      print(err:find("mtstates.error.interrupted", 1, true) ~= nil,
            signals.bytes_read())
    ]])
  end)

  it("must be one that can have a handler, else nothing is loaded", function()
    for _, setting in ipairs {"x", "12x", "-1", "0", "9", "1000", "1e1"} do
      assert.truthy(run([[
        print(select(2, pcall(require, "mtstates")))
      ]], "MTSTATES_SIGNAL=" .. setting):find("environment variable " ..
        "MTSTATES_SIGNAL: number of a signal or none expected", 1, true),
        setting)
    end
  end)

  it("is chosen when the variable is empty", function()
    assert.equals("1 other", run([[
      interrupt(looping())
      print(handled())
    ]], "MTSTATES_SIGNAL="))
  end)
end)

describe("a thread that blocked all signals at first", function()
  it("gets them when it does no longer", function()
    assert.equals("1 other", run [[
      signals.block(true) -- new threads start like this one
      interrupt(looping(false))
      print(handled())
    ]])
  end)
end)

-- Setting a hook from outside is a race, and sanitizers say so.
describe("without a signal an interrupt hits #race", function()
  it("when the environment says none", function()
    assert.equals("[]", run([[
      local s = looping()
      interrupt(s)
      interrupt(s)
      print("[" .. handled() .. "]")
    ]], "MTSTATES_SIGNAL=none"))
  end)

  it("when somebody has the one that the environment names", function()
    assert.equals("3 taken\t0", run([[
      signals.take(last - 3)
      interrupt(looping())
      print(handled(), signals.count())
    ]], "MTSTATES_SIGNAL=" .. LAST - 3))
  end)

  it("when the thread blocks it, after or before it uses a state",
     function()
    assert.equals("done", run [[
      interrupt(looping(true)) -- it takes a moment to find out
      signals.block(true)
      interrupt(looping())
      print("done")
    ]])
  end)

  it("when the thread takes the signal in another way", function()
    assert.equals("done", run [[
      interrupt(looping(true, true))
      print("done")
    ]])
  end)
end)

-- Which of SIGINT, SIGUSR1 and SIGUSR2 (12) are blocked: when the thread
-- starts, while it may run Lua code, and while it is parked.
describe("a thread of the module", function()
  local function masks(is_blocked, setting)
    local output = helpers.run_program(([[
      require("handoff").watchdog(150, "masks")
      print(require("signals").masks(%s))
    ]]):format(is_blocked), setting)
    return output
  end

  it("has the signal mask of the program while it runs Lua code", function()
    assert.equals("i12 --- i12\n", masks("false"))
    assert.equals("i12 -12 i12\n", masks("true"))
  end)

  it("takes the module's own signal, whatever the program blocks", function()
    assert.equals("i12 -1- i12\n", masks("true", "MTSTATES_SIGNAL=12"))
    assert.equals("i12 -12 i12\n", masks("true", "MTSTATES_SIGNAL=none"))
  end)
end)
