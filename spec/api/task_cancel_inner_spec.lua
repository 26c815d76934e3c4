-- future:cancel of tasks that wait in coroutines, or for other tasks, which
-- are cancelled then, too, or not; and variables that are closed.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

for _, kind in ipairs(requests.kinds) do
  describe("cancel of what a task does, of a " .. kind, function()
    local log, s, keeper

    before_each(helpers.watch("cancel inside of tasks"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      log = requests.log_to_mailbox()
      s = requests.new(kind, tasks.setup)
      keeper = suspended.keeper()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      log.reset()
      helpers.unwatch()
    end)

    local function check_goes_on()
      local code = "mt.sleep(0.0001) mt.sleep(0) return 'on'"
      assert.equals("on", s:await(code))
      assert.equals("on", s:call(code))
      assert.equals(0, s:stats().tasks)
    end

    it("cancels what it awaits, three states deep", function()
      local second = requests.new(kind, tasks.setup)
      local third = requests.new(kind, tasks.setup)
      local box = handoff.unique()
      local wait = [[
        local box = ...
        local ok, err = pcall(function()
          gates.put(box, "waits")
          mt.sleep(60)
        end)
        gates.put(box, err)
        error(err, 0)
      ]]
      local future = s:async([[
        local second, third, code, wait, box = ...
        local a = mt.state(second):await(code, nil, third, wait, box)
        return a
      ]], nil, second:id(), third:id(), [[
        local third, wait, box = ...
        local a = mt.state(third):await(wait, nil, box)
        return a
      ]], wait, box)
      assert.equals("waits", handoff.take(box))
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      local err = handoff.take(box)
      assert.is_true(tasks.is_cancelled(err, third), err)
      helpers.wait_until(function()
        return second:stats().tasks + third:stats().tasks == 0
      end)
      check_goes_on()
      assert.equals(0, log.count())
    end)

    it("does not cancel what it awaits by future:await", function()
      local leave = handoff.unique()
      local inner = requests.new(kind, helpers.gated)
      local future = suspended.begin(s, 1, [[
        local inner, leave, gate = ...
        local awaited = mt.state(inner):async(gate, leave)
        enter()
        awaited:await()
      ]], inner:id(), leave, leave .. " entered")
      handoff.wait(leave .. " entered", 1)
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      assert.equals(1, inner:stats().tasks)
      handoff.set(leave, 1)
      inner:await()
      check_goes_on()
    end)

    it("raises in the coroutine that waits", function()
      local future = suspended.begin_in_coroutine(s, keeper.id, [[
        local outer = wrap(function()
          local co = create(function()
            wait()
            return "not reached"
          end)
          local ok, err = resume(co)
          mt.sleep(0.0001)
          yield(ok)
          return err
        end)
        local ok = outer()
        local err = outer()
        return ok, err
      ]])
      assert.is_true(future:cancel())
      local ok, err = future:await()
      assert.is_false(ok)
      assert.is_true(tasks.is_cancelled(err, s), err)
      check_goes_on()
      assert.equals(0, log.count())
    end)

    it("raises through all coroutines", function()
      local future = suspended.begin_in_coroutine(s, keeper.id, [[
        local function descend(n)
          if n == 0 then
            wait()
            return 1
          end
          local f = wrap(descend)
          local r = f(n - 1)
          return r
        end
        inner = create(function()
          local r = descend(5)
          return r
        end)
        local ok, err = resume(inner)
        error(err, 0)
      ]])
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      assert.equals("dead", s:call("return coroutine.status(inner)"))
      check_goes_on()
    end)

    it("does not hit coroutines that yield", function()
      local future = suspended.begin(s, 1, [[
        local id = ...
        generator = coroutine.wrap(function()
          for i = 1, 10 do
            coroutine.yield(i)
            mt.sleep(0)
          end
        end)
        local one = generator()
        enter()
        mt.state(id):await("get")
      ]], keeper.id)
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      for i = 2, 10 do
        assert.equals(i, s:await("local i = generator() return i"))
      end
    end)

    suspended.it_has_closing("closes variables, which can wait", function()
      local future = suspended.begin(s, 1, [[
        local id = ...
        local function closing(name)
          return setmetatable({}, {__close = function(_, err)
            mt.sleep(0.0001)
            closed = (closed or "") .. name .. (err and "!" or ".")
            mt.sleep(0)
          end})
        end
        local a <close> = closing("a")
        local f = coroutine.wrap(function()
          local b <close> = closing("b")
          local c <close> = closing("c")
          enter()
          mt.state(id):await("get")
        end)
        f()
      ]], keeper.id)
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      assert.equals("c!b!a!", s:call("return closed"))
      check_goes_on()
    end)

    suspended.it_has_closing("may be that of a scope's end", function()
      local other = mtstates.newstate({}, tasks.setup)
      local future = s:async([[
        local other, code, id, box = ...
        do
          local f <close> = mt.state(other):async(code, box, id)
          gates.take(box)
        end
        return "left"
      ]], nil, other:id(), "enter() mt.state(...):await('get')", keeper.id,
        handoff.unique("scope"))
      assert.equals("left", future:await())
      helpers.wait_until(function() return other:stats().tasks == 0 end)
      assert.equals("on", other:await("return 'on'"))
    end)
  end)
end
