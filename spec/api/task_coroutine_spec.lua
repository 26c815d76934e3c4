-- Coroutines that the code of a task has made: waits in them suspend the task
-- with all of them, where Lua has the means; elsewhere they hold. What the
-- coroutine library says of them is in task_library_spec.lua.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

for _, kind in ipairs(requests.kinds) do
  describe("a wait in a coroutine of a task, of a " .. kind, function()
    local s, keeper

    before_each(helpers.watch("coroutines of tasks"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      s = requests.new(kind, tasks.setup)
      keeper = suspended.keeper()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      helpers.unwatch()
    end)

    local function run(...)
      keeper = suspended.keeper()
      local future = suspended.begin_in_coroutine(s, keeper.id, ...)
      keeper.open("answer")
      return future:await()
    end

    it("that is resumed gives values through", function()
      assert.same({true, "in", "answer", true, "dead", false}, {run([[
        local co = create(function(x)
          local a = wait()
          local y = yield(x, a)
          return y
        end)
        local ok, x, a = resume(co, "in")
        local ok2, y = resume(co, true)
        assert(ok2)
        return ok, x, a, y, status(co), (resume(co))
      ]])})
    end)

    it("that is wrapped gives values through", function()
      assert.same({"in", "answer", "again", nil, 3}, {run([[
        local f = wrap(function(x)
          local a = wait()
          local y = yield(x, a)
          return y, nil, 3
        end)
        local x, a = f("in")
        local y, none, three = f("again")
        return x, a, y, none, three
      ]])})
    end)

    it("keeps the number of values", function()
      for n = 0, 4 do
        local count = run([[
          local function count(...) return select("#", ...) end
          local function nils(n)
            if n == 0 then return end
            return nil, nils(n - 1)
          end
          local f = wrap(function(...)
            local got = count(...)
            wait()
            local back = count(yield(nils(got)))
            wait()
            return nils(back)
          end)
          local first = count(f(nils(a1)))
          local second = count(f(nils(a1)))
          return first * 10 + second
        ]], n)
        assert.equals(n * 11, count)
      end
    end)

    it("may be below twenty of them", function()
      assert.same({"answer", 20, 20}, {run([[
        local depth, back = 0, 0
        local function descend(n)
          if n == 0 then
            local a = wait()
            mt.sleep(0)
            return a
          end
          depth = depth + 1
          local a
          if n % 2 == 0 then
            local f = wrap(descend)
            a = f(n - 1)
          else
            local ok
            ok, a = resume(create(descend), n - 1)
            assert(ok, a)
          end
          back = back + 1
          return a
        end
        local a = descend(20)
        return a, depth, back
      ]])})
    end)

    it("may be in a generator", function()
      assert.equals("1answer2answer3answer", run([[
        local function each(n)
          return wrap(function()
            for i = 1, n do
              local a = wait()
              yield(i, a)
            end
          end)
        end
        local text = ""
        for i, a in each(3) do
          text = text .. ("%d"):format(i) .. a
          mt.sleep(0)
        end
        return text
      ]]))
    end)

    it("may be between yields to several levels", function()
      assert.same({"abcd", "answer"}, {run([[
        local text = ""
        local answer
        local outer = wrap(function()
          local inner = wrap(function()
            answer = wait()
            yield("a")
            mt.sleep(0)
            yield("b")
            wait()
            return "c"
          end)
          for _ = 1, 3 do
            local r = inner()
            mt.sleep(0)
            yield(r)
          end
          return "d"
        end)
        for _ = 1, 4 do
          local r = outer()
          text = text .. r
        end
        return text, answer
      ]])})
    end)

    it("may be in one that another task has made", function()
      assert.equals("made", s:await([[
        shared = coroutine.create(function(wait, x)
          local a = wait()
          local again = coroutine.yield(x .. a)
          local b = again()
          return b
        end)
        return "made"
      ]]))
      assert.same({"x answer", "suspended"}, {run([[
        local _, r = resume(shared, wait, "x ")
        return r, status(shared)
      ]])})
      local ok, b, state = s:call([[
        local ok, b = coroutine.resume(shared, function()
          mt.sleep(0.001)
          return "called"
        end)
        return ok, b, coroutine.status(shared)
      ]])
      assert.same({true, "called", "dead"}, {ok, b, state})
    end)

    it("is one of many tasks that do the same", function()
      keeper.open(1)
      local futures = {}
      for i = 1, 100 do
        futures[i] = s:async(suspended.IN_COROUTINE .. [[
          local n = a1
          local function count()
            return wrap(function()
              for i = 1, 5 do
                local inner = wrap(function()
                  local one = wait()
                  mt.sleep(0)
                  yield(one * n)
                  return i
                end)
                local x = inner()
                local y = inner()
                yield(x + y)
              end
            end)
          end
          local sum = 0
          for x in count() do
            sum = sum + x
            mt.sleep(0)
          end
          return sum
        ]], nil, keeper.id, i)
      end
      for i = 1, 100 do
        assert.equals(5 * i + 15, futures[i]:await())
      end
    end)

    suspended.it_has_coroutines("is not collected with them", function()
      local future = suspended.begin_in_coroutine(s, keeper.id, [[
        local f = wrap(function()
          local t = {"kept"}
          local g = wrap(function()
            local a = wait()
            return t[1] .. a
          end)
          local r = g()
          return r
        end)
        local r = f()
        return r
      ]])
      for _ = 1, 3 do
        s:call("collectgarbage() for i = 1, 1000 do local t = {{}} end")
      end
      keeper.open("answer")
      assert.equals("keptanswer", future:await())
    end)
  end)
end

describe("coroutines", function()
  before_each(helpers.watch("coroutines of tasks"))
  after_each(helpers.unwatch)

  it("of tasks are made by thousands and left alone", function()
    local s = mtstates.newstate({}, tasks.setup)
    assert.equals(5000, s:await([[
      local count = 0
      for i = 1, 5000 do
        local f = coroutine.wrap(function()
          if i % 10 == 0 then mt.sleep(0) end
          count = count + 1
          coroutine.yield()
        end)
        f()
      end
      collectgarbage()
      return count
    ]]))
  end)
end)
