-- Tasks that wait for room: suspended; their state begins no further requests
-- meanwhile, but goes on with its other tasks and takes calls.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

local WAYS = {
  ["send"] = "mt.state(id):send(nil, nil, ...)",
  ["tsend"] = "assert(mt.state(id):tsend(60, nil, nil, ...))",
  ["async"] = "mt.state(id):async(nil, nil, ...)",
  ["await"] = "mt.state(id):await(nil, nil, ...)",
  ["tawait"] = "assert(mt.state(id):tawait(60, nil, nil, ...))",
}

for _, kind in ipairs(requests.kinds) do
  describe("a task that waits for room, of a " .. kind, function()
    local s, full

    before_each(helpers.watch("tasks and room"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      s = requests.new(kind, tasks.setup)
      full = suspended.full()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      helpers.unwatch()
    end)

    local function begin(way)
      return suspended.begin(s, 1, "local id = ... enter() " .. way ..
        " return 'sent'", full.id)
    end

    for name, way in pairs(WAYS) do
      it("keeps requests from beginning: " .. name, function()
        local future = begin(way)
        local gate, later = handoff.unique(), {}
        for i = 1, 5 do
          later[i] = s:async("gates.add(...) return mt.now()", nil, gate)
        end
        for i = 1, 20 do
          assert.equals(i, s:call("return ...", nil, i))
        end
        assert.is_false(s:tawait(0.02, "gates.add(...)", nil, gate))
        assert.equals(0, handoff.get(gate))
        assert.same({5, 1}, {s:stats().queue, s:stats().tasks})
        assert.is_false(future:ready())
        full.release()
        assert.equals("sent", future:await())
        for i = 1, 5 do
          later[i]:await()
        end
        assert.equals(5, handoff.get(gate))
      end)
    end

    it("does not keep other tasks from going on", function()
      local keeper = suspended.keeper()
      local gate, others = handoff.unique(), {}
      for i = 1, 3 do
        others[i] = s:async([[
          local id, gate, i = ...
          local a = mt.state(id):await("get")
          gates.add(gate)
          for _ = 1, 10 do
            mt.sleep(0)
          end
          return a + i
        ]], nil, keeper.id, gate, i)
      end
      suspended.wait(s, 3)
      local future = suspended.begin(s, 4,
        "enter() mt.state(...):send() return 'sent'", full.id)
      local sleeper = s:async("mt.sleep(0.001) return 'late'")
      keeper.open(10)
      for i = 1, 3 do
        assert.equals(10 + i, others[i]:await())
      end
      assert.is_false(future:ready())
      assert.is_false(sleeper:ready())
      assert.equals(1, s:stats().tasks)
      full.release()
      assert.equals("sent", future:await())
      assert.equals("late", sleeper:await())
    end)

    it("does not keep other states from asking", function()
      local future = begin("mt.state(id):send()")
      local other = mtstates.newstate({}, tasks.setup)
      local asking = suspended.begin(other, 1,
        "enter() local a = mt.state(...):await('return 7') return a", s:id())
      assert.equals("on", other:await("return 'on'"))
      assert.is_false(asking:ready())
      full.release()
      assert.equals(7, asking:await())
      assert.equals("sent", future:await())
    end)

    it("begins requests when its time for room is over", function()
      local future = s:async("return mt.state(...):tsend(0.02)", nil, full.id)
      assert.equals("next", s:await("return 'next'"))
      assert.is_false(future:await())
      assert.is_false((s:await([[
        local ok = mt.state(...):tawait(0.01)
        return ok
      ]], nil, full.id)))
      full.release()
      assert.equals(0, s:stats().tasks)
    end)

    it("is let in before senders that waited later", function()
      local counter = mtstates.newstate({queue = 1}, function()
        local gates = require "handoff"
        local order = ""
        return function(what, ...)
          if what == "hold" then
            local entered, leave = ...
            gates.enter(entered, leave, 1)
          elseif what then
            order = order .. what
          end
          return order
        end
      end)
      local entered, leave = handoff.unique(), handoff.unique()
      counter:send("hold", entered, leave)
      handoff.wait(entered, 1)
      counter:send("a")
      local senders, futures = {}, {}
      for i = 1, 4 do
        senders[i] = requests.new(kind, tasks.setup)
        futures[i] = suspended.begin(senders[i], 1, [[
          local id, what = ...
          enter()
          mt.state(id):send(what)
          return "sent"
        ]], counter:id(), ("bcde"):sub(i, i))
      end
      handoff.set(leave, 1)
      for i = 1, 4 do
        assert.equals("sent", futures[i]:await())
      end
      assert.equals("abcde", counter:await())
      full.release()
    end)

    it("gets object_closed when what it sends to is closed", function()
      for name, way in pairs(WAYS) do
        local target = mtstates.newstate({queue = 1}, helpers.gated)
        local release = requests.hold(target)
        target:send()
        local future = suspended.begin_in_pcall(s, [[
          local id = ...
          enter()
          local ok, err = pcall(function() ]] .. way:gsub(", %.%.%.", "") ..
          [[ end)
          return ok, err
        ]], target:id())
        target:close()
        local ok, err = future:await()
        assert.is_false(ok)
        assert.equals(1, err:find(mtstates.error.object_closed, 1, true),
          name .. ": " .. err)
        assert.equals("on", s:await("return 'on'"))
        release()
      end
      full.release()
    end)

    it("is cancelled", function()
      for _, way in pairs(WAYS) do
        local future = begin(way)
        local later = s:async("return 'later'")
        assert.is_true(future:cancel())
        tasks.check_cancelled(future, s)
        assert.equals("later", later:await())
      end
      assert.equals(1, full.state:stats().queue)
      full.release()
    end)

    it("is closed", function()
      for _, way in pairs(WAYS) do
        s = requests.new(kind, tasks.setup)
        local future = begin(way)
        local later = s:async("return 'later'")
        s:close()
        helpers.raises_error("object_closed", future.await, future)
        helpers.raises_error("object_closed", later.await, later)
      end
      assert.equals(1, full.state:stats().queue)
      full.release()
    end)

    it("is done before close with a timeout is", function()
      local future = begin("mt.state(id):send()")
      local later = s:async("return 'later'")
      assert.is_false(s:close(0) and true)
      helpers.raises_error("object_closed", future.await, future)
      helpers.raises_error("object_closed", later.await, later)
      s = requests.new(kind, tasks.setup)
      future = begin("mt.state(id):send()")
      later = s:async("return 'later'")
      local other = mtstates.newstate({}, tasks.setup)
      local closing = tasks.begin(other,
        "enter() return mt.state(...):close(60)", s:id())
      assert.is_false(closing:ready())
      full.release()
      assert.is_true(closing:await())
      assert.equals("sent", future:await())
      assert.equals("later", later:await())
    end)
  end)
end

describe("tasks that send to one another", function()
  before_each(helpers.watch("tasks and room"))
  suspended.one_worker(before_each, after_each)
  after_each(helpers.unwatch)

  it("get through queues of one, all of it once and in order", function()
    local last = mtstates.newstate({queue = 1}, requests.counter)
    local states, target = {}, last
    for i = 1, 5 do
      target = mtstates.newstate({queue = 1}, function(id)
        local mt = require "mtstates"
        return function(n)
          mt.state(id):send(n)
        end
      end, target:id())
      states[i] = target
    end
    for n = 1, 500 do
      target:send(n)
    end
    for i = 5, 1, -1 do
      assert.is_true(states[i]:close(60))
    end
    local count, wrong = last:await()
    assert.same({500, 0}, {count, wrong})
  end)

  for what, end_wait in pairs({
    ["have waited"] = function(future, _, release)
      release()
      future:await()
    end,
    ["are cancelled"] = function(future, _, release)
      assert.is_true(future:cancel())
      helpers.raises_error("cancelled", future.await, future)
      release()
    end,
    ["wait no more, as theirs is closed"] = function(future, s, release)
      s:close()
      helpers.raises_error("object_closed", future.await, future)
      release()
    end
  }) do
    it("keep nothing of the states where they " .. what, function()
      local entered, leave = handoff.unique(), handoff.unique()
      local name = ("n"):rep(10000) -- is seen if it stays
      local function wait_often(times)
        for _ = 1, times do
          local full = mtstates.newstate(name, {queue = 1}, helpers.gated)
          local s = mtstates.newstate({}, tasks.setup)
          local held = full:async(entered, leave)
          handoff.wait(entered, 1)
          full:send()
          local future = s:async("mt.state(...):await()", nil, full:id())
          suspended.wait(s, 1)
          end_wait(future, s, function()
            handoff.set(leave, 1)
            held:await()
          end)
          handoff.set(entered, 0)
          handoff.set(leave, 0)
          s:close()
          assert.is_true(full:close(60))
        end
        helpers.collect()
        return handoff.heap_bytes()
      end
      wait_often(50)
      local grown = -wait_often(50) + wait_often(100)
      assert.is_true(grown < 500000, "grown by " .. grown)
    end)
  end
end)
