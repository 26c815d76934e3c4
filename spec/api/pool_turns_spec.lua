-- How the members of a pool are shared: requests, calls and notices each get
-- their turn, and each member that is free takes part.

local assert = require "luassert"
local capidriver = require "capidriver"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local tasks = require "tasks"
local threads = require "threads"

-- Thread: calls the state with that id until the gate is open.
local function caller(id, gate)
  local s, gates = require "mtstates".state(id), require "handoff"
  local count = 0
  while gates.get(gate) == 0 do
    s:call()
    count = count + 1
  end
  return count
end

describe("the members of a pool", function()
  before_each(helpers.watch("turns of pools"))
  after_each(helpers.unwatch)

  -- Setup: each call and request takes a while.
  local function slow()
    local mt = require "mtstates"
    return function()
      local start, turns = mt.now(), 0
      repeat
        turns = turns + 1
      until mt.now() - start > 0.0005
      return turns > 0
    end
  end

  it("begin requests though callers stand in line", function()
    for n = 1, 2 do
      local stop, callers = handoff.unique("stop"), {}
      local pool = mtstates.pool(n, slow)
      for i = 1, n + 2 do
        callers[i] = threads.start(caller, pool:id(), stop)
      end
      for _ = 1, 40 do
        local has_begun = pool:tawait(60)
        if not has_begun then
          handoff.add(stop)
        end
        assert.is_true(has_begun)
      end
      handoff.add(stop)
      for i = 1, n + 2 do
        callers[i]:results()
      end
      assert.is_true(pool:close(60))
    end
  end)

  -- Setup: each call takes a while, and each request sends one more, until the
  -- gate is open.
  local function restless(gate)
    local gates, mt = require "handoff", require "mtstates"
    return function(pool)
      local start, turns = mt.now(), 0
      repeat
        turns = turns + 1
      until mt.now() - start > 0.0005
      if pool and gates.get(gate) == 0 then
        pool:send(pool)
      end
      return turns > 0
    end
  end

  it("take calls though requests wait", function()
    local over = handoff.unique("over")
    local pool = mtstates.pool({n = 1, queue = math.huge}, restless, over)
    for _ = 1, 100 do
      pool:send(pool)
    end
    local callers = {}
    for i = 1, 2 do
      callers[i] = threads.start(function(id)
        local s, count = require "mtstates".state(id), 0
        for _ = 1, 10 do
          count = count + (s:tcall(60) and 1 or 0)
        end
        return count
      end, pool:id())
    end
    for i = 1, 2 do
      assert.equals(10, callers[i]:results())
    end
    assert.is_true(pool:stats().queue > 0)
    handoff.add(over)
    assert.is_true(pool:close(60))
  end)

  it("let others begin requests if they have to do with their own", function()
    for which = 1, 2 do
      local pool, gate = mtstates.pool(2, tasks.setup), handoff.unique()
      local member = mtstates.state(pool:stats().members[which].id)
      local stop, held = handoff.unique("stop"), {}
      for i = 1, mtstates.workers() do
        local s = mtstates.newstate({}, tasks.setup)
        held[i] = tasks.begin(s, "work((...))", stop)
      end
      local future = pool:async("return 1")
      local own = member:async("gates.wait(...)", nil, gate, 1)
      handoff.set(stop, 1)
      assert.equals(1, future:await())
      handoff.set(gate, 1)
      own:await()
      for i = 1, #held do
        held[i]:await()
      end
      assert.is_true(pool:close(60))
    end
  end)

  it("run notices side by side", function()
    local gate, n = handoff.unique("gate"), 2
    local pool = mtstates.pool(n, function(name, most)
      local gates = require "handoff"
      return function()
        local count = gates.add(name)
        gates.wait(name, count + (most - count % most) % most)
      end
    end, gate, n)
    local notifier = capidriver.notifier(pool)
    for i = 1, 20 do
      for _ = 1, n do
        notifier:notify_quietly()
      end
      handoff.wait(gate, i * n)
    end
    assert.is_true(pool:close(60))
  end)

  it("that have own threads do not let calls wait for longer than they may",
  function()
    local pool = mtstates.pool({n = 1, own_thread = true}, tasks.setup)
    local member = mtstates.state(pool:stats().members[1].id)
    for _ = 1, 3 do
      local stop = handoff.unique("stop")
      local future = tasks.begin(member, "return work((...))", stop)
      assert.is_false(pool:tcall(0, "return true"))
      assert.is_false(pool:tcall(0.001, "return true"))
      handoff.add(stop)
      future:await()
      helpers.wait_until(function()
        return pool:tcall(0, "return true")
      end)
    end
    assert.is_true(pool:close(60))
  end)
end)
