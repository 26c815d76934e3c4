-- future:cancel of requests that wait: each kind of wait ends at once, and
-- what is awaited by state:await is cancelled, too.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

-- Code that waits without end in each way; its arguments: the id of a state
-- that is held, with a full queue, and a future that is not answered.
local WAYS = {
  ["await"] = "mt.state(id):await('')",
  ["tawait"] = "mt.state(id):tawait(60, '')",
  ["tawait without end"] = "mt.state(id):tawait(math.huge, '')",
  ["room of send"] = "mt.state(id):send('')",
  ["room of tsend"] = "mt.state(id):tsend(60, '')",
  ["room of async"] = "mt.state(id):async('')",
  ["sleep"] = "mt.sleep(60)",
  ["sleep without end"] = "mt.sleep(math.huge)",
  ["state by name"] = "mt.state('cancel: nobody', 60)",
  ["state by id"] = "mt.state(1, 60)",
  ["future:await"] = "future:await()",
  ["future:tawait"] = "future:tawait(60)",
  ["promise"] = "local f, p = mt.promise() f:await(p)",
  ["map"] = "for _ in mt.state(id):map({''}) do end",
  ["each"] = "for _ in mt.each(future) do end",
}

-- The same wait below other code of the task, which is suspended there, but
-- for the last one, which holds its thread.
local PLACES = {
  ["directly"] = "enter() %s",
  ["in pcall"] = "local ok, err = pcall(function() enter() %s end) " ..
    "error(err, 0)",
  ["in a coroutine"] = "error(select(2, coroutine.resume(" ..
    "coroutine.create(function() enter() %s end))), 0)",
  ["below a C function"] = "table.sort({1, 2}, function() enter() %s end)",
}

describe("cancel of a request that waits", function()
  local log, s, other, release

  before_each(helpers.watch("cancel of waits"))
  before_each(function()
    log = requests.log_to_mailbox()
    s = requests.new("service", tasks.setup)
    other = mtstates.newstate({queue = 1}, helpers.gated)
    release = requests.hold(other, "released")
  end)
  after_each(function()
    s:close()
    release()
    other:close()
    log.reset()
    helpers.unwatch()
  end)

  local function begin_waiting(code, ...)
    return tasks.begin_waiting(s, "local id, future = ... " .. code,
      other:id(), ...)
  end

  local function check_goes_on()
    assert.equals("on", s:await("mt.sleep(0.001) return 'on'"))
    assert.equals("on", s:call("mt.sleep(0.001) return 'on'"))
  end

  for name, wait in pairs(WAYS) do
    for place, frame in pairs(PLACES) do
      it("ends it: " .. name .. ", " .. place, function()
        local open = requests.new("service", helpers.gated)
        local let_go = requests.hold(open, "not cancelled")
        local leave = handoff.unique()
        local unanswered = open:async(nil, leave, "answer")
        if name:find("room", 1, true) then
          other:async()
        end
        local future = begin_waiting(frame:format(wait), unanswered)
        assert.is_false(future:ready())
        assert.is_true(future:cancel())
        tasks.check_cancelled(future, s)
        assert.is_false(future:cancel())
        check_goes_on()
        assert.is_false(unanswered:ready())
        handoff.set(leave, 1)
        assert.equals("not cancelled", let_go())
        assert.equals("answer", unanswered:await())
        if name ~= "promise" then -- which nobody answers, and that is logged
          assert.equals(0, log.count())
        end
      end)
    end
  end

  it("lets the task wait again", function()
    for _, wait in ipairs({"mt.sleep", "require 'helpers'.hold, mt.sleep"}) do
      local future = begin_waiting(([[
        enter()
        local ok, err = pcall(%s, 60)
        mt.sleep(0.001)
        return ok, err
      ]]):format(wait))
      assert.is_true(future:cancel())
      local ok, err = future:await()
      assert.is_false(ok)
      assert.is_true(tasks.is_cancelled(err, s), err)
      check_goes_on()
    end
  end)

  it("before the wait begins raises before it", function()
    local leave, gate = handoff.unique(), handoff.unique()
    local future = begin_waiting([[
      enter()
      gates.wait(future, 1)
      mt.sleep(60)
    ]], leave)
    assert.is_true(future:cancel())
    handoff.set(leave, 1)
    tasks.check_cancelled(future, s)
    assert.equals(0, handoff.get(gate))
    check_goes_on()
  end)

  it("withdraws a request that has not begun", function()
    local gate = handoff.unique()
    local future = begin_waiting("enter() mt.state(id):await(future)", gate)
    helpers.wait_until(function() return other:stats().queue == 1 end)
    assert.is_true(future:cancel())
    tasks.check_cancelled(future, s)
    assert.equals(0, other:stats().queue)
    assert.equals("released", release())
    other:await()
    assert.equals(0, handoff.get(gate))
  end)

  local function cancels_awaited(how, hold)
    it(("cancels what it awaits, and that the same: %s%s"):format(how,
      hold ~= "" and "holding" or ""), function()
      local second = requests.new("classic state", tasks.setup)
      local third = requests.new("service", tasks.setup)
      local box = handoff.unique()
      local ask = ([[
        local box, compute, third = ...
        local ok, err = pcall(%sfunction()
          return mt.state(third):%scompute, box, box)
        end)
        gates.put(box, mt.id(), err)
        error(err, 0)
      ]]):format(hold, how)
      local compute = [[
        local ok, err = pcall(work)
        gates.put(..., mt.id(), err)
        error(err, 0)
      ]]
      local future = s:async(([[
        local box, ask, compute, second, third = ...
        local ok, err = pcall(%sfunction()
          return mt.state(second):%sask, nil, box, compute, third)
        end)
        gates.put(box, mt.id(), err)
        error(err, 0)
      ]]):format(hold, how), nil, box, ask, compute, second:id(), third:id())
      handoff.take(box) -- that of the third computes
      assert.is_true(future:cancel())
      local errors = {}
      for _ = 1, 3 do
        local id, err = handoff.take(box)
        errors[id] = err
      end
      for _, state in ipairs({s, second, third}) do
        local err = errors[state:id()]
        assert.is_true(tasks.is_cancelled(err, state), err)
      end
      tasks.check_cancelled(future, s)
      assert.equals(0, log.count())
      assert.equals(1, second:await("return 1"))
      assert.equals(1, third:await("return 1"))
    end)
  end

  for _, how in ipairs({"await(", "tawait(60, ", "tawait(math.huge, "}) do
    cancels_awaited(how, "")
    cancels_awaited(how, "require 'helpers'.hold, ")
  end

  it("does not cancel what it awaits by future:await", function()
    for _, place in ipairs({"directly", "below a C function"}) do
      local inner = requests.new("service", tasks.setup)
      local leave = handoff.unique()
      local awaited = tasks.begin(inner, "return work(...) and 'here'",
        leave)
      local future = begin_waiting(PLACES[place]:format("future:await()"),
        awaited)
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      assert.is_false(awaited:tawait(0.01))
      handoff.set(leave, 1)
      assert.equals("here", awaited:await())
    end
  end)

  it("is an error like others for who awaits it by a future", function()
    local asker = requests.new("service", tasks.setup)
    local future = begin_waiting("enter() mt.sleep(60)")
    local asking = tasks.begin_waiting(asker,
      "local awaited = ... enter() awaited:await()", future)
    assert.is_true(future:cancel())
    local err = helpers.raises_error("invoking_state", asking.await, asking)
    assert.equals(mtstates.error.cancelled, mtstates.error(err):cause())
    tasks.check_cancelled(future, s)
    assert.is_false(asking:cancel())
  end)

  it("is noticed by threads that await it", function()
    local future = begin_waiting("enter() mt.sleep(60)")
    local keeper = requests.new("service", [[
      local future = ...
      return function(gate)
        if gate then
          require "handoff".add(gate)
          future:await()
        end
        return future:cancel()
      end
    ]], future)
    local gate = handoff.unique()
    local waiter = threads.waiting(gate, function(g, id)
      local r = require "mtstates".state(id)
      return pcall(r.call, r, g)
    end, gate, keeper:id())
    assert.is_true(future:cancel())
    local ok, err = waiter:results()
    assert.is_false(ok)
    assert.equals(mtstates.error.cancelled, mtstates.error(err):cause())
  end)
end)
