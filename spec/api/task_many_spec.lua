-- Many tasks at once: thousands in one state, and tasks of many states that
-- wait for one another.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local suspended = require "suspended"
local tasks = require "tasks"
local threads = require "threads"

describe("tasks of a service", function()
  before_each(helpers.watch("many tasks"))
  after_each(helpers.unwatch)

  it("are suspended by ten thousands", function()
    local s = mtstates.newstate({queue = math.huge}, tasks.setup)
    local future, promise = mtstates.promise()
    local futures = {}
    for i = 1, 10000 do
      futures[i] = s:async([[
        local future, n = ...
        local a = future:await()
        return a + n
      ]], nil, future, i)
    end
    suspended.wait(s, 10000)
    assert.equals("called", s:call("return 'called'"))
    promise:set(0.5)
    for i = 1, 10000 do
      assert.equals(i + 0.5, futures[i]:await())
    end
    assert.equals(0, s:stats().tasks)
  end)

  it("leave a bounded number of coroutines when they have ended", function()
    local s = mtstates.newstate({queue = math.huge}, tasks.setup)
    local function kilobytes_after(waves)
      for _ = 1, waves do
        local future, promise = mtstates.promise()
        local futures = {}
        for i = 1, 300 do
          futures[i] = s:async("(...):await()", nil, future)
        end
        suspended.wait(s, 300)
        promise:set()
        for i = 1, 300 do
          futures[i]:await()
        end
      end
      return s:await([[
        collectgarbage()
        collectgarbage()
        return collectgarbage("count")
      ]])
    end
    local grown = -kilobytes_after(2) + kilobytes_after(5)
    assert.is_true(grown < 300, "grown by " .. grown .. " kilobytes")
  end)

  it("that wait for one another all get what is theirs", function()
    local states, ids = {}, {}
    for i = 1, 6 do
      states[i] = mtstates.newstate({queue = math.huge}, function(me)
        local mt = require "mtstates"
        return function(n, ...)
          local mine = me * n
          if n == 0 then return 0 end
          local path = {...}
          local r = mt.state(path[n]):await(n - 1, ...)
          if n % 2 == 0 then mt.sleep(0) end
          assert(mine == me * n)
          return r + mine
        end
      end, i)
      ids[i] = states[i]:id()
    end
    local random, wanted, futures = helpers.random(11), {}, {}
    for i = 1, 1500 do
      local path, me = {}, random(6)
      local first, sum = me, 0
      for n = 8, 1, -1 do
        local next_one = random(6)
        sum, me = sum + me * n, next_one
        path[n] = ids[next_one]
      end
      wanted[i] = sum
      futures[i] = states[first]:async(8, helpers.unpack(path, 1, 8))
    end
    for i = 1, 1500 do
      assert.equals(wanted[i], futures[i]:await())
    end
  end)

  it("answer threads, too", function()
    local s, gate = mtstates.newstate({}, tasks.setup), handoff.unique()
    local callers = {}
    for i = 1, 4 do
      callers[i] = threads.start(function(id, g, n)
        local r, sum = require "mtstates".state(id), 0
        for k = 1, 200 do
          sum = sum + r:await("mt.sleep(0) return ...", nil, n * k)
          sum = sum + r:call("return ...", nil, k)
        end
        require "handoff".add(g)
        return sum
      end, s:id(), gate, i)
    end
    for i = 1, 4 do
      assert.equals((i + 1) * 20100, callers[i]:results())
    end
  end)
end)
