-- When forks begin: when the task that makes them waits or ends; behind calls
-- and setups that make them.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local runs = require "runs"

for _, kind in ipairs(runs.kinds) do
  describe("a fork in a " .. kind, function()
    local s

    before_each(helpers.watch("begin of forks"))
    before_each(function()
      s = runs.new(kind)
    end)
    after_each(function()
      s:close()
      helpers.unwatch()
    end)

    it("begins when its task waits", function()
      assert.equals("made 1 2 3 4 5 back", s:await([[
        for i = 1, 5 do
          mt.fork(mark, i)
        end
        mark("made")
        mt.sleep(0)
        mark("back")
        return marks()
      ]]))
      assert.equals("made 1 2 back", s:await([[
        mt.fork(mark, 1)
        local last = mt.fork(mark, 2)
        mark("made")
        last:await()
        mark("back")
        return marks()
      ]]))
    end)

    it("begins when its task ends", function()
      s:await([[
        for i = 1, 3 do
          mt.fork(mark, i)
        end
        mark("made")
      ]])
      runs.settle(s)
      assert.equals("made 1 2 3", s:await("return marks()"))
      s:send([[
        mt.fork(mark, "after")
        mark("error")
        error("the end", 0)
      ]])
      runs.settle(s)
      assert.equals("error after", s:await("return marks()"))
    end)

    it("begins before requests that wait", function()
      for _, ending in ipairs({"", "mt.sleep(0)", "mt.sleep(0.001)"}) do
        local entered, leave = handoff.unique(), handoff.unique()
        s:send("local a, b = ... gates.enter(a, b, 1)", entered,
          leave)
        handoff.wait(entered, 1)
        s:send("mt.fork(mark, 1) mt.fork(mark, 2) " .. ending)
        s:send("mark('next')")
        handoff.set(leave, 1)
        assert.equals("1 2 next", s:await("return marks()"), ending)
      end
    end)

    it("begins in the order of forking, also if forks fork", function()
      assert.equals("1 2 3 11 21 31 12 22 32", s:await([[
        local last
        for i = 1, 3 do
          mt.fork(function()
            mark(i)
            mt.fork(function()
              mark(i * 10 + 1)
              last = mt.fork(mark, i * 10 + 2)
            end)
          end)
        end
        repeat mt.sleep(0) until last and last:ready()
        return marks()
      ]]))
      s:await([[
        local function go_on(n)
          mark(n)
          if n > 1 then
            mt.fork(go_on, n - 1)
          else
            has_ended = true
          end
        end
        mt.fork(go_on, 4)
        mt.fork(mark, "between")
      ]])
      helpers.wait_until(function() return s:await("return has_ended") end)
      assert.equals("4 between 3 2 1", s:await("return marks()"))
    end)

    it("of a called callback begins after the call, by a worker", function()
      local box, tid = handoff.unique(), handoff.tid()
      assert.equals("", s:call([[
        local box = ...
        mt.fork(function()
          mark("begun")
          mt.sleep(0)
          gates.put(box, gates.tid(), mt.id())
        end)
        mt.sleep(0.001)
        return marks()
      ]], box))
      local forked, id = handoff.take(box)
      assert.is_true(forked ~= tid)
      assert.equals(s:id(), id)
      assert.equals("begun", s:call("return marks()"))
    end)

    it("of a called callback that fails begins, too", function()
      local gate = handoff.unique()
      helpers.raises_error("invoking_state", s.call, s, [[
        mt.fork(gates.add, ...)
        error("the end", 0)
      ]], gate)
      handoff.wait(gate, 1)
    end)
  end)
end

for _, kind in ipairs(runs.services) do
  describe("a fork in a " .. kind, function()
    before_each(helpers.watch("begin of forks"))
    after_each(helpers.unwatch)

    it("made by the setup begins when that has ended", function()
      local gate = handoff.unique()
      local s = mtstates.newstate({own_thread = kind ~= "service"}, [[
        local gate = ...
        local mt, gates = require "mtstates", require "handoff"
        mt.fork(function()
          mt.sleep(0)
          gates.add(gate)
        end)
        return function() return gates.get(gate) end, gates.get(gate)
      ]], gate)
      handoff.wait(gate, 1)
      assert.equals(1, s:await())
    end)
  end)
end
