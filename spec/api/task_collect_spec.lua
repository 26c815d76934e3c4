-- Suspended tasks that nothing can resume any more are garbage: those that
-- wait for promises which only they, or others of this kind, hold.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"

local COLLECT = "collectgarbage() collectgarbage() collectgarbage()"

-- Collects in s until the future is answered.
local function collect(s, future)
  for _ = 1, 500 do
    if future:ready() then
      return
    end
    s:await(COLLECT)
    mtstates.sleep(0.001)
  end
  error("the task was not collected", 2)
end

local ABANDONED = "nobody can answer the future any more"

for _, kind in ipairs(runs.kinds) do
  describe("a suspended task of a " .. kind, function()
    local log, s

    before_each(helpers.watch("collected tasks"))
    before_each(function()
      log = requests.log_to_mailbox()
      s = runs.new(kind)
    end)
    after_each(function()
      s:close()
      log.reset()
      helpers.unwatch()
    end)

    local function check_abandoned(future)
      local err = requests.raised(future.tawait, future, 20)
      assert.equals("string", type(err))
      assert.truthy(err:find("mtstates.error.abandoned", 1, true), err)
      assert.truthy(err:find(ABANDONED, 1, true), err)
    end

    it("that holds its own promise is collected", function()
      for _, wait in ipairs({"go:await()", "mt.fork(mark, 1) go:await()",
                             "mt.sleep(0) mt.sleep(0.0001) go:await()"}) do
        local future = s:async([[
          local go, promise = mt.promise()
          ]] .. wait .. [[
          return promise:set()
        ]])
        collect(s, future)
        check_abandoned(future)
        helpers.wait_until(function() return s:stats().tasks == 0 end)
        assert.equals("on", s:await("return 'on'"))
      end
      assert.equals(0, log.count())
    end)

    it("is collected with others that hold its promise", function()
      local futures = {}
      s:await("futures, promises, waiting = {}, {}, 0")
      for i = 1, 10 do
        futures[i] = s:async([[
          local i = ...
          local mine, following
          futures[i], promises[i] = mt.promise()
          while #futures < 10 do
            mt.sleep(0)
          end
          mine, following = futures[i], promises[i % 10 + 1]
          waiting = waiting + 1
          mine:await()
          following:set()
        ]], i)
      end
      helpers.wait_until(function()
        return s:await("return waiting == 10")
      end)
      runs.settle(s)
      runs.settle(s)
      s:await(COLLECT)
      for i = 1, 10 do
        assert.is_false(futures[i]:ready())
      end
      s:await("futures, promises = nil")
      for i = 1, 10 do
        collect(s, futures[i])
        check_abandoned(futures[i])
      end
    end)

    it("that is a fork is collected", function()
      local err = s:await([[
        local function show(_, err)
          return err
        end
        local future = mt.fork(function()
          local go, promise = mt.promise()
          go:await()
          promise:set()
        end)
        for _ = 1, 500 do
          mt.sleep(future:ready() and 0 or 0.0001)
          collectgarbage()
        end
        if not future:ready() then
          return "not collected"
        end
        return show(pcall(future.await, future))
      ]])
      assert.truthy(err:find("mtstates.error.abandoned", 1, true), err)
      assert.truthy(err:find(ABANDONED, 1, true), err)
    end)

    it("that nobody hears of is logged once", function()
      s:send([[
        local go, promise = mt.promise()
        go:await()
        promise:set()
      ]])
      runs.settle(s)
      s:await(COLLECT)
      local level, text, _, id = log.take()
      assert.same({"error", s:id()}, {level, id})
      assert.truthy(text:find(ABANDONED, 1, true), text)
      s:await(COLLECT)
      assert.equals(1, log.count())
    end)

    it("is not collected while its promise is held elsewhere", function()
      for _, place in ipairs({
        "kept = promise", "debug.getregistry().kept = promise",
        "kept = function() return promise end",
        "kept = coroutine.wrap(function() coroutine.yield() " ..
          "return promise end) kept()",
        "kept = mt.fork(function() mt.sleep(1000) promise:set() end)",
        "me:send('mt.sleep(1000)') me:send('mt.sleep(1000)') kept = promise",
      }) do
        local future = runs.suspend(s, [[
          local go, promise = mt.promise()
          mt.sleep(0)
        ]] .. place .. [[
          return (go:await())
        ]])
        for _ = 1, 3 do
          s:await(COLLECT)
        end
        assert.is_false(future:ready(), place)
        assert.is_true(future:cancel())
        helpers.raises_error("cancelled", future.await, future)
      end
    end)

    it("is not collected while it waits for anything else", function()
      local other = requests.new("service", helpers.gated)
      local release = requests.hold(other)
      local futures = {}
      for i, wait in ipairs({
        "mt.sleep(1000)", "go:tawait(1000)", "mt.state(id):await()",
        "mt.state(id):async():await()", "mt.fork(mt.sleep, 1000):await()",
        "me:await('mt.sleep(1000)')",
      }) do
        futures[i] = runs.suspend(s, [[
          local id = ...
          local go, promise = mt.promise()
        ]] .. wait .. [[
          return promise
        ]], other:id())
      end
      for _ = 1, 3 do
        s:await(COLLECT)
      end
      for _, future in ipairs(futures) do
        assert.is_false(future:ready())
      end
      for _, future in ipairs(futures) do
        future:cancel()
      end
      release()
    end)

    it("is collected 1,000 times, and leaves no memory", function()
      local code = [[
        local go, promise = mt.promise()
        local ballast = ("x"):rep(10000) .. tostring(promise)
        go:await()
        promise:set(ballast)
      ]]
      local function fill()
        local futures = {}
        for i = 1, 1000 do
          futures[i] = s:async(code)
        end
        runs.settle(s)
        for i = 1, 1000 do
          collect(s, futures[i])
          check_abandoned(futures[i])
        end
        return s:await(COLLECT .. " return collectgarbage('count')")
      end
      local before = fill()
      local after = fill()
      assert.is_true(after < before + 1000, after - before)
    end)
  end)
end

for _, kind in ipairs(runs.services) do
  describe("a suspended task of a " .. kind, function()
    before_each(helpers.watch("collected tasks"))
    after_each(helpers.unwatch)

    it("is not collected while its promise is in another state", function()
      local s, keeper = runs.new(kind), runs.new("service")
      local future = runs.suspend(s, [[
        local keeper = ...
        local go, promise = mt.promise()
        keeper:await("kept = ...", promise)
        return (go:await())
      ]], keeper)
      for _ = 1, 3 do
        s:await(COLLECT)
      end
      assert.is_false(future:ready())
      keeper:await("kept:set('kept') kept = nil")
      assert.equals("kept", future:await())
      s:close()
      keeper:close()
    end)

    it("is not collected while its promise is in a message", function()
      local s, keeper = runs.new(kind), mtstates.newstate({}, helpers.gated)
      local release = requests.hold(keeper)
      local future = runs.suspend(s, [[
        local keeper = ...
        local go, promise = mt.promise()
        keeper:send(nil, nil, promise)
        promise = nil
        return (go:await())
      ]], keeper)
      for _ = 1, 3 do
        s:await(COLLECT)
      end
      assert.is_false(future:ready())
      release()
      keeper:await()
      keeper:close() -- with it the promise is gone
      local err = requests.raised(future.tawait, future, 20)
      assert.truthy(err:find(ABANDONED, 1, true), err)
      s:close()
    end)
  end)
end

describe("a suspended fork of the main program", function()
  before_each(helpers.watch("collected tasks"))
  after_each(helpers.unwatch)

  it("is collected, too", function()
    local future = mtstates.fork(function()
      local go, promise = mtstates.promise()
      go:await()
      promise:set()
    end)
    mtstates.sleep(0.001)
    for _ = 1, 100 do
      helpers.collect()
      mtstates.sleep(0.0001)
    end
    local err = helpers.raises(future.tawait, future, 60)
    assert.truthy(tostring(err):find(ABANDONED, 1, true), err)
  end)
end)
