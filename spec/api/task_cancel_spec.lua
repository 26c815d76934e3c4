-- future:cancel of tasks, in each phase: suspended in each way, over but not
-- gone on yet, caught. Those that hold are in cancel_waits_spec.lua, user
-- coroutines in task_cancel_inner_spec.lua.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"
local threads = require "threads"

-- Waits for the state `id`, a keeper that does not answer, or `full`.
local WAYS = {
  ["state:await"] = "mt.state(id):await('get')",
  ["state:tawait"] = "mt.state(id):tawait(60, 'get')",
  ["future:await"] = "mt.state(id):async('get'):await()",
  ["future:tawait"] = "mt.state(id):async('get'):tawait(math.huge)",
  ["promise"] = "local f, p = mt.promise() kept = p f:await()",
  ["each"] = "local next = mt.each(mt.state(id):async('get')) next()",
  ["sleep"] = "mt.sleep(60)",
  ["state"] = "mt.state('nobody', 60)",
  ["state without end"] = "mt.state('nobody', math.huge)",
  ["sleep without end"] = "mt.sleep(math.huge)",
  ["room of send"] = "mt.state(full):send()",
  ["room of tsend"] = "mt.state(full):tsend(60)",
  ["room of async"] = "mt.state(full):async()",
  ["room of await"] = "mt.state(full):await()",
}

for _, kind in ipairs(requests.kinds) do
  describe("cancel of a task of a " .. kind, function()
    local log, s, keeper, full

    before_each(helpers.watch("cancel of tasks"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      log = requests.log_to_mailbox()
      s = requests.new(kind, tasks.setup)
      keeper, full = suspended.keeper(), suspended.full()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      full.release()
      log.reset()
      helpers.unwatch()
    end)

    local function begin(code, ...)
      return suspended.begin(s, 1, "local id, full = ... " .. code,
        keeper.id, full.id, ...)
    end

    local function begin_in_pcall(code, ...)
      return suspended.begin_in_pcall(s, "local id, full = ... " .. code,
        keeper.id, full.id, ...)
    end

    local function check_goes_on()
      local code = "mt.sleep(0.0001) mt.sleep(0) return 'on'"
      assert.equals("on", s:await(code))
      assert.equals("on", s:call(code))
      assert.equals(0, s:stats().tasks)
    end

    for name, wait in pairs(WAYS) do
      it("ends its wait: " .. name, function()
        local future = begin("enter() " .. wait)
        assert.is_false(future:ready())
        assert.is_true(future:cancel())
        tasks.check_cancelled(future, s)
        assert.is_false(future:cancel())
        check_goes_on()
        assert.equals(1, full.state:stats().queue)
        s:call("kept = nil")
        assert.equals(0, log.count())
      end)

      it("lets it clean up, and wait again: " .. name, function()
        local future = begin_in_pcall([[
          local function wait() ]] .. wait .. [[ end
          enter()
          local ok, err = pcall(wait)
          mt.sleep(0.0001)
          local again = mt.state(mt.id()):await("return 'self'")
          return ok, err, again
        ]])
        assert.is_true(future:cancel())
        local ok, err, again = future:await()
        assert.same({false, "self"}, {ok, again})
        assert.is_true(tasks.is_cancelled(err, s), err)
        check_goes_on()
      end)
    end

    it("that has not begun keeps it from that", function()
      local gate, leave = handoff.unique(), handoff.unique()
      local running = tasks.begin(s, "enter() gates.wait(..., 1)", leave)
      local future = s:async("gates.add(...)", nil, gate)
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      handoff.set(leave, 1)
      running:await()
      check_goes_on()
      assert.equals(0, handoff.get(gate))
    end)

    it("hits code behind a wait, of that task only", function()
      local other = suspended.begin(s, 1,
        "enter() local a = mt.state(...):await('get') return a", keeper.id)
      local future = tasks.begin(s, "mt.sleep(0.0001) work()")
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      assert.is_false(other:ready())
      keeper.open("answer")
      assert.equals("answer", other:await())
      check_goes_on()
    end)

    -- The wait is over, but the state is in use by a call.
    it("whose wait is over before it goes on raises all the same", function()
      local function hold()
        return threads.start(function(id)
          require "mtstates".state(id):call([[
            gates.put("task cancel", gates.tid())
            gates.wait("task cancel leave", 1)
          ]])
        end, s:id())
      end
      for _, wait in ipairs({"mt.state(id):await('get')",
                             "mt.state(id):async('get'):tawait(60)",
                             "mt.sleep(0.2)"}) do
        keeper = suspended.keeper()
        local future, busy
        repeat -- the sleep can be over before the call gets in
          if busy then
            handoff.set("task cancel leave", 1)
            busy:results()
            handoff.set("task cancel leave", 0)
          end
          future = tasks.begin(s, "local id = ... enter() " .. wait ..
            " return 'went on'", keeper.id)
          busy = hold() -- gets in when that waits
          handoff.take("task cancel")
        until not future:ready()
        keeper.open("answer")
        keeper.state:await("get")
        mtstates.sleep(0.25)
        assert.is_false(future:ready())
        assert.is_true(future:cancel())
        handoff.set("task cancel leave", 1)
        busy:results()
        handoff.set("task cancel leave", 0)
        tasks.check_cancelled(future, s)
        check_goes_on()
      end
    end)

    suspended.it_has_pcall("whose wait is over raises once", function()
      local future = begin([[
        go, promise = mt.promise()
        enter()
        local _, err = pcall(go.await, go)
        local again = mt.state(mt.id()):await("return 'self'")
        mt.sleep(0)
        return err, again
      ]])
      local busy = threads.start(function(id)
        require "mtstates".state(id):call([[
          promise:set()
          gates.put("task cancel", gates.tid())
          gates.wait("task cancel leave", 1)
        ]])
      end, s:id())
      handoff.take("task cancel")
      assert.is_true(future:cancel())
      handoff.set("task cancel leave", 1)
      busy:results()
      handoff.set("task cancel leave", 0)
      local err, again = future:await()
      assert.is_true(tasks.is_cancelled(err, s), err)
      assert.equals("self", again)
    end)

    suspended.it_has_pcall("may be asked for more than once", function()
      local future = begin([[
        local function wait() mt.sleep(60) end
        local function run()
          local _, a = pcall(wait)
          gates.put(("%.0f"):format(id), a)
          local _, b = pcall(wait)
          return a, b
        end
        enter()
        local a, b = run()
        return a, b
      ]])
      assert.is_true(future:cancel())
      handoff.take(("%.0f"):format(keeper.id))
      suspended.wait(s, 1)
      assert.is_true(future:cancel())
      local a, b = future:await()
      assert.is_true(tasks.is_cancelled(a, s), a)
      assert.is_true(tasks.is_cancelled(b, s), b)
      assert.is_false(future:cancel())
    end)

    it("gives what the task gives instead", function()
      local future = begin_in_pcall([[
        local function wait() mt.sleep(60) end
        enter()
        local ok = pcall(wait)
        return "instead", ok
      ]])
      assert.is_true(future:cancel())
      assert.same({"instead", false}, {future:await()})
      future = begin_in_pcall([[
        local function wait() mt.sleep(60) end
        enter()
        pcall(wait)
        error("another", 0)
      ]])
      assert.is_true(future:cancel())
      local err = helpers.raises_error("invoking_state", future.await, future)
      assert.truthy(err:find("another", 1, true), err)
    end)

    it("of hundreds hits each of those once", function()
      local futures, kept = {}, 0
      for i = 1, 300 do
        futures[i] = s:async([[
          local a = mt.state(...):await("get")
          mt.sleep(0)
          return a
        ]], nil, keeper.id)
      end
      suspended.wait(s, 300)
      for i = 1, 300, 3 do
        assert.is_true(futures[i]:cancel())
      end
      keeper.open("answer")
      for i = 1, 300 do
        if i % 3 == 1 then
          tasks.check_cancelled(futures[i], s)
        else
          assert.equals("answer", futures[i]:await())
          kept = kept + 1
        end
      end
      assert.equals(200, kept)
      check_goes_on()
    end)
  end)
end
