-- Hosts in C that close Lua states with requests, or fork.

local helpers = require "helpers"

local function run(program, expected, status)
  local output, ended = helpers.run_program(program, "MTSTATES_WORKERS=2")
  assert.same({expected, status or 0}, {output, ended})
end

describe("a host in C", function()
  before_each(helpers.watch("hosts with requests"))
  after_each(helpers.unwatch)

  it("closes a Lua state whose requests are done nevertheless", function()
    run([[
      local handoff, host = require "handoff", require "host"
      local lua = host.open()
      assert(host.run(lua, [=[
        local mtstates = require "mtstates"
        s = mtstates.newstate({}, function()
          local gates = require "handoff"
          guard = require "on_collect"(function() gates.add("closed") end)
          return function(wait)
            if wait then
              gates.enter("entered", "leave", 1)
            end
            gates.add("done")
          end
        end)
        future = s:async(true)
        for i = 1, 10 do
          s:send()
        end
        require "handoff".wait("entered", 1)
      ]=]))
      host.close(lua)
      assert(host.is_loaded("/mtstates.so"))
      assert(handoff.get("closed") == 0)
      handoff.set("leave", 1)
      handoff.wait("closed", 1)
      print(handoff.get("done") == 11)
    ]], "true\n")
  end)

  it("has another thread run a Lua state that has forks", function()
    run([[
      local host, mtstates = require "host", require "mtstates"
      local lua = host.open()
      assert(host.run(lua, [=[
        mtstates = require "mtstates"
        here = mtstates.here("moved", function() return 1 end)
        mtstates.fork(function() end):await()
      ]=]))
      local mover = mtstates.newstate({own_thread = true}, [=[
        return require "host".run
      ]=])
      local moved = mover:async(lua, [=[
        mtstates.fork(function() end):await()
        local gates = require "handoff"
        local s = mtstates.newstate({}, function()
          local gates, mt = require "handoff", require "mtstates"
          return function(calls)
            if calls then
              gates.add("begun")
              return pcall(mt.state("moved").call, mt.state("moved"))
            end
          end
        end)
        -- this thread waits for s, and s for this thread
        local future = s:async(true)
        gates.wait("begun", 1)
        local ok, err = pcall(s.call, s)
        local inner_ok, inner_err = future:await()
        assert(ok ~= inner_ok) -- who waits last gets the error
        error(ok and inner_err or err, 0)
      ]=])
      while not moved:ready() do -- the first thread waits for nothing
        require "handoff".breathe()
      end
      print((select(2, moved:await()):match("mtstates%.error%.deadlock")))
      host.close(lua)
    ]], "mtstates.error.deadlock\n")
  end)

  it("opens and closes Lua states with requests again and again", function()
    run([[
      local handoff, host = require "handoff", require "host"
      for i = 1, 50 do
        local lua = host.open()
        assert(host.run(lua, [=[
          local mtstates = require "mtstates"
          s = mtstates.newstate({}, function()
            local gates = require "handoff"
            return function() gates.add("done") end
          end)
          for i = 1, 10 do
            s:send()
          end
          futures = {s:async(), s:async()}
        ]=]))
        host.close(lua)
      end
      handoff.wait("done", 600)
      local mtstates = require "mtstates"
      while mtstates.stats().requests > 0 do -- the last one is just ending
        handoff.breathe()
      end
      print(handoff.get("done") == 600)
    ]], "true\n")
  end)

  it("ends threads whose requests go on", function()
    run([[
      local handoff, host = require "handoff", require "host"
      local threads = {}
      for i = 1, 20 do
        threads[i] = host.start([=[
          local mtstates = require "mtstates"
          local s = mtstates.newstate({}, function()
            local gates = require "handoff"
            return function() gates.add("done") end
          end)
          for i = 1, 10 do
            s:send()
            s:async()
          end
          s:await()
        ]=])
        if i % 2 == 0 then
          host.join(threads[i])
        end
      end
      for i = 1, 20, 2 do
        host.join(threads[i])
      end
      handoff.wait("done", 420)
      local mtstates = require "mtstates"
      while mtstates.stats().requests > 0 do -- the last one is just ending
        handoff.breathe()
      end
      print(handoff.get("done") == 420)
    ]], "true\n")
  end)
end)

describe("a child process after requests #fork", function()
  before_each(helpers.watch("fork with requests"))
  after_each(helpers.unwatch)

  local prelude = [==[
    io.stdout:setvbuf("line")
    local handoff, signals = require "handoff", require "signals"
    local mtstates = require "mtstates"
    local TEXT = "mtstates: this process was made by fork and has no workers"
    local s = mtstates.newstate({}, "return function(...) return ... end")
    local held = mtstates.newstate({}, function()
      local gates = require "handoff"
      return function()
        gates.enter("entered", "leave", 1)
      end
    end)
    local function refused(f, ...)
      local ok, err = pcall(f, ...)
      if ok or not tostring(err):find(TEXT, 1, true) then
        io.stderr:write("child: ", tostring(err), "\n")
        os.exit(9)
      end
    end
  ]==]

  it("has pools that can be called and closed, but not asked", function()
    run(prelude .. [[
      local setup = "return function(...) local f = ... " ..
        "if f then return f() end return 'in' end"
      local pool = mtstates.pool("pool", 2, setup)
      pool:await()
      -- A worker that is kept from running has not left a member yet.
      while mtstates.stats().idle < 2 do handoff.breathe() end
      local function check(count)
        handoff.watchdog(150, "child")
        refused(pool.send, pool)
        refused(pool.await, pool)
        assert(pool:call() == "in" and select(2, pool:tcall(0)) == "in")
        pool:interrupt(false)
        assert(#pool:stats().members == count)
      end
      local status = signals.fork()
      if not status then
        check(2)
        pool:close()
        assert(not pcall(pool.call, pool))
        assert(not pcall(mtstates.state, "pool"))
        os.exit(3)
      end
      assert(status == 3, status)
      local inside = pool:call(function()
        return require "signals".fork() or "child"
      end)
      if inside == "child" then
        check(2)
        os.exit(4)
      end
      assert(inside == 4 and pool:await() == "in")
      pool:close()
      print("parent")
    ]], "parent\n")
  end)

  it("calls any member of a pool that was not busy at the fork", function()
    run(prelude .. [[
      for i = 1, 2 do
        local pool = mtstates.pool(2, function()
          local gates = require "handoff"
          return function(entered, leave)
            if entered then
              gates.enter(entered, leave, 1)
            end
            return "called"
          end
        end)
        local member = mtstates.state(pool:stats().members[i].id)
        local future = member:async("in pool " .. i, "out of pool")
        handoff.wait("in pool " .. i, 1)
        local status = signals.fork()
        if not status then
          handoff.watchdog(60, "child")
          assert(select(2, pool:tcall(0)) == "called")
          assert(pool:call() == "called")
          assert(not member:tcall(0))
          os.exit(3)
        end
        assert(status == 3, status)
        handoff.set("out of pool", 1)
        assert(future:await() == "called")
        handoff.set("out of pool", 0)
        pool:close()
      end
      print("parent")
    ]], "parent\n")
  end)

  it("has no workers, and says so", function()
    run(prelude .. [[
      assert(s:await(1) == 1)
      local answered = s:async("before")
      answered:await()
      held:send()
      handoff.wait("entered", 1)
      local pending = s:async(2)
      pending:await()
      local unanswered = held:async()
      while not s:tcall(0) do handoff.breathe() end -- a worker has left it
      local future, promise = mtstates.promise()
      local status = signals.fork()
      if not status then
        handoff.watchdog(150, "child")
        refused(promise.set, promise)
        refused(promise.fail, promise, "child")
        promise = nil
        collectgarbage()
        collectgarbage()
        assert(not future:ready()) -- the parent answers
        refused(s.send, s)
        refused(s.tsend, s, 0)
        refused(s.async, s)
        refused(s.await, s)
        refused(s.tawait, s, 1)
        refused(held.send, held)
        assert(s:call(7) == 7)
        assert(answered:await() == "before")
        assert(not unanswered:ready())
        refused(unanswered.await, unanswered)
        refused(unanswered.tawait, unanswered, 1)
        refused(unanswered.cancel, unanswered)
        assert(held:stats().queue == 0 and mtstates.workers() == 0)
        local own = mtstates.newstate({}, "return function() return 5 end")
        assert(own:call() == 5)
        refused(own.await, own)
        own:close()
        os.exit(4, true)
      end
      print(("%.0f"):format(status))
      assert(s:await(3) == 3)
      assert(promise:set(5) and future:await() == 5)
      handoff.set("leave", 1)
      held:await()
    ]], "4\n")
  end)

  it("stops code whose time is over, and measures it", function()
    run(prelude .. [[
      local limited = mtstates.newstate({time = 0.1}, [=[
        require "interruptible"
        return function(loops)
          while loops do end
        end
      ]=])
      local function stopped()
        local ok, err = pcall(limited.call, limited, true)
        assert(not ok and err:find(mtstates.error.interrupted, 1, true), err)
      end
      stopped()
      local worker = mtstates.newstate(function()
        local gates = require "handoff"
        return function(seconds)
          local over = gates.monotonic() + seconds
          while gates.monotonic() < over do end
        end
      end)
      worker:call(0)
      local before = worker:stats().time
      local status = signals.fork()
      if not status then
        handoff.watchdog(60, "child")
        for _ = 1, 5 do
          worker:call(0.05)
        end
        assert(worker:stats().time - before >= 0.2)
        stopped()
        stopped()
        os.exit(3)
      end
      print(("%.0f"):format(status))
    ]], "3\n")
  end)

  it("ends although states were busy or had requests at the fork", function()
    run(prelude .. [[
      held:send()
      handoff.wait("entered", 1)
      for i = 1, 5 do
        held:send()
      end
      local looping = mtstates.newstate({}, [=[
        return function()
          require "handoff".add("looping")
          while true do end
        end
      ]=])
      looping:send()
      handoff.wait("looping", 1)
      for _, code in ipairs({"os.exit(4)", "os.exit(4, true)"}) do
        local status = signals.fork()
        if not status then
          handoff.watchdog(150, "child")
          assert((loadstring or load)(code))()
        end
        print(("%.0f"):format(status))
      end
      os.exit(0)
    ]], "4\n4\nmtstates: 7 requests were lost at the end of the process; " ..
      "see mtstates.shutdown\n")
  end)

  it("of a request ends, too", function()
    run(prelude .. [[
      local forking = mtstates.newstate({}, function()
        local signals = require "signals"
        local mtstates = require "mtstates"
        return function(id)
          local status = signals.fork()
          if not status then
            local ok, err = pcall(function() mtstates.state(id):await() end)
            local found = err:find("has no workers", 1, true)
            mtstates.sleep(0.001) -- holds, as nobody would go on with it
            os.exit(not ok and found and 4 or 9)
          end
          return status
        end
      end)
      print(("%.0f"):format(forking:await(s:id())))
    ]], "4\n")
  end)

  it("ends, though its main program is asked all the time", function()
    local output = helpers.run_program([[
      local handoff, signals = require "handoff", require "signals"
      local mtstates = require "mtstates"
      local here = mtstates.here({queue = 1}, function() end)
      here:fd()
      here:send()
      for _ = 1, 2 do
        local s = mtstates.newstate({}, function()
          local gates = require "handoff"
          return function(asked)
            gates.add("asking")
            while true do
              asked:tsend(0)
            end
          end
        end)
        s:send(here)
      end
      handoff.wait("asking", 2)
      for _ = 1, 200 do
        local status = signals.fork()
        if not status then
          handoff.watchdog(150, "child")
          mtstates.sleep(0.0001)
          local ok, err = pcall(here.fd, here)
          local is_told = not ok and err:find("has no workers", 1, true)
          os.exit(is_told and here:run() == 0 and 4 or 9, true)
        end
        assert(status == 4, status)
      end
      print("ended")
      os.exit(0, false)
    ]], "MTSTATES_WORKERS=2")
    assert.truthy(output:find("ended", 1, true), output)
  end)
end)
