-- Deferred replies: a callback that returns one future answers when that is
-- answered. How they end otherwise is in deferred_end_spec.lua.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"
local threads = require "threads"

local it_suspends = helpers.it_needs(runs.call_suspends,
                                     "calls that suspend tasks")

-- Gives a future that later requests answer, by answer:set and answer:fail.
local DEFER = [[
  local future
  future, answer = mt.promise()
  mark("deferred")
  return future
]]

for _, kind in ipairs(runs.kinds) do
  describe("a deferred reply of a " .. kind, function()
    local log, s

    before_each(helpers.watch("deferred replies"))
    before_each(function()
      log = requests.log_to_mailbox()
      s = runs.new(kind)
    end)
    after_each(function()
      s:close()
      log.reset()
      helpers.unwatch()
    end)

    it("answers async when its future is answered", function()
      local future = s:async(DEFER)
      runs.settle(s)
      assert.is_false(future:ready())
      assert.is_false(future:tawait(0.001))
      assert.is_true(s:await("return answer:set(1, nil, 'three', nil)"))
      for _ = 1, 2 do
        assert.same({1, nil, "three", nil, n = 4},
          helpers.pack(future:await()))
      end
      assert.equals("deferred", s:await("return marks()"))
      assert.equals("after", s:await("return 'after'"))
    end)

    it("answers calls of tasks, too", function()
      local caller = runs.new("service")
      for _, how in ipairs({"call(code)", "tcall(60, code)"}) do
        local future = caller:async([[
          local called, code = ...
          local a, b, c = called:]] .. how .. [[

          return a, b, c, "end"
        ]], s, DEFER)
        helpers.wait_until(function()
          return s:await("return answer ~= nil")
        end)
        s:await("answer:set(...) answer = nil", true, 2)
        assert.same(how == "call(code)" and {true, 2, nil, "end"}
          or {true, true, 2, "end"}, {future:await()})
      end
      caller:close()
    end)

    it("answers at once if its future is answered", function()
      local code = [[
        local future, promise = mt.promise()
        promise:set(...)
        return future
      ]]
      assert.same({1, nil, n = 2}, helpers.pack(s:await(code, 1, nil)))
      assert.same({n = 0}, helpers.pack(s:await(code)))
      assert.same({1, 2}, {s:call(code, 1, 2)})
      assert.same({true, 1, 2}, {s:tcall(0, code, 1, 2)})
      assert.same({true, 1, 2}, {s:tawait(20, code, 1, 2)})
    end)

    it("may be that of a fork, or of another request", function()
      for _, ask in ipairs({"call", "await"}) do
        assert.same({7, 8}, {s[ask](s, [[
          return mt.fork(function(...)
            mt.sleep(0.0001)
            return ...
          end, ...)
        ]], 7, 8)})
        assert.same({7, 8}, {s[ask](s, "return me:async('return ...', ...)",
          7, 8)})
        local other = requests.new("service", helpers.echo)
        assert.same({7, 8}, {s[ask](s, [[
          local id = ...
          return mt.state(id):async(7, 8)
        ]], other:id())})
      end
    end)

    local function wait_deferred()
      helpers.wait_until(function()
        return s:await("return answer ~= nil")
      end)
    end

    -- Has another thread ask s in this way, so that it waits for the answer.
    local function ask(way, ...)
      local thread = threads.start(function(id, method, ...)
        local r = require "mtstates".state(id)
        local function pick(...)
          return ...
        end
        return pick(r[method](r, ...))
      end, s:id(), way, ...)
      wait_deferred()
      return thread
    end

    it("leaves the state while call and await wait for it", function()
      for _, way in ipairs({"call", "await"}) do
        local thread = ask(way, DEFER)
        assert.equals("deferred", s:call("return marks()"))
        assert.equals("awaited", s:await("return 'awaited'"))
        thread:wait_asleep()
        s:call("answer:set('later', 2) answer = nil")
        assert.same({"later", 2}, {thread:results()})
      end
    end)

    it("has tcall wait beyond its timeout, which is for the state", function()
      local thread = threads.start(function(id, code)
        local r = require "mtstates".state(id)
        local ok, a, b
        repeat -- the state can be in use for longer than that
          ok, a, b = r:tcall(0.02, code)
        until ok
        return ok, a, b
      end, s:id(), DEFER)
      wait_deferred()
      mtstates.sleep(0.05)
      thread:wait_asleep()
      s:await("answer:set('later', 2) answer = nil")
      assert.same({true, "later", 2}, {thread:results()})
      assert.equals("deferred", s:await("return marks()")) -- once
    end)

    it("has tawait wait until its timeout", function()
      local marked
      repeat -- it may not begin in time
        assert.is_false(s:tawait(0.01, DEFER))
        marked = s:await("return marks()")
      until marked ~= ""
      assert.equals("deferred", marked)
      s:await("answer:set('too late') answer = nil")
      local thread = ask("tawait", 20, "answer = nil " .. DEFER)
      s:await("answer:set('later')")
      assert.same({true, "later"}, {thread:results()})
    end)

    it_suspends("lets call in a task wait without the state", function()
      if kind:find("own thread") then
        return -- calls of it hold whoever makes them
      end
      local back = runs.one_worker()
      local caller = runs.new("service")
      local future = runs.suspend(caller, [[
        local id, code = ...
        mark("calls")
        local result = mt.state(id):call(code)
        mark("called")
        return result
      ]], s:id(), DEFER)
      assert.equals("calls", caller:await("return marks()"))
      s:await("answer:set('later')")
      assert.equals("later", future:await())
      assert.equals("called", caller:await("return marks()"))
      back()
    end)

    it("is not waited for by send", function()
      s:send(DEFER)
      runs.settle(s)
      assert.equals("deferred", s:await("return marks()"))
      assert.is_true(s:await("return answer:set('nobody')"))
      assert.equals(0, log.count())
    end)

    it("is not counted in tasks", function()
      local futures = {}
      for i = 1, 10 do
        futures[i] = s:async([[
          all = all or {}
          local future
          future, all[#all + 1] = mt.promise()
          return future
        ]])
      end
      runs.settle(s)
      helpers.wait_until(function() return s:stats().tasks == 0 end)
      assert.equals(0, s:stats().queue)
      s:await("for i, answer in ipairs(all) do answer:set(i) end")
      for i = 1, 10 do
        assert.equals(i, futures[i]:await())
      end
    end)

    it("may be deferred again, 1,000 times", function()
      local code = [[
        local code, n = ...
        if n == 0 then
          return "the last"
        end
        return me:async(code, code, n - 1)
      ]]
      for _, way in ipairs({"call", "await"}) do
        assert.equals("the last", s[way](s, code, code, 1000))
      end
      assert.same({true, "the last"}, {s:tcall(20, code, code, 1000)})
    end)

    it("may wait for 1,000 others at once", function()
      local chain = [[
        last = last or first
        last = mt.fork(function(future)
          return (future:await())
        end, last)
        return last
      ]]
      s:await("first, answer = mt.promise()")
      local futures = {}
      for i = 1, 1000 do
        futures[i] = s:async(chain)
      end
      runs.settle(s)
      assert.is_false(futures[1]:ready() or futures[1000]:ready())
      s:await("answer:set('all')")
      for i = 1000, 1, -1 do
        assert.equals("all", futures[i]:await())
      end
    end)

    it("may be awaited by many replies", function()
      s:await("first, answer = mt.promise()")
      local futures = {}
      for i = 1, 1000 do
        futures[i] = s:async("return first")
      end
      runs.settle(s)
      s:await("answer:set('all')")
      for i = 1, 1000 do
        assert.equals("all", futures[i]:await())
      end
    end)

    it("comes after waits of its task, too", function()
      assert.same({1, 2}, {s:await([[
        local go, promise = mt.promise()
        mt.fork(promise.set, promise, 1)
        local n = go:await()
        return mt.fork(function() mt.sleep(0.0001) return n, 2 end)
      ]])})
    end)
  end)
end

describe("a deferred reply of a service", function()
  local CHAIN = [[
    local future = ...
    return function() return future end
  ]]

  before_each(helpers.watch("deferred replies"))
  after_each(helpers.unwatch)

  it("has values that are deep, a new copy for each", function()
    local s = mtstates.newstate({}, CHAIN,
      mtstates.fork(function() return {1, {2}} end))
    local future = s:async()
    assert.same({1, {2}}, (future:await()))
    assert.same({1, {2}}, (s:call()))
    assert.is_true(future:await() ~= future:await())
  end)

  it("passes through 1,000 states", function()
    local future, promise = mtstates.promise()
    local states = {}
    local last = future
    for i = 1, 1000 do
      states[i] = mtstates.newstate({libs = false}, CHAIN, last)
      last = states[i]:async()
    end
    promise:set("through", {1000})
    assert.same({"through", {1000}}, {last:await()})
    assert.same({"through", {1000}}, {states[1000]:call()})
  end)

  it("is none with another value, or in a table", function()
    local s = runs.new("service")
    for _, way in ipairs({"call", "await"}) do
      local future, promise = mtstates.promise()
      assert.same({future, true}, {s[way](s, "return (...), true", future)})
      assert.is_true(future == s[way](s, "return (...), nil", future))
      assert.is_true(future == select(2, s[way](s, "return nil, ...",
        future)))
      assert.is_true(future == s[way](s, "return {...}", future)[1])
      assert.same({future, future}, {s[way](s, "return ..., ...", future)})
      promise:set()
    end
  end)

  it("is none of a setup", function()
    local future, promise = mtstates.promise()
    local s, result = mtstates.newstate({}, function(given)
      return function() return 1 end, given
    end, future)
    assert.is_true(result == future)
    assert.equals(1, s:await())
    helpers.raises_error("state_result", mtstates.newstate, {},
      "return ...", future)
    promise:set()
  end)

  it("of a function that a table has is one", function()
    local s = mtstates.newstate({}, [[
      return {give = function(future) return future end}
    ]])
    local future, promise = mtstates.promise()
    local reply = s:async("give", future)
    promise:set({"answer"})
    assert.same({"answer"}, reply:await())
    assert.same({"answer"}, s:call("give", future))
  end)

  it("may be of a thread's function", function()
    local future, promise = mtstates.promise()
    local answer = mtstates.thread("return ...", future)
    assert.is_false(answer:tawait(0.01))
    promise:set("answer")
    assert.equals("answer", answer:await())
  end)

  it_suspends("may be of a call of the task's own state", function()
    local s = runs.new("service")
    assert.same({"nested", "outer"}, {s:await([[
      local result = me:call("return mt.fork(function() " ..
        "mt.sleep(0.001) return 'nested' end)")
      return result, "outer"
    ]])})
  end)

  it("is answered by many states at once", function()
    local s, promises, replies = runs.new("service"), {}, {}
    local answering = requests.new("service", [[
      return function(promise, i) promise:set(i) end
    ]])
    for i = 1, 500 do
      local future
      future, promises[i] = mtstates.promise()
      replies[i] = s:async("return ...", future)
    end
    local gate = handoff.unique()
    s:await("gates.add(...)", gate)
    for i = 1, 500 do
      answering:send(promises[i], i)
    end
    for i = 1, 500 do
      assert.equals(i, replies[i]:await())
    end
    handoff.set(gate, 0)
  end)
end)
