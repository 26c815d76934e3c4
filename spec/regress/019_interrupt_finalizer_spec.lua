-- Lua turns hooks off in the Lua thread that a finalizer runs on, not in the
-- coroutines that the finalizer resumes. So these were hit by interrupts, and
-- the code around the finalizer went on.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("an interrupt within a finalizer", function()
  before_each(helpers.watch("interrupt finalizer"))
  after_each(helpers.unwatch)

  -- The callback runs a finalizer, here or in a coroutine, in which the state
  -- is interrupted. Then it tells what became of that.
  local function make(how, level)
    return mtstates.newstate(nil, [[
      require "interruptible"
      local how, level = ...
      local mt = require "mtstates"
      local on_collect = require "on_collect"
      local finished, inner_error

      local function work()
        mt.state(mt.id()):interrupt(level)
        local sum = 0
        for i = 1, 1000 do
          sum = sum + i
        end
        finished = sum
      end

      local runs = {
        alone = work,
        coroutine = function() coroutine.wrap(work)() end,
        nested = function()
          coroutine.wrap(function() coroutine.wrap(work)() end)()
          work()
        end,
        yielding = function()
          local co = coroutine.wrap(function()
            coroutine.yield()
            work()
          end)
          co()
          mt.state(mt.id()):interrupt(level)
          co()
        end
      }

      local function collect()
        on_collect(function()
          local ok, err = pcall(runs[how])
          inner_error = not ok and err or nil
        end)
        collectgarbage()
        for _ = 1, 1000 do end
      end

      return function(where)
        if where == "result" then
          return finished, inner_error
        end
        finished = nil
        if where == "coroutine" then
          collect = coroutine.wrap(collect)
        end
        collect()
      end
    ]], how, level)
  end

  for _, how in ipairs {"alone", "coroutine", "nested", "yielding"} do
    for _, level in ipairs {"once", "always"} do
      for _, where in ipairs {"here", "coroutine"} do
        it(("hits the code around it: %s, %s, %s"):format(how, level, where),
           function()
          local s = make(how, level == "always" or nil)
          local err = helpers.raises_error("invoking_state", s.call, s, where)
          assert.truthy(err:find(mtstates.error.interrupted, 1, true), err)
          s:interrupt(false)
          local finished, inner_error = s:call("result")
          assert.is_nil(inner_error)
          assert.equals(500500, finished)
        end)
      end
    end
  end

  it("from another thread stops a loop that makes garbage, each time",
     function()
    local s = mtstates.newstate(function()
      require "interruptible"
      local gates = require "handoff"
      local on_collect = require "on_collect"
      local begun, done = 0, 0
      local function work()
        begun = begun + 1
        local sum = 0
        for i = 1, 200 do
          sum = sum + i
        end
        done = done + 1
      end
      local function finalize()
        coroutine.wrap(work)()
      end
      return function(gate)
        if not gate then
          return begun > 0, begun - done
        end
        gates.add(gate)
        while true do
          on_collect(finalize)
        end
      end
    end)
    local gate, count = handoff.unique(), 40
    local interrupter = threads.start(function(id, name, n)
      local state = require("mtstates").state(id)
      for i = 1, n do
        require("handoff").wait(name, i)
        state:interrupt()
      end
    end, s:id(), gate, count)
    for _ = 1, count do
      local err = helpers.raises_error("invoking_state", s.call, s, gate)
      assert.truthy(err:find(mtstates.error.interrupted, 1, true))
    end
    interrupter:results()
    assert.same({true, 0}, {s:call()})
  end)
end)

describe("an interrupt that is pending when the state is closed", function()
  for _, level in ipairs {"once", "always"} do
    it("spares the coroutines of its finalizers: " .. level, function()
      local gate = handoff.unique()
      local s = mtstates.newstate(nil, [[
        local gate = ...
        local gates = require "handoff"
        local suspended = coroutine.wrap(function()
          coroutine.yield()
          for _ = 1, 1000 do end
          gates.add(gate)
        end)
        suspended()
        guard = require "on_collect"(function()
          coroutine.wrap(function()
            for _ = 1, 1000 do end
            gates.add(gate)
          end)()
          suspended()
        end)
        return function() end
      ]], gate)
      s:interrupt(level == "always" or nil)
      s:close()
      assert.equals(2, handoff.get(gate))
    end)
  end
end)
