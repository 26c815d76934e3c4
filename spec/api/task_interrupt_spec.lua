-- state:interrupt and tasks: it hits code that runs, not what is suspended
-- while it does.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

for _, kind in ipairs(requests.kinds) do
  describe("interrupt and tasks of a " .. kind, function()
    local log, s, keeper

    before_each(helpers.watch("interrupt of tasks"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      log = requests.log_to_mailbox()
      s = requests.new(kind, tasks.setup)
      keeper = suspended.keeper()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      log.reset()
      helpers.unwatch()
    end)

    local function check_interrupted(f, ...)
      local err = helpers.raises_error("invoking_state", f, ...)
      assert.equals(mtstates.error.interrupted, mtstates.error(err):cause())
    end

    local function begin()
      return suspended.begin(s, 1, [[
        local id = ...
        local function compute()
          local n = 0
          for i = 1, 1000 do n = n + i end
          return n
        end
        enter()
        local a = mt.state(id):await("get")
        return a, compute()
      ]], keeper.id)
    end

    local function check_goes_on(future)
      keeper.open("answer")
      assert.same({"answer", 500500}, {future:await()})
      assert.equals("on", s:await("return 'on'"))
    end

    it("leaves a suspended task alone when it hits a call", function()
      local future = begin()
      s:interrupt()
      check_interrupted(s.call, s, "while true do end")
      check_goes_on(future)
    end)

    it("leaves a suspended task alone when it hits a request", function()
      local future = begin()
      s:interrupt()
      check_interrupted(s.await, s, "while true do end")
      local running = tasks.begin(s, "work()")
      s:interrupt()
      check_interrupted(running.await, running)
      check_goes_on(future)
    end)

    it("hits a suspended task that is the next to run", function()
      local future = begin()
      s:interrupt()
      mtstates.sleep(0.005)
      assert.is_false(future:ready())
      keeper.open("answer")
      check_interrupted(future.await, future)
      assert.equals("on", s:await("return 'on'"))
    end)

    it("hits a task that runs again", function()
      local other = begin()
      local future = tasks.begin(s, "mt.sleep(0.0001) work()")
      s:interrupt()
      check_interrupted(future.await, future)
      check_goes_on(other)
    end)

    it("hits a coroutine that runs again", function()
      local other = begin()
      local future = tasks.begin(s, [[
        local f = coroutine.wrap(function()
          local inner = coroutine.create(function()
            mt.sleep(0.0001)
            work()
          end)
          local ok, err = coroutine.resume(inner)
          mt.sleep(0.0001)
          coroutine.yield(ok)
          return err
        end)
        local ok = f()
        local err = f()
        return ok, err
      ]])
      s:interrupt()
      local ok, err = future:await()
      assert.is_false(ok)
      assert.truthy(err:find(mtstates.error.interrupted, 1, true), err)
      check_goes_on(other)
    end)

    it("is caught by a task, which waits again", function()
      local box = handoff.unique()
      local future = tasks.begin(s, [[
        mt.sleep(0.0001)
        local ok, err = pcall(work)
        mt.sleep(0.0001)
        local box = ...
        local again = pcall(function()
          gates.put(box, ok)
          spin()
        end)
        local answer = mt.state(mt.id()):await("return 'self'")
        return ok, again, answer
      ]], box)
      s:interrupt()
      assert.is_false(handoff.take(box))
      s:interrupt()
      assert.same({false, false, "self"}, {future:await()})
    end)

    it("with true hits all that runs until it is false", function()
      local future = begin()
      local last = suspended.keeper()
      local hit = suspended.begin(s, 2, [[
        local id = ...
        enter()
        mt.state(id):await("get")
        while true do end
      ]], last.id)
      s:interrupt(true)
      check_interrupted(s.call, s, "while true do end")
      check_interrupted(s.await, s, "while true do end")
      check_interrupted(s.await, s, "while true do end")
      assert.is_false(future:ready())
      assert.is_false(hit:ready())
      assert.equals(2, s:stats().tasks)
      s:interrupt(false)
      keeper.open("answer")
      assert.same({"answer", 500500}, {future:await()})
      last.open("answer")
      helpers.wait_until(function() return not s:tcall(0, "") end)
      s:interrupt()
      check_interrupted(hit.await, hit)
      assert.equals("on", s:await("return 'on'"))
    end)

    it("with true hits a task that goes on", function()
      local future = begin()
      s:interrupt(true)
      keeper.open("answer")
      check_interrupted(future.await, future)
      s:interrupt(false)
      assert.equals("on", s:await("mt.sleep(0) return 'on'"))
    end)

    suspended.it_has_pcall("and cancel both reach a task", function()
      local future = tasks.begin(s, [[
        mt.sleep(0.0001)
        local ok, err = pcall(work)
        local function wait() mt.sleep(60) end
        local again, other = pcall(wait)
        return err, other
      ]])
      s:interrupt()
      suspended.wait(s, 1)
      assert.is_true(future:cancel())
      local err, other = future:await()
      assert.truthy(err:find(mtstates.error.interrupted, 1, true), err)
      assert.is_true(tasks.is_cancelled(other, s), other)
    end)

    it("by storms stops tasks, but never the state", function()
      local gate, futures = handoff.unique(), {}
      for i = 1, 10 do
        futures[i] = s:async([[
          local gate = ...
          local hits = 0
          while gates.get(gate) == 0 do
            local ok, err = pcall(function()
              mt.sleep(0)
              for _ = 1, 100 do math.abs(1) end
              mt.state(mt.id()):async("return 1"):tawait(0.0001)
            end)
            if not ok then
              assert(tostring(err):find(mt.error.interrupted, 1, true), err)
              hits = hits + 1
            end
          end
          return hits
        ]], nil, gate)
      end
      for _ = 1, 500 do
        s:interrupt()
      end
      handoff.set(gate, 1)
      for i = 1, 10 do
        local ok, err = pcall(futures[i].await, futures[i])
        assert.is_true(ok or mtstates.error(err):cause()
          == mtstates.error.interrupted, err)
      end
      helpers.wait_until(function() -- the last one can be due still
        return (pcall(s.call, s, "return 1"))
      end)
      assert.equals("on", s:await("mt.sleep(0) return 'on'"))
    end)
  end)
end
