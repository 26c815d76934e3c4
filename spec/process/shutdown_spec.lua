-- mtstates.shutdown: all services end. Each program has a process of its own.

local helpers = require "helpers"

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local mtstates = require "mtstates"
  handoff.watchdog(150, "shutdown")
  local OWN = {own_thread = true}
  -- A service that runs code, which is given as the argument of its requests.
  local function new(options)
    return mtstates.newstate(options or {}, function()
      require "interruptible"
      local compile = rawget(_G, "loadstring") or load
      return function(code, ...) return compile(code)(...) end
    end)
  end
  -- Has s run code; gives the future when it runs, or waits.
  local function begin(s, code)
    local future = s:async("local gates, mt = require 'handoff', " ..
      "require 'mtstates' gates.put('entered', gates.tid()) " .. code)
    return future, handoff.take("entered")
  end
  local function begin_waiting(s, code)
    local future, tid = begin(s, code)
    handoff.wait_asleep(tid)
    return future
  end
  local function is_closed(s)
    local ok, err = pcall(s.call, s, "")
    return not ok and err:find(mtstates.error.object_closed, 1, true) == 1
  end
  -- It does not wait long for what a thread has to do that is kept from
  -- running, and is called again.
  local function shut_down(timeout)
    local over = handoff.monotonic() + 60
    while not mtstates.shutdown(timeout) do
      assert(handoff.monotonic() < over, "a service is not closed")
    end
  end
  -- It interrupts what is late, too, so this can need some tries.
  local function try_often(f)
    for _ = 1, 20 do
      if f() then
        return true
      end
    end
  end
  local function collect()
    collectgarbage()
    collectgarbage()
  end
]==]

local function run(program)
  local output, status = helpers.run_program(prelude .. program ..
    " print('fine')", "MTSTATES_WORKERS=2")
  assert.same({"fine\n", 0}, {output, status})
end

describe("mtstates.shutdown", function()
  before_each(helpers.watch("shutdown"))
  after_each(helpers.unwatch)

  it("is true where there are no services", function()
    run([[
      for _, timeout in ipairs({0, -1, 0.5, 1e300, math.huge}) do
        local all, more = mtstates.shutdown(timeout)
        assert(all == true and more == nil)
      end
      shut_down()
      local classic = mtstates.newstate("return type")
      shut_down()
      assert(classic:call(1) == "number")
      assert(classic:await(1) == "number")
    ]])
  end)

  it("closes a pool whose time is over", function()
    run([[
      local pool = mtstates.pool(2, function()
        local gates = require "handoff"
        return function() gates.enter("in pool", "out of pool", 1) end
      end)
      local running = pool:async()
      handoff.wait("in pool", 1)
      assert(mtstates.shutdown(0.01) == false)
      assert(is_closed(pool))
      assert(not pcall(pool.send, pool))
      handoff.set("out of pool", 1)
      pcall(running.await, running)
    ]])
  end)

  it("does not wait for forks that go on and on", function()
    run([[
      handoff.watchdog(30, "forks that go on")
      for _, options in ipairs({{}, OWN}) do
        local s = new(options)
        begin(s, "require 'mtstates'.fork(function() " ..
          "while true do mt.sleep(0) end end)"):await()
        assert(mtstates.shutdown(600))
      end
    ]])
  end)

  it("keeps nothing of what it has closed", function()
    run([[
      local name = ("n"):rep(10000) -- is seen if it stays
      local function shut_down_often(times)
        for _ = 1, times do
          mtstates.newstate(name, {}, "return type"):await("")
          assert(mtstates.shutdown(60) == true)
        end
        collect()
        return require("handoff").heap_bytes()
      end
      shut_down_often(50)
      local before = shut_down_often(50)
      local grown = shut_down_often(100) - before
      assert(grown < 500000, "grown by " .. grown)
    ]])
  end)

  it("closes all services, and no other states", function()
    run([[
      local services = {}
      for i = 1, 20 do
        services[i] = new(i % 4 == 0 and OWN or nil)
        services[i]:await("")
      end
      local single = mtstates.singleton("single", {}, "return type")
      local classic = mtstates.newstate("return type")
      shut_down()
      for i = 1, 20 do
        assert(is_closed(services[i]))
      end
      assert(is_closed(single))
      assert(not pcall(mtstates.state, "single"))
      assert(classic:call(1) == "number")
      assert(classic:await(1) == "number")
    ]])
  end)

  it("closes the youngest first", function()
    run([[
      assert(try_often(function()
        local states, order = {}, handoff.unique("order")
        for i = 1, 12 do
          states[i] = mtstates.newstate({}, function(n, order)
            return {__close = function() require "handoff".put(order, n) end}
          end, i, order)
        end
        shut_down()
        for i = 12, 1, -1 do
          local ok, n = pcall(handoff.take, order, 0)
          if not ok or n ~= i then
            return false
          end
        end
        return true
      end))
    ]])
  end)

  it("without a timeout fails what has not begun", function()
    run([[
      for _, options in ipairs({{}, OWN}) do
        local s = new(options)
        local running = begin_waiting(s, "gates.wait('leave', 1)")
        local waiting = s:async("return 1")
        assert(mtstates.shutdown() == false)
        local ok, err = pcall(waiting.await, waiting)
        assert(not ok and err:find(mtstates.error.object_closed, 1, true), err)
        assert(is_closed(s) and not running:ready())
        handoff.set("leave", 1)
        pcall(running.await, running)
        handoff.set("leave", 0)
      end
    ]])
  end)

  it("with a timeout does first what was sent", function()
    run([[
      for _, timeout in ipairs({30, math.huge}) do
        local states, futures, before = {}, {}, handoff.get("count")
        for i = 1, 10 do
          states[i] = new(i % 3 == 0 and OWN or nil)
          for j = 1, 50 do
            states[i]:send("require 'handoff'.add('count')")
          end
          futures[i] = states[i]:async("return ...", i)
        end
        assert(mtstates.shutdown(timeout) == true)
        assert(handoff.get("count") == before + 500)
        for i = 1, 10 do
          assert(futures[i]:await() == i)
          assert(is_closed(states[i]))
        end
      end
    ]])
  end)

  it("has one timeout for all", function()
    run([[
      local states, futures = {}, {}
      for i = 1, 20 do
        states[i] = new(OWN)
        futures[i] = begin(states[i], i % 2 == 0 and "mt.sleep(60)"
          or "require 'helpers'.hold(mt.sleep, 60)")
      end
      local before = mtstates.now()
      mtstates.shutdown(0.2)
      assert(mtstates.now() - before >= 0.2)
      for i = 1, 20 do
        assert(is_closed(states[i]))
        assert(not pcall(futures[i].await, futures[i]))
      end
    ]])
  end)

  it("interrupts what still runs", function()
    run([[
      for _, timeout in ipairs({false, 0, 0.01}) do
        local states, futures = {}, {}
        for i = 1, 4 do
          states[i] = new(i % 2 == 0 and OWN or nil)
          futures[i] = begin(states[i], i <= 2 and "while true do end" or
            "while true do pcall(function() while true do end end) end")
        end
        mtstates.shutdown(timeout or nil)
        for i = 1, 4 do
          assert(is_closed(states[i]))
        end
        shut_down(0.01)
        for i = 1, 4 do
          local ok, err = pcall(futures[i].await, futures[i])
          assert(not ok)
          assert(err:find(mtstates.error.interrupted, 1, true) or
            err:find(mtstates.error.object_closed, 1, true), err)
        end
      end
    ]])
  end)

  it("is false if some code does not end", function()
    run([[
      for _, options in ipairs({{}, OWN}) do
        local s, other = new(options), new(options)
        local future = begin_waiting(s, "gates.wait('leave', 1)")
        assert(mtstates.shutdown(0.01) == false)
        assert(is_closed(s) and is_closed(other))
        handoff.set("leave", 1)
        pcall(future.await, future)
        while not mtstates.shutdown(0.01) do end
        handoff.set("leave", 0)
      end
    ]])
  end)

  it("ends the threads of services", function()
    run([[
      local threads, futures = {}, {}
      for i = 1, 10 do
        futures[i], threads[i] = mtstates.thread("return ...", i)
        futures[i] = mtstates.thread(i % 2 == 0
          and "require 'mtstates'.sleep(60)"
          or "require 'helpers'.hold(require 'mtstates'.sleep, 60)")
      end
      local logger = mtstates.newstate("return function() end")
      mtstates.logger(logger)
      mtstates.thread("require 'mtstates'.sleep(60)")
      collect()
      new(OWN):call("")
      shut_down()
      for i = 1, 10 do
        assert(is_closed(threads[i]))
        assert(not pcall(futures[i].await, futures[i]))
      end
      repeat -- they can be about to end
        local pipe = io.popen("cat /proc/$PPID/task/*/comm 2>&1")
        local names = pipe:read("*a")
        pipe:close()
      until not names:find("mtstates/own", 1, true)
      logger:await() -- what it has not got at the end goes to stderr
    ]])
  end)

  it("inside of a call or request is concurrent_access", function()
    run([[
      local code = "return pcall(require 'mtstates'.shutdown)"
      local function check(ok, err)
        assert(not ok)
        local text = mtstates.error.concurrent_access ..
          ": shutdown: a call is in progress"
        assert(err == text, err)
      end
      for _, options in ipairs({{}, OWN}) do
        local s = new(options)
        check(s:call(code))
        check(s:await(code))
        check(s:call("return coroutine.wrap(function() " .. code ..
          " end)()"))
      end
      local classic = mtstates.newstate("return function() " .. code ..
        " end")
      check(classic:call())
      check(classic:await())
      local future = mtstates.thread(code)
      check(future:await())
      shut_down()
    ]])
  end)

  it("leaves the module as it was", function()
    run([[
      for i = 1, 20 do
        local s, own = new(), new(OWN)
        assert(s:await("return 1") == 1)
        assert(own:await("return 1") == 1 and own:call("return 2") == 2)
        assert(mtstates.thread("return 3"):await() == 3)
        shut_down(i % 2 == 0 and 30 or nil)
        assert(is_closed(s) and is_closed(own))
        local future, promise = mtstates.promise()
        promise:set(i)
        assert(future:await() == i)
      end
    ]])
  end)

  it("closes the state of the main program", function()
    run([[
      local state = mtstates.here({}, function() end)
      local future = state:async()
      assert(mtstates.shutdown() == true)
      assert(not pcall(future.await, future))
      assert(is_closed(state))
    ]])
  end)

  it("wants a number", function()
    run([[
      local s = new()
      for _, wrong in ipairs({"x", {}, true, 0/0}) do
        local ok, err = pcall(function() mtstates.shutdown(wrong) end)
        assert(not ok and err:find("bad argument #1 to 'shutdown' " ..
          "(number expected, got ", 1, true), err)
      end
      assert(s:await("return 1") == 1)
      shut_down(nil)
      assert(is_closed(s))
    ]])
  end)

  it("runs __close and finalizers before it returns", function()
    run([[
      local function closes_all(options)
        handoff.set("closed", 0)
        handoff.set("finalized", 0)
        local states = {}
        for i = 1, 5 do
          states[i] = mtstates.newstate(options, function()
            local gates, mt = require "handoff", require "mtstates"
            guard = require "on_collect"(function()
              gates.add("finalized")
            end)
            return {f = type, __close = function()
              mt.sleep(0.005)
              gates.add("closed")
            end}
          end)
          states[i]:await("f", 1)
        end
        shut_down()
        assert(handoff.get("finalized") == 5)
        return handoff.get("closed") == 5
      end
      for _, options in ipairs({{}, OWN}) do
        assert(try_often(function() return closes_all(options) end))
      end
    ]])
  end)
end)
