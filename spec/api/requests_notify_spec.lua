-- The Notify C API of services: a counter; as often as it was counted up, a
-- worker or the own thread of the state runs the callback.

local capidriver = require "capidriver"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local natives = require "natives"
local requests = require "requests"
local threads = require "threads"

local OK, CLOSED = 0, 1

local hold = natives.hold

for _, kind in ipairs(natives.kinds) do
  local name, own_thread = kind[1], kind[2]

  local function open(...)
    local s, _, n = natives.open(own_thread, ...)
    return s, n
  end

  local function await_calls(s, count)
    helpers.wait_until(function() return (s:await("take")) >= count end)
    assert.same({count, 0, 0}, {s:await("take")})
  end

  describe("the Notify C API of " .. name, function()
    before_each(helpers.watch("notifiers of services"))
    after_each(helpers.unwatch)

    it("lets no request begin after a call that quits", function()
      local began = handoff.unique("began")
      local s, _, n = natives.open(own_thread, nil, [[
        local began = ...
        local gates, mt = require "handoff", require "mtstates"
        return function(what, entered, leave)
          if not what then
            mt.quit()
          elseif what == "hold" then
            gates.enter(entered, leave, 1)
          else
            gates.add(began)
          end
        end
      ]], began)
      local release = hold(s)
      assert.equals(OK, n:notify_quietly())
      local future = s:async("request")
      release()
      helpers.raises_error("object_closed", future.await, future)
      assert.equals(0, handoff.get(began))
    end)

    it("has the callback run once for each, without arguments", function()
      local s, n = open()
      for _ = 1, 3 do
        assert.same({OK, nil, 0}, {n:notify()})
      end
      assert.same({OK, nil, 0}, {n:start():join()})
      assert.equals(OK, n:notify_quietly())
      assert.same({OK, 0}, {n:notify_bare()})
      await_calls(s, 6)
    end)

    it("counts those of many native threads", function()
      local s, n = open()
      for round = 1, 5 do
        assert.same({[OK] = 8000}, n:storm(8, 1000))
        await_calls(s, round * 8000)
      end
      assert.is_true(not own_thread or s:await("threads") == 1)
    end)

    it("loses none that is made when the last one has just run", function()
      local gate = handoff.unique()
      local _, n = open(nil, function(to)
        local gates = require "handoff"
        return function() gates.add(to) end
      end, gate)
      for i = 1, 3000 do
        assert.equals(OK, (n:notify()))
        if i % 3 > 0 then
          handoff.wait(gate, i)
        end
      end
      handoff.wait(gate, 3000)
      assert.equals(3000, handoff.get(gate))
    end)

    it("reaches each of many states", function()
      local gate, many = handoff.unique(), {}
      for i = 1, 8 do
        many[i] = {open(nil, function(to)
          local gates = require "handoff"
          return function() gates.add(to) end
        end, gate)}
      end
      for round = 1, 100 do -- before the watcher has looked at the first
        for i = 1, 8 do
          assert.equals(OK, many[i][2]:notify_quietly())
        end
        handoff.wait(gate, 8 * round)
      end
    end)

    it("neither waits nor needs room", function()
      local s, n = open(1)
      local release = hold(s)
      s:send()
      for _ = 1, 1000 do
        assert.equals(OK, (n:notify()))
      end
      assert.same({[OK] = 4000}, n:storm(4, 1000))
      assert.is_false(s:tsend(0))
      assert.equals(5001, s:stats().queue)
      release()
      await_calls(s, 5001)
    end)

    it("lets requests and others in between", function()
      local s, n = open()
      local release = hold(s)
      n:storm(1, 10000)
      local future = s:async("take")
      local other = mtstates.newstate({}, helpers.echo)
      release()
      assert.equals("other", other:await("other"))
      assert.is_number((future:await()))
      await_calls(s, 10000)
    end)

    it("mixes with calls and requests", function()
      local s, n = open()
      local caller = threads.start(function(id)
        local r = require "mtstates".state(id)
        for _ = 1, 300 do
          r:call()
          r:send()
          r:await()
        end
      end, s:id())
      assert.same({[OK] = 600}, n:storm(3, 200))
      caller:results()
      await_calls(s, 1500)
    end)

    it("has errors logged, each", function()
      local log = requests.log_to_mailbox()
      local s, n = open(nil, function()
        local count = 0
        return function(what)
          if what then
            return count
          end
          count = count + 1
          error("notified in vain", 0)
        end
      end)
      local report = n:storm(2, 5)
      assert.same({[OK] = 10}, report)
      assert.same({OK, nil, 0}, {n:notify()})
      for _ = 1, 11 do
        local what, text, state_name, id = log.take()
        assert.equals("error", what)
        assert.truthy(text:find("notified in vain", 1, true), text)
        assert.is_nil(state_name)
        assert.equals(s:id(), id)
      end
      assert.equals(11, s:await("count"))
      assert.equals(11, log.count())
      log.reset()
    end)

    it("chooses none of a table of functions", function()
      local log = requests.log_to_mailbox()
      local s, n = open(nil, "return {chosen = function() return 1 end}")
      assert.equals(OK, (n:notify()))
      local _, text = log.take()
      assert.truthy(text:find(mtstates.error.invoking_state, 1, true), text)
      assert.equals(1, s:await("chosen"))
      assert.equals(1, log.count())
      log.reset()
    end)

    it("gives 1 when the state is closed", function()
      local s, n = open()
      assert.equals(OK, (n:notify()))
      s:close()
      for _ = 1, 3 do
        assert.same({CLOSED, nil, 0}, {n:notify()}) -- calls no handler
        assert.equals(CLOSED, n:notify_quietly())
        assert.equals(CLOSED, (n:start():join()))
      end
      assert.same({[CLOSED] = 40}, n:storm(4, 10))
      n:release()
    end)

    it("has what was counted before done by close with a timeout", function()
      local gate = handoff.unique()
      local s, n = open(nil, function(name_of_gate)
        local gates = require "handoff"
        return function() gates.add(name_of_gate) end
      end, gate)
      for i = 1, 20 do
        assert.same({[OK] = 100}, n:storm(2, 50))
        if i == 20 then
          assert.is_true(s:close(60))
        end
      end
      assert.equals(2000, handoff.get(gate))
      assert.equals(CLOSED, (n:notify()))
    end)

    it("has what was counted done when the last owner is gone", function()
      local gate = handoff.unique()
      local s, n = open(nil, function(name_of_gate)
        local gates = require "handoff"
        return function(entered, leave)
          if entered then
            gates.enter(entered, leave, 1)
          else
            gates.add(name_of_gate)
          end
        end
      end, gate)
      local id, leave = s:id(), handoff.unique()
      s:send(gate .. " entered", leave)
      handoff.wait(gate .. " entered", 1)
      n:storm(2, 10)
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals(OK, (n:notify()))
      handoff.set(leave, 1)
      handoff.wait(gate, 21)
      natives.wait_closed(id)
      assert.equals(21, handoff.get(gate))
      assert.equals(CLOSED, (n:notify()))
    end)

    it("never notifies in vain while the state is being closed", function()
      for _ = 1, 50 do
        local gate = handoff.unique()
        local s, n = open(nil, function(name_of_gate)
          local gates = require "handoff"
          return function() gates.add(name_of_gate) end
        end, gate)
        local jobs = {}
        for i = 1, 3 do
          jobs[i] = n:start()
        end
        local is_done, accepted = s:close(60), 0
        assert.is_true(is_done)
        for i = 1, 3 do
          accepted = accepted + ((jobs[i]:join()) == OK and 1 or 0)
        end
        assert.equals(accepted, handoff.get(gate))
        handoff.set(gate, 0)
      end
    end)
  end)
end

describe("the Notify C API of a member of a pool", function()
  before_each(helpers.watch("notifiers of members"))
  after_each(helpers.unwatch)

  it("lets no request of the pool begin after a call that quits", function()
    local began = handoff.unique("began")
    local pool = mtstates.pool(1, [[
      local began = ...
      local gates, mt = require "handoff", require "mtstates"
      return function(what, entered, leave)
        if not what then
          mt.quit()
        elseif what == "hold" then
          gates.enter(entered, leave, 1)
        else
          gates.add(began)
        end
      end
    ]], began)
    local member = mtstates.state(pool:stats().members[1].id)
    local n = capidriver.notifier(member)
    local release = hold(pool) -- what it was sent itself comes next
    assert.equals(OK, n:notify_quietly())
    local future = pool:async("request")
    release()
    helpers.raises_error("object_closed", future.await, future)
    assert.equals(0, handoff.get(began))
  end)
end)
