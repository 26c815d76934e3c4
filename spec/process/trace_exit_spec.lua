-- Traces of processes that end, or fork, while a trace is written.

local events_of = require "events_of"
local helpers = require "helpers"

local path = os.tmpname()

-- The events of the trace that this program begins. expected_output: false:
-- any, as requests can be lost.
local function trace_of(program, expected_output, expected_status)
  local output, status = helpers.run_program(([[
    io.stdout:setvbuf("line")
    local mtstates = require "mtstates"
    local s = mtstates.newstate("echo", {}, "return function(...) " ..
      "local f = ... if f then return load(f)() end end")
    local path = %q
    mtstates.trace(path)
  ]]):format(path) .. program)
  if expected_output ~= false then
    assert.equals(expected_output or "", output)
  end
  assert.equals(expected_status or 0, status, output)
  return events_of.file(path)
end

describe("the trace of a process", function()
  before_each(helpers.watch("trace at exit"))
  after_each(helpers.unwatch)
  teardown(function() os.remove(path) end)

  it("that ends is whole", function()
    local list = trace_of("s:call() s:await()")
    assert.equals(1, events_of.count(list, "call", "echo"))
    assert.equals(1, events_of.count(list, "task", "echo"))
  end)

  it("that ends by os.exit in a call is whole", function()
    local list = trace_of([[
      s:await()
      mtstates.newstate("leaver", "return os.exit"):call(7)
    ]], "", 7)
    assert.equals(1, events_of.count(list, "task", "echo"))
    assert.equals(1, events_of.count(list, "call", "leaver"))
  end)

  it("that ends by os.exit in a task is whole", function()
    local list = trace_of([[
      mtstates.newstate("leaver", {}, "return function() os.exit(7) end")
        :await()
    ]], "", 7)
    assert.equals(1, events_of.count(list, "task", "leaver"))
  end)

  helpers.it_needs_closing_exit()("that closes its states is whole", function()
    local list = trace_of("s:call() os.exit(7, true)", "", 7)
    assert.equals(1, events_of.count(list, "call", "echo"))
    assert.equals(1, events_of.count(list, "close", "close echo"))
  end)

  it("that ends while others work is whole", function()
    for _ = 1, 10 do
      local list = trace_of([[
        local gates = require "handoff"
        for i = 1, 4 do
          mtstates.thread(function()
            local gates, mtstates = require "handoff", require "mtstates"
            local s = mtstates.state("echo")
            for _ = 1, 1e9 do
              s:call()
              s:await()
              gates.add("turns")
            end
          end)
        end
        while gates.get("turns") < 400 do gates.breathe() end
        os.exit(0)
      ]], false)
      assert.is_true(events_of.count(list, "call", "echo") > 100)
    end
  end)

  it("that ends is warned about if it cannot be written", function()
    local output, status = helpers.run_program([[
      local mtstates = require "mtstates"
      mtstates.trace("/dev/full")
      mtstates.newstate("return function() end"):call()
    ]])
    assert.equals("mtstates: warning: the trace has ended: it cannot be " ..
      "written: No space left on device\n", output)
    assert.equals(0, status)
  end)

  it("that is ended is warned about at once", function()
    local output, status = helpers.run_program([[
      local mtstates = require "mtstates"
      io.stderr:setvbuf("no")
      mtstates.trace("/dev/full")
      mtstates.newstate("return function() end"):call()
      mtstates.trace(nil)
      io.stderr:write("behind\n")
    ]])
    assert.equals("mtstates: warning: the trace has ended: it cannot be " ..
      "written: No space left on device\nbehind\n", output)
    assert.equals(0, status)
  end)

  it("that forks is that of the parent #fork", function()
    local child = os.tmpname()
    local list = trace_of(([[
      local signals = require "signals"
      s:call()
      s:await()
      -- A worker that is kept from running has not left the state yet.
      while mtstates.stats().idle < mtstates.workers() do end
      local status = signals.fork()
      if not status then
        for _ = 1, 2000 do s:call() end
        mtstates.trace(%q)
        s:call()
        s:call()
        os.exit(3)
      end
      print(("%%.0f"):format(status))
      s:call()
    ]]):format(child), "3\n")
    assert.equals(2, events_of.count(list, "call", "echo"))
    assert.equals(1, events_of.count(list, "task", "echo"))
    assert.equals(2, events_of.count(events_of.file(child), "call", "echo"))
    os.remove(child)
  end)

  it("that forks is written by the parent alone #fork", function()
    local count = 5000 -- more than a stream holds back
    local list = trace_of(([[
      for _ = 1, %d do s:call() end
      local status = require "signals".fork()
      if not status then
        os.exit(3)
      end
      print(("%%.0f"):format(status))
    ]]):format(count), "3\n")
    assert.equals(count, events_of.count(list, "call", "echo"))
  end)

  it("that forks in a call is that of the parent #fork", function()
    local list = trace_of([[
      local outer = mtstates.newstate("outer", function()
        local mtstates, signals = require "mtstates", require "signals"
        return function()
          local status = signals.fork()
          if not status then
            mtstates.state("echo"):call()
            return 0
          end
          return status
        end
      end)
      local status = outer:call()
      if status == 0 then
        s:call()
        os.exit(3)
      end
      print(("%.0f"):format(status))
      s:call()
    ]], "3\n")
    assert.equals(1, events_of.count(list, "call", "echo"))
    assert.equals(1, events_of.count(list, "call", "outer"))
  end)

  it("whose file waits for a reader holds nobody up", function()
    local fifo = os.tmpname()
    os.remove(fifo)
    assert(os.execute("mkfifo " .. fifo))
    local output, status = helpers.run_program(([[
      io.stdout:setvbuf("line")
      local gates = require "handoff"
      local mtstates = require "mtstates"
      local tracer = mtstates.thread(function(path)
        local gates, mtstates = require "handoff", require "mtstates"
        gates.put("tracer", gates.tid())
        mtstates.trace(path)
      end, %q)
      gates.wait_asleep(gates.take("tracer"))
      mtstates.trace(nil)
      print(tracer:ready())
    ]]):format(fifo))
    os.remove(fifo)
    assert.matches("^false\nmtstates: 1 request was lost at the end", output)
    assert.equals(0, status)
  end)

  it("is not inherited by programs that it starts", function()
    trace_of(([[
      local pipe = io.popen("ls -l /proc/self/fd")
      print(pipe:read("*a"):find(%q, 1, true))
      pipe:close()
    ]]):format(path), "nil\n")
  end)
end)
