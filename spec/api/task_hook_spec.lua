-- Debug hooks of users, as debuggers and profilers set them, and tasks.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local runs = require "runs"
local tasks = require "tasks"

describe("a debug hook", function()
  before_each(helpers.watch("task hook"))
  after_each(helpers.unwatch)

  -- The callback computes or tells how often the hook has run.
  local function setup(where)
    require "interruptible"
    local hits = 0
    local function set()
      debug.sethook(function() hits = hits + 1 end, "", 100)
    end
    if where == "setup" then
      set()
    end
    return function(what)
      if what == "set" then
        set()
      elseif what == "work" then
        for _ = 1, 100000 do end
      end
      return hits
    end
  end

  it("that the setup sets sees requests, too", function()
    local s = mtstates.newstate({}, setup, "setup")
    local before = s:await("look")
    assert.is_true(s:await("work") > before + 100)
    s:close()
  end)

  it("that a call sets sees requests, too", function()
    local s = mtstates.newstate({}, setup)
    s:call("set")
    local before = s:await("look")
    assert.is_true(s:await("work") > before + 100)
    s:close()
  end)

  local has_own_hooks = coroutine.wrap(function()
    debug.sethook(function() end, "", 1000000)
    return coroutine.wrap(function() return debug.gethook() end)() == nil
  end)()
  local it_has_own_hooks = helpers.it_needs(has_own_hooks,
    "hooks of each coroutine")

  it_has_own_hooks("that a request sets does not see the next ones",
    function()
      local s = mtstates.newstate({}, setup)
      s:await("set")
      local before = s:await("look")
      assert.equals(before, s:await("work"))
      s:close()
    end)

  it_has_own_hooks("is not that of requests where the library has gone",
    function()
      local s = mtstates.newstate({}, function()
        local hits = 0
        debug.sethook(function() hits = hits + 1 end, "", 100)
        package.loaded.debug = nil
        return function()
          for _ = 1, 100000 do end
          return hits
        end
      end)
      local before = s:await()
      assert.equals(before, s:await())
      s:close()
    end)

  -- Inside a hook no other one runs, so it is the wait that tells.
  it("that waits is ended by cancel", function()
    local s = mtstates.newstate({}, tasks.setup)
    local go, promise = mtstates.promise()
    local gate, box = handoff.unique("gate"), handoff.unique("box")
    local future, tid = tasks.begin(s, [[
      local go, gate, box = ...
      enter()
      debug.sethook(function()
        debug.sethook()
        gates.wait(gate, 1)
        gates.put(box, pcall(go.await, go))
      end, "", 1)
      for _ = 1, 100000 do end
    ]], go, gate, box)
    handoff.wait_asleep(tid)
    assert.is_true(future:cancel())
    handoff.set(gate, 1)
    local ok, err = handoff.take(box)
    assert.is_false(ok)
    assert.truthy(tasks.is_cancelled(err, s), err)
    pcall(future.await, future)
    promise:set()
    s:close()
  end)

  -- It interrupts calls, too, and what they call.
  it("may wait at any instruction", function()
    local s = mtstates.newstate({}, tasks.setup)
    local future = tasks.begin(s, [[
      local waits, is_inside = 0, false
      enter()
      local function called(x) return x and x + 1 end
      debug.sethook(function()
        if not is_inside and waits < 50 then
          is_inside = true
          mt.sleep(0)
          waits = waits + 1
          is_inside = false
        end
      end, "", 1)
      local ok, err = pcall(function()
        for i = 1, 20 do
          called(called(i))
          tostring(i)
        end
      end)
      debug.sethook()
      return ok, err, waits
    ]])
    local ok, err, waits = future:await()
    assert.same({true, nil, 50}, {ok, err, waits})
    s:close()
  end)

  -- What a finalizer raises can be lost, so the code behind it is hit, too.
  it("or a finalizer that waits does not keep cancel off", function()
    local s = mtstates.newstate({}, tasks.setup)
    local go, promise = mtstates.promise()
    local ended = handoff.unique("ended")
    local future, tid = tasks.begin(s, [[
      local go, ended = ...
      do
        local on_collect = require "on_collect"
        local garbage = on_collect(function()
          enter()
          go:await()
        end)
        garbage = nil
      end
      collectgarbage()
      collectgarbage()
      spin(ended)
      return "not hit"
    ]], go, ended)
    handoff.wait_asleep(tid)
    assert.is_true(future:cancel())
    local ok, err = pcall(future.tawait, future, 60)
    handoff.set(ended, 1)
    assert.is_false(ok)
    assert.equals(1, helpers.count(err, "mtstates.error.cancelled"))
    promise:set()
    s:close()
  end)

  -- Where C functions do not go on after a wait, Lua calls another one then.
  it("that raises an error when a wait has ended ends that wait only",
    function()
      local s = mtstates.newstate({}, tasks.setup)
      local go, promise = mtstates.promise()
      local answered, other = mtstates.promise()
      other:set("right", 7)
      local future = tasks.begin(s, [[
        local go, answered = ...
        local function hit()
          if debug.getinfo(2, "n").name == "finish" then
            debug.sethook()
            error("hit", 0)
          end
        end
        mt.fork(function()
          debug.sethook(hit, "c")
        end)
        enter()
        local ok, err = pcall(go.await, go)
        debug.sethook()
        local function tell(...)
          return ok or err == "hit", select("#", ...), ...
        end
        return tell(answered:await())
      ]], go, answered)
      if runs.pcall_suspends then
        runs.settle(s)
      end
      promise:set("wrong")
      assert.same({true, 2, "right", 7}, {future:await()})
      s:close()
    end)

  it("that raises an error when the last wait has ended keeps nothing",
    function()
      local s = mtstates.newstate({}, tasks.setup)
      local go, promise = mtstates.promise()
      local answer = mtstates.newstate({}, helpers.echo)
      local id = answer:id()
      local future = tasks.begin(s, [[
        local go = ...
        local function hit()
          if debug.getinfo(2, "n").name == "finish" then
            debug.sethook()
            error("hit", 0)
          end
        end
        mt.fork(function()
          debug.sethook(hit, "c")
        end)
        enter()
        local ok, err = pcall(go.await, go)
        debug.sethook()
        return ok or err == "hit"
      ]], go)
      if runs.pcall_suspends then
        runs.settle(s)
      end
      promise:set(answer)
      assert.is_true(future:await())
      for _ = 1, 10 do -- with the coroutine of that task
        assert.equals("next", s:await("return 'next'"))
      end
      assert.is_true((pcall(mtstates.state, id)))
      assert.equals(id, go:await():id())
      go, promise, answer = nil, nil, nil -- luacheck: ignore
      s:await("collectgarbage() collectgarbage()")
      helpers.collect()
      assert.is_false((pcall(mtstates.state, id)))
      s:close()
    end)
end)
