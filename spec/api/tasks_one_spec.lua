-- The option tasks with 1: nothing else of the state begins or goes on until
-- a request has ended, its waits included. Circles: task_deadlock_spec.lua.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"
local threads = require "threads"

for _, kind in ipairs(runs.services) do
  describe("tasks = 1 of a " .. kind, function()
    local s

    before_each(helpers.watch("option tasks"))
    before_each(function()
      s = runs.new(kind, {tasks = 1})
    end)
    after_each(function()
      s:close()
      helpers.unwatch()
    end)

    -- Code for s that waits for an answer from here; and what answers it.
    local function begin(code, ...)
      local go, promise = mtstates.promise()
      local entered = handoff.unique()
      local future = s:async([[
        local go, entered = ...
        mark("begun")
        gates.add(entered)
      ]] .. (code or "go:await()") .. [[
        mark("ended")
        return "result"
      ]], go, entered, ...)
      handoff.wait(entered, 1)
      return future, function(...) promise:set(...) end
    end

    it("ends one request before the next begins", function()
      local future, go = begin()
      local after = s:async("mark('after') return marks()")
      assert.is_false(after:tawait(0.01))
      assert.same({1, 1}, {s:stats().tasks, s:stats().queue})
      go()
      assert.equals("begun ended after", after:await())
      assert.equals("result", future:await())
    end)

    it("mixes no requests, whatever they wait for", function()
      local futures = {}
      for i = 1, 100 do
        futures[i] = s:async([[
          local n = ...
          for i = 1, 3 do
            mark(n .. "." .. i)
            mt.sleep(i == 2 and 1e-5 or 0)
          end
        ]], i)
      end
      local expected = {}
      for i = 1, 100 do
        futures[i]:await()
        for j = 1, 3 do
          expected[#expected + 1] = i .. "." .. j
        end
      end
      assert.equals(table.concat(expected, " "), s:await("return marks()"))
    end)

    it("has calls wait, too", function()
      local future, go = begin()
      for _, timeout in ipairs({0, -1, 0.001, 0.01}) do
        assert.is_false(s:tcall(timeout, "mark('late')"))
      end
      local gate = handoff.unique()
      local caller = threads.waiting(gate, function(g, id)
        require "handoff".add(g)
        return require "mtstates".state(id):call("return marks()")
      end, gate, s:id())
      local patient = threads.waiting(gate, function(g, id)
        require "handoff".add(g)
        return require "mtstates".state(id):tcall(20, "return 'in time'")
      end, gate, s:id())
      go()
      assert.equals("begun ended", caller:results())
      assert.same({true, "in time"}, {patient:results()})
      assert.equals("result", future:await())
    end)

    it("has notices wait, too", function()
      s:close()
      s = mtstates.newstate({tasks = 1, own_thread = kind ~= "service"}, [[
        local mt, told = require "mtstates", 0
        return function(go, entered)
          if not go then
            told = told + 1
            return told
          end
          require "handoff".add(entered)
          go:await()
          return told
        end
      ]])
      local notifier = require "capidriver".notifier(s)
      local go, promise = mtstates.promise()
      local entered = handoff.unique()
      local future = s:async(go, entered)
      handoff.wait(entered, 1)
      for _ = 1, 5 do
        notifier:notify()
      end
      mtstates.sleep(0.005)
      promise:set()
      assert.equals(0, future:await())
      helpers.wait_until(function() return s:await() >= 6 end)
    end)

    it("lets forks of the task run while it waits", function()
      local future, go = begin([[
        for i = 1, 3 do
          mt.fork(function()
            mark(i)
            mt.sleep(0.0001)
            mark(i * 10)
          end)
        end
        mark(mt.fork(function() mt.sleep(0.001) return "fork" end):await())
        go:await()
      ]])
      local after = s:async("return marks()")
      go()
      assert.equals("begun 1 2 3 10 20 30 fork ended", after:await())
      assert.equals("result", future:await())
    end)

    it("has forks of others wait", function()
      local go, promise = mtstates.promise()
      s:await([[
        local go = ...
        mt.fork(function()
          mark("fork")
          go:await()
          mark("goes on")
        end)
        mt.sleep(0)
      ]], go)
      local future, go_on = begin([[
        go:await()
        mark("between")
        mt.sleep(0)
        mt.sleep(0.001)
        mt.fork(function() end):await()
      ]])
      promise:set()
      go_on()
      assert.equals("result", future:await())
      helpers.wait_until(function()
        return s:await("all = (all or '') .. marks() return all"):find("goes")
      end)
      assert.equals("fork begun between ended",
        s:await("return all"):match("^(.-) ?goes on$"))
    end)

    it("lets forks of a task that has ended go on before the next", function()
      s:await([[
        mt.fork(function() mark("fork") end)
      ]])
      assert.equals("fork", s:await("return marks()"))
    end)

    it("lets calls nest", function()
      local other = runs.new("service")
      assert.same({"own", "through"}, {s:await([[
        local id = ...
        local own = me:call("return 'own'")
        local through = mt.state(id):call(
          "return mt.state(...):call('return ...', 'through')", mt.id())
        mt.sleep(0)
        assert(me:call("return 'own'") == own)
        return own, through
      ]], other:id())})
    end)

    it("ends a request with its deferred reply not there yet", function()
      local future = s:async([[
        local future
        future, answer = mt.promise()
        return future
      ]])
      s:await("answer:set('by the next one')")
      assert.equals("by the next one", future:await())
    end)

    it("goes on when the task was cancelled", function()
      local future, go = begin()
      local after = s:async("return 'after'")
      assert.is_true(future:cancel())
      assert.equals("after", after:await())
      assert.equals("called", s:call("return 'called'"))
      helpers.raises_error("cancelled", future.await, future)
      go()
    end)

    it("goes on when the task has failed", function()
      local future, go = begin("go:await() error('the end', 0)")
      local after = s:async("return 'after'")
      go()
      assert.equals("after", after:await())
      helpers.raises_error("invoking_state", future.await, future)
      assert.equals("called", s:call("return 'called'"))
    end)

    it("closes with a task and others that wait", function()
      local future, go = begin()
      helpers.wait_until(function() -- it waits
        local text = s:traceback(60)
        return text and text:find("task that waits for", 1, true) ~= nil
      end)
      local after = s:async("return 'after'")
      local gate = handoff.unique()
      local caller = threads.waiting(gate, function(g, id)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        return pcall(r.call, r, "")
      end, gate, s:id())
      s:close()
      helpers.raises_error("object_closed", future.await, future)
      helpers.raises_error("object_closed", after.await, after)
      local ok, err = caller:results()
      assert.is_false(ok)
      assert.equals(1, err:find(mtstates.error.object_closed, 1, true), err)
      go()
    end)

    it("closes if its task is about to wait", function()
      local leave = handoff.unique()
      local future, go = begin([[
        gates.wait(select(3, ...), 1)
        go:await()
      ]], leave)
      local after = s:async("mark('after')")
      s:close()
      handoff.set(leave, 1)
      local err = helpers.raises_error("invoking_state", future.await, future)
      assert.truthy(err:find("is being closed cannot wait", 1, true), err)
      helpers.raises_error("object_closed", after.await, after)
      go()
    end)

    it("closes if its task has quit and is about to wait", function()
      local future, go = begin("mt.quit() go:await()")
      local after = s:async("mark('after')")
      go()
      pcall(future.await, future)
      helpers.raises_error("object_closed", after.await, after)
      helpers.raises_error("object_closed", s.call, s, "")
    end)

    it("does what was sent before it is closed with a timeout", function()
      local future, go = begin()
      local after = s:async("return 'after'")
      local release = requests.new("service", [[
        return function(promise) promise:set() end
      ]])
      local done, promise = mtstates.promise()
      release:send(promise)
      done:await()
      go()
      assert.is_true(s:close(20))
      assert.equals("result", future:await())
      assert.equals("after", after:await())
    end)
  end)
end
