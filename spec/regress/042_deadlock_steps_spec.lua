-- Steps of the way that the search for deadlocks follows were wrong. Calls of
-- a state with a thread of its own counted as kept from beginning by a task
-- that waits for room: a false deadlock. So did requests that were about to be
-- answered, which counted as not begun. And what waits hung: for the end of a
-- state with tasks = 1, and for tasks that cannot go on, whatever they wait
-- for themselves, since who waits holds the state, or keeps it; for what
-- several tasks keep from beginning, of which only one was looked at; and for
-- tasks of notices, which answer no request.

local assert = require "luassert"
local capidriver = require "capidriver"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local runs = require "runs"
local threads = require "threads"

local DEADLOCK = "mtstates.error.deadlock"

local function is_deadlock(ok, err)
  return not ok and tostring(err):find(DEADLOCK, 1, true) ~= nil
end

-- Until a task of s waits for that.
local function wait_suspended(s, what)
  helpers.wait_until(function()
    local text = s:traceback()
    return text and text:find("waits for " .. what, 1, true) ~= nil
  end)
end

describe("what leads to a deadlock", function()
  before_each(helpers.watch("steps to a deadlock"))
  after_each(helpers.unwatch)

  it("is no call of a state with a thread whose task waits for room",
    function()
      local s = runs.new("service with an own thread")
      local busy = mtstates.newstate({queue = 1}, runs.setup)
      local caller = runs.new("service")
      local HOLD = [[
        local entered, leave, s = ...
        gates.add(entered)
        gates.wait(leave, 1)
        return s and s:call("return 'called'")
      ]]
      local entered, leave = handoff.unique("entered"), handoff.unique("leave")
      local future = busy:async(HOLD, entered, leave, s)
      handoff.wait(entered, 1)
      local filled = s:async([[
        local busy = ...
        busy:send("")
        busy:send("")
        return "filled"
      ]], busy)
      wait_suspended(s, "room")
      local finish = handoff.unique("finish")
      local called = caller:async("local s = ... s:call(select(2, ...))", s,
        HOLD, entered, finish)
      handoff.wait(entered, 2)
      handoff.set(leave, 1)
      helpers.wait_until(function()
        return future:ready() or s:stats().waiting > 0
      end)
      handoff.set(finish, 1)
      assert.equals("called", future:await())
      assert.equals("filled", filled:await())
      called:await()
      s:close()
      busy:close()
      caller:close()
    end)

  it("is the end of a pool with tasks = 1", function()
    local s = runs.new("service")
    local pool = mtstates.pool({n = 1, tasks = 1}, function(other)
      return {
        run = function() end,
        __close = function()
          local ok, err = pcall(other.await, other, "")
          other:send("outcome = ...", {ok, tostring(err)})
        end,
      }
    end, s)
    pool:call("run")
    local ok, err = pcall(s.await, s, "local pool = ... pool:close()", pool)
    local told = s:await("return outcome")
    assert.is_true(is_deadlock(ok, err) or is_deadlock(told[1], told[2]))
    s:close()
  end)

  it("is a fork that cannot go on before a later request has ended",
    function()
      local s = runs.new("service", {tasks = 1})
      local go, promise = mtstates.promise()
      s:await("local go = ... mine = mt.fork(function() go:await() end)", go)
      wait_suspended(s, "an answer")
      local future = s:async("return (mine:await())")
      assert.is_true(is_deadlock(pcall(future.await, future)))
      promise:set()
      s:close()
    end)

  it("is what a member of a pool waits for, if who waits for that holds it",
    function()
      local s = runs.new("service")
      local pool = mtstates.pool({n = 1, tasks = 1}, runs.setup)
      local member = mtstates.state(pool:stats().members[1].id)
      local sleeps = runs.suspend(s, "mt.sleep(3600)")
      local waits = pool:async("return ((...):await())", sleeps)
      wait_suspended(member, "an answer")
      assert.is_true(is_deadlock(s:call([[
        local pool = ...
        local ok, err = pcall(pool.await, pool, "")
        return ok, tostring(err)
      ]], pool)))
      sleeps:cancel()
      assert.is_false((pcall(waits.await, waits)))
      pool:close()
      s:close()
    end)

  it("is a fork of a state that who waits for it holds", function()
    for _, wait in ipairs({"mt.sleep(3600)", "go:await()",
                           "gates.add(gate) mt.sleep(0)"}) do
      local s = runs.new("service")
      local go, promise = mtstates.promise()
      local gate = handoff.unique()
      local future = s:async([[
        local go, gate = ...
        local held
        local mine = mt.fork(function()
        ]] .. wait .. [[
        end)
        mt.sleep(0)
        table.sort({1, 2}, function(a, b)
          held = held or {pcall(mine.await, mine)}
          return a < b
        end)
        mine:cancel()
        return held[1], tostring(held[2])
      ]], go, gate)
      assert.is_true(is_deadlock(future:await()), wait)
      promise:set()
      s:close()
    end
  end)

  it("is a task whose wait is going to end, but not its state", function()
    local s, other = runs.new("service"), runs.new("service", {tasks = 1})
    local go, promise = mtstates.promise()
    local answers = runs.new("service")
    local mine = runs.suspend(s, "local answers, go = ... " ..
      "return (answers:await('return ((...):await())', go))", answers, go)
    local waiting = other:async("return ((...):await())", mine)
    wait_suspended(other, "an answer")
    local ok, err = pcall(s.call, s, "return ((...):await(''))", other)
    assert.is_true(is_deadlock(ok, err))
    promise:set("there")
    assert.equals("there", waiting:await())
    s:close()
    other:close()
    answers:close()
  end)

  it("is a request that is kept from beginning by more than one task",
    function()
      local s = runs.new("service", {queue = 1})
      local other = runs.new("service", {tasks = 1})
      local go, promise = mtstates.promise()
      local ok, err = s:call([[
        local other, go = ...
        local text
        other:send([==[
          local s, go = ...
          mt.fork(function()
            s:send("")
            s:send("")
          end)
          go:await()
        ]==], me, go)
        repeat
          text = other:traceback()
        until text and text:find("waits for room", 1, true)
        return pcall(other.await, other, "")
      ]], other, go)
      assert.is_true(is_deadlock(ok, err))
      promise:set()
      other:await("")
      s:close()
      other:close()
    end)

  it("is no request that is about to be answered", function()
    local entered, leave = handoff.unique("entered"), handoff.unique("leave")
    local s = runs.new("service")
    -- A fork uses up the memory, so there is a collection between its end and
    -- its answer, which runs the finalizer.
    local pool = mtstates.pool({n = 2, tasks = 1, memory = 3e7}, function()
      local gates, mt = require "handoff", require "mtstates"
      local on_collect = require "on_collect"
      local function stay(here, go_on)
        on_collect(function()
          local co, is_main = coroutine.running()
          if co and not is_main then -- the fork has not ended
            return stay(here, go_on)
          end
          gates.add(here)
          gates.wait(go_on, 1)
        end)
      end
      return {
        ask = function(other)
          other:await("")
        end,
        fork = function(here, go_on)
          stay(here, go_on)
          mt.fork(string.rep, "x", 2e7):await()
        end,
        nothing = function()
          return "nothing"
        end,
      }
    end)
    local future = s:async([[
      local pool, me, entered, leave = ...
      local result
      local asked = pool:async("ask", me)
      local forked = pool:async("fork", entered, leave)
      gates.wait(entered, 1)
      table.sort({1, 2}, function(a, b)
        result = result or {pcall(pool.await, pool, "nothing")}
        return a < b
      end)
      gates.set(leave, 1)
      pcall(forked.await, forked)
      return tostring(result[2])
    ]], pool, s, entered, leave)
    handoff.wait(entered, 1)
    helpers.wait_until(function()
      return future:ready() or pool:stats().queue > 0
    end)
    handoff.set(leave, 1)
    assert.equals("nothing", future:await())
    pool:close(20)
    s:close()
  end)

  it("is no wait for room of another task when a request is about to be " ..
     "answered", function()
    local entered, leave = handoff.unique("entered"), handoff.unique("leave")
    local go, promise = mtstates.promise()
    -- Nothing runs after the request has got so much memory, and nothing is
    -- collected before it has ended.
    local s = mtstates.newstate({memory = 3e7}, function(source, here, go_on)
      local gates = require "handoff"
      collectgarbage("stop")
      require "on_collect"(function()
        gates.enter(here, go_on, 1)
      end)
      return {
        await = source.await,
        fill = function(other)
          other:send("")
          other:send("")
        end,
      }
    end, go, entered, leave)
    local other = runs.new("service", {queue = 1})
    local begin = handoff.unique("begin")
    local ending = s:async("await", go)
    wait_suspended(s, "an answer")
    local future = other:async([[
      local begin, ending = ...
      local result
      local function ask()
        local text = ending:await()
        return #text
      end
      gates.add(begin)
      gates.wait(begin, 2)
      table.sort({1, 2}, function(a, b)
        result = result or {pcall(ask)}
        return a < b
      end)
      return tostring(result[2])
    ]], begin, ending)
    handoff.wait(begin, 1)
    s:send("fill", other)
    wait_suspended(s, "room")
    promise:set(("x"):rep(2e7))
    handoff.wait(entered, 1)
    handoff.set(begin, 2)
    helpers.wait_until(function()
      local text = future:ready() or other:traceback()
      return text == true or text and text:find("^[^\n]*\n\t%[C%]") ~= nil
    end)
    handoff.set(leave, 1)
    assert.equals("20000000", future:await())
    s:close()
    other:close()
  end)

  it("is no fork where tasks = 1, which keeps nothing", function()
    local s, other = runs.new("service", {tasks = 1}), runs.new("service")
    local go, promise = mtstates.promise()
    local asked = runs.suspend(other, "local s, go = ... go:await() " ..
      [[return (s:await("return 'in'"))]], s, go)
    s:await("local f = ... mt.fork(function() f:await() end)", asked)
    wait_suspended(s, "an answer")
    local entered, leave = handoff.unique("entered"), handoff.unique("leave")
    local busy = threads.start(function(id, ...)
      return require "mtstates".state(id):call("gates.enter(...)", ...)
    end, s:id(), entered, leave, 1)
    handoff.wait(entered, 1)
    promise:set()
    helpers.wait_until(function()
      return asked:ready() or s:stats().queue == 1
    end)
    handoff.set(leave, 1)
    assert.equals("in", asked:await())
    busy:results()
    s:close()
    other:close()
  end)

  -- Calls and forks begin nevertheless. Each code waits for one, which begins
  -- when the call that makes it has ended.
  for what, code in pairs({
    ["a fork"] = "local f = box:call() return f:await()",
    ["a call of a pool"] = "return pool:call('return 1')",
  }) do
    it("is no wait for room that does not keep " .. what .. " from beginning",
      function()
        local other = runs.new("service", {queue = 1})
        local pool = mtstates.pool({n = 1}, runs.setup)
        local box = mtstates.newstate({}, function()
          local kept
          return function(future)
            kept = future or kept
            return kept, true
          end
        end)
        local gate = handoff.unique()
        local future = other:async([[
          local gate, pool, box = ...
          local result
          gates.enter(gate, gate, 3)
          table.sort({1, 2}, function(a, b)
            result = result or {pcall(function()
              ]] .. code .. [[
            end)}
            return a < b
          end)
          return tostring(result[2])
        ]], gate, pool, box)
        handoff.wait(gate, 1)
        pool:send("local other = ... other:send('') other:send('')", other)
        local member = mtstates.state(pool:stats().members[1].id)
        wait_suspended(member, "room")
        local busy = threads.start(function(id, ...)
          return require "mtstates".state(id):call([[
            local id, gate = ...
            mt.state(id):call(mt.fork(function() return 1 end))
            gates.enter(gate, gate, 4)
          ]], ...)
        end, member:id(), box:id(), gate)
        handoff.wait(gate, 2)
        handoff.set(gate, 3)
        helpers.wait_until(function()
          local text = future:ready() or other:traceback()
          return text == true or text and text:find("^[^\n]*\n\t%[C%]") ~= nil
        end)
        handoff.set(gate, 4)
        assert.equals("1", future:await())
        busy:results()
        pool:close(20)
        other:close()
        box:close()
      end)
  end

  describe("by the task of a notice", function()
    before_each(runs.drop_log)
    after_each(runs.restore_log)

    -- A service whose notices await some futures; and a notifier.
    local function open(options)
      local s = mtstates.newstate(options, function()
        local futures
        return function(list)
          if list then
            futures = list
            return "nothing"
          end
          for i = 1, #futures do
            futures[i]:await()
          end
        end
      end)
      return s, capidriver.notifier(s)
    end

    it("is told to who waits for the state that it keeps", function()
      local s, n = open({tasks = 1})
      local other = runs.new("service")
      local go, promise = mtstates.promise()
      local asked = runs.suspend(other,
        "local s, go = ... go:await() return (s:await({}))", s, go)
      s:call({asked})
      assert.equals(0, n:notify())
      wait_suspended(s, "an answer")
      promise:set()
      helpers.wait_until(function() return asked:ready() end)
      assert.is_true(is_deadlock(pcall(asked.await, asked)))
      n:release()
      s:close()
      other:close()
    end)

    it("is told to itself", function()
      local s, n = open({tasks = 1})
      local other = runs.new("service")
      local first, promise = mtstates.promise()
      local second, other_promise = mtstates.promise()
      local asked = runs.suspend(other,
        "local s, go = ... go:await() return (s:await({}))", s, second)
      s:call({first, asked})
      assert.equals(0, n:notify())
      wait_suspended(s, "an answer")
      other_promise:set()
      helpers.wait_until(function() return s:stats().queue == 1 end)
      promise:set()
      helpers.wait_until(function() return asked:ready() end)
      assert.equals("nothing", asked:await())
      n:release()
      s:close()
      other:close()
    end)

    it("is told to who waits for a state where it waits for room", function()
      local other = mtstates.newstate({queue = 1}, runs.setup)
      local s = mtstates.newstate({}, function(to)
        local mt = require "mtstates"
        return function(x)
          if not x then
            mt.fork(mt.sleep, 1000) -- is suspended later
            to:send("")
            to:send("")
          end
        end
      end, other)
      local n = capidriver.notifier(s)
      local entered, leave = handoff.unique("entered"), handoff.unique("leave")
      local future = other:async([[
        local s, entered, leave = ...
        local result
        gates.enter(entered, leave, 1)
        table.sort({1, 2}, function(a, b)
          result = result or {pcall(s.await, s, 1)}
          return a < b
        end)
        return result[1], tostring(result[2])
      ]], s, entered, leave)
      handoff.wait(entered, 1)
      assert.equals(0, n:notify())
      wait_suspended(s, "room")
      handoff.set(leave, 1)
      helpers.wait_until(function() return future:ready() end)
      assert.is_true(is_deadlock(future:await()))
      n:release()
      s:close()
      other:close()
    end)
  end)
end)
