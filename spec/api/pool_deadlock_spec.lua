-- Deadlocks with pools: a wait for a pool is hopeless only if all members are.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local runs = require "runs"
local tasks = require "tasks"
local threads = require "threads"

-- Thread: calls the state with that id to run the code.
local function caller(id, ...)
  local s = require "mtstates".state(id)
  return pcall(s.call, s, ...)
end

local function is_deadlock(ok, err)
  return not ok and tostring(err):find("mtstates.error.deadlock", 1, true)
    ~= nil
end

describe("a wait for a pool", function()
  before_each(helpers.watch("deadlock of pools"))
  after_each(helpers.unwatch)

  local function new_pool(n, options)
    options = options or {}
    options.n = n
    return mtstates.pool(options, tasks.setup)
  end

  local function new_state()
    return mtstates.newstate({}, tasks.setup)
  end

  it("is a deadlock if all members wait for who waits", function()
    for n = 1, 4 do
      for _, way in ipairs({"call", "await"}) do
        local pool, s = new_pool(n), new_state()
        local gate, waiting = handoff.unique(), {}
        local go = handoff.unique("go")
        local code = [[
          local s, gate, go = ...
          s = mt.state(s)
          gates.enter(gate, go, 1)
          return s:call("return 1")
        ]]
        for i = 1, n do
          waiting[i] = threads.start(caller, pool:id(), code, nil, s:id(),
            gate, go)
        end
        handoff.wait(gate, n)
        local last = threads.start(caller, s:id(), [[
          local pool, way, gate = ...
          pool = mt.state(pool)
          gates.enter(gate, gate, 100)
          return pcall(pool[way], pool, "return 1")
        ]], nil, pool:id(), way, gate)
        handoff.wait(gate, n + 1)
        handoff.set(go, 1)
        for i = 1, n do
          waiting[i]:wait_asleep()
        end
        handoff.set(gate, 100)
        local _, ok, caught, err = last:join()
        assert.is_true(ok)
        assert.is_true(is_deadlock(caught, err), tostring(err))
        for i = 1, n do
          assert.same({true, true, 1}, {waiting[i]:join()})
        end
        s:close()
        pool:close()
      end
    end
  end)

  it("is none if one member is going to be free", function()
    for n = 2, 4 do
      for _, way in ipairs({"call", "await"}) do
        local pool, s = new_pool(n), new_state()
        local gate, waiting = handoff.unique(), {}
        local stop = handoff.unique("stop")
        for i = 1, n - 1 do
          waiting[i] = threads.start(caller, pool:id(), [[
            local s, gate = ...
            s = mt.state(s)
            gates.enter(gate, gate, 100)
            return s:call("return 1")
          ]], nil, s:id(), gate)
        end
        handoff.wait(gate, n - 1)
        local free = tasks.begin(pool, "work((...))", stop)
        local last = threads.start(caller, s:id(), [[
          local pool, way, gate = ...
          pool = mt.state(pool)
          gates.set(gate, 100)
          return pool[way](pool, "return 2")
        ]], nil, pool:id(), way, gate)
        handoff.wait(gate, 100)
        for i = 1, n - 1 do
          waiting[i]:wait_asleep()
        end
        last:wait_asleep()
        handoff.set(stop, 1)
        free:await()
        assert.same({true, true, 2}, {last:join()})
        for i = 1, n - 1 do
          assert.same({true, true, 1}, {waiting[i]:join()})
        end
        s:close()
        pool:close()
      end
    end
  end)

  -- Whichever that is: the search must not take it for another one.
  it("is none if one of many members is going to be free", function()
    local n = 40
    local pool = mtstates.pool({n = n, tasks = 1}, runs.setup)
    local s = runs.new("service")
    for i = 1, 20 do
      local free, promise = mtstates.promise()
      local entered, leave = handoff.unique("entered"), handoff.unique("leave")
      local last = s:async([[
        local pool, entered, leave = ...
        local result
        gates.enter(entered, leave, 1)
        table.sort({1, 2}, function(a, b)
          result = result or {pcall(pool.await, pool, "return 'free'")}
          return a < b
        end)
        return tostring(result[2])
      ]], pool, entered, leave)
      handoff.wait(entered, 1)
      local futures = {}
      for j = 1, n do
        futures[j] = pool:async(j == 2 * i and "return ((...):await())" or
          "local f, s = ... return (s:await('return 1'))", free, s)
      end
      helpers.wait_until(function()
        return pool:stats().tasks == n and s:stats().queue == n - 1
      end)
      handoff.set(leave, 1)
      helpers.wait_until(function()
        return last:ready() or pool:stats().queue == 1
      end)
      promise:set("freed")
      assert.equals("free", last:await())
      for j = 1, n do
        assert.equals(j == 2 * i and "freed" or 1, futures[j]:await())
      end
    end
    pool:close()
    s:close()
  end)

  it("is a deadlock if there are many members, too", function()
    local n = 150
    local pool, door = new_pool(n, {tasks = 1}), new_state()
    local futures, deadlocks = {}, 0
    door:call("f, p = mt.promise()")
    for i = 1, n do
      futures[i] = pool:async([[
        local pool, door = ...
        door:await("return f")
        return pcall(pool.await, pool, "return 1")
      ]], nil, pool, door)
    end
    helpers.wait_until(function() return pool:stats().tasks == n end)
    door:call("p:set(1)")
    for i = 1, n do
      local ok, err = futures[i]:await()
      deadlocks = deadlocks + (ok and 0 or 1)
      assert.is_true(ok or is_deadlock(ok, err), tostring(err))
    end
    assert.equals(1, deadlocks)
    pool:close()
    door:close()
  end)

  it("is a deadlock if the tasks of all members wait for it", function()
    for n = 1, 3 do
      local pool = new_pool(n, {tasks = 1})
      local gate, futures = handoff.unique(), {}
      for i = 1, n do
        futures[i] = pool:async([[
          local pool, gate, n = ...
          gates.enter(gate, gate, n)
          return pcall(pool.await, pool, "return 1")
        ]], nil, pool, gate, n)
      end
      local deadlocks = 0
      for i = 1, n do
        local ok, err = futures[i]:await()
        deadlocks = deadlocks + (ok and 0 or 1)
        assert.is_true(ok or is_deadlock(ok, err), tostring(err))
      end
      assert.equals(1, deadlocks)
      pool:close()
    end
  end)

  it("is none if tasks may be suspended", function()
    local pool = new_pool(2)
    local futures = {}
    for i = 1, 50 do
      futures[i] = pool:async([[
        local pool, n = ...
        local function descend(pool, n)
          return n == 0 and "deep" or pool:await("return 'deep'")
        end
        local found = descend(pool, n)
        return found
      ]], nil, pool, i)
    end
    for i = 1, 50 do
      assert.equals("deep", futures[i]:await())
    end
    pool:close()
  end)

  it("is none if it has a timeout", function()
    local pool, s = new_pool(1), new_state()
    local gate = handoff.unique()
    local waiting = threads.start(caller, pool:id(), [[
      local s, gate = ...
      s = mt.state(s)
      gates.enter(gate, gate, 2)
      return s:call("return 1")
    ]], nil, s:id(), gate)
    handoff.wait(gate, 1)
    assert.same({true, false}, {threads.start(caller, s:id(), [[
      local pool, gate = ...
      pool = mt.state(pool)
      gates.add(gate)
      return pool:tcall(0.05, "return 1")
    ]], nil, pool:id(), gate):results()})
    assert.same({true, 1}, {waiting:results()})
    s:close()
    pool:close()
  end)

  it("is a deadlock through two pools", function()
    local one, two = new_pool(2, {tasks = 1}), new_pool(2, {tasks = 1})
    local gate, futures = handoff.unique(), {}
    for i = 1, 4 do
      local pool, other = one, two
      if i > 2 then
        pool, other = two, one
      end
      futures[i] = pool:async([[
        local other, gate = ...
        gates.enter(gate, gate, 4)
        return pcall(other.await, other, "return 1")
      ]], nil, other, gate)
    end
    local deadlocks = 0
    for i = 1, 4 do
      local ok, err = futures[i]:await()
      assert.is_true(ok or is_deadlock(ok, err), tostring(err))
      deadlocks = deadlocks + (ok and 0 or 1)
    end
    assert.is_true(deadlocks >= 1, tostring(deadlocks))
    one:close()
    two:close()
  end)

  it("is none where all waits lead to who goes on", function()
    local leaf, low, high = new_state(), new_pool(2), new_pool(3)
    local running = {}
    for i = 1, 6 do
      running[i] = threads.start(function(seed, leaf_id, low_id, high_id)
        local mt, h = require "mtstates", require "helpers"
        local random = h.random(seed)
        local top, ways = mt.state(high_id), {"call", "await"}
        for _ = 1, 300 do
          local result = top[ways[random(2)]](top, [[
            local low, leaf, way, way_on = ...
            low = mt.state(low)
            local result = low[way](low, [=[
              local leaf, way = ...
              leaf = mt.state(leaf)
              local result = leaf[way](leaf, "return 'leaf'")
              return result
            ]=], nil, leaf, way_on)
            return result
          ]], nil, low_id, leaf_id, ways[random(2)], ways[random(2)])
          if result ~= "leaf" then error(result) end
        end
      end, i, leaf:id(), low:id(), high:id())
    end
    for i = 1, 6 do
      running[i]:results()
    end
    high:close()
    low:close()
    leaf:close()
  end)

  it("follows tasks that wait for room only where requests begin",
  function()
    local full = mtstates.newstate({queue = 1, tasks = 1}, tasks.setup)
    local pool = new_pool(1)
    local ready = handoff.unique("ready")
    local go, answer = mtstates.promise()
    local holder = full:async("return (...):await()", nil, go)
    full:send("")
    local waits = pool:async([[
      local full, g = ...
      gates.add(g)
      full:send("")
    ]], nil, full, ready)
    handoff.wait(ready, 1)
    assert.equals("in", pool:call("return 'in'"))
    local later = pool:async("return 'late'")
    answer:set(1)
    holder:await()
    waits:await()
    assert.equals("late", later:await())
    full:close()
    pool:close()
  end)

  it("is a deadlock if tasks of all members wait for room where it waits",
  function()
    for n = 1, 2 do
      local full = mtstates.newstate({queue = 1, tasks = 1}, tasks.setup)
      local pool = new_pool(n)
      local ready = handoff.unique("ready")
      local go, answer = mtstates.promise()
      local holder = full:async([[
        local go, pool = ...
        go:await()
        local found = pool:await("return 1")
        return found
      ]], nil, go, pool)
      full:send("")
      local waits = {}
      for i = 1, n do
        waits[i] = pool:async([[
          local full, g, n = ...
          gates.enter(g, g, n)
          full:send("")
        ]], nil, full, ready, n)
      end
      handoff.wait(ready, n)
      helpers.wait_until(function() -- one of them does
        return pool:tcall(0, "")
      end)
      answer:set(1)
      local deadlocks = 0
      for _, future in ipairs({holder, helpers.unpack(waits)}) do
        local ok, err = pcall(future.await, future)
        assert.is_true(ok or is_deadlock(ok, err), tostring(err))
        deadlocks = deadlocks + (ok and 0 or 1)
      end
      assert.equals(1, deadlocks)
      full:close()
      pool:close()
    end
  end)
end)
