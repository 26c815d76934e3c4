-- future:cancel of requests that wait in the queue, compute, or have ended.
-- Those that wait for something are in cancel_waits_spec.lua, those inside of
-- calls in cancel_calls_spec.lua.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"

local it_closes = helpers.it_needs(helpers.compile("local x <close> = nil"),
                                   "to-be-closed variables")

for _, kind in ipairs(requests.kinds) do
  describe("cancel of a request of a " .. kind, function()
    local log, s, open

    before_each(helpers.watch("cancel"))
    before_each(function()
      log = requests.log_to_mailbox()
      s = requests.new(kind, tasks.setup)
      open = handoff.unique("open")
      handoff.set(open, 1)
    end)
    after_each(function()
      s:close()
      log.reset()
      helpers.unwatch()
    end)

    -- Whether the state goes on as if nothing had been.
    local function check_goes_on()
      local code = "return spin(...) and 'on'"
      assert.equals("on", s:await(code, nil, open))
      assert.equals("on", s:call(code, nil, open))
    end

    -- Begins a request of that code, and cancels it, which ends it.
    local function check_ends(code)
      local future = tasks.begin(s, code)
      local after = s:async("return spin(...) and 'after'", nil, open)
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      assert.is_false(future:cancel())
      assert.equals("after", after:await())
      check_goes_on()
    end

    it("that has not begun keeps it from that", function()
      local leave, gate = handoff.unique(), handoff.unique()
      local running = tasks.begin(s, "enter() gates.wait(..., 1)", leave)
      local futures = {}
      for i = 1, 10 do
        futures[i] = s:async("return gates.add(...)", nil, gate)
      end
      for i = 1, 10, 2 do
        assert.is_true(futures[i]:cancel())
        assert.is_true(futures[i]:ready())
        assert.is_false(futures[i]:cancel())
        tasks.check_cancelled(futures[i], s)
      end
      assert.equals(5, s:stats().queue)
      handoff.set(leave, 1)
      running:await()
      for i = 2, 10, 2 do
        assert.equals(i / 2, futures[i]:await())
      end
      assert.equals(5, s:await("return gates.get(...)", nil, gate))
      assert.equals(0, log.count())
    end)

    it("is not taken back with an interrupt", function()
      local inside, leave = handoff.unique("inside"), handoff.unique("leave")
      local future = s:async([[
        local inside, leave = ...
        gates.enter(inside, leave, 1)
        local x = 1
        return x
      ]], nil, inside, leave)
      handoff.wait(inside, 1)
      assert.is_true(future:cancel())
      s:interrupt()
      s:interrupt(false)
      handoff.set(leave, 1)
      tasks.check_cancelled(future, s)
      check_goes_on()
    end)

    it("that computes raises in it", function()
      check_ends("work()")
      check_ends("enter() while true do end")
      check_ends("enter() return (function() spin() end)()")
      check_ends("local ok, err = pcall(work) error(err, 0)")
      check_ends([[
        local ok, err = xpcall(work, function(err) return err end)
        error(err, 0)
      ]])
      assert.equals(0, log.count())
    end)

    it("that computes in a coroutine raises there", function()
      check_ends([[
        coroutine.wrap(function()
          coroutine.wrap(function() work() end)()
        end)()
      ]])
      check_ends([[
        local co = coroutine.create(function()
          coroutine.yield()
          work()
        end)
        coroutine.resume(co)
        error(select(2, coroutine.resume(co)), 0)
      ]])
    end)

    it("that computes below a C function raises there", function()
      check_ends("table.sort({1, 2}, function() work() end)")
      check_ends("('x'):gsub('x', function() work() end)")
    end)

    it("that is in a blocking C function raises behind that", function()
      local leave = handoff.unique()
      local future = tasks.begin_waiting(s, [[
        enter()
        gates.wait(..., 1)
        while true do end
      ]], leave)
      assert.is_true(future:cancel())
      assert.is_false(future:tawait(0.01))
      handoff.set(leave, 1)
      tasks.check_cancelled(future, s)
      check_goes_on()
    end)

    it("raises once", function()
      local leave = handoff.unique()
      local future = tasks.begin(s, [[
        local ok, err = pcall(work)
        gates.put("cancel caught", err)
        return spin(...) and ok
      ]], leave)
      assert.is_true(future:cancel())
      local err = handoff.take("cancel caught")
      assert.is_true(tasks.is_cancelled(err, s), err)
      assert.is_false(future:ready())
      handoff.set(leave, 1)
      assert.same({false, n = 1}, helpers.pack(future:await()))
      assert.is_false(future:cancel())
      check_goes_on()
      assert.equals(0, log.count())
    end)

    it("raises once more for each further one", function()
      local future = tasks.begin(s, [[
        local function be_cancelled()
          gates.put("cancel caught", "not yet")
          spin()
        end
        enter()
        for _ = 1, 5 do
          gates.put("cancel caught", select(2, pcall(be_cancelled)))
        end
        return "five"
      ]])
      for _ = 1, 5 do
        assert.equals("not yet", handoff.take("cancel caught"))
        assert.is_true(future:cancel())
        local err = handoff.take("cancel caught")
        assert.is_true(tasks.is_cancelled(err, s), err)
      end
      assert.equals("five", future:await())
      check_goes_on()
    end)

    it("leaves the answer to code that catches it", function()
      local function cancelled(code)
        local future = tasks.begin(s, [[
          local ok, err = pcall(work)
        ]] .. code)
        assert.is_true(future:cancel())
        return future
      end
      local future = cancelled("return ok, 1, 'two', nil")
      assert.same({false, 1, "two", nil, n = 4},
        helpers.pack(future:await()))
      tasks.check_cancelled(cancelled("error(err, 0)"), s)
      assert.equals(0, log.count())
      future = cancelled("error('another', 0)")
      local err = helpers.raises_error("invoking_state", future.await, future)
      assert.equals("another", mtstates.error(err):text())
      future = cancelled("return coroutine.create(spin)")
      helpers.raises_error("state_result", future.await, future)
      future = cancelled("kept = err return 'kept'")
      assert.equals("kept", future:await())
      future = s:async("error(kept, 0)")
      helpers.raises_error("invoking_state", future.await, future)
      -- Another error than cancelled is none that was asked for.
      cancelled("error('unread', 0)") -- luacheck: ignore
      helpers.collect()
      assert.truthy(select(2, log.take()):find("unread", 1, true))
      assert.equals(1, log.count())
    end)

    it("is not logged", function()
      local leave = handoff.unique()
      for _ = 1, 5 do
        tasks.begin(s, "work()"):cancel()
        helpers.collect()
      end
      local running = tasks.begin(s, "enter() gates.wait(..., 1)", leave)
      for _ = 1, 5 do
        s:async("error('never')"):cancel()
        helpers.collect()
      end
      handoff.set(leave, 1)
      running:await()
      assert.equals(0, log.count())
    end)

    it("that has ended does nothing", function()
      local future = s:async("return 'ended'")
      assert.equals("ended", future:await())
      assert.is_false(future:cancel())
      assert.equals("ended", future:await())
      future = s:async("error('ended')")
      pcall(future.await, future)
      assert.is_false(future:cancel())
      helpers.raises_error("invoking_state", future.await, future)
      check_goes_on()
      future = s:async("spin(...) return 'closed'", nil, open)
      future:await()
      s:close()
      assert.is_false(future:cancel())
      assert.equals("closed", future:await())
      s = requests.new(kind, tasks.setup)
    end)

    it("that is failed by close does nothing", function()
      local leave = handoff.unique()
      local running = tasks.begin(s, "enter() gates.wait(..., 1)", leave)
      local waiting = s:async("")
      s:close()
      assert.is_false(waiting:cancel())
      helpers.raises_error("object_closed", waiting.await, waiting)
      assert.is_true(running:cancel())
      handoff.set(leave, 1)
      helpers.wait_until(function() return running:ready() end)
      assert.is_false(running:cancel())
      s = requests.new(kind, tasks.setup)
      assert.equals(0, log.count())
    end)

    it("reaches code that cleans up, too, if there is one more", function()
      local future = tasks.begin(s, [[
        local ok, err = pcall(work)
        local again, other = pcall(function()
          gates.put("cancel cleaning", "cleans up")
          spin()
        end)
        gates.put("cancel cleaning", other)
        error(err, 0)
      ]])
      assert.is_true(future:cancel())
      assert.equals("cleans up", handoff.take("cancel cleaning"))
      assert.is_false(future:tawait(0.01))
      assert.is_true(future:cancel())
      assert.is_true(tasks.is_cancelled(handoff.take("cancel cleaning"), s))
      tasks.check_cancelled(future, s)
      check_goes_on()
    end)

    it_closes("runs what is to be closed, which it reaches, too", function()
      local future = tasks.begin(s, [[
        local first <close> = setmetatable({}, {__close = function(_, err)
          gates.put("cancel closed", "first", err)
        end})
        local second <close> = setmetatable({}, {__close = function(_, err)
          gates.put("cancel closed", "second", err)
          spin()
        end})
        work()
      ]])
      assert.is_true(future:cancel())
      for i, name in ipairs({"second", "first"}) do
        local closed, err = handoff.take("cancel closed")
        assert.equals(name, closed)
        assert.equals(1, err:find(mtstates.error.cancelled, 1, true), err)
        if i == 1 then
          assert.is_false(future:ready())
          assert.is_true(future:cancel())
        end
      end
      tasks.check_cancelled(future, s)
      check_goes_on()
    end)

    it_closes("is what the end of a scope does", function()
      local scope = helpers.compile([[
        local begin, s, code = ...
        local kept
        do
          local future <close> = begin(s, code)
          kept = future
        end
        return kept
      ]])
      local future = scope(tasks.begin, s, "work()")
      tasks.check_cancelled(future, s)
      future = scope(s.async, s, "while true do end")
      tasks.check_cancelled(future, s)
      check_goes_on()
      assert.equals(0, log.count())
    end)
  end)
end
