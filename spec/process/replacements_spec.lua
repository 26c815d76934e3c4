-- Who takes the place of workers that wait, block or compute. Nearly all
-- programs have one worker only, which waits. A task that waits without a
-- thread needs nobody in its place: here all waits hold.

local helpers = require "helpers"

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local host = require "host"
  local mtstates = require "mtstates"
  handoff.watchdog(150, "replacements")
  local states = {}
  local function check()
    for i = 1, 100 do
      states[i] = states[i] or mtstates.newstate({},
        "return function(...) return ... end")
      assert(states[i]:await(i) == i)
    end
    local futures = {}
    for i = 1, 100 do
      futures[i] = states[i]:async(i)
    end
    for i = 1, 100 do
      assert(futures[i]:await() == i)
    end
  end
  -- Has a service run code once, where waits hold the thread: the gate
  -- `entered` tells when.
  local function begin(code, ...)
    return mtstates.newstate({}, ([[
      local gates, mtstates = require "handoff", require "mtstates"
      local hold = require "helpers".hold
      return function(...)
        gates.add("entered")
        return hold(function(...)
          %s
        end, ...)
      end
    ]]):format(code)):async(...)
  end
  local gated = [[
    local gates = require "handoff"
    return function()
      gates.enter("in", "leave", 1)
      return "left"
    end
  ]]
]==]

-- What has moved its gate can still be under way at the end.
local function run(program, expected, workers)
  local output, status = helpers.run_program(prelude .. program ..
    " while mtstates.stats().requests > 0 do handoff.breathe() end",
    "MTSTATES_WORKERS=" .. (workers or 1))
  assert.same({expected or "fine\n", 0}, {output, status})
end

describe("the place of a worker", function()
  before_each(helpers.watch("replacements"))
  after_each(helpers.unwatch)

  it("that calls a busy state is taken", function()
    run([[
      local busy = mtstates.newstate("busy", gated)
      host.start("require 'mtstates'.state('busy'):call()")
      handoff.wait("in", 1)
      local waiting = {}
      for i = 1, 5 do
        waiting[i] = begin("return mtstates.state('busy'):call()")
      end
      handoff.wait("entered", 5)
      check()
      handoff.set("leave", 1)
      for i = 1, 5 do
        assert(waiting[i]:await() == "left")
      end
      print("fine")
    ]])
  end)

  it("that waits for a singleton is taken", function()
    run([[
      host.start([=[
        local s = require "mtstates".singleton("slow", function()
          local gates = require "handoff"
          gates.enter("in", "leave", 1)
          return function() return "left" end
        end)
        require "handoff".wait("done", 3)
      ]=])
      handoff.wait("in", 1)
      local waiting = {}
      for i = 1, 3 do
        waiting[i] = begin("return mtstates.singleton('slow'):call()")
      end
      handoff.wait("entered", 3)
      check()
      handoff.set("leave", 1)
      for i = 1, 3 do
        assert(waiting[i]:await() == "left")
        handoff.add("done")
      end
      print("fine")
    ]])
  end)

  it("that awaits is taken", function()
    run([[
      local slow = mtstates.newstate("slow", {}, gated)
      local waiting = {
        begin("return mtstates.state('slow'):await()"),
        begin("return select(2, mtstates.state('slow'):tawait(30))"),
        begin("return mtstates.state('slow'):async():await()"),
        begin("return select(2, (...):tawait(30))", slow:async()),
      }
      handoff.wait("entered", 4)
      handoff.wait("in", 1)
      check()
      handoff.set("leave", 1)
      for i = 1, 4 do
        assert(waiting[i]:await() == "left")
      end
      print("fine")
    ]])
  end)

  it("that waits for room, sleeps or waits for a name is taken", function()
    run([[
      local full = mtstates.newstate("full", {queue = 1}, gated)
      full:send()
      handoff.wait("in", 1)
      full:send()
      local waiting = {
        begin("mtstates.state('full'):send() return 'left'"),
        begin("mtstates.sleep(0.1) return 'left'"),
        begin("return mtstates.state('late', 30):call('left')"),
      }
      handoff.wait("entered", 3)
      check()
      handoff.set("leave", 1)
      local late = mtstates.newstate("late", "return function(x) return x end")
      for i = 1, 3 do
        assert(waiting[i]:await() == "left")
      end
      print("fine")
    ]])
  end)

  it("that reads from a silent pipe is taken", function()
    run([[
      local paths, futures = {}, {}
      for i = 1, 4 do
        paths[i] = os.tmpname()
        os.remove(paths[i])
        os.execute("mkfifo " .. paths[i])
        futures[i] = begin([=[
          local file = io.open(..., "r+")
          local line = file:read("*l")
          file:close()
          return line
        ]=], paths[i])
      end
      handoff.wait("entered", 4)
      check()
      for i = 1, 4 do
        local file = io.open(paths[i], "r+")
        file:write("line\n")
        file:flush()
        assert(futures[i]:await() == "line")
        file:close()
        os.remove(paths[i])
      end
      print("fine")
    ]])
  end)

  it("that computes is taken", function()
    run([[
      local futures = {}
      for i = 1, 3 do
        futures[i] = begin([=[
          repeat
            for i = 1, 1000000 do end
          until gates.get("leave") == 1
        ]=])
      end
      handoff.wait("entered", 3)
      check()
      handoff.set("leave", 1)
      for i = 1, 3 do
        futures[i]:await()
      end
      print("fine")
    ]])
  end)

  it("that goes on is not needed for what it sends", function()
    run([[
      local receiver = mtstates.newstate("receiver", {}, [=[
        return function() require "handoff".set("received", 1) end
      ]=])
      local sender = begin([=[
        mtstates.sleep(0.03) -- nobody has to look after anything any more
        mtstates.state("receiver"):send()
        while gates.get("received") == 0 do end
      ]=])
      sender:await()
      print("fine")
    ]], "fine\n", 2)
  end)

  it("is free again: surplus workers end #count", function()
    run([[
      local futures = {}
      for i = 1, 10 do
        futures[i] = begin("gates.wait('leave', 1)")
      end
      handoff.wait("entered", 10)
      assert(handoff.thread_count() >= 11)
      assert(mtstates.stats().replacements >= 9)
      handoff.set("leave", 1)
      for i = 1, 10 do
        futures[i]:await()
      end
      check()
      -- This thread, one worker, the watcher.
      local tries = 0
      while mtstates.stats().replacements > 0 or handoff.thread_count() > 3 do
        os.execute("sleep 0.1")
        tries = tries + 1
        assert(tries < 300, handoff.thread_count())
      end
      check()
      print("fine")
    ]])
  end)

  it("is taken in any depth of waits", function()
    run([[
      local depth = 100
      local last
      for i = 1, depth do
        states[i] = mtstates.newstate("level " .. i, [=[
          local n = ...
          local hold = require "helpers".hold
          local mtstates = require "mtstates"
          return function()
            if n == 1 then
              return 1
            end
            local below = mtstates.state("level " .. n - 1)
            return 1 + hold(below.await, below)
          end
        ]=], i)
      end
      assert(states[depth]:await() == depth)
      print("fine")
    ]])
  end)

  it("that computes is taken when a task that sleeps is to go on", function()
    run([[
      local s = mtstates.newstate({}, [=[
        local gates, mtstates = require "handoff", require "mtstates"
        return function()
          mtstates.sleep(0.05)
          gates.set("slept", 1)
        end
      ]=])
      s:send()
      while s:stats().calls == 0 do end
      begin("while gates.get('slept') == 0 do end"):await()
      print("fine")
    ]])
  end)

  it("is taken by as few threads as there are waits at once", function()
    run([[
      for i = 1, 100 do
        assert(begin([=[
          local s = mtstates.newstate({}, "return function() return 1 end")
          return s:await()
        ]=]):await() == 1)
      end
      assert(handoff.thread_count() < 60, handoff.thread_count())
      print("fine")
    ]])
  end)

  it("is taken 64 times for what blocks, then there is a warning", function()
    local output, status = helpers.run_program(prelude .. [[
      local futures = {}
      for i = 1, 80 do
        futures[i] = begin("gates.wait('leave', 1)")
      end
      handoff.wait("entered", 66)
      assert(mtstates.stats().replacements == 64)
      os.execute("sleep 1")
      assert(handoff.get("entered") == 66)
      handoff.set("leave", 1)
      for i = 1, 80 do
        futures[i]:await()
      end
      check()
      for i = 1, 60 do -- as many times again
        futures[i] = begin("gates.wait('leave again', 1)")
      end
      handoff.wait("entered", 140)
      handoff.set("leave again", 1)
      for i = 1, 60 do
        futures[i]:await()
      end
      print("fine")
    ]], "MTSTATES_WORKERS=2")
    assert.equals(0, status, output)
    assert.equals("fine\n", output:match("[^\n]*\n$"), output)
    assert.equals(1, helpers.count(output, "mtstates: warning:"), output)
    assert.equals(2, helpers.count(output, "\n"), output)
  end)

  it("is taken 64 times, and a logger gets the warning", function()
    run([[
      mtstates.logger(function(kind, text)
        require "handoff".put("logged", kind .. ": " .. text)
      end)
      local futures = {}
      for i = 1, 70 do
        futures[i] = begin("gates.wait('leave', 1)")
      end
      handoff.wait("entered", 65)
      os.execute("sleep 1") -- the next one lacks a worker
      handoff.set("leave", 1)
      print(handoff.take("logged"))
      for i = 1, 70 do
        futures[i]:await()
      end
      mtstates.logger(nil)
    ]], "warning: 64 workers are busy with requests that take long; " ..
      "others have to wait\n")
  end)
end)

describe("waits of many requests", function()
  before_each(helpers.watch("waits of many"))
  after_each(helpers.unwatch)

  it("are not limited by the 64 replacements", function()
    run([[
      local slow = mtstates.newstate("slow", {}, gated)
      slow:send()
      handoff.wait("in", 1)
      local futures = {}
      for i = 1, 150 do
        futures[i] = begin("return mtstates.state('slow'):await()")
      end
      handoff.wait("entered", 150)
      check()
      handoff.set("leave", 1)
      for i = 1, 150 do
        assert(futures[i]:await() == "left")
      end
      print("fine")
    ]], nil, 2)
  end)
end)
