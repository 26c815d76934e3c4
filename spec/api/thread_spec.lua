-- mtstates.thread: a function on an OS thread of its own, its future, and its
-- state.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"

-- Code for a thread: does what its callers tell until it is told to end.
local HELD = [[
  local entered, leave = ...
  local gates = require "handoff"
  gates.put(entered, gates.tid())
  gates.wait(leave, 1)
  return "left"
]]

-- A thread whose code waits for the gate leave: future, state, thread number.
local function hold(options, leave)
  local entered = handoff.unique("entered")
  local future, state = mtstates.thread(options, HELD, entered, leave)
  return future, state, handoff.take(entered)
end

local function is_open(id)
  return (pcall(mtstates.state, id))
end

describe("mtstates.thread", function()
  local log

  before_each(helpers.watch("thread"))
  before_each(function()
    log = requests.log_to_mailbox()
  end)
  after_each(function()
    log.reset()
    helpers.unwatch()
  end)

  it("gives a future and a state", function()
    local entered, leave = handoff.unique(), handoff.unique()
    local made = helpers.pack(mtstates.thread(HELD, entered, leave))
    assert.equals(2, made.n)
    local future, state = made[1], made[2]
    handoff.take(entered)
    assert.equals("mtstates.future", mtstates.type(future))
    assert.equals("mtstates.state", mtstates.type(state))
    assert.is_false(state:isowner())
    assert.is_nil(state:name())
    assert.equals(0, state:stats().owners)
    assert.is_true(mtstates.state(state:id()) == state)
    assert.is_false(future:ready())
    handoff.set(leave, 1)
    assert.equals("left", future:await())
  end)

  it("runs code with arguments, and gives the results", function()
    local function run(code, ...)
      return helpers.pack(mtstates.thread(code, ...):await())
    end
    assert.same({n = 0}, run(""))
    assert.same({n = 4, 1, nil, "x\0", nil}, run("return ...", 1, nil, "x\0",
      nil))
    assert.same({n = 1, {1, {2}}}, run("return {(...), {2}}", 1))
    local t = {}
    t.t = t
    assert.same({n = 2, true, 3},
      run("local t, n = ... return t.t == t, select('#', ...)", t, nil, nil))
    assert.is_false(handoff.tid() ==
      run("return require 'handoff'.tid()")[1])
  end)

  helpers.it_with_globals("runs a function, with upvalues", function()
    local count, shared = 1, {}
    local function add(n)
      count = count + n
      return count
    end
    local future = mtstates.thread(function(t, f, ...)
      return add(10), rawequal(t, shared), f == add, select("#", ...)
    end, shared, add, nil, nil)
    assert.same({11, true, true, 2}, {future:await()})
    assert.equals(1, count)
    assert.equals(5, mtstates.thread(math.max, 1, 5, 3):await())
    assert.equals("here", mtstates.thread({}, function(x)
      return x
    end, "here"):await())
  end)

  helpers.it_with_globals("copies what it gets at once", function()
    local t, n = {1}, 1
    local leave = handoff.unique()
    local future = mtstates.thread(function(u)
      require "handoff".wait(leave, 1)
      return t[1], u[1], n, t == u
    end, t)
    t[1], n = "changed", "changed"
    handoff.set(leave, 1)
    assert.same({1, 1, 1, true}, {future:await()})
  end)

  it("takes the options of states, and a name", function()
    local future, state = mtstates.thread({name = "thread named", queue = 1,
      libs = false}, "return string == nil and require 'string' ~= nil")
    assert.equals("thread named", state:name())
    assert.is_true(future:await())
    local leave = handoff.unique()
    local tid
    future, state, tid = hold({name = "thread name of more bytes"}, leave)
    assert.is_true(mtstates.state("thread name of more bytes") == state)
    assert.equals("thread name of ", tasks.thread_name(tid))
    handoff.set(leave, 1)
    future:await()
    leave = handoff.unique()
    future, state, tid = hold({queue = 1, own_thread = true}, leave)
    assert.is_nil(state:name())
    assert.equals("mtstates/own", tasks.thread_name(tid))
    state:send(type, 1)
    assert.is_false(state:tsend(0, type, 1))
    handoff.set(leave, 1)
    future:await()
  end)

  it("takes code with any bytes", function()
    local function run(code)
      return mtstates.thread(code, "argument"):await()
    end
    assert.equals("\0argument\0", run("return '\0' .. ... .. '\0'"))
    assert.equals("argument", run(string.dump(function(...) return ... end)))
  end)

  it("has the name that it was given, whatever __transfer does", function()
    local class = mtstates.class("thread.Renames")
    for i = 1, 20 do
      local options = {name = ("thread named %02d"):format(i)}
      function class.__transfer()
        options.name = nil
        collectgarbage()
        for j = 1, 50 do
          options[j] = ("thread other %02d"):format(j)
        end
      end
      local future, state = mtstates.thread(options, "",
        setmetatable({}, class))
      assert.equals(("thread named %02d"):format(i), state:name())
      helpers.raises_error("unknown_class", future.await, future)
    end
  end)

  it("says which argument is wrong", function()
    local thread = coroutine.create(function() end)
    local function bad(position, text, ...)
      local args = helpers.pack(...)
      helpers.bad_argument(position, "thread", text, function()
        mtstates.thread(helpers.unpack(args, 1, args.n))
      end)
    end
    bad(1, "function or code expected")
    bad(1, "function or code expected", nil)
    bad(1, "function or code expected", 1)
    bad(1, "function or code expected", true)
    bad(1, "function or code expected", io.stdout)
    bad(2, "function or code expected", {})
    bad(2, "function or code expected", {}, {})
    bad(2, "function or code expected", {}, 1)
    bad(1, "", "syntax error")
    bad(2, "", {}, "return return")
    bad(1, "option 'memroy' is unknown", {memroy = 1}, "")
    bad(1, "option 'queue': positive number", {queue = 0}, "")
    bad(1, "option 'name': string expected", {name = {}}, "")
    bad(1, "option 'own_thread'", {own_thread = 1}, "")
    bad(1, "option 'own_thread': true expected", {own_thread = false}, "")
    bad(2, "thread cannot be transferred", "", thread)
    bad(4, "(field 'x[1]': thread cannot be", "", 1, 2, {x = {thread}})
    bad(4, "thread cannot be transferred", {}, "", 1, thread)
    bad(2, "userdata cannot be transferred", "", handoff.userdata())
  end)

  helpers.it_with_globals("says which upvalue cannot cross", function()
    local upvalue = coroutine.create(function() end)
    local text = "upvalue 'upvalue': thread cannot be transferred"
    helpers.bad_argument(1, "thread", text, function()
      mtstates.thread(function() return upvalue end)
    end)
    helpers.bad_argument(2, "thread", text, function()
      mtstates.thread({}, function() return upvalue end)
    end)
  end)

  it("raises in await what its function raises", function()
    local future = mtstates.thread("error('failed', 0)")
    local err = helpers.raises_error("invoking_state", future.await, future)
    assert.equals("failed", mtstates.error(err):text())
    assert.truthy(mtstates.error(err):traceback())
    future = mtstates.thread("error({code = 404})")
    assert.same({code = 404}, helpers.raises(future.await, future))
    future = mtstates.thread("return coroutine.create(function() end)")
    helpers.raises_error("state_result", future.await, future)
    assert.equals(0, log.count())
    mtstates.thread({name = "thread unread"}, "error('unread', 0)")
    helpers.collect()
    local kind, text, name = log.take()
    assert.same({"error", "thread unread"}, {kind, name})
    assert.truthy(text:find("unread", 1, true), text)
    assert.equals(1, log.count())
  end)

  it("ends with its function", function()
    local leave = handoff.unique()
    local future, state, tid = hold({}, leave)
    handoff.set(leave, 1)
    assert.equals("left", future:await())
    helpers.wait_until(function()
      return not is_open(state:id()) and tasks.is_gone(tid)
    end)
    helpers.raises_error("object_closed", state.call, state, type, 1)
    helpers.raises_error("object_closed", state.async, state, type, 1)
    assert.equals("left", future:await())
  end)

  it("goes on when future and state are dropped", function()
    local leave, gate = handoff.unique(), handoff.unique()
    local id, tid
    do
      local _, state, number = hold({}, leave)
      id, tid = state:id(), number
    end
    helpers.collect()
    assert.is_true(is_open(id))
    mtstates.thread([[
      local leave, gate = ...
      require "handoff".wait(leave, 1)
      require "handoff".add(gate)
    ]], leave, gate)
    helpers.collect()
    handoff.set(leave, 1)
    handoff.wait(gate, 1)
    helpers.wait_until(function()
      return not is_open(id) and tasks.is_gone(tid)
    end)
    assert.equals(0, log.count())
  end)

  it("can make threads, and be asked by them", function()
    assert.equals(3, mtstates.thread([[
      local mt = require "mtstates"
      local me = mt.state(mt.id())
      return 1 + mt.thread("return 1 + require 'mtstates'.thread(...):await()",
        "return 1"):await()
    ]]):await())
  end)
end)
