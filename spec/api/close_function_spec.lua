-- t.__close of a table of functions: the last task of a state, in whichever
-- way that is closed.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

local it_closes = helpers.it_needs(helpers.compile("local x <close> = nil"),
                                   "to-be-closed variables")

-- Setup: __close and then a finalizer tell the mailbox what runs, and where;
-- __close runs the given code, too, which has gates, mt and t.
local function setup(box, code, ...)
  local gates, mt = require "handoff", require "mtstates"
  local compile = rawget(_G, "loadstring") or load
  local t, args = {}, {...}
  local run = code and assert(compile("local gates, mt, t, a, b = ... " ..
    code))
  guard = require "on_collect"( -- luacheck: ignore
    function() gates.put(box, "finalizer", gates.tid()) end)
  function t.__close(...)
    gates.put(box, "__close", gates.tid(), select("#", ...))
    if run then
      run(gates, mt, t, args[1], args[2])
    end
    gates.put(box, "done", gates.tid())
  end
  function t.tid() return gates.tid() end
  function t.quit() mt.quit() return gates.tid() end
  function t.fail() error("failed", 0) end
  function t.hold(entered, leave)
    gates.enter(entered, leave, 1)
    return gates.tid()
  end
  function t.replace()
    t.__close = function() gates.put(box, "another") end
  end
  return t
end

for kind, own_thread in pairs({service = false,
                               ["state with own_thread"] = true}) do
  describe("__close of a " .. kind, function()
    local log, box

    before_each(helpers.watch("__close"))
    before_each(function()
      log = requests.log_to_mailbox()
      box = handoff.unique("close")
    end)
    after_each(function()
      log.reset()
      helpers.unwatch()
    end)

    local function new(...)
      return mtstates.newstate({own_thread = own_thread}, setup, box, ...)
    end

    -- Looks that it ran once, before the finalizer; on this thread, if given.
    local function check_ran(tid, patience)
      local what, where, count = handoff.take(box, patience)
      assert.same({"__close", 0}, {what, count})
      assert.same({"done", where}, {handoff.take(box, patience)})
      assert.same({"finalizer", where}, {handoff.take(box, patience)})
      assert.is_false((pcall(handoff.take, box, 0)))
      if tid then
        assert.equals(tid, where)
      end
      return where
    end

    it("runs before close returns", function()
      local s = new()
      local own = s:call("tid")
      s:close()
      check_ran(own_thread and own or handoff.tid(), 0)
      s:close()
      assert.is_false((pcall(handoff.take, box, 0)))
      s = new()
      assert.is_true(s:close(60))
      check_ran(not own_thread and handoff.tid() or nil, 0)
      assert.equals(0, log.count())
    end)

    it("is not hit by what was to interrupt calls before", function()
      for _, flag in ipairs({false, true}) do
        local s = new("require 'interruptible' for _ = 1, 1000 do a = _ end")
        s:call("tid")
        s:interrupt(flag or nil)
        s:close()
        check_ran()
      end
      assert.equals(0, log.count())
    end)

    it("runs once when others close the state meanwhile", function()
      local entered, leave = handoff.unique("entered"), handoff.unique("leave")
      local s = new("gates.enter(a, b, 1)", entered, leave)
      local thread = threads.start(function(id)
        require "mtstates".state(id):close()
      end, s:id())
      handoff.wait(entered, 1)
      s:close()
      handoff.set(leave, 1)
      thread:results()
      check_ran()
      s:close()
    end)

    it("runs when the last request has ended, on its thread", function()
      local s = new()
      local entered, leave = handoff.unique(), handoff.unique()
      local running = s:async("hold", entered, leave)
      handoff.wait(entered, 1)
      local waiting = s:async("tid")
      s:close()
      helpers.raises_error("object_closed", waiting.await, waiting)
      assert.is_false((pcall(handoff.take, box, 0)))
      handoff.set(leave, 1)
      check_ran(running:await())
    end)

    it("runs after all that close with a timeout waits for", function()
      local s = new()
      local futures = {}
      for i = 1, 20 do
        futures[i] = s:async("tid")
      end
      assert.is_true(s:close(60))
      for i = 1, 20 do
        futures[i]:await()
      end
      check_ran(nil, 0)
    end)

    it("runs when the last owner is collected, by another thread", function()
      local s = new()
      local own = s:call("tid")
      s = nil -- luacheck: ignore
      helpers.collect()
      local where = check_ran()
      assert.is_false(where == handoff.tid())
      assert.is_true(not own_thread or where == own)
      s = new()
      local entered, leave = handoff.unique(), handoff.unique()
      local running = s:async("hold", entered, leave)
      handoff.wait(entered, 1)
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.is_false((pcall(handoff.take, box, 0)))
      handoff.set(leave, 1)
      check_ran()
      running:await()
    end)

    it("need not be there", function()
      local s = mtstates.newstate({own_thread = own_thread}, function()
        return {name = function() return "nobody" end}
      end)
      assert.equals("nobody", s:call("name"))
      s:close()
      assert.equals(0, log.count())
    end)

    it("does not keep the finalizer waiting", function()
      local leave = handoff.unique()
      local s = new("gates.wait(a, 1)", leave)
      s:await("tid")
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals("__close", (handoff.take(box)))
      assert.is_false((pcall(handoff.take, box, 0)))
      handoff.set(leave, 1)
      assert.equals("done", (handoff.take(box)))
      assert.equals("finalizer", (handoff.take(box)))
    end)

    it_closes("runs at the end of a scope", function()
      local s = new()
      s:await("tid")
      helpers.compile("local scoped <close> = ...")(s)
      check_ran()
    end)

    it("runs after quit", function()
      local s = new()
      s:call("quit")
      check_ran()
      s = new()
      check_ran(s:await("quit"))
    end)

    it("may wait", function()
      local other = requests.new("service", helpers.echo)
      local s = new([[
        local other = mt.state(a)
        mt.sleep(0.01)
        gates.put(b, other:await(1), other:call(2), other:async(3):await(),
          other:tawait(60, 4))
      ]], other:id(), box .. "waits")
      s:close()
      assert.same({1, 2, 3, true, 4}, {handoff.take(box .. "waits", 0)})
      check_ran(nil, 0)
      assert.equals(0, log.count())
    end)

    it("that fails is logged", function()
      local s = mtstates.newstate("__close fails", {own_thread = own_thread},
        setup, box, "error('failed', 0)")
      local id = s:id()
      assert.same({n = 0}, helpers.pack(s:close()))
      assert.equals("__close", (handoff.take(box, 0)))
      assert.equals("finalizer", (handoff.take(box, 0)))
      local logged, text, name, from = log.take()
      assert.same({"error", "__close fails", id}, {logged, name, from})
      assert.truthy(text:find("failed", 1, true), text)
      assert.equals(1, log.count())
      s = new("error({code = 404})")
      assert.is_true(s:close(60))
      assert.equals("error", (log.take()))
      assert.equals(1, log.count())
    end)

    it("finds its own state closed", function()
      local s = mtstates.newstate({own_thread = own_thread}, [[
        local box = ...
        local gates, mt = require "handoff", require "mtstates"
        local t, me = {}
        function t.find_itself() me = mt.state(mt.id()) end
        function t.__close()
          for _, method in ipairs({"await", "async", "send"}) do
            gates.put(box, pcall(me[method], me, "find_itself"))
          end
          gates.put(box, pcall(mt.state, mt.id()))
        end
        return t
      ]], box)
      s:call("find_itself")
      s:close()
      for i = 1, 4 do
        local ok, err = handoff.take(box, 0)
        assert.is_false(ok)
        assert.equals(1, err:find(i == 4 and mtstates.error.unknown_object
          or mtstates.error.object_closed, 1, true), err)
      end
      assert.equals(0, log.count())
    end)

    it("is what the setup has returned", function()
      local s = new()
      s:call("replace")
      s:close()
      check_ran(nil, 0)
    end)

    it("cannot be chosen by a request", function()
      local s = new()
      for _, method in ipairs({"call", "await"}) do
        local err = helpers.raises_error("invoking_state", s[method], s,
          "__close")
        assert.truthy(err:find("__close", 1, true), err)
      end
      assert.is_false((pcall(handoff.take, box, 0)))
      s:close()
      check_ran(nil, 0)
    end)

    it("runs after requests that failed", function()
      local s = new()
      assert.is_false((pcall(s.await, s, "fail")))
      assert.is_false((pcall(s.call, s, "unknown")))
      s:close()
      check_ran(nil, 0)
    end)

    it("of a setup that fails does not run", function()
      assert.is_false((pcall(mtstates.newstate, {own_thread = own_thread}, [[
        local box = ...
        local t = {__close = function() require "handoff".put(box, 1) end}
        error(t)
      ]], box)))
      helpers.collect()
      assert.is_false((pcall(handoff.take, box, 0)))
    end)

    it("of many states runs for each", function()
      local gate = handoff.unique()
      local states = {}
      for i = 1, 50 do
        local has_thread = own_thread and i % 10 == 0
        states[i] = mtstates.newstate({own_thread = has_thread}, [[
          local gate = ...
          local t = {tid = type}
          function t.__close()
            require "mtstates".sleep(0.001)
            require "handoff".add(gate)
          end
          return t
        ]], gate)
        states[i]:await("tid", 1)
      end
      states = nil -- luacheck: ignore
      helpers.collect()
      handoff.wait(gate, 50)
    end)

    it("of states that are closed one by one is no nested call", function()
      for _ = 1, 250 do
        mtstates.newstate({own_thread = own_thread, libs = false},
          "return {__close = function() end}"):close()
      end
      local s = mtstates.newstate(helpers.echo)
      assert.equals("called", s:call("called"))
    end)

    it("comes before waits in finalizers, which are refused", function()
      local unanswered, promise = mtstates.promise()
      local s = mtstates.newstate({own_thread = own_thread}, [[
        local box, future = ...
        local gates, mt = require "handoff", require "mtstates"
        guard = require "on_collect"(function()
          gates.put(box, pcall(mt.sleep, 0.001))
          gates.put(box, pcall(future.await, future))
          gates.put(box, pcall(mt.state, "close: nobody", 60))
        end)
        return {}
      ]], box, unanswered)
      s:close()
      promise:set()
      for _ = 1, 3 do
        local ok, err = handoff.take(box, 0)
        assert.is_false(ok)
        assert.equals(1, err:find(mtstates.error.object_closed, 1, true), err)
      end
    end)
  end)
end
