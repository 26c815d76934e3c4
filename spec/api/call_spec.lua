local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("state:call", function()
  before_each(helpers.watch("call"))
  after_each(helpers.unwatch)

  it("runs the callback and gives its results", function()
    local s = mtstates.newstate(function()
      return function(a, b) return a + b, a * b end
    end)
    assert.same({7, 12}, {s:call(3, 4)})
  end)

  it("gives as many results as the callback, nils included", function()
    local s = mtstates.newstate(helpers.echo)
    assert.equals(0, select("#", s:call()))
    assert.equals(1, select("#", s:call(nil)))
    assert.equals(3, select("#", s:call(nil, 1, nil)))
    local results = helpers.pack(s:call(nil, nil, nil, nil))
    assert.equals(4, results.n)
  end)

  it("hands over exactly the arguments", function()
    local s = mtstates.newstate(function()
      return function(...) return select("#", ...) end
    end)
    assert.equals(0, s:call())
    assert.equals(1, s:call(nil))
    assert.equals(5, s:call(nil, nil, nil, nil, nil))
  end)

  it("keeps what the state remembers from call to call", function()
    local s = mtstates.newstate(function()
      local list = {}
      return function(word)
        list[#list + 1] = word
        return table.concat(list, " ")
      end
    end)
    s:call("one")
    s:call("two")
    assert.equals("one two three", s:call("three"))
  end)

  it("can be called from any coroutine", function()
    local s = mtstates.newstate(helpers.echo)
    local co = coroutine.wrap(function()
      coroutine.yield(s:call(1))
      coroutine.yield(s:call(2))
    end)
    assert.equals(1, co())
    assert.equals(10, s:call(10))
    assert.equals(2, co())
  end)

  it("leaves the caller's stack as it was", function()
    local s = mtstates.newstate(helpers.echo)
    for _ = 1, 2000 do
      s:call(1, 2, 3, "text")
      pcall(s.call, s, {})
    end
    assert.same({1, 2}, {s:call(1, 2)})
  end)

  it("waits while another thread's call is in progress", function()
    local s = mtstates.newstate(helpers.gated)
    local gate = handoff.unique()
    local busy = threads.hold(s, "first")
    local waiter = threads.waiting(gate, function(g, id)
      local gates = require "handoff"
      local r = require "mtstates".state(id)
      gates.add(g)
      local result = r:call(nil, nil, "second")
      gates.add(g)
      return result
    end, gate, s:id())
    assert.equals(1, handoff.get(gate))
    assert.equals("first", busy:release())
    assert.equals("second", waiter:results())
    assert.equals(2, handoff.get(gate))
  end)

  it("lets every waiter have its turn", function()
    local s = mtstates.newstate(helpers.gated)
    local gate = handoff.unique()
    local busy = threads.hold(s)
    local waiters = {}
    for i = 1, 5 do
      waiters[i] = threads.waiting(gate, function(g, id, n)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        return r:call(nil, nil, n)
      end, gate, s:id(), i)
    end
    busy:release()
    for i = 1, 5 do
      assert.equals(i, waiters[i]:results())
    end
  end)

  it("runs in different states at the same time", function()
    local a = mtstates.newstate(helpers.gated)
    local b = mtstates.newstate(helpers.gated)
    local in_a = threads.hold(a, "a")
    local in_b = threads.hold(b, "b")
    assert.equals("b", in_b:release())
    assert.equals("a", in_a:release())
  end)

  it("uses the same Lua state on whatever thread it runs", function()
    local s = mtstates.newstate(function()
      local count = 0
      return function()
        count = count + 1
        return count
      end
    end)
    for i = 1, 5 do
      assert.equals(2 * i - 1, threads.start(function(id)
        return require "mtstates".state(id):call()
      end, s:id()):results())
      assert.equals(2 * i, s:call())
    end
  end)
end)

describe("state:tcall", function()
  before_each(helpers.watch("tcall"))
  after_each(helpers.unwatch)

  it("gives true and the results of the callback", function()
    local s = mtstates.newstate(helpers.echo)
    assert.same({true}, {s:tcall(1)})
    assert.same({true, 1, "b"}, {s:tcall(1, 1, "b")})
    local results = helpers.pack(s:tcall(0, nil, nil))
    assert.equals(3, results.n)
    assert.is_true(results[1])
  end)

  it("gets into a free state with any timeout", function()
    local s = mtstates.newstate(helpers.echo)
    for _, timeout in ipairs({
      0, -1, -1e300, -1/0, 0.5, 1e-300, 10, 1e18, 1e300, 1/0
    }) do
      assert.same({true, "in"}, {s:tcall(timeout, "in")})
    end
    assert.same({true, "in"}, {s:tcall(math.huge, "in")})
  end)

  it("does not wait for a busy state with 0 or less", function()
    local s = mtstates.newstate(helpers.gated)
    local busy = threads.hold(s)
    for _, timeout in ipairs({0, -0.0, -1, -1e300, -1/0}) do
      local results = helpers.pack(s:tcall(timeout, nil, nil, "x"))
      assert.equals(1, results.n)
      assert.is_false(results[1])
    end
    busy:release()
    assert.same({true, "x"}, {s:tcall(0, nil, nil, "x")})
  end)

  it("waits for at least the timeout, then gives false", function()
    local s = mtstates.newstate(helpers.gated)
    local busy = threads.hold(s)
    local before = handoff.monotonic()
    assert.same({false}, {s:tcall(0.1, nil, nil, "x")})
    assert.is_true(handoff.monotonic() - before >= 0.099)
    busy:release()
  end)

  it("gets in when the state becomes free in time", function()
    local s = mtstates.newstate(helpers.gated)
    for _, timeout in ipairs({25, 1e12, 1e300, math.huge}) do
      local gate = handoff.unique()
      local busy = threads.hold(s)
      local waiter = threads.waiting(gate, function(g, id, seconds)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        return r:tcall(seconds, nil, nil, "in")
      end, gate, s:id(), timeout)
      busy:release()
      assert.same({true, "in"}, {waiter:results()})
    end
  end)

  it("does not count the callback's run", function()
    local s = mtstates.newstate(helpers.gated)
    local entered, leave = handoff.unique(), handoff.unique()
    local slow = threads.start(function(id, e, l)
      return require "mtstates".state(id):tcall(0.001, e, l, "slow")
    end, s:id(), entered, leave)
    handoff.wait(entered, 1)
    assert.same({false}, {s:tcall(0.05)})
    handoff.set(leave, 1)
    assert.same({true, "slow"}, {slow:results()})
  end)

  it("nests on its own thread without waiting", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(depth)
        if depth == 0 then
          return "deep"
        end
        return mt.state(mt.id()):tcall(0, depth - 1)
      end
    end)
    assert.same({true, true, true, "deep"}, {s:tcall(0, 2)})
  end)

  it("raises the errors that call raises", function()
    local s = mtstates.newstate(function()
      return function(what)
        if what == "table" then
          return {}
        end
        error("tcall " .. what)
      end
    end)
    local err = helpers.raises_error("invoking_state", function()
      s:tcall(0, "broken")
    end)
    assert.truthy(err:find("tcall broken", 1, true))
    helpers.raises_error("state_result", function() s:tcall(0, "table") end)
    s:close()
    helpers.raises_error("object_closed", function() s:tcall(0) end)
    helpers.raises_error("object_closed", function() s:tcall(1) end)
  end)

  it("leaves no trace of a call that did not get in", function()
    local s = mtstates.newstate(helpers.gated)
    local busy = threads.hold(s, "kept")
    for _ = 1, 300 do
      assert.is_false((s:tcall(0, 1, 2, 3)))
    end
    assert.equals("kept", busy:release())
    assert.same({true, 4}, {s:tcall(0, nil, nil, 4)})
  end)

  it("refuses nan and what is no number", function()
    local s = mtstates.newstate(helpers.echo)
    helpers.bad_argument(1, "tcall", "", function() s:tcall(0/0) end)
    helpers.bad_argument(1, "tcall", "", function() s:tcall(-(0/0), 1) end)
    helpers.bad_argument(1, "tcall", "number expected, got no value",
      function() s:tcall() end)
    helpers.bad_argument(1, "tcall", "number expected, got nil",
      function() s:tcall(nil, 1) end)
    helpers.bad_argument(1, "tcall", "number expected, got string",
      function() s:tcall("soon") end)
    helpers.bad_argument(1, "tcall", "number expected, got boolean",
      function() s:tcall(true) end)
    helpers.bad_argument(1, "tcall", "number expected, got table",
      function() s:tcall({}) end)
  end)

  it("counts the positions of arguments as the caller wrote them",
    function()
      local s = mtstates.newstate(helpers.echo)
      helpers.bad_argument(2, "tcall", "table", function()
        s:tcall(0, {})
      end)
      helpers.bad_argument(4, "tcall", "function", function()
        s:tcall(0, 1, 2, print)
      end)
    end)
end)
