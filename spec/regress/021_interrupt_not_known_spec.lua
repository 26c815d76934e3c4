-- Where it was not known whether a thread takes the signal of interrupts, the
-- hook was set from outside, while the thread changed what that reads. Now the
-- interrupt stays pending. Each spec is a process of its own.

local helpers = require "helpers"

-- run: interrupts the loop of a state on another thread, when prepare() has
-- run. It loops until it is hit or, if it is to be missed, until that has been
-- tried; then the interrupt has to be there at the next call.
local PRELUDE = [[
  local handoff = require "handoff"
  local signals = require "signals"
  local threads = require "threads"
  handoff.watchdog(150, "not known")

  local function looping(...)
    return require("mtstates").newstate(nil, [=[
      require "interruptible"
      local blocks = ...
      local gates, signals = require "handoff", require "signals"
      return function(entered, leave)
        if not entered then
          return
        end
        if blocks ~= nil then
          signals.block(blocks)
        end
        gates.add(entered)
        while gates.get(leave) == 0 do end
        return "missed"
      end
    ]=], ...)
  end

  local function run(s, is_to_be_missed, prepare)
    local entered, leave = handoff.unique(), handoff.unique()
    local thread = threads.start(function(id, ...)
      local state = require("mtstates").state(id)
      local results = {pcall(state.call, state, ...)}
      return results[1], results[2], (pcall(state.call, state))
    end, s:id(), entered, leave)
    handoff.wait(entered, 1)
    local kept = prepare and prepare()
    s:interrupt()
    if is_to_be_missed then
      handoff.set(leave, 1)
    end
    local _, result, next_call = thread:results()
    kept = nil
    if result:find("mtstates.error.interrupted", 1, true) then
      return "hit"
    end
    return result .. (next_call and ", and lost" or ", hits the next call")
  end

  local function use_up_descriptors()
    local files = {}
    repeat
      files[#files + 1] = io.open("/dev/null")
    until not io.open("/dev/null")
    return files
  end

  local function has_handler()
    local first, last = signals.range()
    for number = first, last do
      if signals.handler(number) == "other" then
        return true
      end
    end
    return false
  end
]]

-- The last line that the program prints: under limits others warn, too.
local function run(code, setting)
  return helpers.run_program(PRELUDE .. code, setting):match("([^\n]*)\n$")
end

describe("an interrupt stays pending #rlimit", function()
  it("if the system has no resources for another signal", function()
    assert.equals("missed, hits the next call", run(
      "print(run(looping(), true))", "prlimit --sigpending=0"))
  end)

  it("if the signal mask of a thread cannot be read", function()
    assert.equals("missed, hits the next call", run([[
      print(run(looping(true), true, use_up_descriptors))
    ]], "prlimit --nofile=64"))
  end)
end)

describe("an interrupt hits by signal", function()
  it("if a mask that blocked it at first cannot be read #rlimit",
     function()
    assert.equals("hit	true", run([[
      signals.block(true) -- new threads start like this one
      print(run(looping(false), false, use_up_descriptors), has_handler())
    ]], "prlimit --nofile=64"))
  end)

  it("in a child process whose parent blocked it at first #fork", function()
    assert.equals("0", run [[
      signals.block(true)
      local s = looping()
      s:call() -- this thread is known now
      signals.block(false)
      local status = signals.fork()
      if status then
        print(status)
      else
        handoff.watchdog(150, "child")
        local interrupter = threads.start(function(id)
          require("handoff").wait("entered", 1)
          require("mtstates").state(id):interrupt()
        end, s:id())
        local ok, err = pcall(s.call, s, "entered", "never")
        interrupter:results()
        os.exit(not ok and err:find("mtstates.error.interrupted", 1, true)
                and has_handler() and 0 or 1)
      end
    ]])
  end)
end)
