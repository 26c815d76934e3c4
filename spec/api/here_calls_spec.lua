-- Calls of a state that mtstates.here gives: run by its own thread, in line,
-- or nested in one of its own calls.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

describe("a call of a state of here", function()
  local here, name

  before_each(helpers.watch("calls of here"))
  before_each(function()
    name = handoff.unique("here")
  end)
  after_each(function()
    if here then
      here:close(60)
      here = nil
    end
  end)
  after_each(helpers.unwatch)

  local function open(...)
    here = mtstates.here(name, ...)
    return here
  end

  -- A state whose callback calls that state, and gives its own thread, too.
  local function caller(options)
    return mtstates.newstate(options, function(of)
      local gates, mt = require "handoff", require "mtstates"
      return function(...)
        return gates.tid(), mt.state(of):call(...)
      end
    end, name)
  end

  it("of another thread waits in line", function()
    local order = {}
    open(function(x)
      order[#order + 1] = x
      return x, handoff.tid()
    end)
    here:send("sent")
    local gate = handoff.unique()
    local thread = threads.waiting(gate, function(g, id)
      local s = require "mtstates".state(id)
      require "handoff".add(g)
      return s:call("called")
    end, gate, here:id())
    local count = here:run(60)
    if count < 2 then -- it ends early where the thread is kept from running
      count = count + here:run(60)
    end
    assert.equals(2, count)
    assert.same({"sent", "called"}, order)
    assert.same({"called", handoff.tid()}, {thread:results()})
    local s = caller({})
    local worker, result, tid = s:await("again")
    assert.same({"again", handoff.tid()}, {result, tid})
    assert.is_true(worker ~= tid)
  end)

  it("with a timeout that is over in the line never begins", function()
    local count = 0
    open(function()
      count = count + 1
      return count
    end)
    local thread = threads.start(function(id)
      local s = require "mtstates".state(id)
      local function pack(...) return select("#", ...), ... end
      local n, ok = pack(s:tcall(0))
      local m, late = pack(s:tcall(0.01))
      return n, ok, m, late
    end, here:id())
    assert.same({1, false, 1, false}, {thread:results()})
    assert.equals(0, here:run())
    thread = threads.start(function(id)
      return require "mtstates".state(id):tcall(60)
    end, here:id())
    assert.equals(1, here:run(60))
    assert.same({true, 1}, {thread:results()})
  end)

  it("from this Lua state is run at once, behind what was there", function()
    local order = {}
    open(function(x)
      order[#order + 1] = x
      return x
    end)
    assert.equals("alone", here:call("alone"))
    here:send("before")
    assert.equals("behind", here:call("behind"))
    assert.same({true, "timed"}, {here:tcall(0, "timed")})
    assert.same({"alone", "before", "behind", "timed"}, order)
    assert.same({{{1}}}, {here:call({{1}})})
    assert.is_false(here:call(false))
  end)

  it("nests in a call that this Lua state makes", function()
    open(function(depth, t)
      return handoff.tid(), depth, t
    end)
    local s, tid = caller({}), handoff.tid()
    local outer, inner, depth, t = s:call(3, {"deep"})
    assert.same({tid, tid, 3, "deep"}, {outer, inner, depth, t[1]})
    local classic = caller(true)
    assert.same({tid, tid, 4}, {classic:call(4)})
    -- also where a coroutine of its own calls
    assert.same({tid, tid, 5}, {coroutine.wrap(function()
      return s:call(5)
    end)()})
    -- in setups, and where nothing is to be had
    mtstates.newstate({}, function(of)
      local n = select(2, require "mtstates".state(of):call(6))
      assert(n == 6)
      return function() end
    end, name)
  end)

  it("nests in its own tasks and calls, on the coroutine that runs", function()
    local depths = {}
    local s
    local function go(n)
      depths[#depths + 1] = n
      if n == 0 then
        return 0
      end
      local co = coroutine.wrap(function()
        return select(2, s:call(n - 1))
      end)
      return n + co() + (n % 2 == 1 and select(2, s:call(0)) or 0)
    end
    open(go)
    s = caller({})
    assert.equals(15, here:await(5))
    assert.equals(9, #depths)
    assert.equals(15, select(2, s:call(5)))
    assert.equals(15, here:call(5))
    assert.equals(15, (function()
      local co = coroutine.wrap(function()
        return here:call(5)
      end)
      return co()
    end)())
    helpers.raises_error("invoking_state", s.await, s, 5) -- a deadlock
  end)

  it("gives errors as any call does", function()
    open({
      fail = function() error("failed here") end,
      table = function() error({code = 1}) end,
    })
    local s = caller({})
    for _, method in ipairs({"call", "await"}) do
      assert.equals(1, helpers.count(helpers.raises_error("invoking_state",
        s[method], s, "fail"), "failed here"))
      assert.equals(1, helpers.raises(s[method], s, "table").code)
    end
    assert.equals(1, helpers.count(helpers.raises_error("invoking_state",
      here.call, here, "fail"), "failed here"))
    assert.equals(1, helpers.raises(here.call, here, "table").code)
    assert.equals(1, helpers.count(requests.raised(here.call, here, "none"),
      "there are 'fail', 'table'"))
  end)

  it("that nothing will run is a deadlock", function()
    local gate = handoff.unique()
    open({tasks = 1}, function(n)
      if n > 0 then
        return here:await(n - 1)
      end
    end)
    helpers.raises_error("invoking_state", here.await, here, 1)
    -- this thread waits for s, and s for this thread
    local s = mtstates.newstate({}, function(of, g)
      local gates, mt = require "handoff", require "mtstates"
      return function(is_outer)
        if is_outer then
          gates.add(g)
          return pcall(mt.state(of).call, mt.state(of), 0)
        end
      end
    end, name, gate)
    local future = s:async(true)
    handoff.wait(gate, 1)
    local ok, err = pcall(s.call, s)
    local inner_ok, inner_err = future:await()
    assert.is_true(ok ~= inner_ok) -- who waits last gets the error
    assert.equals(1, helpers.count(ok and inner_err or err,
      "mtstates.error.deadlock"))
  end)

  it("waits until the task has finished that keeps the state", function()
    local order = {}
    open({tasks = 1}, function(x)
      order[#order + 1] = x
      mtstates.sleep(0.01)
      order[#order + 1] = -x
      return x
    end)
    here:send(1)
    here:run()
    assert.equals(2, here:call(2))
    local s = caller({})
    here:send(3)
    here:run()
    assert.equals(4, select(2, s:await(4)))
    assert.same({1, -1, 2, -2, 3, -3, 4, -4}, order)
    here:send(5)
    here:run()
    helpers.raises_error("invoking_state", s.call, s, 6) -- a deadlock
  end)

  it("is kept out by such a task, also after the program has forked",
    function()
      local order = {}
      local answer, promise = mtstates.promise()
      open({tasks = 1}, function()
        order[#order + 1] = "begins"
        answer:await()
        order[#order + 1] = "ends"
      end)
      local future = here:async()
      assert.equals(1, here:run())
      for i = 1, 2 do
        mtstates.fork(function() order[#order + 1] = "fork " .. i end)
      end
      local s = mtstates.newstate({}, function(of)
        return function()
          return require "mtstates".state(of):tcall(0)
        end
      end, name)
      assert.is_false(s:call())
      assert.equals(0, here:run())
      assert.is_false(s:call())
      assert.same({"begins"}, order)
      promise:set()
      future:await()
      helpers.wait_until(function()
        here:run()
        return #order == 4
      end)
      assert.same({"begins", "ends", "fork 1", "fork 2"}, order)
      assert.is_true(s:call())
    end)

  it("that a hook of the program stops is an error of the caller", function()
    local count, gate = 0, handoff.unique()
    open(function()
      count = count + 1
    end)
    local s = mtstates.newstate({}, function(of, g)
      local gates, mt = require "handoff", require "mtstates"
      return function(method, ...)
        local target = mt.state(of)
        gates.set(g, 1)
        return target[method](target, ...)
      end
    end, name, gate)
    local function stop(value)
      if handoff.get(gate) == 1 then
        handoff.set(gate, 0)
        error(value, 0)
      end
    end
    for _, arguments in ipairs({{"call"}, {"tcall", 60}}) do
      for value, text in pairs({["by a hook"] = "by a hook", [true] = ""}) do
        debug.sethook(function() stop(value) end, "c")
        local ok, err = pcall(s.call, s, helpers.unpack(arguments))
        debug.sethook()
        assert.is_false(ok)
        assert.equals(1, helpers.count(err, ('%s: state(name="%s",id=%d): %s')
          :format(mtstates.error.invoking_state, name, here:id(), text)), err)
      end
    end
    assert.equals(0, count)
    s:call("call")
    assert.equals(1, count)
  end)
end)
