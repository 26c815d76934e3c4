-- What a task that has waited is afterwards: results, errors, pcall, locals,
-- and in which thread it goes on. Many of them are in task_many_spec.lua.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

for _, kind in ipairs(requests.kinds) do
  describe("a task that has waited, of a " .. kind, function()
    local s, keeper

    before_each(helpers.watch("results of tasks"))
    before_each(function()
      s = requests.new(kind, tasks.setup)
      keeper = suspended.keeper()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      helpers.unwatch()
    end)

    -- Begins code, which can call wait(); when it is suspended it goes on.
    local function run(code, ...)
      local future = suspended.begin(s, 1, [[
        local id = ...
        local function wait()
          local answer = mt.state(id):await("get")
          return answer
        end
        enter()
      ]] .. code, keeper.id, ...)
      keeper.open("answer")
      return future
    end

    it("gives its results, nils too", function()
      for n = 0, 5 do
        local future = run([[
          wait()
          local function give(n, ...)
            if n == 0 then return ... end
            return give(n - 1, nil, ...)
          end
          return give(select(2, ...))
        ]], n)
        assert.equals(n, select("#", future:await()))
        keeper = suspended.keeper()
      end
      local future = run("local a = wait() return nil, a, nil, nil")
      assert.same({n = 4, nil, "answer"}, helpers.pack(future:await()))
      assert.same({true, nil, "answer"}, {future:tawait(0)})
    end)

    it("has its arguments still", function()
      local future = run("wait() return select('#', ...), ...", nil, "b", nil)
      assert.same({n = 5, 4, keeper.id, nil, "b"},
        helpers.pack(future:await()))
    end)

    it("gives thousands of results", function()
      local future = run("wait() return gates.results(5000)")
      local got = helpers.pack(future:await())
      assert.same({5000, 5000}, {got.n, got[5000]})
    end)

    it("raises with position and traceback", function()
      local err = helpers.raises_error("invoking_state", function()
        run([[

          local function innermost()
            local a = wait()
            error("raised after " .. a)
          end
          local function outer()
            innermost()
            return 1
          end
          outer()
        ]]):await()
      end)
      assert.truthy(err:find("task:%d+: raised after answer"), err)
      local _, trace = err:find("stack traceback:", 1, true)
      assert.truthy(trace, err)
      assert.truthy(err:find("innermost", trace, true), err)
      assert.truthy(err:find("outer", trace, true), err)
      assert.equals(1, helpers.count(err, "stack traceback:"))
      assert.is_nil(mtstates.error(err):cause())
      assert.equals("on", s:await("return 'on'"))
    end)

    it("raises what is no string", function()
      local future = run("wait() error({code = 404})")
      local err = requests.raised(future.await, future)
      if kind == "service" then
        assert.equals(404, err.code)
      else
        assert.equals(1, err:find(mtstates.error.invoking_state, 1, true))
      end
      keeper = suspended.keeper()
      future = run("wait() error()")
      helpers.raises_error("invoking_state", future.await, future)
    end)

    it("raises an error of the module again", function()
      local future = run("wait() mt.state('task: nobody')")
      local err = helpers.raises_error("invoking_state", future.await, future)
      assert.equals(mtstates.error.unknown_object,
        mtstates.error(err):cause())
    end)

    it("gets what it awaits as an error, too", function()
      local future = suspended.begin(s, 1, [[
        local id = ...
        local future = mt.state(id):async("get")
        enter()
        local function wait() local a = future:await() return a end
        wait()
      ]], keeper.id)
      keeper.fail("failed by hand")
      local err = helpers.raises_error("invoking_state", future.await, future)
      assert.truthy(err:find("failed by hand", 1, true), err)
      assert.equals("on", s:await("return 'on'"))
    end)

    suspended.it_has_pcall("waits inside pcall and xpcall", function()
      local future = run([[
        local ok, a = pcall(wait)
        local caught, err = pcall(function() wait() error("inner", 0) end)
        local fine, b, c = xpcall(function() local r = wait() return r, 7 end,
          function() return "handled" end)
        local handled, text = xpcall(function() wait() error("x", 0) end,
          function(e) return "handled " .. e end)
        return ok, a, caught, err, fine, b, c, handled, text
      ]])
      assert.same({true, "answer", false, "inner", true, "answer", 7, false,
        "handled x"}, {future:await()})
    end)

    it("waits inside pcall again and again", function()
      keeper.open("answer")
      assert.same({300, 100}, {s:await([[
        local good, bad = 0, 0
        local keeper = mt.state(...)
        for i = 1, 400 do
          local ok, err = pcall(function()
            local a = keeper:await("get")
            mt.sleep(0)
            if i % 4 == 0 then error("fourth", 0) end
            return a
          end)
          if ok and err == "answer" then good = good + 1 end
          if not ok and err == "fourth" then bad = bad + 1 end
        end
        return good, bad
      ]], nil, keeper.id)})
    end)

    it("has its locals and upvalues, also when garbage is collected",
      function()
        local future = suspended.begin(s, 1, [[
          local id, a, b = ..., "a", {"b"}
          local count = 0
          local function add(n) count = count + n return count end
          adder = add
          local co = coroutine.wrap(function(x)
            while true do x = coroutine.yield(x .. "!") end
          end)
          co("x")
          local t = setmetatable({}, {__index = function(_, k) return k end})
          enter()
          local answer = mt.state(id):await("get")
          return a, b[1], add(1), co("y"), t.z, answer
        ]], keeper.id)
        for i = 1, 3 do
          assert.equals(10 * i, s:call("collectgarbage() return adder(10)"))
        end
        keeper.open("answer")
        assert.same({"a", "b", 31, "y!", "z", "answer"}, {future:await()})
      end)

    it("waited below thousands of levels", function()
      local future = run([[
        local function descend(n)
          if n == 0 then return (wait()) end
          local r = descend(n - 1)
          return n % 1000 == 0 and r .. "." or r
        end
        local r = descend(5000)
        return r
      ]])
      assert.equals("answer.....", future:await())
      local count = s:await([[
        local function descend(n)
          if n == 0 then mt.sleep(0) return 1 end
          local r = descend(n - 1)
          return r + 1
        end
        return descend(10000)
      ]])
      assert.equals(10001, count)
    end)

    it("goes on in another OS thread", function()
      local before = mtstates.workers()
      mtstates.workers(1)
      local future, tid = suspended.begin(s, 1, [[
        local mine = {"kept"}
        enter()
        local a = mt.state(...):await("get")
        return a, mine[1], gates.tid()
      ]], keeper.id)
      -- Threads of the module are held, one after the other, until that is.
      local leave, holding = handoff.unique(), {}
      repeat
        local other = requests.new("service", tasks.setup)
        local last
        holding[#holding + 1], last = tasks.begin(other,
          "enter() gates.wait(..., 1)", leave)
      until last == tid
      keeper.open("answer")
      local a, kept, on = future:await()
      assert.same({"answer", "kept"}, {a, kept})
      assert.is_true(on ~= tid)
      handoff.set(leave, 1)
      for _, held in ipairs(holding) do
        held:await()
      end
      mtstates.workers(before)
    end)
  end)
end
