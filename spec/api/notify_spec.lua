local capidriver = require "capidriver"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

local OK, CLOSED = 0, 1

describe("the Notify C API", function()
  before_each(helpers.watch("notify"))
  after_each(helpers.unwatch)

  -- The callback counts its calls and arguments; with "get" it tells.
  local function counting()
    local calls, arguments = 0, 0
    return function(...)
      if ... == "get" then
        return calls, arguments
      end
      calls = calls + 1
      arguments = arguments + select("#", ...)
    end
  end

  it("is offered by state objects as version 0.0.2", function()
    local s = mtstates.newstate(helpers.echo)
    assert.equals("0.0.2", capidriver.look_up(s, "notify"))
    assert.equals("0.0.2",
      capidriver.look_up(mtstates.state(s:id()), "notify"))
  end)

  it("knows no notifier in other objects", function()
    local s = mtstates.newstate(helpers.echo)
    for _, other in ipairs({5, "x", {}, print, io.stdout, true}) do
      assert.is_true(capidriver.to_other(s, other))
    end
    assert.is_true(capidriver.to_other(s, handoff.userdata()))
    assert.is_true(capidriver.to_other(s, handoff.lightuserdata(64)))
    assert.is_true(capidriver.to_other(s, nil))
    assert.is_false(capidriver.to_other(s, s))
  end)

  it("runs the callback without arguments", function()
    local s = mtstates.newstate(counting)
    local n = capidriver.notifier(s)
    for _ = 1, 3 do
      assert.same({OK, nil, 0}, {n:notify()})
    end
    assert.same({3, 0}, {s:call("get")})
  end)

  it("runs the callback from a native thread", function()
    local s = mtstates.newstate(counting)
    local job = capidriver.notifier(s):start()
    local code, message = job:join()
    assert.equals(OK, code)
    assert.is_nil(message)
    assert.same({1, 0}, {s:call("get")})
  end)

  it("runs the callback once for each of many notifications", function()
    local s = mtstates.newstate(counting)
    local codes = capidriver.notifier(s):storm(8, 250)
    assert.same({[OK] = 2000}, codes)
    assert.same({2000, 0}, {s:call("get")})
  end)

  it("drops the results, whatever they are", function()
    for _, results in ipairs({
      "1, 2, 'three'", "nil", "{}", "print",
      "coroutine.create(function() end), {}"
    }) do
      local s = mtstates.newstate(
        "return function() return " .. results .. " end")
      local n = capidriver.notifier(s)
      assert.same({OK, nil, 0}, {n:notify()})
      assert.equals(OK, n:notify_quietly())
    end
  end)

  it("works through plain references", function()
    local s = mtstates.newstate(counting)
    local n = capidriver.notifier(mtstates.state(s:id()))
    helpers.collect()
    assert.equals(OK, (n:notify()))
    assert.same({1, 0}, {s:call("get")})
  end)

  it("waits while the state is busy", function()
    local s = mtstates.newstate(function()
      local gates = require "handoff"
      local notified = 0
      return function(entered, leave)
        if not entered then
          notified = notified + 1
        elseif leave then
          gates.enter(entered, leave, 1)
        end
        return notified
      end
    end)
    local busy = threads.hold(s)
    local job = capidriver.notifier(s):start()
    handoff.wait_asleep(job:tid())
    assert.equals(0, busy:release())
    assert.equals(OK, (job:join()))
    assert.equals(1, s:call("look"))
  end)

  it("runs from inside the state's own callback", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      local driver = require "capidriver"
      local calls, depth = 0, 0
      return function(what)
        calls = calls + 1
        if what == "nest" and depth == 0 then
          depth = 1
          local code = driver.notifier(mt.state(mt.id())):notify()
          return code, calls
        end
      end
    end)
    assert.same({OK, 2}, {s:call("nest")})
  end)

  describe("when the callback fails", function()
    local function failing()
      return function()
        local function inner_function()
          error("notified in vain")
        end
        inner_function()
      end
    end

    it("gives another code and hands the message over, with traceback",
      function()
        local s = mtstates.newstate("notify failing", failing)
        local code, message, calls = capidriver.notifier(s):notify()
        assert.is_true(code ~= OK and code ~= CLOSED)
        assert.truthy(message:find("notified in vain", 1, true))
        assert.truthy(message:find("stack traceback:", 1, true))
        assert.truthy(message:find("inner_function", 1, true))
        assert.equals(1, calls)
      end)

    it("does the same for native threads", function()
      local s = mtstates.newstate(failing)
      local code, message, calls = capidriver.notifier(s):start():join()
      assert.is_true(code ~= OK and code ~= CLOSED)
      assert.truthy(message:find("notified in vain", 1, true))
      assert.equals(1, calls)
    end)

    it("needs no error handler", function()
      local s = mtstates.newstate(failing)
      local code = capidriver.notifier(s):notify_quietly()
      assert.is_true(code ~= OK and code ~= CLOSED)
    end)

    it("shows error values that are no strings", function()
      local s = mtstates.newstate("return function() error({}) end")
      local _, message = capidriver.notifier(s):notify()
      assert.truthy(
        message:find("(error object is a table value)", 1, true))
      s = mtstates.newstate("return function() error() end")
      _, message = capidriver.notifier(s):notify()
      assert.truthy(message:find("(error object is a nil value)", 1, true))
    end)

    it("keeps zero bytes of the message", function()
      local s = mtstates.newstate(
        "return function() error('a\\0b', 0) end")
      local _, message = capidriver.notifier(s):notify()
      assert.truthy(message:find("a\0b", 1, true))
    end)

    it("leaves the state usable", function()
      local s = mtstates.newstate(function()
        local fail = true
        return function(what)
          if what then
            fail = what == "fail"
            return "usable"
          elseif fail then
            error("not yet")
          end
        end
      end)
      local n = capidriver.notifier(s)
      for _ = 1, 100 do
        assert.is_true((n:notify()) ~= OK)
      end
      assert.equals("usable", s:call("stop"))
      assert.equals(OK, (n:notify()))
    end)
  end)

  it("reports calls that nest too deep", function()
    local chain = {}
    for i = 1, 250 do
      chain[i] = mtstates.newstate(function(next_id)
        local mt = require "mtstates"
        local driver = require "capidriver"
        local notifier = next_id and driver.notifier(mt.state(next_id))
        local code, message
        return function(what)
          if not what and notifier then
            code, message = notifier:notify()
          end
          return code, message
        end
      end, chain[i - 1] and chain[i - 1]:id())
    end
    assert.equals(OK, (capidriver.notifier(chain[#chain]):notify()))
    local last = #chain
    local code, message
    repeat
      code, message = chain[last]:call("look")
      last = last - 1
    until code ~= OK
    assert.is_true(code and code ~= CLOSED)
    assert.equals(1, message:find(mtstates.error.out_of_memory, 1, true))
    assert.truthy(message:find("too many nested calls", 1, true), message)
    assert.is_nil((chain[last]:call("look"))) -- was not reached
  end)

  it("reports an interrupt as a failure", function()
    local s = mtstates.newstate(counting)
    local n = capidriver.notifier(s)
    s:interrupt()
    local code, message = n:notify()
    assert.is_true(code ~= OK and code ~= CLOSED)
    assert.truthy(message:find(mtstates.error.interrupted, 1, true))
    assert.equals(OK, (n:notify()))
  end)

  describe("of a closed state", function()
    it("gives 1, for ever", function()
      local s = mtstates.newstate(counting)
      local n = capidriver.notifier(s)
      s:close()
      for _ = 1, 3 do
        assert.equals(CLOSED, (n:notify()))
        assert.equals(CLOSED, n:notify_quietly())
        assert.equals(CLOSED, (n:start():join()))
      end
      assert.same({[CLOSED] = 40}, n:storm(4, 10))
      n:release()
    end)

    it("can still be asked for", function()
      local s = mtstates.newstate(counting)
      s:close()
      local n = capidriver.notifier(s)
      if n then
        assert.equals(CLOSED, (n:notify()))
      end
      assert.is_true(mtstates.type(s) == "mtstates.state")
    end)

    it("gives 1 when the last owner was collected", function()
      local s = mtstates.newstate(counting)
      local n, id = capidriver.notifier(s), s:id()
      assert.equals(OK, (n:notify()))
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals(CLOSED, (n:notify()))
      helpers.raises_error("unknown_object", mtstates.state, id)
    end)

    it("gives 1 to those who wait when the running call ends", function()
      local s = mtstates.newstate(helpers.gated)
      local n = capidriver.notifier(s)
      local busy = threads.hold(s, "done")
      local jobs = {}
      for i = 1, 3 do
        jobs[i] = n:start()
        handoff.wait_asleep(jobs[i]:tid())
      end
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals("done", busy:release())
      for i = 1, 3 do
        assert.equals(CLOSED, (jobs[i]:join()))
      end
    end)
  end)

  it("does not keep a state open by retained notifiers", function()
    local gate = handoff.unique()
    local s = mtstates.newstate(helpers.moves_gate, gate)
    local n = capidriver.notifier(s)
    s = nil -- luacheck: ignore
    helpers.collect()
    assert.equals(1, handoff.get(gate))
    n:release()
  end)

  it("retains and releases from many threads", function()
    local s = mtstates.newstate(counting)
    local notifiers = {}
    for i = 1, 20 do
      notifiers[i] = capidriver.notifier(s)
    end
    local jobs = {}
    for i = 1, 20 do
      jobs[i] = notifiers[i]:start()
      notifiers[i]:release()
    end
    for i = 1, 20 do
      assert.equals(OK, (jobs[i]:join()))
    end
    assert.same({20, 0}, {s:call("get")})
  end)

  it("outlives its Lua object when it is retained", function()
    local s = mtstates.newstate(counting)
    local r = mtstates.state(s:id())
    local n = capidriver.notifier(r)
    r = nil -- luacheck: ignore
    helpers.collect()
    assert.equals(OK, (n:start():join()))
    assert.same({1, 0}, {s:call("get")})
  end)

  it("mixes with calls from Lua threads", function()
    local s = mtstates.newstate(counting)
    local worker = threads.start(function(id)
      local r = require "mtstates".state(id)
      for _ = 1, 300 do
        r:call("x")
      end
    end, s:id())
    assert.same({[OK] = 600}, capidriver.notifier(s):storm(3, 200))
    worker:results()
    assert.same({900, 300}, {s:call("get")})
  end)

  it("frees the text of an error when it has been told", function()
    local s = mtstates.newstate([[
      local text = ("x"):rep(50000)
      return function() error(text, 0) end
    ]])
    local function fail(times)
      for _ = 1, times do
        local code, message = capidriver.notifier(s):start():join()
        assert.is_true(code ~= 0 and #message > 50000)
      end
      helpers.collect()
      return handoff.heap_bytes()
    end
    local before = fail(10)
    assert.is_true(fail(100) - before < 2000000)
  end)
end)
