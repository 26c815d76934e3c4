local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("many threads", function()
  before_each(helpers.watch("threads"))
  after_each(helpers.unwatch)

  local function join_all(workers)
    local all = {}
    for i, worker in ipairs(workers) do
      all[i] = {worker:results()}
    end
    return all
  end

  it("that call one state are each counted exactly once", function()
    local s = mtstates.newstate(function()
      local count, busy = 0, false
      return function(n)
        if busy then
          error("two callers at once")
        end
        busy = true
        local before = count
        for _ = 1, 20 do
          count = before + n
        end
        busy = false
        return count
      end
    end)
    local workers = {}
    for i = 1, 8 do
      workers[i] = threads.start(function(id, first)
        local r = require "mtstates".state(id)
        local last = 0
        for n = 1, 500 do
          local seen
          if (n + first) % 5 == 0 then
            local ok
            ok, seen = r:tcall(math.huge, 1)
            if not ok then
              error("not called")
            end
          else
            seen = r:call(1)
          end
          if seen <= last then
            error("the count went back")
          end
          last = seen
        end
        return last
      end, s:id(), i)
    end
    local highest = 0
    for _, results in ipairs(join_all(workers)) do
      highest = math.max(highest, results[1])
    end
    assert.equals(4000, highest)
    assert.equals(4000, s:call(0))
  end)

  it("that look states up by name and id get the right ones", function()
    local states = {}
    for i = 1, 20 do
      states[i] = mtstates.newstate("threads lookup " .. i, false,
        "local i = ... return function() return i end", i)
    end
    local workers = {}
    for w = 1, 6 do
      workers[w] = threads.start(function(first_id)
        local mt = require "mtstates"
        for n = 1, 400 do
          local i = n % 20 + 1
          local s = mt.state("threads lookup " .. i)
          if s:call() ~= i or mt.state(s:id()):call() ~= i then
            error("wrong state")
          end
        end
        return mt.state(first_id):call()
      end, states[1]:id())
    end
    for _, results in ipairs(join_all(workers)) do
      assert.equals(1, results[1])
    end
  end)

  it("create, use and close states of their own", function()
    local workers = {}
    for w = 1, 4 do
      workers[w] = threads.start(function(number)
        local mt = require "mtstates"
        local sum = 0
        for n = 1, 40 do
          local s = mt.newstate("threads own", false,
            "return function(x) return 2 * x end")
          sum = sum + s:call(n)
          if n % 2 == 0 then
            s:close()
          end
        end
        return sum, number
      end, w)
    end
    for w, results in ipairs(join_all(workers)) do
      assert.same({1640, w}, results)
    end
    helpers.raises_error("unknown_object", mtstates.state, "threads own")
  end)

  it("share more states than there are threads", function()
    local states, ids = {}, {}
    for i = 1, 40 do
      states[i] = mtstates.newstate(false, [[
        local sum = 0
        return function(n) sum = sum + n return sum end
      ]])
      ids[i] = states[i]:id()
    end
    local workers = {}
    for w = 1, 4 do
      workers[w] = threads.start(function(...)
        local mt = require "mtstates"
        for _ = 1, 20 do
          for i = 1, select("#", ...) do
            mt.state((select(i, ...))):call(i)
          end
        end
      end, helpers.unpack(ids))
    end
    join_all(workers)
    for i = 1, 40 do
      assert.equals(80 * i, states[i]:call(0))
    end
  end)

  it("that close one state at once close it once", function()
    for _ = 1, 20 do
      local gate, finalized = handoff.unique(), handoff.unique()
      local s = mtstates.newstate(false, helpers.moves_gate, finalized)
      local workers = {}
      for w = 1, 3 do
        workers[w] = threads.start(function(id, g)
          local gates = require "handoff"
          local r = require "mtstates".state(id)
          gates.enter(g, g, 3)
          r:close()
          return (pcall(r.call, r))
        end, s:id(), gate)
      end
      for _, results in ipairs(join_all(workers)) do
        assert.is_false(results[1])
      end
      assert.equals(1, handoff.get(finalized))
    end
  end)

  it("that call while others close get results or object_closed", function()
    for _ = 1, 10 do
      local gate = handoff.unique()
      local s = mtstates.newstate(false, "return function(x) return x end")
      local workers = {}
      for w = 1, 3 do
        workers[w] = threads.start(function(id, g)
          local mt = require "mtstates"
          local gates = require "handoff"
          local r = mt.state(id)
          gates.add(g)
          for n = 1, 100000 do
            local ok, result = pcall(r.call, r, n)
            if not ok then
              return result:match(mt.error.object_closed)
            elseif result ~= n then
              error("wrong result")
            elseif n % 50 == 0 then -- leave a gap for close
              gates.breathe()
            end
          end
          return "never closed"
        end, s:id(), gate)
      end
      handoff.wait(gate, 3)
      helpers.wait_until(function()
        local ok, err = pcall(s.close, s)
        return ok or not err:find(mtstates.error.concurrent_access, 1, true)
      end)
      for _, results in ipairs(join_all(workers)) do
        assert.equals(mtstates.error.object_closed, results[1])
      end
    end
  end)

  describe("that ask for one singleton", function()
    -- Each thread asks, says its id, and keeps its owner until `leave`.
    local function ask(name, entered, tries, leave, failures)
      local mt = require "mtstates"
      local gates = require "handoff"
      gates.add(entered)
      local ok, s = pcall(mt.singleton, name, function(...)
        local e, t, f = ...
        local inner_gates = require "handoff"
        inner_gates.wait(e, 8)
        if inner_gates.add(t) <= f then
          error("this creator fails")
        end
        local count = 0
        return function()
          count = count + 1
          return count
        end
      end, entered, tries, failures)
      if not ok then
        return false, s
      end
      gates.put(name, s:id(), s:call())
      gates.wait(leave, 1)
      return true, s:id()
    end

    local function run(failures)
      local name = handoff.unique("threads single")
      local entered, tries = handoff.unique(), handoff.unique()
      local leave = handoff.unique()
      local workers = {}
      for i = 1, 8 do
        workers[i] = threads.start(ask, name, entered, tries, leave,
          failures)
      end
      local ids, counts = {}, {}
      for _ = 1, 8 - failures do
        local id, count = handoff.take(name)
        ids[id] = true
        counts[count] = true
      end
      handoff.set(leave, 1)
      return ids, counts, join_all(workers), handoff.get(tries), name
    end

    it("get the same one, and setup runs once", function()
      local ids, counts, all, tries, name = run(0)
      assert.is_not_nil(next(ids))
      assert.is_nil(next(ids, (next(ids))))
      assert.equals(8, #counts)
      assert.equals(1, tries)
      for _, results in ipairs(all) do
        assert.is_true(results[1])
        assert.is_true(ids[results[2]])
      end
      helpers.raises_error("unknown_object", mtstates.state, name)
    end)

    it("try one after the other when creators fail", function()
      local ids, counts, all, tries = run(3)
      assert.is_not_nil(next(ids))
      assert.is_nil(next(ids, (next(ids))))
      assert.equals(5, #counts)
      assert.equals(4, tries)
      local failed = 0
      for _, results in ipairs(all) do
        if not results[1] then
          failed = failed + 1
          assert.equals(1,
            (results[2]:find(mtstates.error.invoking_state, 1, true)))
          assert.truthy(results[2]:find("this creator fails", 1, true))
        end
      end
      assert.equals(3, failed)
    end)

    -- A creator that waits in its setup, and one who just asks meanwhile.
    local function ask_meanwhile(fails, ...)
      local entered, leave = handoff.unique(), handoff.unique()
      local gate, name = handoff.unique(), handoff.unique("threads early")
      local creator = threads.start(function(n, e, l, f)
        local gates = require "handoff"
        local mt = require "mtstates"
        local ok, s = pcall(mt.singleton, n, function(e2, l2, f2)
          local inner_gates = require "handoff"
          inner_gates.add(e2)
          inner_gates.wait(l2, 1)
          if f2 then
            error("this creator fails")
          end
          return function() return "created" end
        end, e, l, f)
        gates.wait(l, 2)
        return ok, ok and s:id() or nil
      end, name, entered, leave, fails)
      handoff.wait(entered, 1)
      local asker = threads.waiting(gate, function(g, n, ...)
        local mt = require "mtstates"
        require "handoff".add(g)
        local ok, s = pcall(function(...)
          local found = mt.singleton(n, ...)
          return found
        end, ...)
        if ok then
          return true, s:id(), s:call()
        end
        return false, s
      end, gate, name, ...)
      handoff.set(leave, 1)
      local ok, result, called = asker:results()
      handoff.set(leave, 2)
      local created, id = creator:results()
      assert.equals(not fails, created)
      return ok, result, called, id
    end

    it("wait for its creator even without a setup of their own", function()
      local ok, result, called, id = ask_meanwhile(false)
      assert.is_true(ok, result)
      assert.equals(id, result)
      assert.equals("created", called)
    end)

    it("wait for its creator, their own setup is not looked at", function()
      local ok, result, called, id = ask_meanwhile(false, "no ( code")
      assert.is_true(ok, result)
      assert.equals(id, result)
      assert.equals("created", called)
    end)

    it("create it themselves when the creator they waited for fails",
      function()
        local ok, result, called = ask_meanwhile(true,
          "return function() return 'my own' end")
        assert.is_true(ok, result)
        assert.equals("number", type(result))
        assert.equals("my own", called)
      end)

    it("lack a setup when the creator they waited for fails", function()
      local ok, result = ask_meanwhile(true)
      assert.is_false(ok)
      assert.truthy(result:find("bad argument #2 to 'singleton'", 1, true))
    end)

    it("wait for one name only: others are made meanwhile", function()
      local entered, leave = handoff.unique(), handoff.unique()
      local slow_name = handoff.unique("threads slow")
      local slow = threads.start(function(name, e, l)
        local s = require "mtstates".singleton(name, function(e2, l2)
          local gates = require "handoff"
          gates.enter(e2, l2, 1)
          return function() return "slow" end
        end, e, l)
        return s:call()
      end, slow_name, entered, leave)
      handoff.wait(entered, 1)
      local quick = mtstates.singleton(handoff.unique("quick"), helpers.echo)
      assert.equals("quick", quick:call("quick"))
      helpers.raises_error("unknown_object", mtstates.state, slow_name)
      assert.equals("plain", mtstates.newstate(helpers.echo):call("plain"))
      handoff.set(leave, 1)
      assert.equals("slow", slow:results())
    end)
  end)

  it("that run setups at once do not disturb one another", function()
    local gate = handoff.unique()
    local workers = {}
    for w = 1, 4 do
      workers[w] = threads.start(function(g, number)
        local s, result = require "mtstates".newstate(function(g2, n)
          local gates = require "handoff"
          gates.enter(g2, g2, 4)
          return function() return n end, n * 10
        end, g, number)
        return s:call(), result
      end, gate, w)
    end
    for w, results in ipairs(join_all(workers)) do
      assert.same({w, w * 10}, results)
    end
  end)

  it("hand values over that belong to nobody", function()
    local pipe = mtstates.newstate(function()
      local queue = {}
      return function(what, value)
        if what == "put" then
          queue[#queue + 1] = value
          return #queue
        end
        return table.remove(queue, 1)
      end
    end)
    local producers, total = {}, 0
    for p = 1, 3 do
      producers[p] = threads.start(function(id, number)
        local r = require "mtstates".state(id)
        for n = 1, 200 do
          r:call("put", ("%d:%d:%s"):format(number, n, ("x"):rep(n)))
        end
      end, pipe:id(), p)
    end
    local last = {0, 0, 0}
    helpers.wait_until(function()
      local item = pipe:call("take")
      if item then
        local p, n, tail = item:match("^(%d+):(%d+):(x+)$")
        p, n = tonumber(p), tonumber(n)
        assert.equals(last[p] + 1, n)
        assert.equals(n, #tail)
        last[p] = n
        total = total + 1
      end
      return total == 600
    end)
    join_all(producers)
    assert.is_nil((pipe:call("take")))
  end)
end)
