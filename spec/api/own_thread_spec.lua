-- The option own_thread: an OS thread of its own runs the requests and calls
-- of a state. How its callers wait is in own_thread_calls_spec.lua.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

local it_closes = helpers.it_needs(helpers.compile("local x <close> = nil"),
                                   "to-be-closed variables")

describe("a state with own_thread", function()
  local log

  before_each(helpers.watch("own threads"))
  before_each(function()
    log = requests.log_to_mailbox()
  end)
  after_each(function()
    log.reset()
    helpers.unwatch()
  end)

  local function new(...)
    return mtstates.newstate({own_thread = true}, ...)
  end

  local WHERE = "return function(...) " ..
    "return require 'handoff'.tid(), ... end"

  it("wants a boolean", function()
    for value, got in pairs({[1] = "number", yes = "string"}) do
      helpers.bad_argument(1, "newstate",
        "option 'own_thread': boolean expected, got " .. got, function()
          mtstates.newstate({own_thread = value}, WHERE)
        end)
      helpers.bad_argument(2, "singleton",
        "option 'own_thread': boolean expected, got " .. got, function()
          mtstates.singleton("own thread", {own_thread = value}, WHERE)
        end)
    end
    local s = mtstates.newstate({own_thread = false}, WHERE)
    assert.equals(handoff.tid(), s:call())
  end)

  it("runs its requests and calls on that thread", function()
    local s = new(WHERE)
    local own = s:call()
    assert.is_false(own == handoff.tid())
    for i = 1, 20 do
      assert.same({own, i}, {s:call(i)})
      assert.same({own, i}, {s:await(i)})
      assert.same({true, own, i}, {s:tcall(60, i)})
      assert.same({true, own, i}, {s:tawait(60, i)})
      assert.same({own, i}, {s:async(i):await()})
    end
    assert.same({own, {1}, {2}}, {s:call({1}, {2})})
    local other = new(WHERE)
    assert.is_false(other:call() == own)
    for _ = 1, 4 do
      assert.equals(own, threads.start(function(id)
        return (require "mtstates".state(id):call())
      end, s:id()):results())
    end
    local service = requests.new("service", [[
      return function(s) return (s:call()), (s:await()) end
    ]])
    assert.same({own, own}, {service:await(s)})
    assert.same({own, own}, {service:call(s)})
  end)

  it("is set up by its creator", function()
    local s, setup, text = new([[
      local setup = require "handoff".tid()
      return function() return require "handoff".tid(), setup end, setup, "x"
    ]])
    assert.same({handoff.tid(), "x"}, {setup, text})
    local own, same = s:call()
    assert.equals(setup, same)
    assert.is_false(own == setup)
    assert.is_false((pcall(new, "error('setup')")))
    helpers.raises_error("state_result", new, "return 1")
  end)

  it("gives its thread the name of the state", function()
    local s = new(WHERE)
    assert.equals("mtstates/own", tasks.thread_name(s:call()))
    s = mtstates.newstate("own named", {own_thread = true}, WHERE)
    assert.equals("own named", tasks.thread_name(s:call()))
    s:close()
    s = mtstates.newstate("own name of more bytes", {own_thread = true},
      WHERE)
    assert.equals("own name of mor", tasks.thread_name(s:call()))
    s:close()
    s = mtstates.singleton("own single", {own_thread = true}, WHERE)
    local own = s:await()
    assert.equals("own single", tasks.thread_name(own))
    assert.equals(own, (mtstates.state("own single"):call()))
    s:close()
  end)

  it("may have a table of functions", function()
    local s = new([[
      local t = {}
      function t.where() return require "handoff".tid() end
      function t.echo(...) return ... end
      return t
    ]])
    assert.equals(s:call("where"), s:await("where"))
    assert.same({1, {2}}, {s:call("echo", 1, {2})})
    helpers.raises_error("invoking_state", s.call, s, "unknown")
    helpers.raises_error("invoking_state", s.await, s, "unknown")
  end)

  it("raises what its callback raises", function()
    local s = new(requests.runner)
    local plain = mtstates.newstate({}, requests.runner)
    local function without_id(err)
      return type(err) == "string" and err:gsub("id=%d+", "id=N") or err
    end
    for _, code in ipairs({
      "error('text')", "error('text', 0)", "error()", "error({code = 404})",
      "error(42)", "return nowhere.x", "syntax error",
      "return coroutine.create(function() end)",
      "local mt = require 'mtstates' mt.state(0)",
    }) do
      local expected = without_id(requests.raised(plain.call, plain, code))
      for _, method in ipairs({"call", "await"}) do
        assert.same(expected, without_id(requests.raised(s[method], s, code)))
      end
      assert.same(expected, without_id(requests.raised(s.tcall, s, 60, code)))
    end
    local err = helpers.raises(s.call, s, "error('text')")
    assert.truthy(err:find("stack traceback:", 1, true), err)
    assert.equals(1, s:call("return 1"))
    local thread = coroutine.create(function() end)
    helpers.bad_argument(2, "call", "thread cannot be transferred", function()
      s:call("return ...", thread)
    end)
    assert.equals(0, log.count())
    s:send("error('sent')")
    assert.truthy(select(2, log.take()):find("sent", 1, true))
    assert.equals(1, log.count())
  end)

  it("is interrupted, and cancelled", function()
    local s = new(tasks.setup)
    for _ = 1, 5 do
      local future = tasks.begin(s, "work()")
      s:interrupt()
      local err = helpers.raises_error("invoking_state", future.await, future)
      assert.equals(mtstates.error.interrupted, mtstates.error(err):cause())
      future = tasks.begin(s, "work()")
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      for _, wait in ipairs({"mt.sleep(60)",
                             "require 'helpers'.hold(mt.sleep, 60)"}) do
        future = tasks.begin_waiting(s, "enter() " .. wait)
        assert.is_true(future:cancel())
        tasks.check_cancelled(future, s)
      end
    end
    local box = handoff.unique()
    local caller = threads.start(function(id, b)
      local r = require "mtstates".state(id)
      return pcall(r.call, r, "work()", b)
    end, s:id(), box)
    handoff.take(box)
    s:interrupt()
    local ok, err = caller:results()
    assert.is_false(ok)
    assert.equals(mtstates.error.interrupted, mtstates.error(err):cause())
    assert.equals("on", s:call("return 'on'"))
  end)

  it("lets futures, states and promises cross", function()
    local s = new([[
      local mt = require "mtstates"
      return function(promise, s, ...)
        promise:set(...)
        return s:async("answer"), s
      end
    ]])
    local echo = requests.new("service", helpers.echo)
    for _, method in ipairs({"call", "await"}) do
      local future, promise = mtstates.promise()
      local made, same = s[method](s, promise, echo, 1, {2})
      assert.same({1, {2}}, {future:await()})
      assert.is_true(same == echo)
      assert.equals("answer", made:await())
    end
  end)

  -- Setup code: its finalizer, and all else, tells where it runs.
  local FINALIZED = [[
    local box = ...
    local gates = require "handoff"
    guard = require "on_collect"(function() gates.put(box, gates.tid()) end)
    return {tid = gates.tid, wait = gates.wait, put = gates.put}
  ]]

  it("is closed on that thread, which ends", function()
    local box = handoff.unique()
    local s = new(FINALIZED, box)
    local own = s:call("tid")
    s:close()
    assert.equals(own, handoff.take(box, 0)) -- before close returned
    helpers.raises_error("object_closed", s.call, s, "tid")
    helpers.raises_error("object_closed", s.await, s, "tid")
    helpers.wait_until(function() return tasks.is_gone(own) end)
    s:close()
    new(FINALIZED, box):close() -- never used
    assert.is_false(handoff.take(box, 0) == handoff.tid())
  end)

  it("is closed there when its last owner is collected", function()
    local box = handoff.unique()
    local s = new(FINALIZED, box)
    local own, reference = s:call("tid"), mtstates.state(s:id())
    s = nil -- luacheck: ignore
    helpers.collect()
    assert.equals(own, handoff.take(box))
    helpers.wait_until(function() return tasks.is_gone(own) end)
    helpers.raises_error("object_closed", reference.call, reference, "tid")
    -- It does first what was sent.
    s = new(FINALIZED, box)
    local leave = handoff.unique()
    s:send("wait", leave, 1)
    s:send("put", box, "sent")
    s = nil -- luacheck: ignore
    helpers.collect()
    assert.is_false((pcall(handoff.take, box, 0)))
    handoff.set(leave, 1)
    assert.equals("sent", handoff.take(box))
    assert.equals("number", type(handoff.take(box)))
  end)

  it_closes("is closed there at the end of a scope", function()
    local box = handoff.unique()
    local s = new(FINALIZED, box)
    local own = s:call("tid")
    helpers.compile("local scoped <close> = ...")(s)
    assert.equals(own, handoff.take(box))
    helpers.wait_until(function() return tasks.is_gone(own) end)
  end)

  it("that is closed while a request runs is closed behind that", function()
    local box, leave = handoff.unique(), handoff.unique()
    local s = new(FINALIZED, box)
    local own = s:call("tid")
    local running = s:async("wait", leave, 1)
    helpers.wait_until(function()
      local stats = s:stats()
      return stats.queue == 0 and stats.tasks == 1
    end)
    local waiting = s:async("tid")
    s:close()
    helpers.raises_error("object_closed", waiting.await, waiting)
    helpers.raises_error("object_closed", s.call, s, "tid")
    assert.is_false((pcall(handoff.take, box, 0)))
    handoff.set(leave, 1)
    running:await()
    assert.equals(own, handoff.take(box))
    helpers.wait_until(function() return tasks.is_gone(own) end)
    assert.equals(0, log.count())
  end)
end)
