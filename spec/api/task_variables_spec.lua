-- Variables to be closed of tasks that are suspended when their state is
-- closed: they are, once, before __close of the state's table.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

-- Setup of a table: run(code, box, ...) as tasks.setup's callback; closing(x)
-- in the code makes a variable's value that tells the mailbox x when it is
-- closed, and so do __close and a finalizer.
local function setup(log)
  local gates = require "handoff"
  local run = require "tasks".setup()
  guard = require "on_collect"( -- luacheck: ignore
    function() gates.put(log, "finalizer", gates.tid(), false) end)
  function closing(x, after) -- luacheck: ignore
    return setmetatable({}, {__close = function(_, err)
      gates.put(log, x, gates.tid(), err ~= nil)
      if after then
        after()
      end
    end})
  end
  return {
    run = run,
    __close = function() gates.put(log, "__close", gates.tid(), false) end
  }
end

local it_closes = suspended.it_has_closing

for kind, own_thread in pairs({service = false,
                               ["state with own_thread"] = true}) do
  describe("variables to be closed of tasks of a " .. kind, function()
    local log, s, box, keeper

    before_each(helpers.watch("variables of tasks"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      log = requests.log_to_mailbox()
      box = handoff.unique("closed")
      s = mtstates.newstate({own_thread = own_thread}, setup, box)
      keeper = suspended.keeper()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      log.reset()
      helpers.unwatch()
    end)

    local function begin(count, code, ...)
      local mark = handoff.unique("task")
      local future = s:async("run", code, mark, keeper.id, ...)
      local tid = handoff.take(mark)
      helpers.wait_until(function()
        return s:stats().tasks == count and (s:tcall(0, "run", ""))
      end)
      return future, tid
    end

    -- What the mailbox gets, up to and with the finalizer; whose thread.
    local function taken()
      local list = {}
      local thread
      repeat
        local mark
        mark, thread = handoff.take(box)
        list[#list + 1] = mark
      until list[#list] == "finalizer"
      assert.is_false((pcall(handoff.take, box, 0)))
      return table.concat(list, " "), thread
    end

    local NESTED = [[
      local id = ...
      local a <close> = closing("a")
      local b <close> = closing("b")
      enter()
      mt.state(id):await("get")
      error("reached")
    ]]

    local function check_closed(future)
      helpers.raises_error("object_closed", future.await, future)
    end

    it_closes("are closed by close", function()
      local future, tid = begin(1, NESTED)
      s:close()
      check_closed(future)
      local list, thread = taken()
      assert.equals("b a __close finalizer", list)
      if own_thread then
        assert.equals(tid, thread)
      end
      assert.equals(0, log.count())
    end)

    it_closes("are closed when the time of close is over", function()
      local future = begin(1, NESTED)
      assert.is_false(s:close(0.01))
      check_closed(future)
      assert.equals("b a __close finalizer", (taken()))
    end)

    it_closes("are closed when another task quits", function()
      local future = begin(1, NESTED)
      s:send("run", "mt.quit()")
      helpers.wait_until(function() return future:ready() end)
      check_closed(future)
      assert.equals("b a __close finalizer", (taken()))
    end)

    it_closes("are closed by those who close while it is busy", function()
      local future = begin(1, NESTED)
      local leave = handoff.unique()
      local mark = handoff.unique("task")
      local running = s:async("run", "enter() gates.wait(..., 1)", mark,
        leave)
      handoff.take(mark)
      s:close()
      helpers.wait_until(function() return future:ready() end)
      check_closed(future)
      assert.is_false((pcall(handoff.take, box, 0)))
      handoff.set(leave, 1)
      running:await()
      assert.equals("b a __close finalizer", (taken()))
    end)

    it_closes("are closed for every task", function()
      local futures = {}
      for i = 1, 50 do
        futures[i] = s:async("run", [[
          local id, i = ...
          local x <close> = closing(i)
          mt.state(id):await("get")
        ]], nil, keeper.id, i)
      end
      helpers.wait_until(function()
        return s:stats().tasks == 50 and (s:tcall(0, "run", ""))
      end)
      s:close()
      local seen, count = {}, 0
      for _ = 1, 50 do
        local i = handoff.take(box)
        count = seen[i] and count or count + 1
        seen[i] = true
      end
      assert.equals(50, count)
      assert.equals("__close finalizer", (taken()))
      for i = 1, 50 do
        check_closed(futures[i])
      end
    end)

    it_closes("are closed in coroutines that wait", function()
      local future = begin(1, [[
        local id = ...
        local a <close> = closing("a")
        local f = coroutine.wrap(function()
          local b <close> = closing("b")
          local co = coroutine.create(function()
            local c <close> = closing("c")
            enter()
            mt.state(id):await("get")
          end)
          coroutine.resume(co)
        end)
        f()
      ]])
      s:close()
      check_closed(future)
      assert.equals("c b a __close finalizer", (taken()))
    end)

    it_closes("may raise, and wait, which raises, too", function()
      local future = begin(1, [[
        local id = ...
        local function wait()
          local ok, err = pcall(mt.sleep, 1)
          gates.put("variables waits", ok, tostring(err))
          local again, other = pcall(function()
            local a = mt.state(id):await("get")
            return a
          end)
          gates.put("variables waits", again, tostring(other))
        end
        local a <close> = closing("a", wait)
        local b <close> = closing("b", function() error("by b") end)
        enter()
        mt.state(id):await("get")
      ]])
      s:close()
      check_closed(future)
      assert.equals("b a __close finalizer", (taken()))
      for _ = 1, 2 do
        local ok, err = handoff.take("variables waits")
        assert.is_false(ok)
        assert.equals(1, err:find(mtstates.error.object_closed, 1, true),
          err)
      end
    end)

    it_closes("are closed once where cancel has been first", function()
      local future = begin(1, NESTED)
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      s:close()
      assert.equals("b a __close finalizer", (taken()))
    end)

    it_closes("that wait while they are closed are closed once", function()
      local future = begin(1, [[
        local id = ...
        local function wait() mt.state(id):await("get") end
        local a <close> = closing("a", wait)
        do
          local b <close> = closing("b", wait)
          enter()
        end
      ]])
      assert.equals("b", (handoff.take(box)))
      s:close()
      check_closed(future)
      assert.equals("a __close finalizer", (taken()))
    end)

    it("without them __close of the table runs all the same", function()
      local future = begin(1, "enter() mt.state(...):await('get')")
      s:close()
      check_closed(future)
      assert.equals("__close finalizer", (taken()))
    end)
  end)
end

describe("mtstates.shutdown", function()
  before_each(helpers.watch("shutdown and tasks"))
  after_each(helpers.unwatch)

  it("ends suspended tasks, or waits for them", function()
    local output, status = helpers.run_program([[
      local handoff = require "handoff"
      local mtstates = require "mtstates"
      local tasks = require "tasks"
      local suspended = require "suspended"
      handoff.watchdog(150, "shutdown of tasks")
      for _, options in ipairs({{}, {own_thread = true}}) do
        local s = mtstates.newstate(options, tasks.setup)
        local keeper = suspended.keeper()
        local code = "enter() local a = mt.state(...):await('get') return a"
        local future = suspended.begin(s, 1, code, keeper.id)
        assert(mtstates.shutdown(0.01) == false or true)
        local ok, err = pcall(future.await, future)
        assert(not ok and err:find(mtstates.error.object_closed, 1, true))
        keeper.open()
        s = mtstates.newstate(options, tasks.setup)
        future = suspended.begin(s, 1,
          "enter() mt.sleep(0.05) return 'slept'")
        assert(mtstates.shutdown(30) == true)
        assert(future:await() == "slept")
      end
      print("fine")
    ]])
    assert.same({"fine\n", 0}, {output, status})
  end)
end)
