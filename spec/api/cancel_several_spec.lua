-- future:cancel by several, in other states, and together with interrupt.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local requests = require "requests"
local tasks = require "tasks"

-- Code of a task: computes until the gate is open; each error that is raised
-- meanwhile ends one more level of its calls. Gives how many there were.
local ABSORB = [[
  local leave, count = ...
  local function absorb(level)
    if level == 0 then
      enter()
    end
    if level == 0 or not pcall(absorb, level - 1) then
      spin(leave)
      count = level
    end
  end
  absorb(20)
  return count
]]

describe("cancel", function()
  before_each(helpers.watch("cancel of futures"))
  after_each(helpers.unwatch)

  it("can be done in any state", function()
    local s = requests.new("service", tasks.setup)
    local canceller = requests.new("service", tasks.setup)
    for _ = 1, 10 do
      local future = tasks.begin(s, "work()")
      assert.is_true(canceller:await("return (...):cancel()", nil, future))
      tasks.check_cancelled(future, s)
      assert.is_false(canceller:await("return (...):cancel()", nil, future))
    end
  end)

  it("can be done by many at once", function()
    local s, cancellers = requests.new("service", tasks.setup), {}
    for i = 1, 8 do
      cancellers[i] = requests.new("service", tasks.setup)
    end
    local function cancel_all(future)
      local answers, count = {}, 0
      for i = 1, 8 do
        answers[i] = cancellers[i]:async("return (...):cancel()", nil, future)
      end
      for i = 1, 8 do
        count = count + (answers[i]:await() and 1 or 0)
      end
      return count
    end
    for _ = 1, 20 do
      local leave = handoff.unique()
      local running = tasks.begin(s, ABSORB, leave)
      local waiting = s:async("")
      assert.equals(1, cancel_all(waiting)) -- the first one answers it
      tasks.check_cancelled(waiting, s)
      assert.equals(8, cancel_all(running))
      handoff.set(leave, 1)
      local count = running:await()
      assert.is_true(count >= 1 and count <= 8)
    end
  end)

  it("and interrupt are raised once each", function()
    local s = requests.new("service", tasks.setup)
    for _ = 1, 20 do
      local leave = handoff.unique()
      local future = tasks.begin(s, ABSORB, leave)
      s:interrupt()
      assert.is_true(future:cancel())
      assert.is_false(future:tawait(0.005))
      handoff.set(leave, 1)
      assert.equals(2, future:await())
    end
    -- An interrupt that stays is not ended by a cancel.
    local future = tasks.begin(s, "work()")
    s:interrupt(true)
    future:cancel()
    assert.is_false((pcall(future.await, future)))
    helpers.raises_error("invoking_state", s.call, s, "spin()")
    s:interrupt(false)
    assert.equals("on", s:await("return 'on'"))
  end)

  it("wants a future", function()
    local s = requests.new("service", helpers.echo)
    local future = s:async()
    for _, wrong in ipairs({1, "x", s, io.stdout}) do
      local ok, err = pcall(future.cancel, wrong)
      assert.is_false(ok)
      assert.truthy(err:find("mtstates.future expected", 1, true), err)
    end
    assert.is_false((pcall(future.cancel)))
    future:await()
    getmetatable(future).__gc(future)
    assert.is_false((pcall(future.cancel, future)))
  end)
end)
