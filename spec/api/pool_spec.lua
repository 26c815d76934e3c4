-- mtstates.pool: what makes a pool, its members, and how they share requests.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"

-- Setup: the callback gives the id of the member and what it was given.
local function identify()
  local mt = require "mtstates"
  return function(...)
    return mt.id(), ...
  end
end

describe("mtstates.pool", function()
  before_each(helpers.watch("pool"))
  after_each(helpers.unwatch)

  it("makes as many members as it is told, or as there are workers",
  function()
    for n, pool in pairs({
      [mtstates.workers()] = mtstates.pool(identify),
      [3] = mtstates.pool(3, identify),
      [4] = mtstates.pool({n = 4}, identify),
      [1] = mtstates.pool("named", 1.0, identify),
    }) do
      assert.equals(n, #pool:stats().members)
      assert.is_true(pool:isowner())
      pool:close()
    end
    for _, first in ipairs({{}, "nil"}) do
      local pool = first == "nil" and mtstates.pool(nil, nil, identify)
        or mtstates.pool(first, identify)
      assert.equals(mtstates.workers(), #pool:stats().members)
      pool:close()
    end
  end)

  it("runs each setup in the caller, one after the other", function()
    local box = handoff.unique("setups")
    local pool = mtstates.pool(3, function(mailbox, list)
      local gates, mt = require "handoff", require "mtstates"
      gates.put(mailbox, mt.id(), gates.tid(), list[1])
      list[1] = "changed"
      return function() return list[1] end, "a further result"
    end, box, {"value"})
    local before = pool:id()
    for _ = 1, 3 do
      local id, tid, value = handoff.take(box)
      assert.is_true(id > before)
      assert.equals(handoff.tid(), tid)
      assert.equals("value", value)
      before = id
    end
    assert.equals("changed", pool:call())
    pool:close()
  end)

  it("is a service: deep values, functions by name, upvalues", function()
    local factor = 3
    local pool = mtstates.pool(2, helpers.with_globals(function()
      return {
        times = function(list) return {list[1] * factor} end,
        fail = function(value) error(value) end,
      }
    end))
    assert.same({6}, pool:call("times", {2}))
    assert.same({6}, pool:await("times", {2}))
    local ok, err = pcall(pool.await, pool, "fail", {code = 404})
    assert.same({false, 404}, {ok, err.code})
    pool:close()
  end)

  it("closes all and raises the first error of a setup", function()
    local gate = handoff.unique("closed")
    local err = helpers.raises_error("invoking_state", mtstates.pool, "failed",
      3, function(g)
        local gates = require "handoff"
        guard = require "on_collect"( -- luacheck: ignore
          function() gates.add(g) end)
        if gates.add(g .. "made") == 2 then
          error("the second one")
        end
        return function() end
      end, gate)
    assert.truthy(err:find("the second one", 1, true), err)
    assert.equals(2, handoff.get(gate))
    assert.equals(2, handoff.get(gate .. "made"))
    helpers.raises_error("unknown_object", mtstates.state, "failed")
    helpers.raises_error("state_result", mtstates.pool, 2, "return 1")
    for quitting = 1, 3 do
      helpers.raises_error("object_closed", mtstates.pool, "failed", 3,
        function(g, last)
          if require "handoff".add(g) == last then
            require "mtstates".quit()
          end
          return function() end
        end, handoff.unique("quits"), quitting)
      helpers.raises_error("unknown_object", mtstates.state, "failed")
    end
  end)

  it("refuses other arguments", function()
    local function bad(position, expected, ...)
      local arguments = helpers.pack(...)
      helpers.bad_argument(position, "pool", expected, function()
        local pool = mtstates.pool(helpers.unpack(arguments, 1, arguments.n))
        pool:close()
      end)
    end
    bad(1, "lua function expected, got no value")
    bad(2, "lua function expected", 2)
    bad(2, "lua function expected", 2, 3)
    bad(2, "lua function expected", "name", true)
    bad(1, "positive integer expected, got 0", 0, "return print")
    bad(1, "positive integer expected, got 1.5", 1.5, "return print")
    bad(2, "positive integer expected, got -1", "name", -1, "return print")
    bad(1, "option 'n': positive integer expected, got 0", {n = 0},
      "return print")
    bad(1, "option 'n': positive integer expected, got string", {n = "1"},
      "return print")
    bad(1, "option 'own_thread'", {own_thread = 1}, "return print")
    bad(1, "option 'size' is unknown", {size = 1}, "return print")
    bad(1, "option 'queue'", {queue = 0}, "return print")
    bad(1, "near 'y'", "x y z")
    bad(2, "near 'y'", 2, "x y z")
    bad(3, "thread", 2, helpers.with_globals(function() end),
      coroutine.create(function() end))
    bad(1, "option 'name' is unknown", {name = "x"}, "return print")
  end)

  it("is found by its name, its members by their ids", function()
    local pool = mtstates.pool("by name", 3, identify)
    assert.equals("by name", pool:name())
    assert.is_true(mtstates.state("by name") == pool)
    assert.is_true(mtstates.state(pool:id()) == pool)
    assert.truthy(tostring(pool):find('name="by name"', 1, true))
    for _, member in ipairs(pool:stats().members) do
      local s = mtstates.state(member.id)
      assert.is_nil(s:name())
      assert.is_false(s == pool)
      assert.equals(member.id, (s:call()))
      assert.equals(member.id, (s:await()))
    end
    pool:close()
  end)

  it("crosses by reference", function()
    local pool = mtstates.pool(2, identify)
    local s = mtstates.newstate({}, function()
      return function(other) return other, other:await("x") end
    end)
    local same, _, x = s:call(pool)
    assert.is_true(same == pool)
    assert.is_false(same:isowner())
    assert.equals("x", x)
    assert.is_true(same:own():isowner())
    s:close()
    pool:close()
  end)

  it("runs requests of all kinds, each once", function()
    local pool = mtstates.pool(3, function()
      local gates = require "handoff"
      return function(gate, ...)
        gates.add(gate)
        return ...
      end
    end)
    local gate, futures = handoff.unique(), {}
    for i = 1, 200 do
      pool:send(gate)
      assert.is_true(pool:tsend(60, gate))
      futures[i] = pool:async(gate, i)
      assert.equals(i, pool:await(gate, i))
      assert.same({true, i}, {pool:tawait(60, gate, i)})
    end
    for i, future in ipairs(futures) do
      assert.equals(i, future:await())
    end
    local count = 0
    for _, same in pool:map(gate, (function()
      local i = 0
      return function() i = i < 300 and i + 1 or nil return i end
    end)()) do
      count = count + 1
      assert.equals(count, same)
    end
    assert.is_true(pool:close(60))
    assert.equals(1300, handoff.get(gate))
  end)

  it("begins the requests of one sender in their order", function()
    local pool = mtstates.pool(2, function()
      local count, last, wrong = 0, 0, 0
      return function(n)
        if n then
          count, wrong = count + 1, n > last and wrong or wrong + 1
          last = n
        end
        return count, wrong
      end
    end)
    for i = 1, 500 do
      pool:send(i)
    end
    helpers.wait_until(function()
      local stats = pool:stats()
      return stats.queue + stats.tasks == 0
    end)
    local sum = 0
    for _, member in ipairs(pool:stats().members) do
      local count, wrong = mtstates.state(member.id):call()
      assert.equals(0, wrong)
      sum = sum + count
    end
    assert.equals(500, sum)
    pool:close()
  end)

  it("has members run at the same time", function()
    local pool = mtstates.pool(3, tasks.setup)
    local gate, futures = handoff.unique("all"), {}
    for i = 1, 3 do
      futures[i] = pool:async(
        "local g = ... gates.enter(g, g, 3)", nil, gate)
    end
    for i = 1, 3 do
      futures[i]:await()
    end
    pool:close()
  end)

  it("lets no request wait for a member that computes", function()
    local pool = mtstates.pool(2, tasks.setup)
    local stop = handoff.unique("stop")
    local busy = tasks.begin(pool, "work((...))", stop)
    for i = 1, 100 do
      assert.equals(i, pool:await("return (...)", nil, i))
    end
    handoff.set(stop, 1)
    busy:await()
    pool:close()
  end)

  it("lets no request wait for a member that is called directly",
  function()
    local pool = mtstates.pool(2, helpers.gated)
    local members = pool:stats().members
    for i = #members, 1, -1 do -- the last one is the first to be asked
      local s = mtstates.state(members[i].id)
      local held = require "threads".hold(s)
      for _ = 1, 20 do
        local open = handoff.unique("open")
        handoff.set(open, 1)
        pool:await(handoff.unique(), open)
        local list = {}
        for k = 1, 10 do
          list[k] = pool:async(handoff.unique(), open)
        end
        for k = 1, 10 do
          list[k]:await()
        end
      end
      held:release()
    end
    pool:close()
  end)

  it("lets no request wait for a member that was sent one directly",
  function()
    local pool = mtstates.pool(3, tasks.setup)
    for _ = 1, 20 do -- who has answered last is the first to be asked
      local s = mtstates.state(pool:await("return mt.id()"))
      local entered, leave = handoff.unique(), handoff.unique()
      local held = s:async("gates.enter(...)", nil, entered, leave, 1)
      handoff.wait(entered, 1)
      assert.equals(1, pool:await("return 1"))
      handoff.set(leave, 1)
      held:await()
    end
    pool:close()
  end)

  it("limits the queue of the pool, and the tasks of each member",
  function()
    local pool = mtstates.pool({n = 2, queue = 3, tasks = 1}, tasks.setup)
    local ready, go, answer = handoff.unique("ready"), mtstates.promise()
    local futures = {}
    for i = 1, 2 do
      futures[i] = pool:async(
        "local g, f = ... gates.add(g) return f:await()", nil, ready, go)
    end
    handoff.wait(ready, 2)
    for i = 3, 5 do
      futures[i] = pool:async("return 'late'")
    end
    assert.is_false(pool:tsend(0, "return"))
    local stats = pool:stats()
    assert.same({3, 2}, {stats.queue, stats.tasks})
    answer:set("answer")
    for i = 1, 5 do
      assert.equals(i < 3 and "answer" or "late", futures[i]:await())
    end
    pool:close()
  end)

  it("counts nothing that its members send to it", function()
    local pool = mtstates.pool({n = 2, queue = 1}, tasks.setup)
    local gate = handoff.unique("done")
    pool:await([[
      local g, pool = ...
      for i = 1, 50 do pool:send("gates.add((...))", nil, g) end
    ]], nil, gate, pool)
    handoff.wait(gate, 50)
    pool:close()
  end)

  it("passes a member by whose task waits for room", function()
    local full = mtstates.newstate({queue = 1}, helpers.gated)
    local release = requests.hold(full)
    full:send(handoff.unique(), "open")
    local pool = mtstates.pool(2, tasks.setup)
    local ready = handoff.unique("ready")
    local waits = pool:async([[
      local g, full, gate = ...
      gates.add(g)
      full:send(gate, "open")
    ]], nil, ready, full, handoff.unique())
    handoff.wait(ready, 1)
    for i = 1, 50 do
      assert.equals(i, pool:await("return (...)", nil, i))
    end
    handoff.set("open", 1)
    release()
    waits:await()
    full:close()
    pool:close()
  end)

  it("resumes a task in the member that it began in", function()
    local pool = mtstates.pool(3, tasks.setup)
    local futures = {}
    for i = 1, 60 do
      futures[i] = pool:async([[
        local before = mt.id()
        for i = 1, 5 do mt.sleep(0) end
        return before, mt.id()
      ]])
    end
    for i = 1, 60 do
      local before, after = futures[i]:await()
      assert.equals(before, after)
    end
    pool:close()
  end)

  it("cancels requests that wait, run, or are suspended", function()
    local pool = mtstates.pool(1, tasks.setup)
    local running = tasks.begin(pool, "work()")
    local waiting = pool:async("return 1")
    assert.is_true(waiting:cancel())
    helpers.raises_error("cancelled", waiting.await, waiting)
    assert.is_true(running:cancel())
    helpers.raises_error("cancelled", running.await, running)
    local suspended = tasks.begin(pool, "enter() mt.sleep(1000)")
    pool:await("")
    assert.is_true(suspended:cancel())
    helpers.raises_error("cancelled", suspended.await, suspended)
    local deferred = pool:async("return (mt.promise())")
    local never = pool:async("local f, p = mt.promise() keep = p return f")
    pool:await("collectgarbage() collectgarbage()")
    helpers.raises_error("abandoned", deferred.await, deferred)
    assert.is_true(never:cancel())
    helpers.raises_error("cancelled", never.await, never)
    pool:await("keep:set()")
    pool:close()
  end)

  it("interrupts all members", function()
    local pool = mtstates.pool(2, tasks.setup)
    local one, two = tasks.begin(pool, "work()"), tasks.begin(pool, "work()")
    pool:interrupt()
    helpers.raises_error("invoking_state", one.await, one)
    helpers.raises_error("invoking_state", two.await, two)
    pool:interrupt(true)
    helpers.raises_error("invoking_state", pool.await, pool,
      "while true do end")
    pool:interrupt(false)
    assert.equals(1, pool:await("return 1"))
    pool:close()
    helpers.raises_error("object_closed", pool.interrupt, pool)
  end)

  it("tells its stats, and those of its members", function()
    local pool = mtstates.pool("pool stats", {n = 2}, helpers.gated)
    local one, two = requests.hold(pool), requests.hold(pool)
    local open = handoff.unique("open")
    for _ = 1, 3 do
      pool:send(handoff.unique(), open)
    end
    local stats = pool:stats()
    assert.same({pool:id(), "pool stats", 1, 3, 2}, {stats.id, stats.name,
      stats.owners, stats.queue, stats.tasks})
    assert.equals(2, #stats.members)
    for _, member in ipairs(stats.members) do
      assert.same({1, 0, 1}, {member.owners, member.queue, member.tasks})
    end
    handoff.set(open, 1)
    one()
    two()
    assert.is_true(pool:close(60))
    helpers.raises_error("object_closed", pool.stats, pool)
  end)

  it("can have members with threads of their own", function()
    local pool = mtstates.pool({n = 3, own_thread = true}, tasks.setup)
    local gate, futures, tids, count = handoff.unique("all"), {}, {}, 0
    for i = 1, 3 do
      futures[i] = pool:async([[
        local g = ...
        gates.enter(g, g, 3)
        return gates.tid()
      ]], nil, gate)
    end
    for i = 1, 3 do
      tids[futures[i]:await()] = true
    end
    for _ in pairs(tids) do
      count = count + 1
    end
    assert.equals(3, count)
    for _ = 1, 50 do
      assert.is_true(tids[pool:call("return gates.tid()")])
      assert.is_true(select(2, pool:tcall(60, "return true")))
    end
    local stop = handoff.unique("stop")
    for i = 1, 3 do
      futures[i] = tasks.begin(pool, "work((...))", stop)
    end
    assert.is_false(pool:tcall(0, "return"))
    assert.is_false(pool:tcall(0.01, "return"))
    handoff.set(stop, 1)
    for i = 1, 3 do
      futures[i]:await()
    end
    assert.equals("nested", pool:call([[
      local pool = ...
      return (pool:call("return 'nested'"))
    ]], nil, pool))
    for _ = 1, 100 do
      pool:send("gates.add((...))", nil, gate)
    end
    assert.is_true(pool:close(60))
    assert.equals(103, handoff.get(gate))
    for tid in pairs(tids) do
      helpers.wait_until(function() return tasks.is_gone(tid) end)
    end
  end)

  it("can be the logger", function()
    local box = handoff.unique("log")
    local pool = mtstates.pool(2, function(mailbox)
      local gates = require "handoff"
      return function(kind) gates.put(mailbox, kind) end
    end, box)
    mtstates.logger(pool)
    local s = mtstates.newstate({}, "return error")
    s:send("boom")
    assert.equals("error", handoff.take(box))
    mtstates.logger(nil)
    s:close()
    pool:close()
  end)

  it("does not log its own failures as the logger", function()
    local out, code = helpers.run_program([[
      local handoff, mtstates = require "handoff", require "mtstates"
      local pool = mtstates.pool(2, function()
        local gates = require "handoff"
        return function()
          gates.add("logged")
          error("in the logger", 0)
        end
      end)
      mtstates.logger(pool)
      mtstates.newstate({}, "return error"):send("boom")
      handoff.wait("logged", 1)
      print(pool:close(60), handoff.get("logged") == 1)
    ]])
    assert.truthy(out:find("true\ttrue\n$"), out)
    assert.equals(0, code)
  end)
end)
