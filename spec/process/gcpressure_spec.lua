-- What the garbage collector is told about states.  Each program has a process
-- of its own, whose heap is known.

local helpers = require "helpers"

local prelude = [[
  local mtstates = require "mtstates"
  local on_collect = require "on_collect"

  -- A heap that lets the collector wait long.
  heap = {}
  for i = 1, 20000 do
    heap[i] = {}
  end
  collectgarbage()
  collectgarbage()

  -- Whether the collector has come by.
  local has_collected = false
  on_collect(function() has_collected = true end)

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
]]

local function run(program)
  return (helpers.run_program(prelude .. program))
end

describe("the garbage collector #collector", function()
  before_each(helpers.watch("garbage collector"))
  after_each(helpers.unwatch)

  it("knows that states are heavy", function()
    assert.equals("true\ttrue\n", run [[
      print(drop(3000) < 1500, has_collected)
    ]])
  end)

  it("need not care for states that are closed", function()
    assert.equals("false\n", run [[
      for _ = 1, 500 do
        mtstates.newstate(false, "return function() end"):close()
      end
      print(has_collected)
    ]])
  end)

  it("is not started by new states when it is stopped", function()
    assert.equals("1000\tfalse\n", run [[
      collectgarbage("stop")
      print(drop(1000), has_collected)
    ]])
  end)

  it("is told of each state once", function()
    assert.equals("true\n", run [[
      local cycles, states = 0, {}
      local function count()
        cycles = cycles + 1
        on_collect(count)
      end
      on_collect(count)
      for i = 1, 500 do
        states[i] = mtstates.newstate(false, "return function() end")
      end
      print(cycles < 50 or cycles)
    ]])
  end)

  it("takes objects of states that are dropped in time", function()
    assert.equals("true\ttrue\n", run [[
      local kept = mtstates.newstate({}, "return function() end")
      local id = kept:id()
      local kept = mtstates.state(id)
      local before, most = collectgarbage("count"), 0
      for _ = 1, 3000 do
        for _ = 1, 100 do
          mtstates.state(id)
        end
        most = math.max(most, collectgarbage("count"))
      end
      print(most < 3 * before or most / before, kept:id() == id)
    ]])
  end)
end)
