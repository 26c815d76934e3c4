-- The threads of the module, seen from outside: how many there are, their
-- names and signal masks, and who takes the place of one that waits.

local helpers = require "helpers"

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local host = require "host"
  local mtstates = require "mtstates"
  handoff.watchdog(150, "workers")
  local echo = mtstates.newstate({}, "return function(...) return ... end")
  -- Has a service run code once: entered tells when.
  local function begin(code, ...)
    return mtstates.newstate({}, ([[
      local gates, mtstates = require "handoff", require "mtstates"
      return function(...)
        gates.add("entered")
        %s
      end
    ]]):format(code)):async(...)
  end
  local function shell(command)
    local pipe = assert(io.popen(command))
    local output = pipe:read("*a")
    pipe:close()
    return output
  end
]==]

local function run(program, workers, expected)
  local output, status = helpers.run_program(prelude .. program,
    workers and "MTSTATES_WORKERS=" .. workers)
  assert.same({expected or "fine\n", 0}, {output, status})
end

describe("the number of workers", function()
  before_each(helpers.watch("workers"))
  after_each(helpers.unwatch)

  it("is that of the processors that the process may use", function()
    local count = "io.write(('%.0f\\n'):format(mtstates.workers()))"
    local pipe = assert(io.popen("nproc"))
    local processors = pipe:read("*a")
    pipe:close()
    run(count, nil, processors)
    run(count, "7", "7\n")
    run(count, "1000", "1000\n")
    run(count, "", processors)
    local output, status = helpers.run_program(prelude .. count,
      "taskset -c 0")
    assert.same({"1\n", 0}, {output, status})
  end)

  it("can be set #count", function()
    run([[
      for _, n in ipairs({1, 2, 5, 1000, 3, 3, 1}) do
        mtstates.workers(n)
        assert(mtstates.workers() == n)
        assert(mtstates.stats().workers == n)
        for i = 1, 20 do
          assert(echo:await(i) == i)
        end
      end
      print("fine")
    ]])
  end)

  it("can be lowered: those who are too many end #count", function()
    run([[
      assert(echo:await(1) == 1)
      mtstates.workers(8)
      assert(handoff.thread_count() >= 9)
      mtstates.workers(1)
      local tries = 0
      while handoff.thread_count() > 3 do -- this one, a worker, the watcher
        os.execute("sleep 0.1")
        tries = tries + 1
        assert(tries < 300, handoff.thread_count())
      end
      local future = begin("gates.wait('leave', 1)") -- it is replaced
      handoff.wait("entered", 1)
      assert(echo:await(2) == 2)
      handoff.set("leave", 1)
      future:await()
      print("fine")
    ]])
  end)

  it("is an integer from 1 to 1000", function()
    run([[
      local before = mtstates.workers()
      for _, wrong in ipairs({0, -1, 1.5, 1001, 1e300, 1/0, -1/0, 0/0, "x", {},
                              true, print}) do
        local ok, err = pcall(function() mtstates.workers(wrong) end)
        assert(not ok and err:find("bad argument #1 to 'workers' " ..
          "(number of workers expected, got ", 1, true), err)
      end
      assert(mtstates.workers() == before)
      print("fine")
    ]])
    for _, wrong in ipairs({"0", "-1", "1.5", "1001", "two", "2x", "1e9"}) do
      local output, status = helpers.run_program([[
        local ok, err = pcall(require, "mtstates")
        print(ok, err)
      ]], "MTSTATES_WORKERS=" .. wrong)
      assert.equals(0, status)
      assert.truthy(output:find("environment variable MTSTATES_WORKERS: " ..
        "number of workers expected", 1, true), output)
      assert.equals("false", output:match("^%a+"))
    end
  end)
end)

describe("workers", function()
  before_each(helpers.watch("workers"))
  after_each(helpers.unwatch)

  it("start with the first request and are named", function()
    run([[
      local names = "cat /proc/$PPID/task/*/comm"
      assert(echo:call(1) == 1)
      assert(not shell(names):find("mtstates/", 1, true))
      assert(handoff.thread_count() == 1)
      echo:await(1)
      repeat -- it can still be about to begin, if another one has answered
        local found = shell(names)
      until found:find("mtstates/1\n", 1, true)
      local futures = {}
      for i = 1, 3 do
        futures[i] = begin("gates.wait('leave', 1)")
      end
      handoff.wait("entered", 3)
      for i = 1, 3 do -- or another one that has taken its place
        repeat
          local found = shell(names)
        until found:find("mtstates/" .. i .. "\n", 1, true)
      end
      handoff.set("leave", 1)
      for i = 1, 3 do
        futures[i]:await()
      end
      print("fine")
    ]], 3)
  end)

  it("block all signals only while they sleep, own threads, too", function()
    run([[
      -- The mask of a thread, read here: popen blocks signals for a moment.
      local function mask_of(thread)
        local file = io.open("/proc/" .. thread .. "/status")
        if not file then -- it has ended
          return ""
        end
        local mask = (file:read("*a") or ""):match("SigBlk:%s*(%x+)\n")
        file:close()
        return mask or ""
      end
      local function count_blocking()
        local count = 0
        for tid in shell("ls /proc/$PPID/task"):gmatch("%d+") do
          if mask_of("self/task/" .. tid):find("feff$") then
            count = count + 1
          end
        end
        return count
      end
      assert(count_blocking() == 0)
      local future = begin("gates.wait('leave', 1)")
      handoff.wait("entered", 1)
      local function setup()
        return function()
          local file = io.open("/proc/thread-self/status")
          local mask = file:read("*a"):match("SigBlk:%s*(%x+)\n")
          file:close()
          return mask
        end
      end
      local state = mtstates.newstate({}, setup)
      local own = mtstates.newstate({own_thread = true}, setup)
      assert(state:await() == mask_of("self"))
      assert(own:await() == mask_of("self"))
      handoff.set("leave", 1)
      future:await()
      repeat -- all but this thread park
        handoff.breathe()
      until count_blocking() == handoff.thread_count() - 1
      assert(state:await() == mask_of("self")) -- of one that was parked
      assert(own:await() == mask_of("self"))
      print("fine")
    ]], 2)
  end)

  it("let processes be ended that are started by requests", function()
    run([[
      local s = mtstates.newstate({}, function()
        return function()
          local pipe = io.popen("echo $$; exec sleep 1000")
          local pid = pipe:read("*l")
          os.execute("kill -TERM " .. pid)
          pipe:close()
          return "ended"
        end
      end)
      assert(s:await() == "ended")
      assert(s:await() == "ended")
      print("fine")
    ]])
  end)

  it("run Lua code with the mask that the module was loaded with", function()
    local output, status = helpers.run_program([[
      local handoff, signals = require "handoff", require "signals"
      signals.block(true)
      local mtstates = require "mtstates"
      signals.block(false)
      local s = mtstates.newstate({}, function()
        require "interruptible"
        return function(loop)
          if loop then
            require "handoff".add("looping")
            while true do end
          end
          local file = io.open("/proc/thread-self/status")
          local mask = file:read("*a"):match("SigBlk:%s*(%x+)\n")
          file:close()
          return mask
        end
      end)
      print(s:await():match("feff$"))
      local future = s:async(true)
      handoff.wait("looping", 1)
      s:interrupt()
      local ok, err = pcall(future.await, future)
      print(ok, err:find(mtstates.error.interrupted, 1, true) ~= nil)
    ]])
    assert.same({"feff\nfalse\ttrue\n", 0}, {output, status})
  end)

  it("are not woken while there is nothing to do #count", function()
    run([[
      for i = 1, 100 do
        echo:await(i)
      end
      local a, b = begin("gates.wait('leave', 1)"), begin("")
      handoff.set("leave", 1)
      a:await()
      b:await()
      -- Those beyond the two end.
      while mtstates.stats().replacements > 0 do handoff.breathe() end
      while handoff.thread_count() > 4 do handoff.breathe() end
      -- How often the threads but this one went to sleep so far.
      local function switches()
        local pid = shell("echo $PPID"):match("%d+")
        return (shell("grep '^voluntary_ctxt' /proc/$PPID/task/*/status")
          :gsub("[^\n]*task/" .. pid .. "/[^\n]*\n", ""))
      end
      local tries, before = 0
      repeat
        before, tries = switches(), tries + 1
        assert(tries < 50, "they never rest")
        os.execute("sleep 1")
      until switches() == before
      os.execute("sleep 1")
      assert(before:find("voluntary", 1, true))
      assert(switches() == before)
      print("fine")
    ]], 2)
  end)
end)
