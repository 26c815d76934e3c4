-- What states and the module tell about calls, queues and workers.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

-- Thread: calls the state with that id, and tells before that it does.
local function caller(gate, id)
  local s = require "mtstates".state(id)
  require "handoff".add(gate)
  return s:call()
end

-- Calls f, which makes a state and measures something, until that has been as
-- it should be twice more often than not: a thread of the module that helps to
-- measure can be kept from running. Each time f gives whether it was right,
-- and what it was.
local function measure(f)
  local wrong
  local balance = 0
  repeat
    local is_right, seen = f()
    balance = balance + (is_right and 1 or -1)
    wrong = is_right and wrong or seen
  until balance == 2 or balance == -3
  assert.is_true(balance > 0, wrong)
end

describe("stats of a state", function()
  before_each(helpers.watch("stats"))
  after_each(helpers.unwatch)

  it("tell what waits and what is under way", function()
    local s = mtstates.newstate("queue stats", {queue = 5}, helpers.gated)
    local function look(queue, under_way)
      local stats = s:stats()
      assert.same({s:id(), "queue stats", 1, queue, under_way}, {stats.id,
        stats.name, stats.owners, stats.queue, stats.tasks})
    end
    look(0, 0)
    local release = requests.hold(s)
    look(0, 1)
    s:send()
    s:tsend(1)
    local future = s:async()
    look(3, 1)
    release()
    future:await()
    helpers.wait_until(function() return s:stats().tasks == 0 end)
    look(0, 0)
    s:close()
    helpers.raises_error("object_closed", s.stats, s)
  end)

  it("count calls, and those that failed", function()
    for _, kind in ipairs(requests.kinds) do
      local s = requests.new(kind, function()
        local again = function(s, n) return s:call(n) end
        return function(n)
          if n == "nest" then
            local m = require "mtstates"
            return again(m.state(m.id()))
          elseif n == "thread" then
            return coroutine.create(again)
          end
          return n and error(n)
        end
      end)
      local calls, errors = 0, 0
      local function look(more, failed)
        local stats = s:stats()
        calls, errors = calls + more, errors + failed
        assert.same({calls, errors}, {stats.calls, stats.errors})
      end
      look(0, 0)
      for _ = 1, 200 do
        s:call()
      end
      look(200, 0)
      s:call("nest")
      look(2, 0)
      assert.is_true(s:tcall(0))
      assert.is_false(pcall(s.call, s, "one"))
      assert.is_false(pcall(s.call, s, "thread"))
      assert.is_false(pcall(s.call, s, io.stdout))
      look(3, 2)
      for _ = 1, 5 do
        s:await()
      end
      look(5, 0)
      assert.is_false(pcall(s.await, s, "two"))
      assert.is_false(pcall(s.await, s, "thread"))
      look(2, 2)
      s:close()
    end
  end)

  helpers.it_needs(
    pcall(mtstates.newstate, {memory = 1e8}, "return print"), "an allocator")(
    "count requests whose arguments need too much memory", function()
      local s = mtstates.newstate({memory = 2000000}, helpers.echo)
      local tables = {} -- take much less in a message
      for i = 1, 100000 do
        tables[i] = {}
      end
      helpers.raises_error("out_of_memory", s.await, s, tables)
      local stats = s:stats()
      assert.same({1, 1}, {stats.calls, stats.errors})
      s:close()
    end)

  it("count requests to an own thread and notices, but no forks", function()
    local s = mtstates.newstate({own_thread = true}, tasks.setup)
    s:call("")
    s:await("local f = mt.fork(error) pcall(f.await, f)")
    assert.is_false(pcall(s.await, s,
      "local f, p = mt.promise() p:fail('later') return f"))
    local stats = s:stats()
    assert.same({3, 0}, {stats.calls, stats.errors})
    s:close()
  end)

  it("do not count what was cancelled before it began", function()
    local s = mtstates.newstate({}, helpers.gated)
    local release = requests.hold(s)
    local future = s:async()
    assert.is_true(future:cancel())
    release()
    s:await()
    assert.same({2, 0}, {s:stats().calls, s:stats().errors})
    s:close()
  end)

  it("tell how long which thread runs code", function()
    local function look(kind)
      local s = requests.new(kind, helpers.gated)
      assert.is_nil(s:stats().busy)
      assert.is_nil(s:stats().thread)
      local before = mtstates.now()
      local holder = threads.hold(s)
      local first = s:stats()
      assert.is_true(first.busy >= 0)
      if first.thread then -- not on all systems
        assert.equals(holder:tid(), first.thread)
      end
      local after = mtstates.now()
      helpers.wait_until(function() return mtstates.now() > after + 0.05 end)
      local second = s:stats()
      local passed = mtstates.now() - before
      assert.is_true(second.busy >= 0.05)
      assert.is_true(second.time >= 0.05 and second.time > first.time)
      holder:release()
      assert.is_nil(s:stats().busy)
      assert.is_nil(s:stats().thread)
      local last = s:stats().time
      s:close()
      return second.busy <= passed + 0.02 and last >= second.time - 0.02,
        ("%f, %f of %f"):format(second.busy, last, passed)
    end
    for _, kind in ipairs(requests.kinds) do
      measure(function() return look(kind) end)
    end
  end)

  local function look_while_it_waits(options)
    local s = mtstates.newstate(options, tasks.setup)
    local entered, leave = handoff.unique("a"), handoff.unique("b")
    local go, answer = mtstates.promise()
    local future = s:async([[
      local entered, leave, go = ...
      gates.set(entered, 1)
      go:await()
      gates.set(entered, 2)
      gates.wait(leave, 1)
    ]], nil, entered, leave, go)
    handoff.wait(entered, 1)
    helpers.wait_until(function() return not s:stats().busy end)
    answer:set()
    handoff.wait(entered, 2)
    assert.is_true(s:stats().busy ~= nil)
    handoff.set(leave, 1)
    future:await()
    helpers.wait_until(function() return not s:stats().busy end)
    s:close()
  end

  it("tell of a task since it goes on, not while it waits", function()
    look_while_it_waits({})
    look_while_it_waits({tasks = 1})
  end)

  it("have no time of waits, also of a task that keeps the state", function()
    for _, options in ipairs({{}, {tasks = 1}}) do
      measure(function()
        local s = mtstates.newstate(options, tasks.setup)
        s:await("mt.sleep(0.2) mt.sleep(0)")
        local time = s:stats().time
        s:close()
        return time < 0.15, tostring(time)
      end)
    end
  end)

  it("sum up the time of calls, also of short ones", function()
    measure(function()
      local s = mtstates.newstate(helpers.gated)
      local time, passed
      local start = mtstates.now()
      repeat
        for _ = 1, 100 do
          s:call()
        end
        time = s:stats().time
        passed = mtstates.now() - start
      until time > 0.1 or time > passed + 0.02
      s:close()
      return time <= passed + 0.02, ("%f of %f"):format(time, passed)
    end)
  end)

  it("never tell less time than before", function()
    local s = mtstates.newstate({}, helpers.gated)
    local stop = handoff.unique("stop")
    local thread = threads.start(function(id, gate)
      local gates, state = require "handoff", require "mtstates".state(id)
      while gates.get(gate) == 0 do
        for _ = 1, 20 do
          state:call()
        end
      end
    end, s:id(), stop)
    local told, last = 0, 0
    while told < 20000 do
      local time = s:stats().time
      assert.is_true(time >= last)
      told, last = told + 1, time
    end
    handoff.set(stop, 1)
    thread:results()
    s:close()
  end)

  it("know the time of short calls that have pauses between", function()
    for _, how in ipairs({"call", "await"}) do
      measure(function()
        local s = mtstates.newstate({}, tasks.setup)
        local time = s:stats().time
        local used = 0
        for _ = 1, 20 do
          used = used + s[how](s, "local t = mt.now() repeat until " ..
            "mt.now() > t + 0.003 return mt.now() - t")
          mtstates.sleep(0.015)
        end
        time = s:stats().time - time
        s:close()
        return time >= 0.7 * used, ("%f of %f"):format(time, used)
      end)
    end
  end)

  it("know the time of a request when it is answered", function()
    measure(function()
      local s = mtstates.newstate({}, tasks.setup)
      s:await("local t = mt.now() + 0.1 repeat until mt.now() > t")
      local time = s:stats().time
      s:close()
      return time >= 0.08, time
    end)
  end)

  it("cost a program with one thread no other one", function()
    local output, status = helpers.run_program([[
      local s = require "mtstates".newstate("return function() end")
      for _ = 1, 1000 do
        s:call()
      end
      print(("%d"):format(require "handoff".thread_count()))
    ]])
    assert.same({"1\n", 0}, {output, status})
  end)

  it("count threads that wait to get in", function()
    for _, options in ipairs({false, {}, {own_thread = true}}) do
      local s = mtstates.newstate(nil, options, helpers.gated)
      local release = requests.hold(s)
      local gate, callers = handoff.unique(), {}
      for i = 1, 3 do
        callers[i] = threads.waiting(gate, caller, gate, s:id())
      end
      helpers.wait_until(function() return s:stats().waiting == 3 end)
      release()
      for i = 1, 3 do
        callers[i]:results()
      end
      assert.equals(0, s:stats().waiting)
      s:close()
    end
  end)

  it("of a pool are sums and list the members", function()
    local pool = mtstates.pool("pool stats", 2, helpers.gated)
    local one, two = threads.hold(pool), threads.hold(pool)
    local gate = handoff.unique()
    local third = threads.waiting(gate, caller, gate, pool:id())
    helpers.wait_until(function() return pool:stats().waiting == 1 end)
    local stats = pool:stats()
    assert.same({"pool stats", 2, 0, 1}, {stats.name, stats.calls,
      stats.errors, stats.owners})
    assert.is_nil(stats.thread)
    assert.equals(2, #stats.members)
    for _, member in ipairs(stats.members) do
      assert.same({1, 0}, {member.calls, member.waiting})
      assert.is_true(member.busy ~= nil and stats.busy ~= nil)
      assert.is_nil(member.name)
    end
    one:release()
    two:release()
    third:results()
    assert.equals(3, pool:stats().calls)
    assert.is_nil(pool:stats().busy)
    stats = pool:stats()
    for _, key in ipairs({"memory", "peak", "time", "calls"}) do
      local sum = 0
      for _, member in ipairs(stats.members) do
        sum = sum + member[key]
      end
      assert.is_true(sum > 0 and math.abs(stats[key] - sum) <= sum / 1e6, key)
    end
    pool:close()
    helpers.raises_error("object_closed", pool.stats, pool)
  end)

  it("of a pool tell for how long its longest call has been running",
     function()
    local pool = mtstates.pool(2, helpers.gated)
    local first, busy = threads.hold(pool), 0
    helpers.wait_until(function()
      busy = pool:stats().busy
      return busy > 0.005
    end)
    local second = threads.hold(pool)
    assert.is_true(pool:stats().busy >= busy)
    first:release()
    second:release()
    pool:close()
  end)

  it("of the module count requests and workers", function()
    measure(function() -- those of other specs can end meanwhile
      local s = mtstates.newstate({}, helpers.gated)
      local release = requests.hold(s)
      local before = mtstates.stats().requests
      s:send()
      s:send()
      local stats = mtstates.stats()
      assert.equals(mtstates.workers(), stats.workers)
      for _, key in ipairs({"replacements", "idle"}) do
        assert.is_true(stats[key] >= 0 and stats[key] % 1 == 0)
      end
      release()
      s:await()
      s:close()
      return stats.requests == before + 2 and stats.messages == 2,
        ("%d, %d, %d"):format(before, stats.requests, stats.messages)
    end)
  end)
end)

describe("looking at states", function()
  before_each(helpers.watch("looking"))
  after_each(helpers.unwatch)

  it("keeps nothing of those that are closed", function()
    local function look(count)
      for _ = 1, count do
        local s = mtstates.newstate(("s"):rep(5000), {}, helpers.echo)
        local pool = mtstates.pool(("p"):rep(5000), 2, helpers.echo)
        s:await()
        pool:await()
        for _, looked in ipairs({s, pool}) do
          looked:stats()
          looked:traceback()
        end
        mtstates.states()
        mtstates.stats()
        s:close()
        pool:close()
      end
      helpers.collect()
      return handoff.heap_bytes()
    end
    local grown = -look(40) + look(160)
    assert.is_true(grown < 500000, "grown by " .. grown)
  end)
end)

describe("mtstates.states", function()
  before_each(helpers.watch("states"))
  after_each(helpers.unwatch)

  local function listed()
    local found, list = {}, mtstates.states()
    for i, stats in ipairs(list) do
      assert.is_nil(found[stats.id])
      assert.is_true(i == 1 or list[i - 1].id < stats.id)
      found[stats.id] = stats
    end
    return found
  end

  it("lists them in the order of their making, whatever was closed between",
    function()
      local kept = {}
      for i = 1, 400 do
        local s = mtstates.newstate(nil, false, "return function() end")
        if i % 8 == 0 then
          kept[#kept + 1] = s
        else
          s:close()
        end
      end
      local found = listed()
      for _, s in ipairs(kept) do
        assert.equals(s:id(), found[s:id()].id)
        s:close()
      end
    end)

  it("lists all that are open, members with their pools", function()
    local classic = mtstates.newstate("listed", helpers.gated)
    local pool = mtstates.pool(3, helpers.gated)
    local closed = mtstates.newstate(helpers.gated)
    closed:close()
    classic:call()
    local found = listed()
    assert.is_nil(found[closed:id()])
    assert.same({"listed", 1}, {found[classic:id()].name,
      found[classic:id()].calls})
    assert.equals(3, #found[pool:id()].members)
    for _, member in ipairs(found[pool:id()].members) do
      assert.is_nil(found[member.id])
    end
    classic:close()
    pool:close()
    found = listed()
    assert.is_nil(found[classic:id()])
    assert.is_nil(found[pool:id()])
  end)

  it("shows a state from inside", function()
    local s = mtstates.newstate(function()
      local m = require "mtstates"
      return function()
        for _, stats in ipairs(m.states()) do
          if stats.id == m.id() then
            return stats.calls, stats.busy
          end
        end
      end
    end)
    local calls, busy = s:call()
    assert.equals(1, calls)
    assert.is_true(busy >= 0)
    s:close()
  end)
end)
