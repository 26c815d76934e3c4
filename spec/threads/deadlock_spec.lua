local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"
local waits = require "waits"

describe("deadlock", function()
  before_each(helpers.watch("deadlock"))
  after_each(helpers.unwatch)

  local function new_states(n, setup)
    local states = {}
    for i = 1, n do
      states[i] = mtstates.newstate(setup or waits.member)
    end
    return states
  end

  -- The thread holds the state and waits: see waits.hold.
  local function start_holding(own, ...)
    return threads.start(function(...)
      return require "waits".hold(...)
    end, own, ...)
  end

  -- Threads that hold something and wait for what the next one holds. Each
  -- link: what its thread holds, a state or the name of a singleton;
  -- in_coroutine; timeout for the next. Gives how often the waiting ended in
  -- which way; then all states work.
  local function close_ring(links)
    local gate, workers, keys = handoff.unique(), {}, {}
    local count = {late = 0, deadlock = 0, ["in"] = 0}
    for i, link in ipairs(links) do
      keys[i] = type(link.own) == "string" and link.own or link.own:id()
    end
    for i, link in ipairs(links) do
      workers[i] = start_holding(keys[i], gate, #links, keys[i % #links + 1],
        link.in_coroutine, link.timeout)
    end
    for i = 1, #links do
      local outcome = workers[i]:results()
      assert.is_not_nil(count[outcome], outcome)
      count[outcome] = count[outcome] + 1
    end
    for _, link in ipairs(links) do
      if type(link.own) ~= "string" then
        assert.is_nil(link.own:call())
      end
    end
    return count
  end

  local function assert_found(links)
    assert.same({late = 0, deadlock = 1, ["in"] = #links - 1},
      close_ring(links))
  end

  for _, size in ipairs {2, 3, 20} do
    it(("of %d threads with %d states is raised in one of them"):format(
      size, size), function()
      local links = {}
      for i, s in ipairs(new_states(size)) do
        links[i] = {own = s}
      end
      assert_found(links)
    end)
  end

  it("is found behind coroutines", function()
    local a, b = helpers.unpack(new_states(2))
    assert_found {{own = a, in_coroutine = true},
                  {own = b, in_coroutine = true}}
  end)

  it("of two threads that create one another's singleton is found", function()
    assert_found {{own = handoff.unique("single")},
                  {own = handoff.unique("single")}}
  end)

  it("is found between the creator of a singleton and a caller", function()
    assert_found {{own = handoff.unique("single")}, {own = new_states(1)[1]}}
  end)

  it("is not raised for timed calls, which end by themselves", function()
    local a, b = helpers.unpack(new_states(2))
    assert.same({late = 1, deadlock = 0, ["in"] = 1},
      close_ring {{own = a}, {own = b, timeout = 0.2}})
  end)

  it("is not raised when all calls of the circle are timed", function()
    local a, b = helpers.unpack(new_states(2))
    local count = close_ring {{own = a, timeout = 0.1},
                              {own = b, timeout = 0.2}}
    assert.equals(0, count.deadlock)
  end)

  it("is found in rings of calls and singletons, unless one is timed",
    function()
      local states, random = new_states(8), helpers.random(1)
      for round = 1, 40 do
        local size, first = random(7) + 1, random(8)
        local timed = random(2) == 1 and random(size)
        local links = {}
        for i = 1, size do
          local is_single = random(3) == 1 and i - 1 ~= (timed or size) % size
          links[i] = {
            own = is_single and ("ring %d %d"):format(round, i)
                  or states[(first + i) % 8 + 1],
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
    end)

  it("is found where one thread holds several states", function()
    local inner, other = helpers.unpack(new_states(2))
    local outer = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(id, ...)
        return id and mt.state(id):call(...)
      end
    end)
    local gate = handoff.unique()
    local one = start_holding(outer:id(), inner:id(), gate, 2, other:id())
    local two = start_holding(other:id(), gate, 2, outer:id())
    local outcomes = {one:results(), (two:results())}
    table.sort(outcomes)
    assert.same({"deadlock", "in"}, outcomes)
  end)

  it("is not raised for a chain that ends", function()
    local a, b = helpers.unpack(new_states(2))
    local last = mtstates.newstate(helpers.gated)
    local busy = threads.hold(last)
    local gate = handoff.unique()
    local one = start_holding(a:id(), gate, 2, b:id())
    local two = start_holding(b:id(), gate, 2, last:id())
    one:wait_asleep()
    two:wait_asleep()
    busy:release()
    assert.equals("in", (two:results()))
    assert.equals("in", (one:results()))
  end)

  it("is no matter for nested calls of one thread", function()
    local a, b = helpers.unpack(new_states(2))
    local gate = handoff.unique()
    assert.equals("in", (a:call(gate, 1, b:id())))
    assert.equals("in", (a:call(gate, 1, a:id())))
  end)

  -- 60 threads, 12 at a time: how often their paths ended with "in" and with
  -- "deadlock".
  local function wander(in_order)
    local states, ids = new_states(6, waits.link), {}
    local workers, reached, deadlocks = {}, 0, 0
    for i = 1, 6 do
      ids[i] = states[i]:id()
    end
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

  it("reaches the caller inside an invoking_state error", function()
    local function setup()
      local mt = require "mtstates"
      local gates = require "handoff"
      return function(gate, count, id)
        if not gate then
          return "leaf"
        end
        gates.enter(gate, gate, count)
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

  -- Some of them have the same place in the table of those that wait.
  it("is found when many others have ceased to wait", function()
    local n = 100
    local shared = mtstates.newstate(helpers.gated)
    local busy = threads.hold(shared)
    local leaving, staying, ids = {}, {}, {}
    local top = mtstates.newstate(function()
      local gates, mt = require "handoff", require "mtstates"
      return function(list, entered, leave)
        if not list then
          return "in"
        end
        gates.enter(entered, leave, 1)
        local found = 0
        for id in list:gmatch("%d+") do
          local s = mt.state(tonumber(id))
          local ok, err = pcall(s.call, s, "again")
          if not ok and err:find(mt.error.deadlock, 1, true) then
            found = found + 1
          end
        end
        return found
      end
    end)
    local held = new_states(n, function()
      local mt = require "mtstates"
      return function(id)
        return id == "again" or mt.state(id):call()
      end
    end)
    for i = 1, n do
      ids[i] = ("%d"):format(held[i]:id())
    end
    local entered, leave = handoff.unique("entered"), handoff.unique("leave")
    local function caller(id, ...)
      return require "mtstates".state(id):call(...)
    end
    local last = threads.start(caller, top:id(), table.concat(ids, " "),
      entered, leave)
    handoff.wait(entered, 1)
    for i = 1, n do
      leaving[i] = threads.start(caller, shared:id())
      staying[i] = threads.start(caller, held[i]:id(), top:id())
    end
    helpers.wait_until(function()
      return shared:stats().waiting == n and top:stats().waiting == n
    end)
    busy:release()
    for i = 1, n do
      leaving[i]:results()
    end
    handoff.set(leave, 1)
    assert.equals(n, last:results())
    for i = 1, n do
      assert.equals("in", staying[i]:results())
    end
  end)
end)
