-- Waits with a time of many tasks: never early, in the order of their ends,
-- whatever the workers do meanwhile.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"
local suspended = require "suspended"
local tasks = require "tasks"

-- What the stats say of timers when nothing of a spec waits any more. Those
-- that others have left can end meanwhile.
local function wait_no_timers(before)
  helpers.wait_until(function() return mtstates.stats().timers <= before end)
end

for _, kind in ipairs(runs.kinds) do
  describe("timers of a " .. kind, function()
    local s, timers

    before_each(helpers.watch("timers"))
    before_each(function()
      s = runs.new(kind)
      timers = mtstates.stats().timers
    end)
    after_each(function()
      s:close()
      helpers.unwatch()
    end)

    -- Runs the wait with each of many times, in tasks at the same time; gives
    -- how many of them were too short.
    local function count_early(wait)
      local futures = {}
      for i = 1, 300 do
        futures[i] = s:async(([[
          local seconds, go = ...
          local before = mt.now()
          %s
          return mt.now() - before >= seconds and 0 or 1
        ]]):format(wait), i * 7 % 300 / 15000)
      end
      local early = 0
      for i = 1, 300 do
        early = early + futures[i]:await()
      end
      return early
    end

    it("are never early", function()
      s:await("silent, kept = mt.promise()")
      assert.equals(0, count_early("mt.sleep(seconds)"))
      assert.equals(0, count_early("silent:tawait(seconds)"))
      assert.equals(0, count_early(
        "mt.fork(mt.sleep, seconds):await()"))
      assert.equals(0, count_early(
        "coroutine.wrap(function() mt.sleep(seconds) end)()"))
      s:await("kept:set()")
      wait_no_timers(timers)
    end)

    it("of tawait of a state are never early", function()
      local other = requests.new("service", helpers.gated)
      local release = requests.hold(other)
      local early = 0
      for i = 1, 20 do
        early = early + s:await([[
          local id, seconds = ...
          local before = mt.now()
          local ok = mt.state(id):tawait(seconds)
          return not ok and mt.now() - before >= seconds and 0 or 1
        ]], other:id(), i * 7 % 20 / 4000)
      end
      assert.equals(0, early)
      release()
    end)

    -- Has s run code, which marks each time that ends behind a later one. A
    -- thread can be kept from running between two operations: then that can
    -- be, and all is run once more.
    local function check_order(code)
      local text
      local tries = 0
      repeat
        text = s:await(code):gsub(" ", "")
        tries = tries + 1
      until text == "" or tries == 10
      assert.equals("", text)
    end

    it("end in their order", function()
      check_order([[
        local last = 0
        local futures = {}
        for i = 1, 100 do
          futures[i] = mt.fork(function()
            local deadline = mt.now() + i * 37 % 100 / 500
            mt.sleep(deadline - mt.now())
            mark(deadline - last < -0.05 and "too late" or "")
            last = deadline
          end)
        end
        for i = 1, 100 do
          futures[i]:await()
        end
        return marks()
      ]])
    end)

    it("end in their order when others are stopped", function()
      check_order([[
        local last = 0
        local futures, promises = {}, {}
        for i = 1, 200 do
          local go
          go, promises[i] = mt.promise()
          futures[i] = mt.fork(function()
            local deadline = mt.now() + 0.1 + i * 37 % 200 / 500
            if not go:tawait(deadline - mt.now()) then
              mark(deadline - last < -0.05 and "too late" or "")
              last = deadline
            end
          end)
        end
        mt.sleep(0.001)
        for i = 1, 200 do
          if i % 3 > 0 then
            promises[i]:set()
          end
        end
        for i = 1, 200 do
          futures[i]:await()
          if i % 3 == 0 then
            promises[i]:set()
          end
        end
        return marks()
      ]])
      wait_no_timers(timers)
    end)

    it("that are nearer than others are not kept waiting", function()
      local far = runs.suspend(s, "mt.sleep(1000)")
      local other = requests.new("service", [[
        return function(seconds)
          require "mtstates".sleep(seconds)
          return "in time"
        end
      ]])
      for i = 20, 1, -1 do
        local seconds = i / 1000
        assert.same({true, "in time"}, {other:tawait(60, seconds)})
        assert.same({true, 1}, {s:tawait(60,
          "mt.sleep(...) return 1", seconds)})
      end
      assert.is_false(far:ready())
      assert.is_true(far:cancel())
      helpers.raises_error("cancelled", far.await, far)
      wait_no_timers(timers)
    end)

    it("end while all workers compute", function()
      local computing, open = {}, handoff.unique()
      for i = 1, mtstates.workers() + 1 do
        local entered = handoff.unique()
        computing[i] = requests.new("service", [[
          local gates = require "handoff"
          return function(entered, open)
            gates.add(entered)
            while gates.get(open) == 0 do end
            return "computed"
          end
        ]])
        computing[i] = {computing[i]:async(entered, open), computing[i]}
        handoff.wait(entered, 1)
      end
      s:send("mt.sleep(0.02) gates.set(..., 1)", open)
      for _, pair in ipairs(computing) do
        assert.equals("computed", pair[1]:await())
      end
      wait_no_timers(timers)
    end)

    it("of tasks that were told are no timers", function()
      local other = requests.new("service", helpers.echo)
      assert.equals("1 2 3", s:await([[
        local id = ...
        local function second(_, value)
          return value
        end
        mark(second(mt.state(id):tawait(1000, 1)))
        local future, promise = mt.promise()
        mt.fork(promise.set, promise, 2)
        mark(second(future:tawait(1000)))
        mark(second(mt.state(id):async(3):tawait(1000)))
        return marks()
      ]], other:id()))
      wait_no_timers(timers)
    end)

    it("are gone when their tasks are cancelled", function()
      for _, wait in ipairs({"mt.sleep(1000)", "silent:tawait(1000)",
                             "me:tawait(1000, 'silent:await()')"}) do
        s:await("silent, kept = mt.promise()")
        local futures = {}
        for i = 1, 100 do
          futures[i] = s:async(wait)
        end
        runs.settle(s)
        assert.is_true(mtstates.stats().timers >= 100)
        for i = 100, 1, -1 do
          assert.is_true(futures[i]:cancel())
          helpers.raises_error("cancelled", futures[i].await, futures[i])
        end
        wait_no_timers(timers)
        s:await("kept:set()")
      end
    end)

    it("are gone when their state is closed", function()
      local futures = {}
      for i = 1, 100 do
        futures[i] = s:async("mt.sleep(1000)")
      end
      runs.settle(s)
      s:close()
      for i = 1, 100 do
        helpers.raises_error("object_closed", futures[i].await, futures[i])
      end
      wait_no_timers(timers)
    end)

    it("that never end can be cancelled", function()
      for _, wait in ipairs({"mt.sleep(math.huge)", "mt.sleep(1e300)",
                             "silent:tawait(math.huge)",
                             "silent:tawait(1e300)"}) do
        s:await("silent, kept = mt.promise()")
        local future = runs.suspend(s, wait)
        assert.is_false(future:tawait(0.005))
        assert.is_true(future:cancel())
        helpers.raises_error("cancelled", future.await, future)
        s:await("kept:set()")
      end
      wait_no_timers(timers)
    end)

    it("of 0 or less do not wait", function()
      s:await("silent, kept = mt.promise()")
      for _, seconds in ipairs({0, -0.0, -1, -1e300, -math.huge}) do
        assert.is_false(s:await("return (silent:tawait(...))", seconds))
        assert.equals(0, s:await([[
          local function count(...) return select("#", ...) end
          return (count(mt.sleep(...)))
        ]], seconds))
      end
      s:await("kept:set()")
    end)

    it("may be 10,000", function()
      s:await([[
        local future, all = mt.promise()
        local count = 0
        for i = 1, 10000 do
          mt.fork(function()
            mt.sleep(0.5)
            count = count + 1
            if count == 10000 then
              all:set()
            end
          end)
        end
        future:await()
      ]])
      wait_no_timers(timers)
    end)
  end)
end

for _, kind in ipairs(runs.services) do
  describe("timers of a " .. kind, function()
    before_each(helpers.watch("timers"))
    after_each(helpers.unwatch)

    it("may end as their answers arrive", function()
      local s = runs.new(kind)
      local answering = requests.new("service", [[
        local mt = require "mtstates"
        return function(promise, at)
          mt.sleep(at - mt.now())
          promise:set("told")
        end
      ]])
      for i = 1, 300 do
        local future, promise = mtstates.promise()
        local at = mtstates.now() + i % 10 / 5000
        local waiting = s:async([[
          local future, at = ...
          local ok, answer = future:tawait(at - mt.now())
          return ok, answer, future:await()
        ]], future, at)
        answering:send(promise, at)
        local ok, answer, again = waiting:await()
        assert.equals(ok and "told" or nil, answer)
        -- The next wait is not ended by a time that was over.
        assert.equals("told", again)
      end
      s:close()
    end)
  end)
end

describe("timers of a state with an own thread", function()
  before_each(helpers.watch("timers"))
  after_each(helpers.unwatch)

  it("end on that thread, between requests", function()
    local s = runs.new("service with an own thread")
    local tid = s:await("return gates.tid()")
    local futures = {}
    for i = 1, 50 do
      futures[i] = s:async([[
        mt.sleep(...)
        return gates.tid()
      ]], i % 5 / 1000)
      assert.equals(tid, s:await("return gates.tid()"))
    end
    for i = 1, 50 do
      assert.equals(tid, futures[i]:await())
    end
    s:close()
  end)
end)

describe("where timers have ended", function()
  before_each(helpers.watch("timers have ended"))
  suspended.one_worker(before_each, after_each)
  after_each(helpers.unwatch)

  it("workers sleep, whether others are left or not", function()
    local s = mtstates.newstate({}, tasks.setup)
    local future, worker = tasks.begin(s, "enter() mt.sleep(0.001)")
    future:await()
    handoff.wait_asleep(worker)
    local left = suspended.begin(s, 1, "enter() mt.sleep(1000)")
    s:await("mt.sleep(0.001)")
    handoff.wait_asleep(worker)
    left:cancel()
    helpers.raises_error("cancelled", left.await, left)
    handoff.wait_asleep(worker)
    s:close()
  end)
end)
