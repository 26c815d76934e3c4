local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("state:interrupt", function()
  before_each(helpers.watch("interrupt"))
  after_each(helpers.unwatch)

  local function interrupted(f, ...)
    local err = helpers.raises_error("invoking_state", f, ...)
    assert.truthy(err:match(mtstates.error.interrupted), err)
    return err
  end

  -- The callback loops for ever after it has moved the gate.
  local function looping()
    require "interruptible"
    local gates = require "handoff"
    return function(gate, how, ...)
      local function loop()
        gates.add(gate)
        while true do end
      end
      if how == "coroutine" then
        return coroutine.wrap(loop)()
      elseif how == "nested coroutines" then
        return coroutine.wrap(function()
          return coroutine.wrap(function()
            return coroutine.wrap(loop)()
          end)()
        end)()
      elseif how == "pcall" then
        return pcall(loop)
      elseif how == "echo" then
        return ...
      end
      loop()
    end
  end

  -- Runs s's callback here and interrupts it from another thread when it has
  -- moved the gate.
  local function interrupt_from_thread(s, flag, ...)
    local gate = handoff.unique()
    local helper = threads.start(function(g, id, how)
      require "handoff".wait(g, 1)
      require "mtstates".state(id):interrupt(how)
    end, gate, s:id(), flag)
    local outcome = helpers.pack(pcall(s.call, s, gate, ...))
    helper:results()
    return helpers.unpack(outcome, 1, outcome.n)
  end

  it("returns nothing", function()
    local s = mtstates.newstate(helpers.echo)
    assert.equals(0, select("#", s:interrupt()))
    assert.equals(0, select("#", s:interrupt(true)))
    assert.equals(0, select("#", s:interrupt(false)))
  end)

  describe("without a flag", function()
    it("hits running code, once", function()
      local s = mtstates.newstate(looping)
      local ok, err = interrupt_from_thread(s)
      assert.is_false(ok)
      assert.equals(1, (err:find(mtstates.error.invoking_state, 1, true)))
      assert.truthy(err:match(mtstates.error.interrupted))
      assert.equals("after", s:call(handoff.unique(), "echo", "after"))
    end)

    it("hits the next call when nothing runs, once", function()
      local s = mtstates.newstate(helpers.echo)
      s:interrupt()
      interrupted(function() s:call("x") end)
      assert.equals("x", s:call("x"))
    end)

    it("and with nil is the same", function()
      local s = mtstates.newstate(helpers.echo)
      s:interrupt(nil)
      interrupted(function() s:call("x") end)
      assert.equals("x", s:call("x"))
    end)

    it("given several times before the call hits once", function()
      local s = mtstates.newstate(helpers.echo)
      s:interrupt()
      s:interrupt()
      s:interrupt()
      interrupted(function() s:call("x") end)
      assert.equals("x", s:call("x"))
    end)

    it("hits the next tcall as well", function()
      local s = mtstates.newstate(helpers.echo)
      s:interrupt()
      interrupted(function() s:tcall(0, "x") end)
      assert.same({true, "x"}, {s:tcall(0, "x")})
    end)

    it("raises an error that pcall inside can catch", function()
      local s = mtstates.newstate(looping)
      local ok, inner_ok, err = interrupt_from_thread(s, nil, "pcall")
      assert.is_true(ok)
      assert.is_false(inner_ok)
      assert.equals(1, (err:find(mtstates.error.interrupted, 1, true)))
    end)

    it("lets code go on that has caught it", function()
      local s = mtstates.newstate(function()
        require "interruptible"
        local gates = require "handoff"
        return function(gate)
          local ok = pcall(function()
            gates.add(gate)
            while true do end
          end)
          local sum = 0
          for i = 1, 100000 do
            sum = sum + i
          end
          return ok, sum
        end
      end)
      assert.same({true, false, 5000050000}, {interrupt_from_thread(s)})
    end)

    -- What docs/platforms.md says of LuaJIT.
    it("hits loops that call a function which is not compiled", function()
      local s = mtstates.newstate(function()
        local gates = require "handoff"
        local jit = rawget(_G, "jit")
        local function check() end
        if jit then
          jit.off(check)
        end
        return function(gate)
          local sum = 0
          for round = 1, math.huge do
            check()
            for i = 1, 1000 do
              sum = sum + i
            end
            if round == 1000 then
              gates.add(gate)
            end
          end
        end
      end)
      for _ = 1, 3 do
        local ok, err = interrupt_from_thread(s)
        assert.is_false(ok)
        assert.truthy(err:match(mtstates.error.interrupted))
      end
    end)

    it("hits all loops of a state without libs", function()
      local s = mtstates.newstate(false, function()
        local gates = require "handoff"
        return function(gate)
          for round = 1, 1e300 do
            if round == 1000 then
              gates.add(gate)
            end
          end
        end
      end)
      local ok, err = interrupt_from_thread(s)
      assert.is_false(ok)
      assert.truthy(err:match(mtstates.error.interrupted))
    end)

    it("has a message that shows in the traceback of the state", function()
      local s = mtstates.newstate(helpers.echo)
      s:interrupt()
      local err = interrupted(function() s:call() end)
      assert.truthy(err:find("stack traceback:", 1, true))
    end)
  end)

  describe("with true", function()
    it("hits each call until it is switched off", function()
      local s = mtstates.newstate(helpers.echo)
      s:interrupt(true)
      for _ = 1, 5 do
        interrupted(function() s:call("x") end)
        interrupted(function() s:tcall(0, "x") end)
      end
      s:interrupt(false)
      assert.equals("x", s:call("x"))
      assert.equals("y", s:call("y"))
    end)

    it("ends code that catches errors again and again", function()
      local s = mtstates.newstate(function()
        require "interruptible"
        local gates = require "handoff"
        return function(gate)
          local function loop()
            gates.add(gate)
            while true do end
          end
          for _ = 1, 1000 do
            pcall(loop)
          end
          while true do
            pcall(loop)
          end
        end
      end)
      local ok, err = interrupt_from_thread(s, true)
      assert.is_false(ok)
      assert.truthy(err:match(mtstates.error.interrupted))
      interrupted(function() s:call(handoff.unique()) end)
    end)

    it("ends code that runs in pcalls inside coroutines", function()
      local s = mtstates.newstate(function()
        require "interruptible"
        local gates = require "handoff"
        return function(gate)
          local co = coroutine.wrap(function()
            while true do
              pcall(function()
                gates.add(gate)
                while true do end
              end)
            end
          end)
          while true do
            pcall(co)
          end
        end
      end)
      local ok, err = interrupt_from_thread(s, true)
      assert.is_false(ok)
      assert.truthy(err:match(mtstates.error.interrupted))
    end)

    it("is still on after other flags were given", function()
      local s = mtstates.newstate(helpers.echo)
      s:interrupt(true)
      s:interrupt(true)
      interrupted(function() s:call("x") end)
      interrupted(function() s:call("x") end)
      s:interrupt(false)
      assert.equals("x", s:call("x"))
    end)
  end)

  describe("with false", function()
    it("takes a pending interrupt back", function()
      local s = mtstates.newstate(helpers.echo)
      s:interrupt()
      s:interrupt(false)
      assert.equals("x", s:call("x"))
    end)

    it("does nothing where nothing is switched on", function()
      local s = mtstates.newstate(helpers.echo)
      s:interrupt(false)
      assert.equals("x", s:call("x"))
    end)

    it("can be given while the code runs", function()
      local s = mtstates.newstate(function()
        require "interruptible"
        local gates = require "handoff"
        return function(gate)
          pcall(function()
            gates.add(gate)
            while true do end
          end)
          return "unreached"
        end
      end)
      local gate = handoff.unique()
      local caller = threads.start(function(id, g)
        local r = require "mtstates".state(id)
        return pcall(r.call, r, g)
      end, s:id(), gate)
      handoff.wait(gate, 1)
      s:interrupt(true)
      assert.is_false((caller:results()))
      s:interrupt(false)
      gate = handoff.unique()
      caller = threads.start(function(id, g)
        return require "mtstates".state(id):call(g)
      end, s:id(), gate)
      handoff.wait(gate, 1)
      s:interrupt(false)
      s:interrupt()
      assert.equals("unreached", caller:results())
    end)
  end)

  describe("reaches code in coroutines", function()
    it("that were created in the running call", function()
      local s = mtstates.newstate(looping)
      local ok, err = interrupt_from_thread(s, nil, "coroutine")
      assert.is_false(ok)
      assert.truthy(err:match(mtstates.error.interrupted))
      assert.equals("after", s:call(handoff.unique(), "echo", "after"))
    end)

    it("that are nested", function()
      local s = mtstates.newstate(looping)
      local ok, err = interrupt_from_thread(s, nil, "nested coroutines")
      assert.is_false(ok)
      assert.truthy(err:match(mtstates.error.interrupted))
    end)

    it("that setup created long before, nested and wrapped", function()
      local s = mtstates.newstate(function()
        require "interruptible"
        local gates = require "handoff"
        local function body(gate)
          coroutine.yield("started")
          gates.add(gate)
          while true do end
        end
        local made = {}
        for i = 1, 20 do
          made[i] = coroutine.create(body)
        end
        local wrapped = coroutine.wrap(function(gate)
          local inner = coroutine.wrap(body)
          coroutine.yield(inner(gate))
          return inner()
        end)
        return function(gate, what)
          if what == "start" then
            for i = 1, 20 do
              coroutine.resume(made[i], gate)
            end
            return wrapped(gate)
          elseif what == "wrapped" then
            return wrapped()
          end
          return coroutine.resume(made[what])
        end
      end)
      local gate = handoff.unique()
      local function run(what)
        local interrupter = threads.start(function(g, n, id)
          require "handoff".wait(g, n)
          require "mtstates".state(id):interrupt()
        end, gate, handoff.get(gate) + 1, s:id())
        local outcome = {pcall(s.call, s, gate, what)}
        interrupter:results()
        return outcome
      end
      assert.equals("started", s:call(gate, "start"))
      for _, i in ipairs({1, 7, 20}) do
        local outcome = run(i)
        assert.is_true(outcome[1])
        assert.is_false(outcome[2])
        assert.equals(1,
          (outcome[3]:find(mtstates.error.interrupted, 1, true)))
      end
      local outcome = run("wrapped")
      assert.is_false(outcome[1])
      assert.truthy(outcome[2]:match(mtstates.error.interrupted))
    end)

    it("that were suspended when a lasting interrupt was given", function()
      local s = mtstates.newstate(function()
        local co = coroutine.create(function()
          local n = 0
          while true do
            n = n + 1
            coroutine.yield(n)
          end
        end)
        return function() return coroutine.resume(co) end
      end)
      assert.same({true, 1}, {s:call()})
      s:interrupt(true)
      interrupted(function() s:call() end)
      s:interrupt(false)
      assert.same({true, 2}, {s:call()})
    end)

    it("and leaves coroutines alone when it is over", function()
      local s = mtstates.newstate(function()
        local co
        return function(what)
          if what == "make" then
            co = coroutine.wrap(function()
              local sum = 0
              while true do
                for i = 1, 10000 do
                  sum = sum + i
                end
                coroutine.yield(sum)
              end
            end)
          end
          return co()
        end
      end)
      assert.equals(50005000, s:call("make"))
      s:interrupt(true)
      interrupted(function() s:call() end)
      s:interrupt(false)
      assert.equals(100010000, s:call())
      s:interrupt()
      interrupted(function() s:call() end)
      assert.equals(150015000, s:call())
    end)

    it("of a nested call of the same state", function()
      local s = mtstates.newstate(function()
        require "interruptible"
        local mt = require "mtstates"
        local gates = require "handoff"
        return function(gate, depth)
          if depth == 0 then
            gates.add(gate)
            while true do end
          end
          return coroutine.wrap(function()
            return mt.state(mt.id()):call(gate, depth - 1)
          end)()
        end
      end)
      local ok, err = interrupt_from_thread(s, true, 3)
      assert.is_false(ok)
      assert.truthy(err:match(mtstates.error.interrupted))
      s:interrupt(false)
    end)
  end)

  it("can be given from inside the state's own callback", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(what)
        if what then
          return what
        end
        mt.state(mt.id()):interrupt()
        while true do end
      end
    end)
    interrupted(function() s:call() end)
    assert.equals("after", s:call("after"))
  end)

  it("hits code of a thread that has waited for the state", function()
    for _ = 1, 5 do
      local s = mtstates.newstate(function()
        require "interruptible"
        local gates = require "handoff"
        return function(entered, leave)
          gates.add(entered)
          if leave then
            gates.wait(leave, 1)
          else
            while true do end
          end
        end
      end)
      local function caller(id, ...)
        return require "mtstates".state(id):call(...)
      end
      local first, leave = handoff.unique("first"), handoff.unique("leave")
      local second = handoff.unique("second")
      local busy = threads.start(caller, s:id(), first, leave)
      handoff.wait(first, 1)
      local waiting = threads.start(caller, s:id(), second)
      waiting:wait_asleep() -- so long that it is handed the state
      handoff.set(leave, 1)
      busy:results()
      handoff.wait(second, 1)
      s:interrupt()
      local ok, err = waiting:join()
      assert.is_false(ok)
      assert.truthy(err:find(mtstates.error.interrupted, 1, true), err)
    end
  end)

  it("from inside can be caught", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function()
        local own = mt.state(mt.id())
        local ok, err = pcall(function()
          own:interrupt()
          while true do end
        end)
        return ok, err
      end
    end)
    local ok, err = s:call()
    assert.is_false(ok)
    assert.equals(1, (err:find(mtstates.error.interrupted, 1, true)))
    assert.is_false((s:call()))
  end)

  it("of the outer state waits for the inner state's call", function()
    local inner = mtstates.newstate(helpers.gated)
    local outer = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(id, entered, leave)
        local result = mt.state(id):call(entered, leave, "inner done")
        while true do
          result = result .. ""
        end
      end
    end)
    local entered, leave = handoff.unique(), handoff.unique()
    local caller = threads.start(function(id, ...)
      local r = require "mtstates".state(id)
      return pcall(r.call, r, ...)
    end, outer:id(), inner:id(), entered, leave)
    handoff.wait(entered, 1)
    outer:interrupt()
    handoff.set(leave, 1)
    local ok, err = caller:results()
    assert.is_false(ok)
    assert.truthy(err:match(mtstates.error.interrupted))
    assert.equals("fine", inner:call(nil, nil, "fine"))
  end)

  it("of the inner state reaches the caller through the outer", function()
    local inner = mtstates.newstate(looping)
    local outer = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(gate, id)
        local r = mt.state(id)
        return pcall(r.call, r, gate)
      end
    end)
    local gate = handoff.unique()
    local helper = threads.start(function(g, id)
      require "handoff".wait(g, 1)
      require "mtstates".state(id):interrupt()
    end, gate, inner:id())
    local ok, err = outer:call(gate, inner:id())
    helper:results()
    assert.is_false(ok)
    assert.truthy(err:match(mtstates.error.interrupted))
  end)

  it("does not touch other states", function()
    local a = mtstates.newstate(helpers.echo)
    local b = mtstates.newstate(helpers.echo)
    a:interrupt(true)
    assert.equals("b", b:call("b"))
    interrupted(function() a:call("a") end)
    assert.equals("b", b:call("b"))
  end)

  it("works through references", function()
    local s = mtstates.newstate(helpers.echo)
    mtstates.state(s:id()):interrupt()
    interrupted(function() s:call() end)
    assert.equals(1, s:call(1))
  end)

  it("may come from many threads at any time", function()
    local s = mtstates.newstate(function()
      return function()
        local sum = 0
        for i = 1, 1000 do
          sum = sum + i
        end
        return sum
      end
    end)
    local workers = {}
    for i = 1, 3 do
      workers[i] = threads.start(function(id)
        local r = require "mtstates".state(id)
        for n = 1, 300 do
          local flag = nil
          if n % 3 == 0 then
            flag = n % 2 == 0
          end
          r:interrupt(flag)
        end
      end, s:id())
    end
    for _ = 1, 300 do
      local ok, result = pcall(s.call, s)
      if ok then
        assert.equals(500500, result)
      else
        assert.truthy(result:match(mtstates.error.interrupted))
      end
    end
    for i = 1, 3 do
      workers[i]:results()
    end
    s:interrupt(false)
    assert.equals(500500, s:call())
  end)

  it("does not disturb a debug hook that the state sets itself", function()
    local s = mtstates.newstate(function()
      return function()
        local lines = 0
        debug.sethook(function() lines = lines + 1 end, "l")
        local x = 1
        x = x + 1
        debug.sethook()
        return lines > 0, x
      end
    end)
    assert.same({true, 2}, {s:call()})
    s:interrupt()
    interrupted(function() s:call() end)
    assert.same({true, 2}, {s:call()})
  end)

  it("of a closed state raises object_closed", function()
    local s = mtstates.newstate(helpers.echo)
    local r = mtstates.state(s:id())
    s:close()
    for _, object in ipairs({s, r}) do
      helpers.raises_error("object_closed", function()
        object:interrupt()
      end)
      helpers.raises_error("object_closed", function()
        object:interrupt(true)
      end)
      helpers.raises_error("object_closed", function()
        object:interrupt(false)
      end)
    end
  end)

  it("refuses what is neither boolean nor nil", function()
    local s = mtstates.newstate(helpers.echo)
    for _, value in ipairs({1, "true", {}, print, s}) do
      helpers.bad_argument(1, "interrupt", "boolean expected, got",
        function() s:interrupt(value) end)
    end
    assert.equals("x", s:call("x"))
  end)

  it("may be given while the state is being closed elsewhere", function()
    local entered, leave = handoff.unique(), handoff.unique()
    local s = mtstates.newstate(nil, [[
      local on_collect = require "on_collect"
      local entered, leave = ...
      local gates = require "handoff"
      guard = on_collect(function()
        gates.enter(entered, leave, 1)
      end)
      return function() end
    ]], entered, leave)
    local closer = threads.start(function(id)
      require "mtstates".state(id):close()
    end, s:id())
    handoff.wait(entered, 1)
    for _, flag in ipairs({true, false}) do
      local ok, err = pcall(s.interrupt, s, flag)
      assert.is_true(ok or
        err:find(mtstates.error.object_closed, 1, true) == 1)
    end
    pcall(s.interrupt, s)
    handoff.set(leave, 1)
    closer:results()
    helpers.raises_error("object_closed", function() s:interrupt() end)
  end)
end)
