-- How deferred replies end without an answer: errors, cancel, abandoned
-- promises, closing, owners that go, and replies that wait for themselves.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"
local tasks = require "tasks"
local threads = require "threads"

local it_closes = helpers.it_needs(helpers.compile("local x <close> = nil"),
                                   "to-be-closed variables")

-- Gives a future that later requests answer, by answer:set and answer:fail.
local DEFER = [[
  local future
  future, answer = mt.promise()
  return future
]]

for _, kind in ipairs(runs.kinds) do
  describe("a deferred reply of a " .. kind, function()
    local log, s

    before_each(helpers.watch("end of deferred replies"))
    before_each(function()
      log = requests.log_to_mailbox()
      s = runs.new(kind)
    end)
    after_each(function()
      s:close()
      log.reset()
      helpers.unwatch()
    end)

    local function raised(future)
      return (requests.raised(future.await, future))
    end

    it("raises the error of its future as it is", function()
      for code, expected in pairs({
        ["answer:fail('text')"] = "text", ["answer:fail('')"] = "",
        ["answer:fail(42)"] = 42, ["answer:fail(true)"] = true,
        ["answer:fail({code = 404})"] = {code = 404},
      }) do
        local future = s:async(DEFER)
        runs.settle(s)
        s:await(code)
        assert.same(expected, raised(future))
        assert.same(expected, raised(future))
        local ready = "local f, p = mt.promise() answer = p " .. code ..
          " return f"
        assert.same(expected, requests.raised(s.call, s, ready))
        assert.same(expected, requests.raised(s.await, s, ready))
        assert.same(expected, requests.raised(s.tcall, s, 20, ready))
        assert.same(expected, requests.raised(s.tawait, s, 20, ready))
      end
      assert.equals(0, log.count())
    end)

    it("raises the error of a request, to which nothing is added", function()
      local other = runs.new("service")
      for _, code in ipairs({"error('inner', 0)", "mt.sleep(0) error('x')",
                             "error({code = 404})", "return mt.state(0)",
                             "return coroutine.create(function() end)"}) do
        local expected = requests.raised(other.await, other, code)
        for _, way in ipairs({"call", "await"}) do
          assert.same(expected, requests.raised(s[way], s,
            "local id, code = ... return mt.state(id):async(code)",
            other:id(), code))
        end
      end
      assert.equals(0, log.count())
    end)

    it("has its error logged once if nobody reads it", function()
      s:send(DEFER)
      runs.settle(s)
      local function fail()
        s:await("answer:fail('unread') answer = nil")
        for _ = 1, 2 do
          s:await("collectgarbage() collectgarbage()")
        end
        assert.truthy(select(2, log.take()):find("unread", 1, true))
        assert.equals(1, log.count())
      end
      fail()
      local future = s:async(DEFER) -- luacheck: ignore
      runs.settle(s)
      future = nil -- luacheck: ignore
      helpers.collect()
      fail()
    end)

    it("is cancelled at once, and its future is not", function()
      local future = s:async([[
        inner, answer = mt.promise()
        return inner
      ]])
      runs.settle(s)
      assert.is_true(future:cancel())
      assert.is_true(future:ready())
      assert.is_false(future:cancel())
      tasks.check_cancelled(future, s)
      assert.is_false(s:await("return inner:ready()"))
      assert.is_true(s:await("return answer:set(7)"))
      assert.equals(7, s:await("return inner"))
      tasks.check_cancelled(future, s)
      future = s:async([[
        local go
        go, answer = mt.promise()
        inner = mt.fork(function() go:await() return 8 end)
        return inner
      ]])
      runs.settle(s)
      future:cancel()
      s:await("answer:set()")
      assert.equals(8, s:await("return inner"))
      helpers.raises_error("cancelled", future.await, future)
      assert.equals(0, log.count())
    end)

    it("fails if its future is cancelled", function()
      local future = s:async([[
        inner, answer = mt.promise()
        return inner
      ]])
      runs.settle(s)
      assert.is_true(s:await("return inner:cancel()"))
      helpers.raises_error("cancelled", future.await, future)
      future = s:async([[
        inner = mt.fork(mt.sleep, 60)
        return inner
      ]])
      runs.settle(s)
      assert.is_true(s:await("return inner:cancel()"))
      helpers.raises_error("cancelled", future.await, future)
    end)

    it("fails if its promise is abandoned", function()
      local future = s:async(DEFER)
      runs.settle(s)
      s:await("answer = nil collectgarbage() collectgarbage()")
      assert.equals("mtstates.error.abandoned: promise: " ..
        "nobody can answer the future any more", raised(future))
    end)

    it("fails when its state is closed", function()
      local future = s:async(DEFER)
      runs.settle(s)
      s:close()
      helpers.raises_error("object_closed", future.await, future)
    end)

    it("has a call fail when nobody is left to answer it", function()
      local caller = threads.start(function(id, code)
        local r = require "mtstates".state(id)
        return pcall(r.call, r, code)
      end, s:id(), DEFER)
      helpers.wait_until(function()
        return s:await("return answer ~= nil")
      end)
      caller:wait_asleep()
      s:close()
      local ok, err = caller:results()
      assert.is_false(ok) -- the call waits for the future of the promise
      local expected = kind:find("own thread") and mtstates.error.object_closed
        or mtstates.error.abandoned
      assert.equals(1, err:find(expected, 1, true), err)
    end)

    it("is waited for by close with a timeout", function()
      local future = s:async([[
        return mt.fork(function()
          mt.sleep(0.02)
          return "in time"
        end)
      ]])
      runs.settle(s)
      assert.is_true(s:close(20))
      assert.is_true(future:ready())
      assert.equals("in time", future:await())
    end)

    it("is failed by close when its timeout is over", function()
      local future = s:async(DEFER)
      runs.settle(s)
      assert.is_false(future:ready())
      assert.is_false(s:close(0.01))
      assert.is_true(future:ready())
      helpers.raises_error("object_closed", future.await, future)
    end)

    it("keeps a state without owners open", function()
      local gate, id = handoff.unique(), s:id()
      s:await([[
        local gate = ...
        guard = require "on_collect"(function() gates.add(gate) end)
      ]], gate)
      local future = s:async(DEFER)
      runs.settle(s)
      s = mtstates.state(id)
      helpers.collect()
      mtstates.sleep(0.001)
      assert.equals(0, handoff.get(gate))
      assert.is_true(s:await("return answer:set('answered')"))
      assert.equals("answered", future:await())
      handoff.wait(gate, 1)
      helpers.wait_until(function() return not pcall(mtstates.state, id) end)
    end)

    it_closes("keeps a state open behind the scope that it has", function()
      local id = s:id()
      local future = s:async(DEFER)
      runs.settle(s)
      helpers.compile("local scoped <close> = ...")(s)
      s = mtstates.state(id)
      assert.is_false(s:isowner())
      assert.is_true(s:await("return answer:set('answered')"))
      assert.equals("answered", future:await())
      helpers.wait_until(function() return not pcall(mtstates.state, id) end)
    end)

    it("to a cancelled request is dropped", function()
      local entered, leave = handoff.unique(), handoff.unique()
      local future = s:async([[
        local entered, leave = ...
        gates.enter(entered, leave, 1)
        inner, answer = mt.promise()
        return inner
      ]], entered, leave)
      handoff.wait(entered, 1)
      assert.is_true(future:cancel())
      handoff.set(leave, 1)
      tasks.check_cancelled(future, s)
    end)

    it("that is itself is a deadlock", function()
      local err = s:await([[
        local function show(_, err)
          return err
        end
        local go, promise = mt.promise()
        local itself
        itself = mt.fork(function()
          go:await()
          return itself
        end)
        mt.sleep(0)
        promise:set()
        while not itself:ready() do
          mt.sleep(0)
        end
        return show(pcall(itself.await, itself))
      ]])
      assert.truthy(err:find("mtstates.error.deadlock: state(", 1, true), err)
      assert.truthy(err:find("): waiting would never end", 1, true), err)
      assert.equals("on", s:await("return 'on'"))
    end)

    it_closes("is cancelled at the end of its future's scope", function()
      local future = helpers.compile([[
        local s, code, settle = ...
        local scoped <close> = s:async(code)
        settle(s)
        return scoped
      ]])(s, DEFER, runs.settle)
      tasks.check_cancelled(future, s)
    end)
  end)
end

for _, kind in ipairs(runs.services) do
  describe("a deferred reply of a " .. kind, function()
    local s

    before_each(helpers.watch("end of deferred replies"))
    before_each(function()
      s = runs.new(kind)
    end)
    after_each(function()
      s:close()
      helpers.unwatch()
    end)

    it("is the last thing that close with a timeout waits for", function()
      local source, promise = mtstates.promise()
      local future = s:async("return (...)", source)
      runs.settle(s)
      local closer = mtstates.thread(function(closed)
        return closed:close(20)
      end, s)
      helpers.wait_until(function() return not pcall(s.send, s, "") end)
      assert.is_false(closer:ready())
      promise:set("from outside")
      assert.equals("from outside", future:await())
      assert.is_true(closer:await())
    end)

    -- Four of them, of which two have ended, in each order.
    it("fails when its state is closed, whichever have ended", function()
      for k = 0, 15 do
        local t, futures, promises = runs.new(kind), {}, {}
        local function defer(i)
          local source
          source, promises[i] = mtstates.promise()
          futures[i] = t:async("return (...)", source)
          runs.settle(t)
        end
        local function answer(i)
          if futures[i] then
            promises[i]:set(i)
            assert.equals(i, futures[i]:await())
            futures[i] = nil
            helpers.collect() -- what is new can lie in its place
          end
        end
        for i = 1, 4 do
          defer(i)
        end
        answer(k % 4 + 1)
        answer(math.floor(k / 4) + 1)
        defer(5)
        answer(5)
        t:close()
        for i = 1, 4 do
          local f = futures[i]
          if f then
            helpers.raises_error("object_closed", f.tawait, f, 20)
            promises[i]:set()
          end
        end
      end
    end)

    it("that was cancelled is nothing to its future any more", function()
      for round = 1, 20 do -- what is new lies where the other one was
        local source, promise = mtstates.promise()
        local future = s:async("return (...)", source)
        runs.settle(s)
        assert.is_true(future:cancel())
        future = nil -- luacheck: ignore
        helpers.collect()
        local other, other_promise = mtstates.promise()
        future = s:async("return (...)", other)
        runs.settle(s)
        promise:set("that of the first")
        assert.is_false(future:ready())
        other_promise:set(round)
        assert.equals(round, future:await())
      end
    end)
  end)
end

describe("deferred replies that wait for each other", function()
  before_each(helpers.watch("circles of deferred replies"))
  after_each(helpers.unwatch)

  for _, size in ipairs({1, 2, 3, 20}) do
    it(("are a deadlock: %d"):format(size), function()
      local futures, promises, states = {}, {}, {}
      for i = 1, size do
        local go
        go, promises[i] = mtstates.promise()
        states[i] = runs.new(runs.services[i % 3 == 0 and 2 or 1])
        futures[i] = runs.suspend(states[i], [[
          local go = ...
          local following = go:await()
          return following
        ]], go)
      end
      for i = 1, size do
        promises[i]:set(futures[i % size + 1])
      end
      for i = 1, size do
        local err = requests.raised(futures[i].tawait, futures[i], 20)
        assert.equals(1,
          err:find("mtstates.error.deadlock: state(", 1, true), err)
        assert.truthy(err:find("): waiting would never end", 1, true), err)
        assert.equals("on", states[i]:await("return 'on'"))
      end
    end)
  end
end)
