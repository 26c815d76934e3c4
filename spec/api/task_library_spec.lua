-- What the coroutine library says in a task, and of coroutines that wait.

local assert = require "luassert"
local helpers = require "helpers"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

local WAITS = "cannot resume a coroutine that waits"
local it_knows_yieldable = helpers.it_needs(suspended.is_exact,
  "coroutine.isyieldable")
local it_closes = helpers.it_needs(rawget(coroutine, "close"),
  "coroutine.close")

for _, kind in ipairs(requests.kinds) do
  describe("the coroutine library in a task of a " .. kind, function()
    local s, keeper

    before_each(helpers.watch("coroutine library"))
    before_each(function()
      s = requests.new(kind, tasks.setup)
      keeper = suspended.keeper()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      helpers.unwatch()
    end)

    -- Both before and after a wait.
    local function both(code)
      local body = "local function look() " .. code .. " end "
      local first = helpers.pack(s:await(body ..
        "local a, b, c = look() return a, b, c"))
      local second = helpers.pack(s:await(body ..
        "mt.sleep(0.001) local a, b, c = look() return a, b, c"))
      assert.same(first, second)
      return helpers.unpack(first, 1, first.n)
    end

    it("says which coroutine runs", function()
      local co, is_main = both([[
        local co, is_main = coroutine.running()
        return type(co), is_main
      ]])
      if suspended.has_coroutines then
        assert.same({"thread", true}, {co, is_main})
      else
        assert.equals("nil", co)
      end
      local own, same, main, status = both([[
        local co = coroutine.create(function()
          local mine, is_main = coroutine.running()
          return mine, is_main, coroutine.status(mine)
        end)
        local ok, mine, is_main, status = coroutine.resume(co)
        assert(ok and mine == co)
        return mine == co, is_main or false, status
      ]])
      assert.same({true, false, "running"}, {own, same, main})
      assert.is_nil(status)
    end)

    suspended.it_has_coroutines("knows the task's own", function()
      assert.same({"running", "normal"}, {both([[
        local own = coroutine.running()
        local mine = coroutine.status(own)
        local inside = coroutine.wrap(function()
          return coroutine.status(own)
        end)()
        return mine, inside
      ]])})
      local ok, err = both([[
        local own = coroutine.running()
        local ok, err = coroutine.resume(own)
        return ok, err
      ]])
      assert.is_false(ok)
      assert.equals("string", type(err))
    end)

    it_knows_yieldable("says where can be yielded", function()
      assert.same({false, true, false}, {both([[
        local task = coroutine.isyieldable()
        local inner = coroutine.wrap(function()
          return coroutine.isyieldable()
        end)()
        local sorted
        coroutine.wrap(function()
          table.sort({1, 2}, function()
            sorted = coroutine.isyieldable()
          end)
        end)()
        return task, inner, sorted
      ]])})
    end)

    it("does not yield the task", function()
      local ok, err = both([[
        local ok, err = pcall(coroutine.yield, 1)
        return ok, err
      ]])
      assert.is_false(ok)
      assert.truthy(err:find("attempt to yield outside a coroutine " ..
        "(a task waits by sleep, await or room)", 1, true), err)
      err = helpers.raises_error("invoking_state", s.await, s,
        "local a = coroutine.yield() return a")
      assert.truthy(err:find("attempt to yield outside a coroutine (a task",
        1, true), err)
      assert.equals("on", s:await("return 'on'"))
      assert.equals("raises", s:call([[
        local ok = pcall(coroutine.yield)
        return ok and "yields" or "raises"
      ]]))
    end)

    it("ends a task that C code yields", function()
      for _, before in ipairs({"", "mt.sleep(0.001) "}) do
        local err = helpers.raises_error("invoking_state", s.await, s,
          before .. "local cyield = require 'cyield' cyield(1, 2) return 3")
        assert.truthy(err:find("attempt to yield a task", 1, true), err)
        assert.equals("on", s:await("return 'on'"))
      end
      assert.same({1, 2, "resumed"}, {s:await([[
        local cyield = require "cyield"
        local f = coroutine.wrap(function()
          mt.sleep(0.001)
          local r = cyield(1, 2)
          return r
        end)
        local a, b = f()
        local c = f("resumed")
        return a, b, c
      ]])})
    end)

    suspended.it_has_closing("closes variables of a task that C code yields",
      function()
        helpers.raises_error("invoking_state", s.await, s, [[
          local x <close> = setmetatable({}, {
            __close = function() has_closed = true end
          })
          require "cyield"(1)
        ]])
        assert.is_true(s:await("return has_closed"))
      end)

    -- A task whose coroutines `shared` and `inner` wait.
    local function begin_shared()
      return suspended.begin_in_coroutine(s, keeper.id, [[
        inner = create(function()
          local a = wait()
          return a
        end)
        shared = create(function()
          local _, a = resume(inner)
          yield(a)
          return "end"
        end)
        wrapped = wrap(function()
          local _, a = resume(shared)
          return a
        end)
        local a = wrapped()
        local _, last = resume(shared)
        return a, last, status(inner), status(shared)
      ]])
    end

    local function check_shared(future)
      keeper.open("answer")
      assert.same({"answer", "end", "dead", "dead"}, {future:await()})
    end

    suspended.it_has_coroutines("says that one that waits is normal",
      function()
        local future = begin_shared()
        for _, method in ipairs({"call", "await"}) do
          assert.same({"normal", "normal"}, {s[method](s, [[
            return coroutine.status(inner), coroutine.status(shared)
          ]])})
        end
        check_shared(future)
      end)

    suspended.it_has_coroutines("does not resume one that waits", function()
      local future = begin_shared()
      for _, method in ipairs({"call", "await"}) do
        for _, name in ipairs({"inner", "shared"}) do
          local ok, err = s[method](s, "local ok, err = coroutine.resume(" ..
            name .. ", 1, 2) return ok, err")
          assert.same({false, WAITS}, {ok, err})
        end
        local ok, err = s[method](s, [[
          local ok, err = pcall(function()
            local a = wrapped()
            return a
          end)
          return ok, err
        ]])
        assert.is_false(ok)
        assert.truthy(err:find("^task:%d+: " .. WAITS .. "$"), err)
      end
      check_shared(future)
    end)

    it_closes("does not close one that waits", function()
      local future = begin_shared()
      for _, method in ipairs({"call", "await"}) do
        for _, name in ipairs({"inner", "shared"}) do
          local ok, err = s[method](s, ([[
            local ok, err = pcall(coroutine.close, %s)
            return ok, err
          ]]):format(name))
          assert.is_false(ok)
          assert.truthy(err:find("cannot close a coroutine that waits", 1,
            true), err)
        end
      end
      check_shared(future)
      assert.same({true, true}, {s:await([[
        local a, b = coroutine.close(inner), coroutine.close(shared)
        return a, b
      ]])})
    end)

    suspended.it_has_coroutines("shows where one waits", function()
      local future = begin_shared()
      local trace = s:call("return debug.traceback(inner)")
      assert.truthy(trace:find("task:", 1, true), trace)
      check_shared(future)
    end)

    it("complains of bad arguments and dead coroutines", function()
      for _, code in ipairs({
        "coroutine.create()", "coroutine.wrap(1)", "coroutine.resume()",
        "coroutine.resume(1)", "coroutine.status()",
        "coroutine.status('x')", "coroutine.create({})",
      }) do
        local ok, err = s:await("local ok, err = pcall(function() " .. code ..
          " end) return ok, err")
        assert.is_false(ok)
        assert.truthy(err:find("bad argument #1 to '" ..
          code:match("%.(%a+)") .. "' (", 1, true), err)
      end
      local ok, err = s:await([[
        local co = coroutine.create(function() end)
        coroutine.resume(co)
        local ok, err = coroutine.resume(co)
        return ok, err
      ]])
      assert.same({false, "cannot resume dead coroutine"}, {ok, err})
      local fine, text = s:await([[
        local f = coroutine.wrap(function() end)
        f()
        local ok, err = pcall(function() local a = f() return a end)
        return ok, err
      ]])
      assert.is_false(fine)
      assert.truthy(text:find("cannot resume dead coroutine", 1, true), text)
    end)
  end)
end
