-- mtstates.fork: tasks that a task makes, in states of the module. When they
-- begin is in fork_begin_spec.lua, errors and cancel are in
-- fork_errors_spec.lua, main programs in fork_main_spec.lua.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local requests = require "requests"
local runs = require "runs"

for _, kind in ipairs(runs.kinds) do
  describe("a fork in a " .. kind, function()
    local s

    before_each(helpers.watch("fork"))
    before_each(function()
      s = runs.new(kind)
    end)
    after_each(function()
      s:close()
      helpers.unwatch()
    end)

    it("gives a future, which gives its results", function()
      assert.same({"mtstates.future", false, 7, nil, "x", nil, n = 6},
        helpers.pack(s:await([[
          local future = mt.fork(function(...) return ... end, 7, nil, "x",
            nil)
          return mt.type(future), future:ready(), future:await()
        ]])))
      assert.equals(0, s:await([[
        local function count(...) return select("#", ...) end
        return (count(mt.fork(function() end):await()))
      ]]))
      assert.same({true, 1}, {s:await([[
        local function shift(...) return ... end
        local future = mt.fork(function() mt.sleep(0) return 1 end)
        return shift(future:tawait(20))
      ]])})
    end)

    it("gets function and arguments as they are", function()
      assert.equals("true true true 3 nil true", s:await([[
        local t, co = {}, coroutine.create(function() end)
        local upvalue = {}
        mt.fork(function(a, b, c, ...)
          mark(a == t)
          mark(b == co)
          mark(c == upvalue)
          mark(select("#", ...))
          mark((...))
          mark(select(3, ...) == mark)
        end, t, co, upvalue, nil, nil, mark):await()
        return marks()
      ]]))
    end)

    it("gets any number of arguments", function()
      assert.equals("1000 1 1000 true", s:await([[
        mt.fork(type, nil):await() -- leaves a coroutine to be used again
        local values = {}
        for i = 1, 1000 do
          values[i] = i
        end
        local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
        mt.fork(function(...)
          local got = {...}
          mark(select("#", ...))
          mark(got[1])
          mark(got[1000])
          local is_same = true
          for i = 1, 1000 do
            is_same = is_same and got[i] == i
          end
          mark(is_same)
        end, unpack(values)):await()
        return marks()
      ]]))
    end)

    -- Coroutines of tasks that have ended are used again; code can know them.
    it("cannot be begun by who knows its coroutine", function()
      s:await([[
        known = {}
        local futures = {}
        for i = 1, 3 do
          futures[i] = mt.fork(function()
            known[i] = coroutine.running()
            mt.sleep(0)
            known[i + 3] = coroutine.running()
          end)
        end
        for i = 1, 3 do
          futures[i]:await()
        end
      ]])
      assert.equals(("false "):rep(6) .. "ran ran ran", s:await([[
        local futures = {}
        local own = coroutine.running()
        for i = 1, 3 do
          futures[i] = mt.fork(function() return "ran" end)
        end
        for i = 1, 6 do
          mark(known[i] ~= own and coroutine.resume(known[i]))
        end
        for i = 1, 3 do
          mark((futures[i]:await()))
        end
        return marks()
      ]]))
    end)

    it("may be a function of C", function()
      local gate = handoff.unique()
      assert.same({3, 42}, {s:await([[
        local counted = mt.fork(select, "#", nil, nil, nil)
        local added = mt.fork(gates.add, ..., 42)
        return counted:await(), added:await()
      ]], gate)})
      s:await("mt.fork(mt.sleep, 0.001):await()")
      handoff.set(gate, 0)
    end)

    it("waits without keeping the state", function()
      assert.equals("a1 b1 a2 b2 done", s:await([[
        local first, first_promise = mt.promise()
        local second, second_promise = mt.promise()
        mt.fork(function()
          mark("a1")
          mark(first:await())
          second_promise:set("b2")
        end)
        local last = mt.fork(function()
          mark("b1")
          first_promise:set("a2")
          mark(second:await())
          return "done"
        end)
        mark(last:await())
        return marks()
      ]]))
    end)

    it("shares variables with its task", function()
      assert.same({10, 10}, {s:await([[
        local sum, last = 0, nil
        for i = 1, 4 do
          last = mt.fork(function()
            mt.sleep(0)
            sum = sum + i
            return sum
          end)
        end
        return last:await(), sum
      ]])})
    end)

    it("is not counted in tasks or in the queue", function()
      s:close()
      s = runs.new(kind, {queue = 1})
      s:await([[
        go, go_on = mt.promise()
        last = 0
        for i = 1, 3000 do
          mt.fork(function() go:await() last = last + 1 end)
        end
      ]])
      runs.settle(s)
      assert.equals(0, s:stats().queue)
      assert.is_true(s:stats().tasks <= 1) -- that of runs.settle may end
      helpers.wait_until(function() return s:stats().tasks == 0 end)
      s:await("go_on:set()")
      helpers.wait_until(function()
        return s:await("return last") == 3000
      end)
    end)

    it("goes on when its future was collected", function()
      local gate = handoff.unique()
      s:await([[
        local gate = ...
        for i = 1, 20 do
          mt.fork(function()
            mt.sleep(0)
            gates.add(gate)
          end)
        end
        collectgarbage()
        collectgarbage()
      ]], gate)
      handoff.wait(gate, 20)
      s:await("collectgarbage()")
    end)

    it("may be made in a coroutine", function()
      assert.same({"made", 5}, {s:await([[
        local future
        local co = coroutine.wrap(function()
          future = mt.fork(function() mt.sleep(0) return 5 end)
          return "made"
        end)
        local made = co()
        return made, future:await()
      ]])})
    end)

    it("may call, send to, and await its own state and others", function()
      local other = requests.new("service", helpers.echo)
      assert.same({"called", "awaited", "sent"}, {s:await([[
        local id = ...
        local future = mt.fork(function()
          local called = me:call("return 'called'")
          local awaited = mt.state(id):await("awaited")
          me:send("mark('sent')")
          return called, awaited, me:await("return marks()")
        end)
        local called, awaited, sent = future:await()
        return called, awaited, sent
      ]], other:id())})
    end)

    it("can be made 20,000 times", function()
      assert.equals(20000 * 20001 / 2, s:await([[
        local go, promise = mt.promise()
        local sum, futures = 0, {}
        for i = 1, 20000 do
          futures[i] = mt.fork(function(n)
            local factor = go:await()
            sum = sum + factor * n
          end, i)
        end
        mt.sleep(0)
        mark(sum)
        promise:set(1)
        for i = 20000, 1, -1 do
          futures[i]:await()
        end
        return sum
      ]]))
      assert.equals("0", s:await("return marks()"))
    end)

    it("is made of a function only", function()
      for text, value in pairs({
        ["function expected, got table"] =
          "setmetatable({}, {__call = print})",
        ["function expected, got no value"] = "",
        ["function expected, got nil"] = "nil, 1",
        ["function expected, got string"] = "'return 1'",
        ["function expected, got thread"] = "coroutine.create(function() end)",
      }) do
        local err = helpers.raises_error("invoking_state", s.await, s,
          "mt.fork(" .. value .. ")")
        assert.truthy(err:find("bad argument #1 to 'fork' (" .. text .. ")",
          1, true), err)
      end
      assert.equals("", s:await("return marks()"))
    end)
  end)
end

for _, kind in ipairs(runs.services) do
  describe("a fork in a " .. kind, function()
    before_each(helpers.watch("fork"))
    after_each(helpers.unwatch)

    it("has a future that crosses, as its results do", function()
      local s = runs.new(kind)
      local future = s:await([[
        local go, promise = mt.promise()
        kept = promise
        return mt.fork(function(t) return t, t, go:await() end, {1, {2}}), 1
      ]])
      assert.is_false(future:ready())
      s:await("kept:set({'go'})")
      local t, same, go = future:await()
      assert.same({{1, {2}}, {"go"}}, {t, go})
      assert.is_true(t == same)
      assert.is_true(t ~= (future:await()))
      s:close()
      assert.same({1, {2}}, (future:await()))
    end)
  end)
end

describe("a fork in a state with an own thread", function()
  before_each(helpers.watch("fork"))
  after_each(helpers.unwatch)

  it("runs on that thread", function()
    local s = runs.new("service with an own thread")
    assert.equals(1, s:await([[
      local last
      for i = 1, 20 do
        last = mt.fork(function()
          mark(gates.tid())
          mt.sleep(0.0001)
          mark(gates.tid())
        end)
      end
      last:await()
      mt.sleep(0)
      local tids, count = {[tostring(gates.tid())] = true}, 1
      for tid in marks():gmatch("%S+") do
        count = count + (tids[tid] and 0 or 1)
        tids[tid] = true
      end
      return count
    ]]))
    s:close()
  end)
end)
