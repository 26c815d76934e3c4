-- Closing states with suspended tasks, in each way.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

local KINDS = {
  ["classic state"] = true,
  ["service"] = {},
  ["state with own_thread"] = {own_thread = true},
}

-- Waits for the state `id`, a keeper that does not answer, or `full`.
local WAYS = {
  ["state:await"] = "mt.state(id):await('get')",
  ["state:tawait"] = "mt.state(id):tawait(60, 'get')",
  ["future:await"] = "mt.state(id):async('get'):await()",
  ["sleep"] = "mt.sleep(60)",
  ["state"] = "mt.state('nobody', 60)",
  ["state without end"] = "mt.state('nobody', math.huge)",
  ["room of send"] = "mt.state(full):send()",
  ["room of await"] = "mt.state(full):await()",
}

for kind, options in pairs(KINDS) do
  describe("closing with suspended tasks, a " .. kind, function()
    local log, s, keeper, full

    local function new(...)
      return mtstates.newstate(nil, options, ...)
    end

    before_each(helpers.watch("closing and tasks"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      log = requests.log_to_mailbox()
      s = new(tasks.setup)
      keeper, full = suspended.keeper(), suspended.full()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      full.release()
      log.reset()
      helpers.unwatch()
    end)

    local function begin(count, code, ...)
      return suspended.begin(s, count, "local id, full = ... " .. code,
        keeper.id, full.id, ...)
    end

    local function check_closed(future)
      helpers.raises_error("object_closed", future.await, future)
      assert.is_false(future:cancel())
    end

    local function wait_gone(id)
      helpers.wait_until(function() return not pcall(mtstates.state, id) end)
    end

    for name, wait in pairs(WAYS) do
      it("ends their futures at once: " .. name, function()
        local future = begin(1, "enter() " .. wait .. " reached = true")
        s:close()
        assert.is_true(future:ready())
        check_closed(future)
        helpers.raises_error("unknown_object", mtstates.state, s:id())
        helpers.raises_error("object_closed", s.stats, s)
        assert.equals(1, full.state:stats().queue)
        assert.equals(0, log.count())
      end)
    end

    it("ends hundreds of them", function()
      local futures = {}
      for i = 1, 300 do
        futures[i] = s:async(
          "local a = mt.state(...):await('get') return a", nil, keeper.id)
      end
      suspended.wait(s, 300)
      s:close()
      for i = 1, 300 do
        check_closed(futures[i])
      end
    end)

    it("waits with a timeout until they have ended", function()
      local futures = {}
      for i = 1, 5 do
        futures[i] = s:async(
          "local a = mt.state(...):await('get') return a", nil, keeper.id)
      end
      suspended.wait(s, 5)
      local closer = mtstates.newstate({}, tasks.setup)
      local closing = tasks.begin_waiting(closer,
        "enter() local ok = mt.state(...):close(60) return ok", s:id())
      assert.is_false(closing:ready())
      helpers.raises_error("object_closed", s.async, s, "")
      keeper.open("answer")
      for i = 1, 5 do
        assert.equals("answer", futures[i]:await())
      end
      assert.is_true(closing:await())
    end)

    it("is false when its time is over, and they fail then", function()
      for _, timeout in ipairs({0, 0.002, 0.02}) do
        s = new(tasks.setup)
        local future = begin(1, "enter() mt.state(id):await('get')")
        local before = mtstates.now()
        assert.is_false(s:close(timeout))
        assert.is_true(mtstates.now() - before >= timeout)
        check_closed(future)
      end
    end)

    it("ends one that only lets others run", function()
      local entered, leave = handoff.unique("spin"), handoff.unique("spin")
      local future = s:async([[
        local entered, leave, ended = ...
        gates.enter(entered, leave, 1)
        while gates.get(ended) == 0 do
          mt.sleep(0)
        end
      ]], nil, entered, leave, entered .. "ended")
      handoff.wait(entered, 1)
      s:close()
      handoff.set(leave, 1)
      local ok, err = pcall(future.tawait, future, 60)
      handoff.set(entered .. "ended", 1)
      assert.is_false(ok)
      assert.equals(1, helpers.count(err, "mtstates.error.object_closed"))
    end)

    it("ends them when another one quits, and that has ended", function()
      local future = begin(1, "enter() mt.state(id):await('get')")
      local second = suspended.keeper()
      local quitting = s:async([[
        mt.quit()
        local a = mt.state(...):await("get")
        mt.sleep(0.001)
        return a
      ]], nil, second.id)
      helpers.wait_until(function() return s:stats().tasks == 2 end)
      mtstates.sleep(0.01)
      assert.is_false(future:ready())
      second.open("quit")
      assert.equals("quit", quitting:await())
      check_closed(future)
      wait_gone(s:id())
    end)

    it("ends them when a call quits", function()
      local future = begin(1, "enter() mt.state(id):await('get')")
      assert.equals("called", s:call("mt.quit() return 'called'"))
      check_closed(future)
      wait_gone(s:id())
    end)

    it("waits for them where the last owner is collected", function()
      local id = s:id()
      local future = begin(1,
        "enter() local a = mt.state(id):await('get') return a")
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.is_false(future:ready())
      s = mtstates.state(id)
      assert.equals("called", s:call("return 'called'"))
      keeper.open("answer")
      assert.equals("answer", future:await())
      wait_gone(id)
    end)

    it("is done while it holds, when that ends", function()
      local future = suspended.begin_holding(s,
        "local id = ... table.sort({1, 2}, function() enter() " ..
        "mt.state(id):await('get') end)", keeper.id)
      s:close()
      local err = helpers.raises_error("invoking_state", future.await, future)
      assert.equals(mtstates.error.object_closed, mtstates.error(err):cause())
      wait_gone(s:id())
    end)

    it("drops what waits in coroutines", function()
      local future = suspended.begin_in_coroutine(s, keeper.id, [[
        local f = wrap(function()
          local g = wrap(function()
            wait()
            reached = true
          end)
          g()
        end)
        f()
      ]])
      s:close()
      if suspended.has_coroutines then
        check_closed(future)
      else
        helpers.raises(future.await, future)
      end
    end)

    suspended.it_has_closing("logs errors of to-be-closed variables",
      function()
        local future = begin(1, [[
          local x <close> = setmetatable({}, {
            __close = function() error("not to be closed", 0) end
          })
          enter()
          local a = mt.state(id):await("get")
          return a
        ]])
        s:close()
        check_closed(future)
        local what, text = log.take()
        assert.equals("error", what)
        assert.truthy(text:find("not to be closed", 1, true), text)
      end)

    it("collects what tasks have", function()
      local gate = handoff.unique()
      local future = suspended.begin(s, 1, [[
        local id, gate = ...
        local guard = require "on_collect"(function() gates.add(gate) end)
        enter()
        mt.state(id):await("get")
        return guard and 1
      ]], keeper.id, gate)
      s:call("collectgarbage() collectgarbage()")
      assert.equals(0, handoff.get(gate))
      s:close()
      handoff.wait(gate, 1)
      check_closed(future)
      assert.equals(1, handoff.get(gate))
    end)
  end)
end
