-- state:close with a timeout, and how close ends the waits of what runs.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

local KINDS = {
  ["classic state"] = function(...)
    return mtstates.newstate(nil, true, ...)
  end,
  ["service"] = function(...)
    return mtstates.newstate({}, ...)
  end,
  ["state with own_thread"] = function(...)
    return mtstates.newstate({own_thread = true}, ...)
  end,
}

local LASTING = {60, 1e9, 1e300, math.huge}
local NONE = {0, -0.0, -1e-300, -1, -math.huge}

for kind, new in pairs(KINDS) do
  describe("close with a timeout, of a " .. kind, function()
    local log

    before_each(helpers.watch("close with a timeout"))
    before_each(function()
      log = requests.log_to_mailbox()
    end)
    after_each(function()
      log.reset()
      helpers.unwatch()
    end)

    -- Closes s with this timeout on a thread that waits in it then.
    local function begin_closing(s, timeout)
      local gate = handoff.unique()
      return threads.waiting(gate, function(g, id, seconds)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        return r:close(seconds)
      end, gate, s:id(), timeout)
    end

    local function check_closed(s)
      helpers.raises_error("object_closed", s.call, s)
      helpers.raises_error("object_closed", s.await, s)
      helpers.raises_error("unknown_object", mtstates.state, s:id())
      assert.same({n = 0}, helpers.pack(s:close()))
      for _, timeout in ipairs({0, -1, 1, math.huge}) do
        assert.same({true, n = 1}, helpers.pack(s:close(timeout)))
      end
    end

    it("is true at once where nothing is to be done", function()
      for _, timeouts in ipairs({LASTING, NONE}) do
        for _, timeout in ipairs(timeouts) do
          local s = new(helpers.echo)
          assert.same({true, n = 1}, helpers.pack(s:close(timeout)))
          check_closed(s)
          s = new(helpers.echo)
          s:await()
          -- The worker can be about to leave the state.
          assert.is_true(s:close(timeout) or timeouts == NONE)
          helpers.wait_until(function() return s:close(0) end)
          check_closed(s)
        end
      end
    end)

    it("does first what was sent before", function()
      for _, timeout in ipairs(LASTING) do
        local gate, s = handoff.unique(), new(helpers.gated)
        local futures = {}
        for i = 1, 100 do
          s:send(gate)
          futures[i] = s:async(gate, nil, i)
        end
        assert.is_true(s:close(timeout))
        check_closed(s)
        assert.equals(200, handoff.get(gate))
        for i = 1, 100 do
          assert.is_true(futures[i]:ready())
          assert.equals(i, futures[i]:await())
        end
      end
      assert.equals(0, log.count())
    end)

    it("refuses from its beginning what is new", function()
      local s = new(helpers.gated)
      local entered, leave = handoff.unique(), handoff.unique()
      local running = s:async(entered, leave, "running")
      handoff.wait(entered, 1)
      local waiting = s:async(nil, nil, "waiting")
      local closing = begin_closing(s, 60)
      for _ = 1, 3 do
        helpers.raises_error("object_closed", s.async, s)
        helpers.raises_error("object_closed", s.send, s)
        helpers.raises_error("object_closed", s.tsend, s, 1)
        helpers.raises_error("object_closed", s.await, s)
        helpers.raises_error("object_closed", s.tawait, s, 1)
      end
      assert.is_false(running:ready())
      handoff.set(leave, 1)
      assert.equals("running", running:await())
      assert.equals("waiting", waiting:await())
      assert.is_true(closing:results())
      check_closed(s)
    end)

    it("closes the Lua state when a call in progress has ended", function()
      local collected = handoff.unique("collected")
      local s = new(function(gate)
        local gates = require "handoff"
        rawset(_G, "kept", require "on_collect"(function()
          gates.add(gate)
        end))
        return require "helpers".gated()
      end, collected)
      local entered, leave = handoff.unique(), handoff.unique()
      local caller = threads.start(function(id, ...)
        return require "mtstates".state(id):call(...)
      end, s:id(), entered, leave, "called")
      handoff.wait(entered, 1)
      local closing = begin_closing(s, 60)
      handoff.set(leave, 1)
      assert.is_true(closing:results())
      assert.equals("called", caller:results())
      handoff.wait(collected, 1)
      check_closed(s)
    end)

    it("takes requests again when it is cancelled", function()
      local s = new(helpers.gated)
      local release = requests.hold(s)
      local other = mtstates.newstate({}, tasks.setup)
      local closing = tasks.begin(other,
        "enter() return mt.state(...):close(60)", s:id())
      helpers.wait_until(function() return not pcall(s.tsend, s, 0) end)
      assert.is_true(closing:cancel())
      helpers.raises_error("cancelled", closing.await, closing)
      release()
      assert.equals("on", s:await(nil, nil, "on"))
      s:close()
      other:close()
    end)

    it("is false when its time is over, then acts as close", function()
      for _, timeout in ipairs({0, -1, 0.001, 0.02}) do
        local s = new(helpers.gated)
        local entered, leave = handoff.unique(), handoff.unique()
        local running = s:async(entered, leave, "running")
        handoff.wait(entered, 1)
        local waiting = s:async()
        local before = mtstates.now()
        assert.same({false, n = 1}, helpers.pack(s:close(timeout)))
        assert.is_true(mtstates.now() - before >= timeout)
        helpers.raises_error("object_closed", waiting.await, waiting)
        helpers.raises_error("object_closed", s.async, s)
        helpers.raises_error("unknown_object", mtstates.state, s:id())
        assert.is_false(running:ready())
        handoff.set(leave, 1)
        assert.equals("running", running:await())
        helpers.wait_until(function() return s:close(0) end)
      end
      assert.equals(0, log.count())
    end)

    it("ends the waits of what holds then, not before", function()
      local s = new(tasks.setup)
      local code = [[
        local hold = require "helpers".hold
        enter()
        local ok, err = pcall(hold, mt.sleep, 60)
        local again, other = pcall(mt.sleep, 60)
        return ok, err, again, other
      ]]
      local function check(future)
        local ok, err, again, other = future:await()
        assert.same({false, false}, {ok, again})
        for _, text in ipairs({err, other}) do
          assert.equals(1, text:find("mtstates.error.object_closed: state(",
            1, true), text)
        end
      end
      local future = tasks.begin_waiting(s, code)
      assert.is_false(s:close(0.02))
      check(future)
      s = new(tasks.setup)
      future = tasks.begin_waiting(s, code)
      s:close()
      check(future)
      for _, wait in ipairs({"mt.sleep(0.05)",
                             "require 'helpers'.hold(mt.sleep, 0.05)"}) do
        s = new(tasks.setup)
        future = tasks.begin(s, "enter() " .. wait .. " return 'slept'")
        assert.is_true(s:close(60))
        assert.equals("slept", future:await())
      end
    end)

    it("fails what is suspended then", function()
      for _, timeout in ipairs({0.02, false}) do
        local s, went_on = new(tasks.setup), handoff.unique()
        local future = tasks.begin_waiting(s, [[
          local gate = ...
          enter()
          mt.sleep(60)
          gates.add(gate)
        ]], went_on)
        if timeout then
          assert.is_false(s:close(timeout))
        else
          s:close()
        end
        helpers.raises_error("object_closed", future.await, future)
        assert.equals(0, handoff.get(went_on))
      end
      assert.equals(0, log.count())
    end)

    it("by close without a timeout ends each kind of wait", function()
      local held = mtstates.newstate({queue = 1}, helpers.gated)
      local release = requests.hold(held)
      held:send()
      for _, wait in ipairs({
        "mt.sleep(60)", "mt.state(id):tawait(60)", "mt.state(id):send()",
        "mt.state(id):async()", "mt.state(id):await()",
        "mt.state(id):tsend(60)", "mt.state('close: nobody', 60)",
        "local f, p = mt.promise() f:await() return p",
        "local f, p = mt.promise() f:tawait(60) return p",
      }) do
        local s = new(tasks.setup)
        local future = tasks.begin_waiting(s, ([[
          local id = ...
          enter()
          require "helpers".hold(function() %s end)
        ]]):format(wait), held:id())
        s:close()
        local err = helpers.raises_error("invoking_state", future.await,
          future)
        assert.equals(mtstates.error.object_closed,
          mtstates.error(err):cause(), wait)
        if not wait:find("nobody", 1, true) then -- which holds in any case
          s = new(tasks.setup)
          future = tasks.begin_waiting(s, "local id = ... enter() " .. wait,
            held:id())
          s:close()
          helpers.raises_error("object_closed", future.await, future)
        end
      end
      release()
    end)

    it("leaves alone what waits inside of a call", function()
      local s, other = new(tasks.setup), requests.new("service", tasks.setup)
      local box, leave = handoff.unique(), handoff.unique()
      local future = s:async([[
        local id, box, leave = ...
        local result = mt.state(id):call("enter() mt.sleep(0.02) " ..
          "gates.wait(..., 1) mt.sleep(0.02) return 'undisturbed'", box, leave)
        return result, pcall(mt.sleep, 60)
      ]], nil, other:id(), box, leave)
      handoff.wait_asleep(handoff.take(box))
      s:close()
      assert.is_false(future:ready())
      handoff.set(leave, 1)
      local result, ok, err = future:await()
      assert.same({"undisturbed", false}, {result, ok})
      assert.equals(1, err:find(mtstates.error.object_closed, 1, true), err)
      assert.equals("on", other:await("return 'on'"))
    end)

    it("can be done by many at once", function()
      local s, closing = new(helpers.gated), {}
      local release = requests.hold(s, "released")
      for i = 1, 40 do -- more than are woken at once
        closing[i] = begin_closing(s, 60)
      end
      assert.equals("released", release())
      for i = 1, 40 do
        assert.is_true(closing[i]:results())
      end
      s = new(helpers.gated)
      release = requests.hold(s, "released")
      local patient = begin_closing(s, 60)
      assert.is_false(s:close(0))
      assert.equals("released", release())
      assert.equals("boolean", type(patient:results()))
      check_closed(s)
    end)

    it("ends when somebody else closes what is suspended", function()
      local s = new(tasks.setup)
      tasks.begin(s, "enter() mt.sleep(1000)")
      local patient = begin_closing(s, 30)
      s:close()
      assert.is_true(patient:results())
      check_closed(s)
    end)

    it("does what senders for whom there is no room yet send, or tells them",
      function()
        local s = kind == "classic state" and new(helpers.gated)
          or mtstates.newstate({queue = 1, own_thread = kind ~= "service"},
            helpers.gated)
        local release = requests.hold(s)
        while s:tsend(0) do end
        local gate = handoff.unique()
        local sender = threads.waiting(gate, function(g, id)
          local r = require "mtstates".state(id)
          require "handoff".add(g)
          return pcall(r.send, r, g)
        end, gate, s:id())
        local closing = begin_closing(s, 60)
        release()
        assert.is_true(closing:results())
        local ok, err = sender:results()
        assert.equals(ok and 2 or 1, handoff.get(gate))
        assert.is_true(ok or
          err:find(mtstates.error.object_closed, 1, true) == 1)
      end)

    it("inside of the state itself is concurrent_access", function()
      local s = new(tasks.setup)
      local other = requests.new("service", tasks.setup)
      local close = [[
        local me = mt.state(mt.id())
        return pcall(me.close, me, ...)
      ]]
      local through = [[
        local id, timeout = ...
        return mt.state(id):call("local s = mt.state((...)) " ..
          "return pcall(s.close, s, select(2, ...))", nil, mt.id(), timeout)
      ]]
      for _, timeout in ipairs({0, -1, 0.01, 60}) do
        for _, method in ipairs({"call", "await"}) do
          local ok, err = s[method](s, close, nil, timeout)
          assert.is_false(ok)
          assert.equals(1,
            err:find(mtstates.error.concurrent_access, 1, true), err)
          ok, err = s[method](s, through, nil, other:id(), timeout)
          assert.is_false(ok)
          assert.equals(1,
            err:find(mtstates.error.concurrent_access, 1, true), err)
        end
      end
      assert.equals("on", s:await("return 'on'"))
    end)

    it("wants a number", function()
      local s = new(helpers.echo)
      local function close(timeout)
        s:close(timeout)
      end
      helpers.bad_argument(1, "close", "number expected, got nan", close, 0/0)
      helpers.bad_argument(1, "close", "number expected, got string", close,
        "x")
      helpers.bad_argument(1, "close", "number expected, got table", close, {})
      assert.equals(1, s:await(1))
      s:close(nil)
      check_closed(s)
    end)
  end)
end
