-- Errors of forks, what their results may be, and future:cancel of them.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"
local tasks = require "tasks"

local it_catches = helpers.it_needs(runs.pcall_suspends, "waits in pcall")

for _, kind in ipairs(runs.kinds) do
  describe("a fork in a " .. kind, function()
    local log, s

    before_each(helpers.watch("errors of forks"))
    before_each(function()
      log = requests.log_to_mailbox()
      s = runs.new(kind)
    end)
    after_each(function()
      s:close()
      log.reset()
      helpers.unwatch()
    end)

    -- What awaiting a fork with that code raises, as its state sees it.
    local function raised(code)
      return s:await(([[
        local function show(_, err)
          return type(err), err
        end
        local future = mt.fork(function() %s end)
        while not future:ready() do
          mt.sleep(0)
        end
        return show(pcall(future.await, future))
      ]]):format(code))
    end

    it("raises what a request raises", function()
      for _, code in ipairs({
        "error('text', 0)", "error('', 0)", "mt.sleep(0) error('text', 0)",
        "error()", "error(nil, 0)", "return coroutine.create(function() end)",
        "return 1, io.stdout", "error(coroutine.create(function() end))",
        "mt.state(0)",
      }) do
        local expected = requests.raised(s.await, s, code)
        local type_name, err = raised(code)
        assert.equals("string", type_name)
        err = err:gsub("\n?stack traceback:.*$", "")
        assert.equals(expected, err, code)
      end
      assert.equals(0, log.count())
    end)

    it("raises error values as a request does", function()
      for _, code in ipairs({"error({code = 404})", "error(42, 0)",
                             "error(true)", "error(print, 0)"}) do
        local expected = requests.raised(s.await, s, code)
        local type_name, err = raised(code)
        assert.equals(type(expected), type_name, code)
        if type(err) == "string" then
          err = err:gsub("\n?stack traceback:.*$", "")
        end
        assert.same(expected, err, code)
      end
    end)

    it("shows where the error was", function()
      local _, err = raised([[
        local function innermost_function()
          error("the inner message")
        end
        mt.sleep(0)
        innermost_function()
        return 1
      ]])
      assert.truthy(err:find("the inner message", 1, true), err)
      assert.truthy(err:find("stack traceback:", 1, true), err)
      assert.truthy(err:find("innermost_function", 1, true), err)
    end)

    it("has results as a request has", function()
      local code = "return {1, {2}}"
      if kind == "classic state" then
        local expected = requests.raised(s.await, s, code)
        local _, err = raised(code)
        assert.truthy(err:find(mtstates.error.state_result, 1, true), err)
        assert.equals(expected, err)
      else
        assert.equals("false 2 2", s:await([[
          local t = {1, {2}}
          local same = mt.fork(function() return t end):await()
          mark(same == t)
          mark(#same)
          mark(same[2][1])
          return marks()
        ]]))
      end
    end)

    it("has its error logged if nobody reads it", function()
      for _, code in ipairs({
        "mt.fork(function() error('unread', 0) end)",
        "mt.fork(function() mt.sleep(0) error('unread', 0) end)",
        "mt.fork(error, 'unread')",
        "kept = mt.fork(error, 'unread')",
      }) do
        s:await(code)
        helpers.wait_until(function()
          return s:await("return not kept or kept:ready()")
        end)
        s:await("kept = nil collectgarbage() collectgarbage()")
        local level, text, name, id = log.take()
        assert.same({"error", s:id()}, {level, id}, code)
        assert.is_nil(name)
        assert.truthy(text:find("unread", 1, true), text)
        assert.equals(1, log.count())
      end
    end)

    it("has its error not logged if it was read", function()
      raised("error('read', 0)")
      helpers.raises_error("invoking_state", s.await, s,
        "mt.fork(error, 'read'):await()")
      s:await("collectgarbage() collectgarbage()")
      assert.equals(0, log.count())
    end)

    it("is refused when the state is to be closed, and leaves nothing",
      function()
        local entered, leave = handoff.unique("fork"), handoff.unique("fork")
        local future = s:async([[
          gates.enter(...)
          local function refuse(count)
            for i = 1, count do
              local ok, err = pcall(mt.fork, print, i)
              if ok or not err:find(mt.error.object_closed, 1, true) then
                error(err)
              end
            end
            collectgarbage()
            collectgarbage()
            return gates.heap_bytes()
          end
          local before = refuse(500)
          return refuse(5000) - before
        ]], entered, leave, 1)
        handoff.wait(entered, 1)
        s:close()
        handoff.set(leave, 1)
        local grown = future:await()
        assert.is_true(grown < 500000, "grown by " .. grown)
      end)

    it("never begins if it was cancelled before", function()
      local before, again, ready, err = s:await([[
        local function show(_, err)
          return err
        end
        local future = mt.fork(mark, "begun")
        local before, again = future:cancel(), future:cancel()
        mt.sleep(0)
        return before, again, future:ready(),
          show(pcall(future.await, future))
      ]])
      assert.same({true, false, true}, {before, again, ready})
      assert.is_true(tasks.is_cancelled(err, s), err)
      assert.equals("", s:await("return marks()"))
      assert.equals(0, log.count())
    end)

    it("that waits raises cancelled there", function()
      for _, wait in ipairs({
        "mt.sleep(60)", "mt.sleep(math.huge)", "go:await()",
        "go:tawait(60)", "me:await('go:await()')",
        "mt.fork(function() go:await() end):await()",
      }) do
        local first, again, err = s:await(([[
          go, promise = mt.promise()
          local function show(_, err)
            return err
          end
          local future = mt.fork(function()
            mark("begun")
            %s
            mark("goes on")
          end)
          mt.sleep(0)
          mt.sleep(0)
          local first = future:cancel()
          while not future:ready() do
            mt.sleep(0)
          end
          return first, future:cancel(), show(pcall(future.await, future))
        ]]):format(wait))
        assert.same({true, false}, {first, again}, wait)
        assert.is_true(tasks.is_cancelled(err, s), err)
        s:await("promise:set()")
        assert.equals("begun", s:await("return marks()"), wait)
      end
      assert.equals(0, log.count())
    end)

    it_catches("that caught cancelled goes on", function()
      assert.equals("caught 7 false", s:await([[
        local future = mt.fork(function()
          local ok, err = pcall(mt.sleep, 60)
          mark(not ok and err:find("cancelled", 1, true) and "caught")
          return 7
        end)
        mt.fork(function() future:cancel() end)
        mark(future:await())
        mark(future:cancel())
        return marks()
      ]]))
    end)

    it("that is cancelled lets others go on", function()
      assert.equals("1 3 5 7 9", s:await([[
        local futures = {}
        for i = 1, 10 do
          futures[i] = mt.fork(function()
            mt.sleep(i % 2 == 0 and 60 or i / 2000)
            return i
          end)
        end
        mt.sleep(0)
        for i = 2, 10, 2 do
          futures[i]:cancel()
        end
        for i = 1, 9, 2 do
          mark(futures[i]:await())
        end
        return marks()
      ]]))
    end)
  end)
end

for _, kind in ipairs(runs.services) do
  describe("a fork in a " .. kind, function()
    before_each(helpers.watch("cancel of forks"))
    after_each(helpers.unwatch)

    it("that runs is cancelled from outside, and nothing else", function()
      local s, entered, leave = runs.new(kind), handoff.unique(),
        handoff.unique()
      local future = s:await([[
        require "interruptible"
        return mt.fork(function(entered)
          mt.sleep(0)
          gates.add(entered)
          while true do end
        end, (...)), "future"
      ]], entered)
      handoff.wait(entered, 1)
      local after = s:async("return 'after'")
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      assert.equals("after", after:await())
      -- One that is in a C function raises when it is back.
      entered = handoff.unique()
      future = s:await([[
        return mt.fork(function(entered, leave)
          gates.enter(entered, leave, 1)
          mark("goes on")
        end, ...), "future"
      ]], entered, leave)
      handoff.wait(entered, 1)
      assert.is_true(future:cancel())
      assert.is_false(future:ready())
      handoff.set(leave, 1)
      tasks.check_cancelled(future, s)
      assert.equals("", s:await("return marks()"))
      s:close()
    end)
  end)
end
