local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"
local waits = require "waits"

describe("deadlock", function()
  before_each(helpers.watch("deadlock"))
  after_each(helpers.unwatch)

  -- The callback meets the others at the gate, then calls the state `id` and
  -- gives what pcall gives.
  local function member()
    local mt = require "mtstates"
    local gates = require "handoff"
    return function(what, gate, count, id, method, timeout)
      if what == "leaf" then
        return "leaf"
      end
      local other = mt.state(id)
      gates.add(gate)
      gates.wait(gate, count)
      if method == "tcall" then
        return pcall(other.tcall, other, timeout, "leaf")
      end
      return pcall(other.call, other, "leaf")
    end
  end

  local function call_body(id, ...)
    return require "mtstates".state(id):call("meet", ...)
  end

  local function is_deadlock(ok, err)
    return ok == false and err:find(mtstates.error.deadlock, 1, true) == 1
  end

  it("of two threads with two states is raised in one of them", function()
    for _ = 1, 10 do
      local a, b = mtstates.newstate(member), mtstates.newstate(member)
      local gate = handoff.unique()
      local one = threads.start(call_body, a:id(), gate, 2, b:id())
      local two = threads.start(call_body, b:id(), gate, 2, a:id())
      local ok_1, result_1 = one:results()
      local ok_2, result_2 = two:results()
      if ok_1 then
        assert.equals("leaf", result_1)
        assert.is_true(is_deadlock(ok_2, result_2), result_2)
      else
        assert.equals("leaf", result_2)
        assert.is_true(is_deadlock(ok_1, result_1), result_1)
      end
      assert.equals("leaf", a:call("leaf"))
      assert.equals("leaf", b:call("leaf"))
    end
  end)

  -- Threads that hold something and wait for what the next one holds. Each
  -- link: what its thread holds, an id or a name; in_coroutine; timeout for
  -- the next. Gives how often the waiting ended in which way.
  local function close_ring(links)
    local gate, workers = handoff.unique(), {}
    local count = {late = 0, deadlock = 0, ["in"] = 0}
    for i, link in ipairs(links) do
      workers[i] = threads.start(function(...)
        return require "waits".hold(...)
      end, link.own, gate, #links, links[i % #links + 1].own,
        link.in_coroutine, link.timeout)
    end
    for i = 1, #links do
      local outcome = workers[i]:results()
      assert.is_not_nil(count[outcome], outcome)
      count[outcome] = count[outcome] + 1
    end
    return count
  end

  local function new_states(n, setup)
    local states, ids = {}, {}
    for i = 1, n do
      states[i] = mtstates.newstate(setup)
      ids[i] = states[i]:id()
    end
    return states, ids
  end

  for _, size in ipairs {3, 20} do
    it(("of %d threads with %d states is raised in one of them"):format(
      size, size), function()
      local states, ids = new_states(size, waits.member)
      local links = {}
      for i = 1, size do
        links[i] = {own = ids[i]}
      end
      assert.same({late = 0, deadlock = 1, ["in"] = size - 1},
        close_ring(links))
      for i = 1, size do
        assert.is_nil(states[i]:call())
      end
    end)
  end

  it("is found in rings of calls and singletons, unless one is timed",
    function()
      local states, ids = new_states(8, waits.member)
      local random = helpers.random(1)
      for round = 1, 40 do
        local size, first = random(7) + 1, random(8)
        local timed = random(2) == 1 and random(size)
        local links = {}
        for i = 1, size do
          local is_single = random(3) == 1 and i - 1 ~= (timed or size) % size
          links[i] = {
            own = is_single and ("ring %d %d"):format(round, i)
                  or ids[(first + i) % 8 + 1],
            in_coroutine = random(3) == 1,
            timeout = i == timed and 0.01 or nil
          }
        end
        assert.same({
          late = timed and 1 or 0,
          deadlock = timed and 0 or 1,
          ["in"] = size - 1
        }, close_ring(links))
      end
      for i = 1, 8 do
        assert.is_nil(states[i]:call())
      end
    end)

  -- 60 threads, 12 at a time: how often their paths ended with "in" and with
  -- "deadlock".
  local function wander(in_order)
    local states, ids = new_states(6, waits.link)
    local workers, reached, deadlocks = {}, 0, 0
    local function start(i)
      workers[i] = threads.start(function(...)
        return require "waits".wander(...)
      end, i, 30, in_order, helpers.unpack(ids))
    end
    for i = 1, 12 do
      start(i)
    end
    for i = 1, 60 do
      local count, count_deadlocks, other = workers[i]:results()
      reached, deadlocks = reached + count, deadlocks + count_deadlocks
      assert.is_nil(other)
      if i + 12 <= 60 then
        start(i + 12)
      end
    end
    for i = 1, 6 do
      assert.equals("in", states[i]:call(""))
    end
    return reached, deadlocks
  end

  it("is not raised in threads that come and go in one order of states",
    function()
      assert.same({60 * 30, 0}, {wander(true)})
    end)

  it("leaves nobody waiting where threads come and go in any order",
    function()
      local reached, deadlocks = wander(false)
      assert.equals(60 * 30, reached + deadlocks)
    end)

  it("is not raised for a chain that ends", function()
    local a, b = mtstates.newstate(member), mtstates.newstate(member)
    local last = mtstates.newstate(helpers.gated)
    local busy = threads.hold(last)
    local gate = handoff.unique()
    local one = threads.start(call_body, a:id(), gate, 2, b:id())
    local two = threads.start(function(id, ...)
      return require "mtstates".state(id):call("meet", ...)
    end, b:id(), gate, 2, last:id())
    one:wait_asleep()
    two:wait_asleep()
    busy:release()
    assert.is_true((two:results()))
    assert.same({true, "leaf"}, {one:results()})
  end)

  it("reaches the caller inside an invoking_state error", function()
    local function setup()
      local mt = require "mtstates"
      local gates = require "handoff"
      return function(gate, count, id)
        if not gate then
          return "leaf"
        end
        gates.add(gate)
        gates.wait(gate, count)
        return mt.state(id):call()
      end
    end
    local a, b = mtstates.newstate(setup), mtstates.newstate(setup)
    local gate = handoff.unique()
    local function body(id, ...)
      local r = require "mtstates".state(id)
      return pcall(r.call, r, ...)
    end
    local one = threads.start(body, a:id(), gate, 2, b:id())
    local two = threads.start(body, b:id(), gate, 2, a:id())
    local ok_1, result_1 = one:results()
    local ok_2, result_2 = two:results()
    assert.is_true(ok_1 ~= ok_2)
    local err = ok_1 and result_2 or result_1
    assert.equals(1, (err:find(mtstates.error.invoking_state, 1, true)))
    assert.truthy(err:find(mtstates.error.deadlock, 1, true))
    assert.equals("leaf", ok_1 and result_1 or result_2)
  end)

  it("is no matter for nested calls of one thread", function()
    local a, b = mtstates.newstate(member), mtstates.newstate(member)
    local gate = handoff.unique()
    assert.same({true, "leaf"}, {a:call("meet", gate, 1, b:id())})
    assert.same({true, "leaf"}, {a:call("meet", gate, 1, a:id())})
  end)

  it("is not raised for timed calls, which end by themselves", function()
    local a, b = mtstates.newstate(member), mtstates.newstate(member)
    local gate = handoff.unique()
    local one = threads.start(call_body, a:id(), gate, 2, b:id())
    local two = threads.start(call_body, b:id(), gate, 2, a:id(), "tcall",
      0.2)
    assert.same({true, false}, {two:results()})
    assert.same({true, "leaf"}, {one:results()})
  end)

  it("is not raised when all calls of the circle are timed", function()
    local a, b = mtstates.newstate(member), mtstates.newstate(member)
    local gate = handoff.unique()
    local one = threads.start(call_body, a:id(), gate, 2, b:id(), "tcall",
      0.1)
    local two = threads.start(call_body, b:id(), gate, 2, a:id(), "tcall",
      0.2)
    for _, worker in ipairs({one, two}) do
      local ok, got_in = worker:results()
      assert.is_true(ok)
      assert.equals("boolean", type(got_in))
    end
  end)

  it("is found behind coroutines", function()
    local function setup()
      local mt = require "mtstates"
      local gates = require "handoff"
      return function(gate, count, id)
        if not gate then
          return "leaf"
        end
        local other = mt.state(id)
        gates.add(gate)
        gates.wait(gate, count)
        return coroutine.wrap(function()
          return pcall(other.call, other)
        end)()
      end
    end
    local a, b = mtstates.newstate(setup), mtstates.newstate(setup)
    local gate = handoff.unique()
    local function body(id, ...)
      return require "mtstates".state(id):call(...)
    end
    local one = threads.start(body, a:id(), gate, 2, b:id())
    local two = threads.start(body, b:id(), gate, 2, a:id())
    local ok_1, result_1 = one:results()
    local ok_2, result_2 = two:results()
    assert.is_true(ok_1 ~= ok_2)
    assert.is_true(is_deadlock(false, ok_1 and result_2 or result_1))
  end)

  it("is found where one thread holds several states", function()
    local outer = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(id, ...)
        if id == "leaf" then
          return "leaf"
        end
        return mt.state(id):call("meet", ...)
      end
    end)
    local inner, other = mtstates.newstate(member), mtstates.newstate(member)
    local gate = handoff.unique()
    local one = threads.start(function(id, ...)
      return require "mtstates".state(id):call(...)
    end, outer:id(), inner:id(), gate, 2, other:id())
    local two = threads.start(function(id, g, target)
      local mt = require "mtstates"
      return mt.state(id):call("meet", g, 2, target)
    end, other:id(), gate, outer:id())
    local ok_1, result_1 = one:results()
    local ok_2, result_2 = two:results()
    assert.is_true(ok_1 ~= ok_2)
    assert.is_true(is_deadlock(false, ok_1 and result_2 or result_1))
  end)

  describe("with singletons", function()
    it("of two threads that create one another's is raised in one",
      function()
        local gate = handoff.unique()
        local names = {handoff.unique("single"), handoff.unique("single")}
        local function body(own, other, g)
          local mt = require "mtstates"
          local s = mt.singleton(own, function(name, gate_name)
            local mt2 = require "mtstates"
            local gates = require "handoff"
            gates.add(gate_name)
            gates.wait(gate_name, 2)
            local ok, err = pcall(mt2.singleton, name, function()
              return function() return "made by the other" end
            end)
            return function() return ok, not ok and err or nil end
          end, other, g)
          return s:call()
        end
        local one = threads.start(body, names[1], names[2], gate)
        local two = threads.start(body, names[2], names[1], gate)
        local ok_1, err_1 = one:results()
        local ok_2, err_2 = two:results()
        assert.is_true(ok_1 ~= ok_2)
        assert.is_true(is_deadlock(false, ok_1 and err_2 or err_1))
      end)

    it("is found between a creator and a caller", function()
      local gate = handoff.unique()
      local name = handoff.unique("single")
      local a = mtstates.newstate(function()
        local mt = require "mtstates"
        local gates = require "handoff"
        return function(g, single)
          if not g then
            return "leaf"
          end
          gates.add(g)
          gates.wait(g, 2)
          local ok, err = pcall(mt.singleton, single, function()
            return function() end
          end)
          return ok, not ok and err or nil
        end
      end)
      local one = threads.start(function(id, ...)
        return require "mtstates".state(id):call(...)
      end, a:id(), gate, name)
      local two = threads.start(function(single, g, state_id)
        local mt = require "mtstates"
        local s = mt.singleton(single, function(gate_name, id)
          local mt2 = require "mtstates"
          local gates = require "handoff"
          local other = mt2.state(id)
          gates.add(gate_name)
          gates.wait(gate_name, 2)
          local ok, err = pcall(other.call, other)
          return function() return ok, err end
        end, g, state_id)
        return s:call()
      end, name, gate, a:id())
      local ok_1, err_1 = one:results()
      local ok_2, result_2 = two:results()
      assert.is_true(ok_1 ~= ok_2)
      assert.is_true(is_deadlock(false, ok_1 and result_2 or err_1))
    end)
  end)
end)
