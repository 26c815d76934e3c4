-- mtstates.quit: a state ends itself when its task or call has ended.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"
local tasks = require "tasks"

local KINDS = {
  ["classic state"] = true,
  ["service"] = {},
  ["state with own_thread"] = {own_thread = true},
}

describe("mtstates.quit", function()
  before_each(helpers.watch("quit"))
  after_each(helpers.unwatch)

  it("is an error where no state of the module runs", function()
    local err = helpers.raises(mtstates.quit)
    assert.truthy(err:find("mtstates: no state of the module runs this code",
      1, true), err)
    err = helpers.raises(coroutine.wrap(function() mtstates.quit() end))
    assert.truthy(err:find("no state of the module runs this code", 1, true),
      err)
  end)

  it("in the only task of a state waits for it, however that waits",
    function()
      local s = mtstates.newstate({tasks = 1}, tasks.setup)
      local go, promise = mtstates.promise()
      local future = s:async([[
        mt.quit()
        local go = ...
        go:await()
        mt.sleep(0.001)
        return 'slept'
      ]], nil, go)
      local next_one = s:async("return 'next'")
      promise:set()
      assert.equals("slept", future:await())
      helpers.raises_error("object_closed", next_one.await, next_one)
      helpers.raises_error("object_closed", s.call, s, "")
    end)

  it("keeps nothing of the state where a request waits for the call",
    function()
      local name = ("n"):rep(10000) -- is seen if it stays
      local function quit_often(times)
        for _ = 1, times do
          local s = mtstates.newstate(name, {}, tasks.setup)
          local entered, leave = handoff.unique(), handoff.unique()
          local thread = mtstates.thread(function(id, ...)
            return require "mtstates".state(id):call(
              "mt.quit() return gates.enter(...)", nil, ...)
          end, s:id(), entered, leave, 1)
          handoff.wait(entered, 1)
          local future = s:async("return 'begun'")
          helpers.wait_until(function() -- it has been tried
            return mtstates.stats().idle >= mtstates.workers()
          end)
          handoff.set(leave, 1)
          thread:await()
          helpers.raises_error("object_closed", future.await, future)
        end
        helpers.collect()
        return handoff.heap_bytes()
      end
      quit_often(50)
      local grown = -quit_often(50) + quit_often(100)
      assert.is_true(grown < 300000, "grown by " .. grown)
    end)

  it("in a fork closes a state that a task keeps", function()
    local s = runs.new("service", {tasks = 1})
    local go, promise = mtstates.promise()
    local kept = s:async([[
      local go = ...
      mt.fork(mt.quit)
      return (go:await())
    ]], go)
    helpers.wait_until(function() return kept:ready() end)
    helpers.raises_error("object_closed", kept.await, kept)
    helpers.raises_error("object_closed", s.tcall, s, 20, "")
    promise:set()
  end)

  for kind, options in pairs(KINDS) do
    local function new(...)
      return mtstates.newstate(nil, options, ...)
    end

    local function check_closed(s)
      helpers.wait_until(function()
        return not pcall(mtstates.state, s:id())
      end)
      helpers.raises_error("object_closed", s.call, s, "")
      helpers.raises_error("object_closed", s.await, s, "")
      assert.is_true(s:close(60))
    end

    -- Setup: as tasks.setup; a finalizer moves the gate.
    local function guarded(gate)
      local gates = require "handoff"
      guard = require "on_collect"( -- luacheck: ignore
        function() gates.add(gate) end)
      return require "tasks".setup()
    end

    it("in a task lets that give its results, in a " .. kind, function()
      local gate = handoff.unique()
      local s = new(guarded, gate)
      local leave = handoff.unique()
      local future = tasks.begin(s, [[
        assert(select("#", mt.quit()) == 0)
        mt.quit()
        enter()
        gates.wait(..., 1)
        return "result", 2
      ]], leave)
      local waiting = s:async("return 'never'")
      assert.is_false(future:ready())
      handoff.set(leave, 1)
      assert.same({"result", 2}, {future:await()})
      helpers.raises_error("object_closed", waiting.await, waiting)
      check_closed(s)
      handoff.wait(gate, 1)
    end)

    it("in a task lets no other begin at once, in a " .. kind, function()
      local s = new(tasks.setup)
      local leave = handoff.unique()
      local before = tasks.begin(s, "enter() gates.wait(..., 1)", leave)
      local quitting = s:async("mt.quit() return 'result'")
      local waiting = s:async("return 'never'")
      handoff.set(leave, 1)
      before:await()
      assert.equals("result", quitting:await())
      helpers.raises_error("object_closed", waiting.await, waiting)
      check_closed(s)
    end)

    it("in a call lets that give its results, in a " .. kind, function()
      local gate = handoff.unique()
      local s = new(guarded, gate)
      assert.same({"result", 2},
        {s:call("mt.quit() return 'result', ...", nil, 2)})
      helpers.raises_error("object_closed", s.call, s, "")
      helpers.raises_error("unknown_object", mtstates.state, s:id())
      handoff.wait(gate, 1)
      check_closed(s)
    end)

    it("lets errors be raised, in a " .. kind, function()
      for _, method in ipairs({"call", "await"}) do
        local s = new(tasks.setup)
        local err = helpers.raises_error("invoking_state", s[method], s,
          "mt.quit() error('raised', 0)")
        assert.equals("raised", mtstates.error(err):text())
        check_closed(s)
      end
    end)

    it("in a coroutine is that of the task, in a " .. kind, function()
      for _, method in ipairs({"call", "await"}) do
        local s = new(tasks.setup)
        assert.equals("result", s[method](s,
          "return coroutine.wrap(function() mt.quit() return 'result' end)()"))
        check_closed(s)
      end
    end)

    it("in a nested call waits for the outermost, in a " .. kind, function()
      for _, method in ipairs({"call", "await"}) do
        local gate = handoff.unique()
        local s = new(guarded, gate)
        local other = requests.new("service", tasks.setup)
        -- Direct, and through another state.
        assert.same({"inner", "still open"}, {s[method](s, [[
          local gate, id = ...
          local me = mt.state(mt.id())
          local inner = me:call("mt.quit() return 'inner'")
          mt.state(id):call("mt.state(...):call('mt.quit()')", nil, mt.id())
          assert(gates.get(gate) == 0)
          return inner, me:call("return 'still open'")
        ]], nil, gate, other:id())})
        check_closed(s)
        handoff.wait(gate, 1)
        assert.equals("on", other:await("return 'on'"))
      end
    end)

    it("ends the state that runs it only, in a " .. kind, function()
      for _, method in ipairs({"call", "await"}) do
        local s = new(tasks.setup)
        local other = requests.new("service", tasks.setup)
        assert.equals("quit", other[method](other, [[
          return mt.state(...):call("mt.quit() return 'quit'")
        ]], nil, s:id()))
        check_closed(s)
        assert.equals("on", other:await("return 'on'"))
      end
    end)

    it("in a setup leaves a closed state, or none, in a " .. kind, function()
      local ok, s = pcall(new, [[
        require "mtstates".quit()
        return function() end
      ]])
      if ok then
        check_closed(s)
      else
        assert.equals("string", type(s))
      end
      assert.equals(1, new(helpers.echo):await(1))
    end)

    it("may be followed by close, in a " .. kind, function()
      local s = new(tasks.setup)
      local leave = handoff.unique()
      local future = tasks.begin(s, [[
        mt.quit()
        enter()
        gates.wait(..., 1)
        return "result"
      ]], leave)
      s:close()
      helpers.raises_error("object_closed", s.await, s, "")
      handoff.set(leave, 1)
      assert.equals("result", future:await())
      check_closed(s)
    end)
  end
end)
