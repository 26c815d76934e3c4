-- Requests: what send, tsend, async, await and tawait give, in which order
-- they run, and where they can be made.

local carray = require "carray"
local handoff = require "handoff"
local helpers = require "helpers"
local requests = require "requests"
local threads = require "threads"

for _, kind in ipairs(requests.kinds) do
  describe("a request of a " .. kind, function()
    before_each(helpers.watch("requests"))
    after_each(helpers.unwatch)

    local function new(...)
      return requests.new(kind, ...)
    end

    it("by await gives the results of the callback", function()
      local s = new("return function(a, b) return a + b, a * b end")
      assert.same({7, 12}, {s:await(3, 4)})
      assert.same({7, 12}, {s:async(3, 4):await()})
      assert.same({true, 7, 12}, {s:tawait(30, 3, 4)})
    end)

    it("by send gives nothing and is done", function()
      local s, gate = new(requests.runner), handoff.unique()
      local code = "require 'handoff'.add(...) return 1, 2"
      assert.equals(0, select("#", s:send(code, gate)))
      assert.same({true}, {s:tsend(0, code, gate)})
      assert.same({true}, {s:tsend(30, code, gate)})
      handoff.wait(gate, 3)
    end)

    it("keeps nils and the number of values", function()
      local s = new(helpers.echo)
      for n = 0, 5 do
        local nils = {}
        assert.equals(n, select("#", s:await(helpers.unpack(nils, 1, n))))
        assert.equals(n + 1,
          select("#", s:tawait(30, helpers.unpack(nils, 1, n))))
        assert.equals(n,
          select("#", s:async(helpers.unpack(nils, 1, n)):await()))
      end
      assert.same({n = 4, nil, 1, nil, nil},
        helpers.pack(s:await(nil, 1, nil, nil)))
    end)

    it("carries plain values of all kinds", function()
      local s = new(helpers.echo)
      local pointer = handoff.lightuserdata(64)
      assert.same({n = 7, nil, true, false, -0.5, "a\0b", "", pointer},
        helpers.pack(s:await(nil, true, false, -0.5, "a\0b", "", pointer)))
      if helpers.math_type then
        local i, f = s:await(3, 3.0)
        assert.same({"integer", "float"},
          {helpers.math_type(i), helpers.math_type(f)})
      end
    end)

    it("carries long strings, many arguments and many results", function()
      local s = new(requests.runner)
      local long = ("x\0"):rep(500000)
      local same, length = s:await("local a = ... return a, #a", long)
      assert.is_true(same == long)
      assert.equals(1000000, length)
      for _, n in ipairs({1, 50, 101, 240}) do
        local got = helpers.pack(s:await(
          "return require 'handoff'.results(...)", n))
        assert.equals(n, got.n)
        assert.equals(n, got[n])
        assert.equals(n + 1, s:await("return select('#', ...)", n,
          handoff.results(n)))
      end
      assert.equals(5000, select("#", s:async(
        "return require 'handoff'.results(5000)"):await()))
    end)

    it("copies the arguments when it is made", function()
      local s = new(helpers.gated)
      local release = requests.hold(s)
      local array = carray.new("int", 1)
      array:set(1, 5)
      local future = s:async(nil, nil, array)
      array:set(1, 6)
      release()
      assert.equals(5, future:await():get(1))
      assert.equals(5, future:await():get(1))
    end)

    it("begins in the order of its sender", function()
      local s = new(requests.counter)
      local futures = {}
      for n = 1, 3000 do
        if n % 7 == 0 then
          futures[#futures + 1] = s:async(n)
        elseif n % 11 == 0 then
          assert.is_true(s:tsend(30, n))
        elseif n % 501 == 0 then
          s:await(n)
        else
          s:send(n)
        end
      end
      assert.same({3000, 0}, {s:await()})
      for i, future in ipairs(futures) do
        assert.same({7 * i, 0}, {future:await()})
      end
    end)

    it("of many threads is done once, in the order of each", function()
      local s = new(function()
        local last, wrong, count = {}, 0, 0
        return function(sender, n)
          if sender then
            wrong = n == (last[sender] or 0) + 1 and wrong or wrong + 1
            last[sender], count = n, count + 1
          end
          return count, wrong
        end
      end)
      local senders = {}
      for i = 1, 6 do
        senders[i] = threads.start(function(id, number)
          local r = require "mtstates".state(id)
          for n = 1, 500 do
            r:send(number, n)
          end
          r:await()
        end, s:id(), i)
      end
      for i = 1, 6 do
        senders[i]:results()
      end
      assert.same({3000, 0}, {s:await()})
    end)

    it("may be one of the state to itself", function()
      local s, gate = new(requests.runner), handoff.unique()
      s:send([[
        local gate = ...
        local mt, gates = require "mtstates", require "handoff"
        local self = mt.state(mt.id())
        function next_one(n)
          gates.add(gate)
          if n < 5000 then
            self:send("next_one(...)", n + 1)
          end
        end
        next_one(1)
      ]], gate)
      handoff.wait(gate, 5000)
      assert.equals("done", s:await("return 'done'"))
      assert.equals(5000, handoff.get(gate))
    end)

    it("takes turns with calls", function()
      local s = new("local n = 0 return function() n = n + 1 return n end")
      local last = 0
      for _ = 1, 300 do
        s:send()
        local n = s:call()
        assert.is_true(n > last)
        last = s:await()
        assert.is_true(last > n)
      end
      assert.equals(900, last)
    end)

    it("waits while a call runs, and a call while it runs", function()
      local s = new(helpers.gated)
      local busy = threads.hold(s, "called")
      local future = s:async(nil, nil, "asked")
      for _ = 1, 2 do -- the second one finds that the worker has given up
        assert.is_false(s:tawait(0.01, nil, nil, "late"))
      end
      assert.is_false(future:ready())
      assert.equals("called", busy:release())
      assert.equals("asked", future:await())
      local release = requests.hold(s, "held")
      assert.is_false((s:tcall(0.01)))
      assert.equals("held", release())
      assert.same({true, "in"}, {s:tcall(30, nil, nil, "in")})
    end)

    it("may await the next state, which awaits the next ...", function()
      local ids = {}
      local states = {}
      for i = 1, 12 do
        -- Some hold their threads meanwhile.
        states[i] = new(function(holds)
          local hold, mt = require "helpers".hold, require "mtstates"
          return function(path)
            local first, rest = path:match("^(%d+) ?(.*)$")
            if not first then
              return 1
            end
            local s = mt.state(tonumber(first))
            if holds then
              return 1 + hold(s.await, s, rest)
            end
            return 1 + s:await(rest)
          end
        end, i % 3 == 0)
        ids[i] = ("%d"):format(states[i]:id())
      end
      local path = table.concat(ids, " ", 2)
      assert.equals(12, states[1]:await(path))
      local futures = {}
      for i = 1, 20 do
        futures[i] = states[1]:async(path)
      end
      for i = 1, 20 do
        assert.equals(12, futures[i]:await())
      end
    end)

    it("can be made and awaited wherever Lua code runs", function()
      local s = new(helpers.echo)
      assert.equals(1, coroutine.wrap(function() return s:await(1) end)())
      local list = {3, 1, 2}
      table.sort(list, function(a, b) return s:await(a) < s:await(b) end)
      assert.same({1, 2, 3}, list)
      local text = ("abc"):gsub("%w", function(c)
        return s:await(c:upper())
      end)
      assert.equals("ABC", text)
      local _, result = new([[
        local mt = require "mtstates"
        local result = mt.state(...):await("in setup")
        return function() end, result
      ]], s:id())
      assert.equals("in setup", result)
      local caller = new(function(id)
        local other = require "mtstates".state(id)
        return function(...) return other:await(...) end
      end, s:id())
      assert.equals("in a call", caller:call("in a call"))
      assert.equals("in a request", caller:await("in a request"))
      assert.equals("thread", threads.start(function(id)
        return require "mtstates".state(id):await("thread")
      end, s:id()):results())
      local guarded = new([[
        local other = require "mtstates".state(...)
        local result
        return function()
          if not result then
            require "on_collect"(function() result = other:await(7) end)
            collectgarbage()
          end
          return result
        end
      ]], s:id())
      assert.equals(7, guarded:call())
    end)
  end)
end
