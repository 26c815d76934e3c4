-- future:cancel of requests that are inside of calls of other states: it waits
-- until they are back in their own code, and hits nobody else.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

describe("cancel of a request inside of a call", function()
  local log, s, other, leave

  before_each(helpers.watch("cancel in calls"))
  before_each(function()
    log = requests.log_to_mailbox()
    s = requests.new("service", tasks.setup)
    other = requests.new("service", tasks.setup)
    leave = handoff.unique("leave")
  end)
  after_each(function()
    s:close()
    other:close()
    assert.equals(0, log.count())
    log.reset()
    helpers.unwatch()
  end)

  -- Cancels a request whose inner code computes until leave is open, then puts
  -- what that gave into the mailbox, and computes on when it is back.
  local function check_waits(future, box)
    assert.is_true(future:cancel())
    assert.is_true(future:cancel())
    assert.is_false(future:tawait(0.02))
    assert.is_false((pcall(handoff.take, box, 0)))
    handoff.set(leave, 1)
    assert.equals("undisturbed", handoff.take(box))
    tasks.check_cancelled(future, s)
    assert.equals("on", s:await("return 'on'"))
    assert.equals("on", other:await("return 'on'"))
  end

  -- Code that computes, whose arguments are a gate and a mailbox.
  local INNER = [[
    local leave, box = ...
    local ok, err = pcall(work, leave)
    gates.put(box, ok and "undisturbed" or err)
  ]]

  it("of another state raises when it is back", function()
    local box, entered = handoff.unique(), handoff.unique()
    local future = s:async([[
      local id, inner, entered, leave, box = ...
      mt.state(id):call(inner, entered, leave, box)
      while true do end
    ]], nil, other:id(), INNER, entered, leave, box)
    handoff.take(entered)
    check_waits(future, box)
  end)

  it("of a state with own_thread raises when it is back", function()
    local box, entered = handoff.unique(), handoff.unique()
    local own = mtstates.newstate({own_thread = true}, tasks.setup)
    local busy = tasks.begin(own, "work()")
    local future, tid = tasks.begin(s, [[
      local own, inner, entered, leave, box = ...
      enter()
      own:call(inner, entered, leave, box)
      while true do end
    ]], own, INNER, entered, leave, box)
    handoff.wait_asleep(tid)
    assert.is_true(future:cancel()) -- it waits in line
    assert.is_false(future:tawait(0.02))
    assert.is_true(busy:cancel())
    handoff.take(entered)
    check_waits(future, box)
  end)

  it("of a state that calls back raises when it is back", function()
    local box, entered = handoff.unique(), handoff.unique()
    local future = s:async([[
      local id, inner, entered, leave, box = ...
      mt.state(id):call("mt.state((...)):call(select(2, ...))", nil, mt.id(),
        inner, entered, leave, box)
      while true do end
    ]], nil, other:id(), INNER, entered, leave, box)
    handoff.take(entered)
    check_waits(future, box)
  end)

  it("of its own state raises when it is back", function()
    local box, entered = handoff.unique(), handoff.unique()
    local future = s:async([[
      local inner, entered, leave, box = ...
      mt.state(mt.id()):call(inner, entered, leave, box)
      while true do end
    ]], nil, INNER, entered, leave, box)
    handoff.take(entered)
    check_waits(future, box)
  end)

  it("leaves waits there alone", function()
    local box, entered = handoff.unique(), handoff.unique()
    local third = requests.new("service", tasks.setup)
    local future = s:async([[
      local id, inner, entered, leave, box, third = ...
      mt.state(id):call(inner, entered, leave, box, third)
      while true do end
    ]], nil, other:id(), [[
      local leave, box, third = ...
      local ok, err = pcall(function()
        enter()
        mt.state(third):await("gates.wait(..., 1)", nil, leave)
        mt.sleep(0.001)
        return mt.state(third):async("return 'result'"):await()
      end)
      gates.put(box, ok and err == "result" and "undisturbed" or err)
    ]], entered, leave, box, third:id())
    handoff.wait_asleep(handoff.take(entered))
    check_waits(future, box)
  end)

  it("lets it get its turn", function()
    local busy = mtstates.newstate({}, helpers.gated)
    local held = threads.hold(busy)
    local box = handoff.unique()
    local future = tasks.begin_waiting(s, [[
      local id, box = ...
      enter()
      gates.put(box, mt.state(id):call(nil, nil, "its turn"))
      while true do end
    ]], busy:id(), box)
    assert.is_true(future:cancel())
    assert.is_false(future:tawait(0.02))
    held:release()
    local ok, err = pcall(function() return future:await() end)
    assert.is_false(ok)
    assert.is_true(tasks.is_cancelled(err, s), err)
    assert.equals("on", s:await("return 'on'"))
    assert.equals("on", busy:await(nil, nil, "on"))
  end)

  it("after it is back finds the results of the call there", function()
    local entered = handoff.unique()
    local future = s:async([[
      local id, entered, leave = ...
      local result
      local ok, err = pcall(function()
        result = mt.state(id):call("return work(...) and 'result'",
          entered, leave)
        local other = result .. ""
        return other
      end)
      return ok, err
    ]], nil, other:id(), entered, leave)
    handoff.take(entered)
    assert.is_true(future:cancel())
    handoff.set(leave, 1)
    local ok, err = future:await()
    assert.is_false(ok)
    assert.is_true(tasks.is_cancelled(err, s), err)
  end)

  it("of one that is interrupted leaves both to their states", function()
    local box, entered = handoff.unique(), handoff.unique()
    local future = s:async([[
      local id, entered, leave, box = ...
      local called = mt.state(id)
      gates.put(box, pcall(called.call, called, "work()", entered))
      gates.add(leave)
      while true do end
    ]], nil, other:id(), entered, leave, box)
    handoff.take(entered)
    assert.is_true(future:cancel())
    other:interrupt()
    local ok, err = pcall(future.await, future)
    assert.is_false(ok)
    assert.is_true(tasks.is_cancelled(err, s), err)
    assert.equals("on", other:await("return 'on'"))
  end)

  it("can be done by the code that it calls", function()
    local future = s:async([[
      local id, leave = ...
      gates.wait(leave, 1)
      mt.state(id):call("kept:cancel() gates.put(..., 'cancelled')", nil,
        leave)
      while true do end
    ]], nil, other:id(), leave)
    other:call("kept = ...", nil, future)
    handoff.set(leave, 1)
    assert.equals("cancelled", handoff.take(leave))
    tasks.check_cancelled(future, s)
  end)

  it("can be done by itself", function()
    local future = s:async([[
      local id, leave = ...
      gates.wait(leave, 1)
      local ok, err = pcall(function()
        local future = mt.state(id):call("return kept, true")
        gates.put(leave, future:cancel())
        while true do end
      end)
      error(err, 0)
    ]], nil, other:id(), leave)
    other:call("kept = ...", nil, future)
    handoff.set(leave, 1)
    tasks.check_cancelled(future, s)
    assert.is_false((pcall(handoff.take, leave, 0)))
  end)
end)
