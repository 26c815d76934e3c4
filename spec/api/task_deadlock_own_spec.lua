-- Circles of waits within one state, or through its forks: tasks that wait for
-- themselves, for what the option tasks keeps from beginning, or, where a wait
-- holds the state, for forks of it.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"
local threads = require "threads"

local DEADLOCK = "mtstates%.error%.deadlock: state%b(): " ..
  "waiting would never end"

for _, kind in ipairs(runs.services) do
  describe("a deadlock in a " .. kind, function()
    before_each(helpers.watch("deadlock in a state"))
    before_each(runs.drop_log) -- errors of forks that nobody awaits
    after_each(runs.restore_log)
    after_each(helpers.unwatch)

    local function check(s, way, ...)
      local err = requests.raised(s[way], s, ...)
      assert.truthy(tostring(err):find(DEADLOCK), err)
      assert.same({true, "on"}, {s:tawait(20, "return 'on'")})
    end

    it("is a fork that awaits itself, or its task", function()
      local s = runs.new(kind)
      check(s, "await", [[
        local itself
        itself = mt.fork(function() return (itself:await()) end)
        return (itself:await())
      ]])
      local go, promise = mtstates.promise()
      local future = s:async([[
        local go = ...
        local itself = go:await()
        return (mt.fork(function() return (itself:await()) end):await())
      ]], go)
      promise:set(future)
      local err = requests.raised(future.tawait, future, 20)
      assert.truthy(tostring(err):find(DEADLOCK), err)
      s:close()
    end)

    it("is two forks that await each other", function()
      local s = runs.new(kind)
      check(s, "await", [[
        local first, second
        first = mt.fork(function() return (second:await()) end)
        second = mt.fork(function() return (first:await()) end)
        return (first:await())
      ]])
      s:close()
    end)

    it("is 200 forks in a circle", function()
      local s = runs.new(kind)
      check(s, "await", [[
        local futures = {}
        for i = 1, 200 do
          futures[i] = mt.fork(function()
            futures[i % 200 + 1]:await()
          end)
        end
        futures[100]:tawait(20)
      ]])
      s:close()
    end)

    it("is none of a task that awaits its own state", function()
      local s = runs.new(kind)
      assert.same({1, 2}, {s:await([[
        local code = "mt.sleep(0) return ..."
        return me:await(code, 1), mt.fork(function()
          return (me:await(code, 2))
        end):await()
      ]])})
      s:close()
    end)

    it("with tasks = 1 is a task that awaits its own state", function()
      local s = runs.new(kind, {tasks = 1})
      check(s, "await", "return (me:await(''))")
      check(s, "await", "return (me:async(''):await())")
      check(s, "await", [[
        return (mt.fork(function() return (me:await('')) end):await())
      ]])
      check(s, "await", [[
        return (coroutine.wrap(function() return (me:await('')) end)())
      ]])
      assert.is_false(s:await("return (me:tawait(0.005, ''))"))
      s:close()
    end)

    it("with tasks = 1 is one through other states", function()
      local s, other = runs.new(kind, {tasks = 1}), runs.new("service")
      for _, way in ipairs({"await", "call"}) do
        check(s, "await", [[
          local id, code, way = ...
          return (mt.state(id):await(code, mt.id(), way))
        ]], other:id(), [[
          local id, way = ...
          if way == "call" then
            return (mt.state(id):call("return 1"))
          end
          return (mt.state(id):await("return 1"))
        ]], way)
        -- On the same thread it nests.
        assert.equals(1, s:await([[
          local id = ...
          return (mt.state(id):call("local id = ... " ..
            "return (mt.state(id):call('return 1'))", mt.id()))
        ]], other:id()))
      end
      s:close()
    end)

    it("is no call from outside to one with tasks = 1", function()
      local s = runs.new(kind, {tasks = 1})
      local go, promise = mtstates.promise()
      local entered = handoff.unique()
      local future = s:async([[
        local go, entered = ...
        gates.add(entered)
        return (go:await())
      ]], go, entered)
      handoff.wait(entered, 1)
      local gate = handoff.unique()
      local caller = threads.waiting(gate, function(g, id)
        require "handoff".add(g)
        return require "mtstates".state(id):call("return 'in'")
      end, gate, s:id())
      local other = runs.new("service")
      local asked = other:async("return (mt.state(...):call('return 2'))",
        s:id())
      assert.is_false(asked:tawait(0.005))
      promise:set(1)
      assert.same({1, "in", 2}, {future:await(), caller:results(),
        asked:await()})
      s:close()
    end)

    it("is a held wait for a fork, which cannot begin", function()
      local s = runs.new(kind)
      local awaits = "return (mt.fork(mt.now):await())"
      check(s, "call", awaits)
      check(s, "call", "return (me:call('return mt.fork(mt.now)'))")
      check(s, "await", [[
        table.sort({1, 2}, function(a, b)
          mt.fork(mt.now):await()
          return a < b
        end)
      ]])
      -- In time it is none, and the fork begins afterwards.
      assert.is_false(s:call("return (mt.fork(mark, 1):tawait(0.005))"))
      helpers.wait_until(function()
        return s:await("return marks()") == "1"
      end)
      assert.is_number(s:await(awaits))
      s:close()
    end)
  end)
end

describe("a deadlock with the main program", function()
  before_each(helpers.watch("deadlock with the main program"))
  after_each(helpers.unwatch)

  it("goes through a fork of it", function()
    local s = runs.new("service")
    local go, promise = mtstates.promise()
    local future = s:async([[
      local go = ...
      local fork = go:await()
      return (fork:await())
    ]], go)
    local fork = mtstates.fork(function() return (future:await()) end)
    promise:set(fork)
    for _, awaited in ipairs({fork, future}) do
      local err = requests.raised(awaited.tawait, awaited, 20)
      assert.truthy(tostring(err):find(
        "mtstates%.error%.deadlock: .*waiting would never end"), err)
    end
    assert.same({true, 1}, {s:tawait(20, "return 1")})
    s:close()
  end)

  it("is none where a fork sets what the main program waits for", function()
    local s = runs.new("service")
    local future, promise = mtstates.promise()
    mtstates.fork(function()
      mtstates.sleep(0.001)
      promise:set(s:await("return 1"))
    end)
    assert.equals(1, s:await("local f = ... return (f:await())", future))
    s:close()
  end)

  it("is none where it awaits what awaits a fork of it", function()
    local s = runs.new("service")
    local fork = mtstates.fork(function()
      mtstates.sleep(0.001)
      return "forked"
    end)
    assert.equals("forked",
      s:await("local f = ... return (f:await())", fork))
    assert.same({true, "forked"}, {fork:tawait(20)})
    s:close()
  end)

  it("is a call that awaits a fork of the caller", function()
    local s = runs.new("service")
    local fork = mtstates.fork(function() return "forked" end)
    local err = requests.raised(s.call, s,
      "local f = ... return (f:await())", fork)
    assert.truthy(err:find("mtstates.error.deadlock", 1, true), err)
    assert.equals("forked", fork:await())
    s:close()
  end)
end)
