-- Calls of a pool: they go to any member that is free, or wait in line.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

-- Thread: calls the state with that id, and tells before that it does.
local function caller(gate, id, ...)
  local s = require "mtstates".state(id)
  require "handoff".add(gate)
  return s:call(...)
end

describe("a call of a pool", function()
  before_each(helpers.watch("calls of pools"))
  after_each(helpers.unwatch)

  it("runs in a member, in the calling thread", function()
    local pool = mtstates.pool(2, tasks.setup)
    local tid, id = pool:call("return gates.tid(), mt.id()")
    assert.equals(handoff.tid(), tid)
    assert.is_true(id > pool:id())
    assert.same({true, tid}, {pool:tcall(0, "return gates.tid()")})
    local err = helpers.raises_error("invoking_state", pool.call, pool,
      "error('inside')")
    assert.truthy(err:find("inside", 1, true))
    pool:close()
  end)

  it("awaits a deferred reply", function()
    local pool = mtstates.pool(2, tasks.setup)
    assert.equals(7, pool:call(
      "local f, p = mt.promise() p:set(7) return f"))
    pool:close()
  end)

  it("takes each member that is free", function()
    local pool = mtstates.pool(3, helpers.gated)
    local one, two = threads.hold(pool), threads.hold(pool)
    assert.equals("free", pool:call(nil, nil, "free"))
    local three = threads.hold(pool)
    assert.is_false(pool:tcall(0))
    assert.is_false(pool:tcall(0.001))
    two:release()
    assert.is_true(pool:tcall(0))
    one:release()
    three:release()
    pool:close()
  end)

  it("from inside an own thread runs there, though others are free", function()
    local pool = mtstates.pool({n = 2, own_thread = true}, tasks.setup)
    for _, member in ipairs(pool:stats().members) do
      local id, tid, called_id, called_tid = mtstates.state(member.id):await([[
        local pool = ...
        local id, tid = pool:call("return mt.id(), gates.tid()")
        return mt.id(), gates.tid(), id, tid
      ]], nil, pool)
      assert.same({member.id, tid}, {called_id, called_tid})
      assert.equals(member.id, id)
    end
    pool:close()
  end)

  it("takes each own thread that is free, without waiting", function()
    for _, options in ipairs({{n = 2, own_thread = true},
                              {n = 2, own_thread = true, tasks = 1}}) do
      local pool = mtstates.pool(options, tasks.setup)
      local tids, gate = {}, handoff.unique()
      for i, member in ipairs(pool:stats().members) do
        tids[i] = mtstates.state(member.id):await("return gates.tid()")
      end
      local function check_free()
        for i = 1, 10 do
          handoff.wait_asleep(tids[1])
          handoff.wait_asleep(tids[2])
          assert.same({true, i}, {pool:tcall(0, "return " .. i)})
        end
      end
      local function hold(s)
        return tasks.begin_waiting(s, "enter() gates.wait(..., 1)", gate)
      end
      local function check_held(one, two)
        for _ = 1, 10 do
          assert.is_false(pool:tcall(0, ""))
        end
        handoff.set(gate, 1)
        one:await()
        two:await()
        handoff.set(gate, 0)
      end
      check_free()
      local one = hold(pool)
      check_free()
      check_held(one, hold(pool))
      check_free()
      local members = pool:stats().members
      check_held(hold(mtstates.state(members[1].id)),
                 hold(mtstates.state(members[2].id)))
      check_free()
      pool:close()
    end
  end)

  it("passes members by that are called directly or run requests",
  function()
    local pool = mtstates.pool(3, helpers.gated)
    local members = pool:stats().members
    local direct = threads.hold(mtstates.state(members[1].id))
    local release = requests.hold(mtstates.state(members[2].id))
    for i = 1, 10 do
      assert.equals(i, pool:call(nil, nil, i))
    end
    local third = threads.hold(pool)
    assert.is_false(pool:tcall(0))
    release()
    helpers.wait_until(function() return pool:tcall(0) end)
    direct:release()
    third:release()
    pool:close()
  end)

  it("waits until any member gets free", function()
    for which = 1, 3 do
      local pool = mtstates.pool(3, helpers.gated)
      local members = pool:stats().members
      local holders = {
        threads.hold(mtstates.state(members[1].id)),
        {release = requests.hold(mtstates.state(members[2].id))},
        threads.hold(pool),
      }
      local gate, waiting = handoff.unique(), {}
      for i = 1, 4 do
        waiting[i] = threads.waiting(gate, caller, gate, pool:id(), nil, nil,
          i)
      end
      assert.is_false(pool:tcall(0.001))
      holders[which]:release()
      for i = 1, 4 do
        assert.equals(i, waiting[i]:results())
      end
      for i = 1, 3 do
        if i ~= which then
          holders[i]:release()
        end
      end
      pool:close()
    end
  end)

  it("is served in the order of the line", function()
    local pool = mtstates.pool(2, function()
      local gates = require "handoff"
      return function(entered, leave, box, i)
        if box then
          gates.put(box, i)
        else
          gates.enter(entered, leave, 1)
        end
      end
    end)
    local one, two = threads.hold(pool), threads.hold(pool)
    local gate, box, waiting = handoff.unique(), handoff.unique("box"), {}
    for i = 1, 6 do
      waiting[i] = threads.waiting(gate, caller, gate, pool:id(), nil, nil,
        box, i)
    end
    one:release()
    for i = 1, 6 do
      waiting[i]:results()
      assert.equals(i, handoff.take(box))
    end
    two:release()
    pool:close()
  end)

  it("comes before the requests of the next turn", function()
    local pool = mtstates.pool({n = 1, queue = math.huge}, function()
      local gates = require "handoff"
      local count = 0
      return function(entered, leave)
        if entered then
          gates.enter(entered, leave, 1)
        end
        count = count + 1
        return count
      end
    end)
    for _ = 1, 10 do
      local release, gate = requests.hold(pool), handoff.unique()
      for _ = 1, 1000 do
        pool:send()
      end
      local waiting = threads.waiting(gate, caller, gate, pool:id())
      local first = release()
      local count = waiting:results() - first
      assert.is_true(count <= 66, count) -- a turn is 64 requests
      helpers.wait_until(function() return pool:stats().queue == 0 end)
    end
    pool:close()
  end)

  it("is not kept waiting by requests without end", function()
    local pool = mtstates.pool({n = 2, queue = math.huge}, [[
      local over = false
      return function(pool, x)
        if x then over = true return x end
        if not over then pool:send(pool) end
      end
    ]])
    for _ = 1, 4 do
      pool:send(pool)
    end
    for _ = 1, 20 do
      assert.is_true(pool:tcall(60, pool, "call"))
    end
    assert.is_true(pool:close(60))
  end)

  it("lets requests go on when it has ended", function()
    local pool = mtstates.pool(1, helpers.gated)
    local held = threads.hold(pool)
    local futures = {}
    for i = 1, 10 do
      futures[i] = pool:async(nil, nil, i)
    end
    held:release()
    for i = 1, 10 do
      assert.equals(i, futures[i]:await())
    end
    pool:close()
  end)

  it("nests in another member, then in one that the thread is in", function()
    local pool = mtstates.pool(2, tasks.setup)
    local one, two, three = pool:call([[
      local pool = ...
      return mt.id(), pool:call([=[
        local pool = ...
        return mt.id(), pool:call("return mt.id()")
      ]=], nil, pool)
    ]], nil, pool)
    assert.is_true(one ~= two)
    assert.is_true(three == two)
    local single = mtstates.pool(1, tasks.setup)
    assert.equals("in", single:call([[
      local pool = ...
      return (pool:call("return 'in'"))
    ]], nil, single))
    assert.equals("in", single:await([[
      local pool = ...
      return (pool:call("return 'in'"))
    ]], nil, single))
    single:close()
    pool:close()
  end)

  it("gives the member back after an error", function()
    local pool = mtstates.pool(1, tasks.setup)
    for _ = 1, 10 do
      helpers.raises_error("invoking_state", pool.call, pool, "error()")
      helpers.raises_error("state_result", pool.call, pool,
        "return coroutine.create(function() end)")
    end
    assert.equals(1, pool:await("return 1"))
    pool:close()
  end)

  it("makes the next in line look if one gives up", function()
    local pool = mtstates.pool(1, helpers.gated)
    local held = threads.hold(pool)
    local gate = handoff.unique()
    local timed = threads.waiting(gate, function(g, id)
      local s = require "mtstates".state(id)
      require "handoff".add(g)
      return s:tcall(0.05)
    end, gate, pool:id())
    local waiting = threads.waiting(gate, caller, gate, pool:id(), nil, nil,
      "in")
    assert.is_false(timed:results())
    held:release()
    assert.equals("in", waiting:results())
    pool:close()
  end)

  it("of native threads is a request, or a notice", function()
    local capidriver = require "capidriver"
    local box = handoff.unique("natives")
    local pool = mtstates.pool({n = 3, queue = 10}, function(gate)
      local gates = require "handoff"
      return function(...)
        gates.add(gate .. select("#", ...))
      end
    end, box)
    local r, n = capidriver.receiver(pool), capidriver.notifier(pool)
    assert.same({[0] = 2000}, r:storm(4, 500))
    for _ = 1, 500 do
      assert.equals(0, n:notify_quietly())
    end
    handoff.wait(box .. "2", 2000)
    handoff.wait(box .. "0", 500)
    assert.is_true(pool:close(60))
    assert.equals(1, n:notify_quietly())
    assert.equals(2000, handoff.get(box .. "2"))
    assert.equals(500, handoff.get(box .. "0"))
  end)
end)
