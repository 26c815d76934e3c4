-- sleep, now, and state with a timeout.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

describe("mtstates.sleep", function()
  before_each(helpers.watch("sleep"))
  after_each(helpers.unwatch)

  it("is never shorter", function()
    local s = mtstates.newstate({}, [[
      local mt = require "mtstates"
      return function(seconds)
        local before = mt.now()
        mt.sleep(seconds)
        return mt.now() - before
      end
    ]])
    for _, seconds in ipairs({0.001, 0.0123, 0.05}) do
      local before = mtstates.now()
      assert.equals(0, select("#", mtstates.sleep(seconds)))
      assert.is_true(mtstates.now() - before >= seconds)
      assert.is_true(s:await(seconds) >= seconds)
      assert.is_true(s:call(seconds) >= seconds)
    end
  end)

  it("with 0 or less does not wait", function()
    for _, seconds in ipairs({0, -0.0, -1, -1e300, -math.huge}) do
      assert.equals(0, select("#", mtstates.sleep(seconds)))
    end
  end)

  it("wants a number", function()
    local function sleep(...)
      mtstates.sleep(...)
    end
    helpers.bad_argument(1, "sleep", "number expected, got nan", sleep, 0/0)
    helpers.bad_argument(1, "sleep", "number expected, got no value", sleep)
    helpers.bad_argument(1, "sleep", "number expected, got string", sleep, "x")
  end)
end)

describe("mtstates.now", function()
  it("does not go back", function()
    local last = mtstates.now()
    assert.equals("number", type(last))
    for _ = 1, 1000 do
      local now = mtstates.now()
      assert.is_true(now >= last)
      last = now
    end
    local s = mtstates.newstate({}, "return require 'mtstates'.now")
    assert.is_true(s:await() >= last)
    last = s:await()
    assert.is_true(mtstates.now() >= last)
  end)
end)

describe("mtstates.state with a timeout", function()
  before_each(helpers.watch("state with a timeout"))
  after_each(helpers.unwatch)

  it("gives at once what is there", function()
    local s = mtstates.newstate("sleep there", helpers.echo)
    for _, timeout in ipairs({0, -1, -math.huge, 0.1, 1e300, math.huge}) do
      assert.is_true(mtstates.state("sleep there", timeout) == s)
      local found = mtstates.state(s:id(), timeout)
      assert.is_true(found == s and not found:isowner())
    end
  end)

  it("waits until there is one", function()
    for i, timeout in ipairs({60, 1e300, math.huge}) do
      local gate, name = handoff.unique(), "sleep later " .. i
      local waiter = threads.waiting(gate, function(g, n, t)
        require "handoff".add(g)
        return require "mtstates".state(n, t):call("found")
      end, gate, name, timeout)
      local s = mtstates.newstate(name, helpers.echo)
      assert.equals("found", waiter:results())
      s:close()
    end
  end)

  it("does not find one whose setup is not finished", function()
    local entered, leave = handoff.unique(), handoff.unique()
    local maker = threads.start(function(e, l)
      local s = require "mtstates".newstate("sleep setup", function(in_, out)
        local gates = require "handoff"
        gates.enter(in_, out, 1)
        return function() return "finished" end
      end, e, l)
      require "handoff".wait(l, 2)
      return s:isowner()
    end, entered, leave)
    handoff.wait(entered, 1)
    helpers.raises_error("unknown_object", mtstates.state, "sleep setup", 0)
    helpers.raises_error("unknown_object", mtstates.state, "sleep setup",
      0.02)
    local gate = handoff.unique()
    local waiter = threads.waiting(gate, function(g)
      require "handoff".add(g)
      return require "mtstates".state("sleep setup", 60):call()
    end, gate)
    handoff.set(leave, 1)
    assert.equals("finished", waiter:results())
    handoff.set(leave, 2)
    assert.is_true(maker:results())
  end)

  it("raises unknown_object when the time is over", function()
    local closed = mtstates.newstate(helpers.echo)
    closed:close()
    for _, timeout in ipairs({0, -1, -math.huge, 0.01, 0.03}) do
      local before = mtstates.now()
      helpers.raises_error("unknown_object", mtstates.state, "sleep none",
        timeout)
      assert.is_true(mtstates.now() - before >= timeout)
      helpers.raises_error("unknown_object", mtstates.state, closed:id(),
        timeout)
    end
  end)

  it("raises ambiguous_name for several", function()
    local a = mtstates.newstate("sleep twins", helpers.echo)
    local b = mtstates.newstate("sleep twins", helpers.echo)
    helpers.raises_error("ambiguous_name", mtstates.state, "sleep twins", 60)
    a:close()
    assert.is_true(mtstates.state("sleep twins", 60) == b)
  end)

  it("wants a number", function()
    local s = mtstates.newstate("sleep number", helpers.echo)
    local function find(timeout)
      mtstates.state("sleep number", timeout)
    end
    helpers.bad_argument(2, "state", "number expected, got nan", find, 0/0)
    helpers.bad_argument(2, "state", "number expected, got string", find, "x")
    assert.is_true(mtstates.state("sleep number", nil) == s)
  end)

  it("waits in a request, too", function()
    local s = requests.new("service", [[
      local mt = require "mtstates"
      return function(name) return mt.state(name, 60):await("late") end
    ]])
    local future = s:async("sleep in a request")
    local late = mtstates.newstate("sleep in a request", helpers.echo)
    assert.equals("late", future:await())
    late:close()
  end)
end)
