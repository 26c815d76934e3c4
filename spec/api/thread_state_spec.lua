-- The state of mtstates.thread: what others may do with it while its function
-- runs or waits.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

describe("the state of a thread", function()
  local log

  before_each(helpers.watch("state of a thread"))
  before_each(function()
    log = requests.log_to_mailbox()
  end)
  after_each(function()
    log.reset()
    helpers.unwatch()
  end)

  -- A thread that runs code: future, state, number. The code has gates, mt and
  -- leave, the gate that is open when it is to end.
  local function begin(code, leave, ...)
    local entered = handoff.unique("entered")
    local future, state = mtstates.thread([[
      require "interruptible"
      local gates, mt = require "handoff", require "mtstates"
      local entered, leave = ...
      gates.put(entered, gates.tid())
    ]] .. code, entered, leave, ...)
    return future, state, handoff.take(entered)
  end

  helpers.it_with_globals("runs functions on the same thread", function()
    local leave = handoff.unique()
    local future, state, tid = begin("gates.wait(leave, 1) return mt.id()",
      leave)
    local function where(...)
      return require "handoff".tid(), require "mtstates".id(), ...
    end
    local asked = {}
    for i = 1, 5 do
      asked[i] = state:async(where, i)
    end
    state:send(where)
    assert.equals(6, state:stats().queue)
    local caller = threads.start(function(id)
      return require "mtstates".state(id):call(math.max, 1, 7)
    end, state:id())
    helpers.wait_until(function() return state:stats().queue == 7 end)
    assert.is_false(state:tcall(0.01, where))
    assert.is_false(state:tawait(0.01, where))
    handoff.set(leave, 1)
    local id = future:await()
    assert.equals(state:id(), id)
    for i = 1, 5 do
      assert.same({tid, id, i}, {asked[i]:await()})
    end
    local ok, result = caller:join()
    assert.is_true(ok)
    assert.equals(7, result)
  end)

  helpers.it_with_globals("nests what its own function calls", function()
    assert.same({"inner", 3}, {mtstates.thread(function()
      local mt = require "mtstates"
      local me = mt.state(mt.id())
      local tid = require "handoff".tid()
      local inner_tid, text = me:call(function(...)
        return require "handoff".tid(), ...
      end, "inner")
      assert(tid == inner_tid)
      return text, me:call(select, "#", 1, 2, 3)
    end):await()})
  end)

  it("wants what can be called", function()
    local leave = handoff.unique()
    local future, state = begin("gates.wait(leave, 1)", leave)
    local asked = state:async(1, 2)
    local unknown = state:async()
    local code = state:async("return 1")
    handoff.set(leave, 1)
    for _, wrong in ipairs({asked, unknown, code}) do
      helpers.raises_error("invoking_state", wrong.await, wrong)
    end
    future:await()
  end)

  it("is interrupted", function()
    local future, state = begin("while true do end")
    state:interrupt()
    local err = helpers.raises_error("invoking_state", future.await, future)
    assert.equals(mtstates.error.interrupted, mtstates.error(err):cause())
    helpers.wait_until(function()
      return not pcall(mtstates.state, state:id())
    end)
    helpers.raises_error("object_closed", state.interrupt, state)
  end)

  it("is cancelled, while it runs and while it waits", function()
    for _, code in ipairs({"while true do end", "mt.sleep(60)",
                           "local f, p = mt.promise() f:await(p)"}) do
      local future, state, tid = begin(code)
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, state)
      helpers.wait_until(function() return tasks.is_gone(tid) end)
    end
  end)

  it("that is cancelled at once never runs, or is cancelled", function()
    for _ = 1, 50 do
      local future, state = mtstates.thread([[
        require "interruptible"
        while true do end
      ]])
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, state)
    end
  end)

  it("is closed: waits that hold end, what waits fails", function()
    local future, state, tid = begin([[
      local ok, err = pcall(require "helpers".hold, mt.sleep, 60)
      local again, other = pcall(mt.sleep, 60)
      return ok, err, again, other
    ]])
    local waiting = state:async(type, 1)
    handoff.wait_asleep(tid)
    state:close()
    helpers.raises_error("object_closed", waiting.await, waiting)
    helpers.raises_error("object_closed", state.async, state, type, 1)
    local ok, err, again, other = future:await()
    assert.same({false, false}, {ok, again})
    for _, text in ipairs({err, other}) do
      assert.equals(1, text:find(mtstates.error.object_closed, 1, true), text)
    end
    helpers.wait_until(function() return tasks.is_gone(tid) end)
  end)

  it("is closed while its function is suspended", function()
    local future, state, tid = begin("mt.sleep(60)")
    assert.equals("number", state:await(type, 1))
    state:close()
    helpers.raises_error("object_closed", future.await, future)
    helpers.wait_until(function() return tasks.is_gone(tid) end)
  end)

  it("is closed with a timeout", function()
    local leave = handoff.unique()
    local future, state = begin("gates.wait(leave, 1) return 'left'", leave)
    local asked = state:async(type, 1)
    local closing = threads.waiting(leave .. "closing", function(gate, id)
      local s = require "mtstates".state(id)
      require "handoff".add(gate)
      return s:close(60)
    end, leave .. "closing", state:id())
    handoff.set(leave, 1)
    assert.is_true(closing:results())
    assert.equals("left", future:await())
    assert.equals("number", asked:await())
    assert.is_true(state:close(0))
  end)

  it("ends by quit", function()
    local leave = handoff.unique()
    local future, state, tid = begin([[
      mt.quit()
      gates.wait(leave, 1)
      return "all the same"
    ]], leave)
    local waiting = state:async(type, 1)
    handoff.set(leave, 1)
    assert.equals("all the same", future:await())
    helpers.raises_error("object_closed", waiting.await, waiting)
    helpers.wait_until(function() return tasks.is_gone(tid) end)
  end)

  it("can be kept by an owner", function()
    local leave = handoff.unique()
    local future, state, tid = begin("gates.wait(leave, 1)", leave)
    local owner = state:own()
    assert.is_true(owner:isowner())
    handoff.set(leave, 1)
    future:await()
    for i = 1, 10 do
      assert.equals(i, owner:call(math.max, i))
      assert.equals(i, state:await(math.max, i))
    end
    assert.equals(tid, owner:await(handoff.tid))
    owner:close()
    helpers.wait_until(function() return tasks.is_gone(tid) end)
  end)

  it("crosses, and its future, too", function()
    local leave = handoff.unique()
    local future, state = begin("gates.wait(leave, 1) return 'left'", leave)
    local s = requests.new("service", [[
      return function(future, state)
        local asked = state:async(math.max, 1, 5)
        return future:await(), asked:await(), state, future
      end
    ]])
    local answer = s:async(future, state)
    handoff.set(leave, 1)
    local left, asked, same_state, same_future = answer:await()
    assert.same({"left", 5}, {left, asked})
    assert.is_true(same_state == state and same_future == future)
  end)
end)
