-- States without owners: requests that are under way keep them open, also
-- while they are suspended; forks alone do not.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"

local it_closes = helpers.it_needs(helpers.compile("local x <close> = nil"),
                                   "to-be-closed variables")

for _, kind in ipairs(runs.kinds) do
  describe("a " .. kind .. " without owners", function()
    local log

    before_each(helpers.watch("states without owners"))
    before_each(function()
      log = requests.log_to_mailbox()
    end)
    after_each(function()
      log.reset()
      helpers.unwatch()
    end)

    -- A state, and a gate that it moves when it is closed.
    local function new()
      local s, gate = runs.new(kind), handoff.unique("closed")
      s:await([[
        local gate = ...
        guard = require "on_collect"(function() gates.add(gate) end)
      ]], gate)
      return s, gate
    end

    local function check_closed(id, gate)
      handoff.wait(gate, 1)
      helpers.wait_until(function() return not pcall(mtstates.state, id) end)
    end

    it("is closed when its suspended requests have ended", function()
      local s, gate = new()
      local first = s:async("go, promise = mt.promise() return (go:await())")
      local second = runs.suspend(s, "return (go:await())")
      s = mtstates.state(s:id())
      helpers.collect()
      mtstates.sleep(0.002)
      assert.is_false(first:ready() or second:ready())
      assert.equals(0, handoff.get(gate))
      assert.equals("still open", s:call("return 'still open'"))
      assert.is_true(s:await("return promise:set('told')"))
      assert.same({"told", "told"}, {first:await(), second:await()})
      check_closed(s:id(), gate)
      assert.equals(0, log.count())
    end)

    it("does its work with nobody left who knows it", function()
      local gate, ids = handoff.unique(), {}
      for i = 1, 50 do
        local s = runs.new(kind)
        ids[i] = s:id()
        s:send("mt.sleep(0.001) mt.sleep(0) gates.add(...)", gate)
      end
      helpers.collect()
      handoff.wait(gate, 50)
      for i = 1, 50 do
        helpers.wait_until(function()
          return not pcall(mtstates.state, ids[i])
        end)
      end
    end)

    it("is closed if it has forks only, which are cancelled", function()
      for _, wait in ipairs({"mt.sleep(1000)", "go:await()",
                             "go:tawait(1000)", "mt.sleep(math.huge)"}) do
        local s, gate = new()
        s:await(([[
          go, promise = mt.promise()
          for i = 1, 10 do
            mt.fork(function()
              %s
              gates.add("unowned goes on")
            end)
          end
        ]]):format(wait))
        runs.settle(s)
        local id = s:id()
        assert.equals(0, handoff.get(gate))
        s = nil -- luacheck: ignore
        helpers.collect()
        check_closed(id, gate)
        assert.equals(0, handoff.get("unowned goes on"))
      end
    end)

    it("is not kept open by forks that have not begun", function()
      local s, gate = new()
      s:send([[
        for i = 1, 10 do
          mt.fork(function()
            while true do
              mt.sleep(0)
            end
          end)
        end
      ]])
      local id = s:id()
      s = nil -- luacheck: ignore
      helpers.collect()
      check_closed(id, gate)
    end)

    it("lets forks go on while a request is under way", function()
      local s, gate = new()
      local future = runs.suspend(s, [[
        go, promise = mt.promise()
        mt.fork(function() mt.sleep(0.001) promise:set("by a fork") end)
        mt.fork(function() mt.sleep(1000) end)
        return (go:await())
      ]])
      local id = s:id()
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals("by a fork", future:await())
      check_closed(id, gate)
    end)

    it("can have an owner again while it waits", function()
      local s, gate = new()
      local future = s:async([[
        go, promise = mt.promise()
        go:await()
        owner = me:own()
        return "owned"
      ]])
      runs.settle(s)
      s = mtstates.state(s:id())
      helpers.collect()
      s:await("promise:set()")
      assert.equals("owned", future:await())
      assert.equals("still open", s:await("return 'still open'"))
      assert.equals(1, s:stats().owners)
      assert.equals(0, handoff.get(gate))
      s:send("owner = nil collectgarbage() collectgarbage()")
      check_closed(s:id(), gate)
    end)

    it("goes on with its forks when it has an owner again", function()
      local s = runs.new(kind)
      local begun, ran = handoff.unique("begun"), handoff.unique("ran")
      local go = handoff.unique("go")
      local future = s:async([[
        local begun, go, ran = ...
        mt.fork(function()
          for _ = 1, 1000 do
            mt.sleep(0)
          end
          gates.add(ran)
        end)
        gates.enter(begun, go, 1)
      ]], begun, go, ran)
      handoff.wait(begun, 1)
      s = mtstates.state(s:id())
      helpers.collect()
      local owner = s:own()
      handoff.set(go, 1)
      future:await()
      handoff.wait(ran, 1)
      owner:close()
    end)

    it_closes("is what the end of a scope leaves", function()
      local s, gate = new()
      local future = s:async("mt.sleep(0.002) return 'slept'")
      s:await("mt.fork(mt.sleep, 1000)")
      helpers.compile("local scoped <close> = ...")(s)
      assert.equals("slept", future:await())
      check_closed(s:id(), gate)
      helpers.raises_error("object_closed", s.await, s, "")
    end)

    it_closes("is left to its other owners by a scope, with forks", function()
      local s = new()
      local other = s:own()
      s:await([[
        local go
        go, promise = mt.promise()
        mt.fork(function() go:await() told = true end)
      ]])
      helpers.compile("local scoped <close> = ...")(s)
      other:await("promise:set()")
      helpers.wait_until(function() return other:await("return told") end)
      other:close()
    end)
  end)
end

for _, kind in ipairs(runs.services) do
  describe("a " .. kind .. " without owners", function()
    before_each(helpers.watch("states without owners"))
    after_each(helpers.unwatch)

    it("answers the futures of its forks with object_closed", function()
      local s = runs.new(kind)
      local sleeping, waiting = s:await([[
        go, promise = mt.promise()
        return mt.fork(mt.sleep, 1000), mt.fork(function() go:await() end)
      ]])
      runs.settle(s)
      assert.is_false(sleeping:ready() or waiting:ready())
      s = nil -- luacheck: ignore
      helpers.collect()
      helpers.raises_error("object_closed", sleeping.await, sleeping)
      helpers.raises_error("object_closed", waiting.await, waiting)
    end)

    it("is kept open by an answer that names it", function()
      local s = runs.new(kind)
      local id = s:id()
      local future = s:async("return me")
      local fork = s:await([[
        go, promise = mt.promise()
        return mt.fork(function() return (go:await()) end), 1
      ]])
      helpers.wait_until(function() return future:ready() end)
      s = nil -- luacheck: ignore
      helpers.collect()
      mtstates.sleep(0.002)
      assert.is_false(fork:ready())
      mtstates.state(id):await("promise:set('told')")
      assert.equals("told", fork:await())
      assert.equals(id, future:await():id())
      future = nil -- luacheck: ignore
      helpers.collect()
      helpers.wait_until(function() return not pcall(mtstates.state, id) end)
    end)

    it("is kept open by an unread message that names it", function()
      local keeper = mtstates.newstate({}, helpers.gated)
      local release = requests.hold(keeper)
      local s = runs.new(kind)
      local id = s:id()
      local fork = s:await("return mt.fork(mt.sleep, 1000), 1")
      keeper:send(nil, nil, s)
      s = nil -- luacheck: ignore
      helpers.collect()
      mtstates.sleep(0.002)
      assert.is_true((pcall(mtstates.state, id)))
      assert.is_false(fork:ready())
      release()
      keeper:await()
      helpers.wait_until(function() return not pcall(mtstates.state, id) end)
      helpers.raises_error("object_closed", fork.await, fork)
    end)
  end)
end

describe("a thread without owners", function()
  before_each(helpers.watch("states without owners"))
  after_each(helpers.unwatch)

  it("ends with its function, although it has forks", function()
    local gate = handoff.unique()
    local future, state = mtstates.thread([[
      local gate = ...
      local mt, gates = require "mtstates", require "handoff"
      guard = require "on_collect"(function() gates.add(gate) end)
      mt.fork(mt.sleep, 1000)
      local fork = mt.fork(function() mt.sleep(0.001) return "forked" end)
      return (fork:await())
    ]], gate)
    local id = state:id()
    assert.equals("forked", future:await())
    handoff.wait(gate, 1)
    helpers.wait_until(function() return not pcall(mtstates.state, id) end)
  end)
end)
