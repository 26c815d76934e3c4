local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("mtstates.singleton", function()
  before_each(helpers.watch("singleton"))
  after_each(helpers.unwatch)

  it("creates the state with the given arguments", function()
    local s = mtstates.singleton("single new", function(...)
      local a, b = ...
      return function() return a, b end
    end, 1, "b")
    assert.equals("single new", s:name())
    assert.same({1, "b"}, {s:call()})
    assert.equals(s:id(), mtstates.state("single new"):id())
  end)

  it("creates it from a string of Lua code and with libs", function()
    local code = "local a = ...; return function() return a, string end"
    local s = mtstates.singleton("single code", false, code, 7)
    assert.equals(7, (s:call()))
    assert.is_nil((select(2, s:call())))
    s = mtstates.singleton("single code libs", true,
      "return function() return type(string) end")
    assert.equals("table", s:call())
  end)

  it("gives an owner", function()
    local s = mtstates.singleton("single owner", helpers.echo)
    assert.is_true(s:isowner())
    assert.is_true(mtstates.singleton("single owner"):isowner())
  end)

  it("finds the open state with that name", function()
    local s = mtstates.singleton("single found", helpers.echo)
    local gate = handoff.unique()
    local again = mtstates.singleton("single found", function(g)
      require "handoff".add(g)
      return print
    end, gate)
    assert.equals(s:id(), again:id())
    assert.equals(0, handoff.get(gate))
    assert.equals("x", again:call("x"))
  end)

  it("finds states that newstate has made", function()
    local s = mtstates.newstate("single by newstate", helpers.echo)
    local found = mtstates.singleton("single by newstate", helpers.echo)
    assert.equals(s:id(), found:id())
  end)

  it("needs no setup to find a state", function()
    local s = mtstates.singleton("single bare", helpers.echo)
    assert.equals(s:id(), mtstates.singleton("single bare"):id())
    assert.equals(1, select("#", mtstates.singleton("single bare")))
  end)

  it("does not look at the setup when there is a state", function()
    local s = mtstates.singleton("single look", helpers.echo)
    for _, setup in ipairs({
      5, {}, print, "return function( end", true,
      function() error("not run") end, function() return s end
    }) do
      assert.equals(s:id(), mtstates.singleton("single look", setup):id())
      assert.equals(s:id(),
        mtstates.singleton("single look", true, setup, {}):id())
    end
  end)

  it("creates a new state when the old one is closed", function()
    local s = mtstates.singleton("single again", helpers.echo)
    s:close()
    local new = mtstates.singleton("single again", helpers.echo)
    assert.not_equals(s:id(), new:id())
    assert.equals(1, new:call(1))
  end)

  -- __transfer makes it as another thread could at that moment.
  it("takes the state that is there when it would begin to make one",
    function()
      local name, count, kept = "single overtaken", 0, nil
      local class = mtstates.class("singleton.overtaking")
      function class.__transfer()
        count = count + 1
        kept = mtstates.singleton(name, helpers.echo)
      end
      function class.__receive() end
      local value = setmetatable({}, class)
      for _ = 1, 300 do -- more than calls that nest
        local s = mtstates.singleton(name, {}, helpers.echo, value)
        assert.is_true(s:isowner() and s == kept)
        assert.equals(5, s:call(5))
        s:close()
      end
      assert.equals(300, count)
    end)

  it("keeps the state open until its last owner is collected", function()
    local first = mtstates.singleton("single gc", helpers.echo)
    local second = mtstates.singleton("single gc")
    local id = first:id()
    assert.is_true(first:isowner())
    first = nil -- luacheck: ignore
    helpers.collect()
    assert.equals(2, second:call(2))
    assert.equals(id, mtstates.state(id):id())
    second = nil -- luacheck: ignore
    helpers.collect()
    helpers.raises_error("unknown_object", mtstates.state, id)
  end)

  it("tells names apart by all their bytes", function()
    local a = mtstates.singleton("single\0a", helpers.echo)
    local b = mtstates.singleton("single\0b", helpers.echo)
    local empty = mtstates.singleton("", helpers.echo)
    assert.not_equals(a:id(), b:id())
    assert.equals(a:id(), mtstates.singleton("single\0a"):id())
    assert.equals(empty:id(), mtstates.singleton(""):id())
    empty:close()
  end)

  it("raises what newstate raises when setup fails; others may try again",
    function()
      local name = "single fails"
      helpers.raises_error("invoking_state", mtstates.singleton, name,
        function() error("no") end)
      helpers.raises_error("state_result", mtstates.singleton, name,
        function() return 5 end)
      helpers.raises_error("state_result", mtstates.singleton, name,
        function() return print, {} end)
      helpers.bad_argument(2, "singleton", "near", function()
        mtstates.singleton(name, "return function( end")
      end)
      helpers.bad_argument(2, "singleton", "lua function expected",
        function() mtstates.singleton(name, print) end)
      helpers.bad_argument(3, "singleton", "table", function()
        mtstates.singleton(name, helpers.echo, {})
      end)
      helpers.raises_error("unknown_object", mtstates.state, name)
      assert.equals(6, mtstates.singleton(name, helpers.echo):call(6))
    end)

  it("can be used inside the setup of another singleton", function()
    local s = mtstates.singleton("single outer", function()
      local mt = require "mtstates"
      local inner = mt.singleton("single inner", function()
        return function() return "inner" end
      end)
      return function() return inner:call() end
    end)
    assert.equals("inner", s:call())
    assert.equals("inner", mtstates.state("single inner"):call())
  end)

  it("raises deadlock inside the setup of that same name", function()
    local s = mtstates.singleton("single self", function()
      local mt = require "mtstates"
      local done, what = pcall(mt.singleton, "single self", function()
        return print
      end)
      return function() return done, what end
    end)
    local ok, err = s:call()
    assert.is_false(ok)
    assert.equals(1, (err:find(mtstates.error.deadlock, 1, true)))
    local outer = helpers.raises_error("invoking_state", mtstates.singleton,
      "single self error", function()
        require "mtstates".singleton("single self error")
        return print
      end)
    assert.truthy(outer:find(mtstates.error.deadlock, 1, true))
    assert.equals(1, mtstates.singleton("single self error",
      helpers.echo):call(1))
  end)

  it("raises deadlock in a circle of setups on one thread", function()
    local s = mtstates.singleton("single circle a", function()
      local mt = require "mtstates"
      local inner = mt.singleton("single circle b", function()
        local mt2 = require "mtstates"
        local ok, err = pcall(mt2.singleton, "single circle a", function()
          return print
        end)
        return function() return ok, err end
      end)
      return function() return inner:call() end
    end)
    local ok, err = s:call()
    assert.is_false(ok)
    assert.equals(1, (err:find(mtstates.error.deadlock, 1, true)))
  end)
end)
