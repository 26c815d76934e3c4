-- What the garbage collector is told about states.

local helpers = require "helpers"
local mtstates = require "mtstates"
local on_collect = require "on_collect"

describe("the garbage collector", function()
  before_each(helpers.watch("garbage collector"))
  after_each(helpers.unwatch)

  -- A heap that lets the collector wait long.
  local function large_heap()
    local heap = {}
    for i = 1, 20000 do
      heap[i] = {}
    end
    helpers.collect()
    return heap
  end

  -- A function that tells whether the collector has come by.
  local function observer()
    local is_collected = false
    on_collect(function() is_collected = true end)
    return function() return is_collected end
  end

  -- Creates states and drops them; tells how many are open at the end.
  local function drop(count)
    local ids, open = {}, 0
    for i = 1, count do
      ids[i] = mtstates.newstate(false, "return function() end"):id()
    end
    for i = 1, count do
      open = open + (pcall(mtstates.state, ids[i]) and 1 or 0)
    end
    return open
  end

  it("knows that states are heavy", function()
    -- In a process of its own, whose heap is known.
    local output = helpers.run_program([[
      local mtstates = require "mtstates"
      local heap, ids, open = {}, {}, 0
      for i = 1, 20000 do
        heap[i] = {}
      end
      for i = 1, 3000 do
        ids[i] = mtstates.newstate(false, "return function() end"):id()
      end
      for i = 1, 3000 do
        open = open + (pcall(mtstates.state, ids[i]) and 1 or 0)
      end
      print(open < 1500 and "fine" or open)
    ]])
    assert.equals("fine\n", output)
  end)

  it("need not care for states that are closed", function()
    local heap = large_heap()
    local has_collected = observer()
    for _ = 1, 500 do
      mtstates.newstate(false, "return function() end"):close()
    end
    assert.is_false(has_collected())
    assert.equals(20000, #heap)
    drop(2000)
    assert.is_true(has_collected())
  end)

  it("is not started by new states when it is stopped", function()
    helpers.collect()
    local has_collected = observer()
    collectgarbage("stop")
    local open = drop(1000)
    local has_collected_stopped = has_collected()
    collectgarbage("restart")
    assert.equals(1000, open)
    assert.is_false(has_collected_stopped)
    helpers.collect()
    assert.is_true(has_collected())
  end)
end)
