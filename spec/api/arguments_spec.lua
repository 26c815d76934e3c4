local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

-- Wrong arguments to each function and method. Those of tcall's timeout,
-- interrupt's flag, newstate's setup and values that cannot cross stand with
-- the specs of these.

describe("wrong arguments", function()
  before_each(helpers.watch("arguments"))
  after_each(helpers.unwatch)

  local bad = helpers.bad_argument
  local WRONG = "(lua function expected)"

  it("that are light userdata are called so", function()
    local light = handoff.lightuserdata(64)
    local s = mtstates.newstate("return print")
    bad(1, "fork", "(function expected, got light userdata)", function()
      mtstates.fork(light)
    end)
    bad(1, "interrupt", "(boolean expected, got light userdata)", function()
      s:interrupt(light)
    end)
  end)

  it("that are objects with methods are called by their position", function()
    local s = mtstates.newstate("return print")
    local object = {id = s.id, call = s.call}
    for _, name in ipairs({"id", "call"}) do
      local err = helpers.raises(function() object[name](object) end)
      assert.truthy(err:find("mtstates.state expected, got table", 1, true),
        err)
      assert.is_nil(err:find("#0", 1, true), err)
    end
    local err = helpers.raises(function() object:id() end)
    assert.truthy(err:find("calling 'id' on bad self " ..
      "(mtstates.state expected, got table)", 1, true), err)
  end)

  describe("to newstate", function()
    it("are named at the position of the missing setup", function()
      local missing = "(lua function expected, got no value)"
      bad(1, "newstate", missing, function() mtstates.newstate() end)
      bad(2, "newstate", missing, function() mtstates.newstate(true) end)
      bad(2, "newstate", missing, function() mtstates.newstate(nil) end)
      bad(3, "newstate", missing, function() mtstates.newstate(nil, true) end)
    end)

    it("are named at the position of a wrong setup", function()
      for _, value in ipairs({5, 0.5, coroutine.create(function() end),
                              handoff.userdata()}) do
        bad(1, "newstate", WRONG, function() mtstates.newstate(value) end)
        bad(1, "newstate", WRONG, function()
          mtstates.newstate(value, helpers.echo)
        end)
        bad(2, "newstate", WRONG, function() mtstates.newstate(nil, value) end)
        bad(2, "newstate", WRONG, function()
          mtstates.newstate("name", value, helpers.echo)
        end)
        bad(2, "newstate", WRONG, function()
          mtstates.newstate(true, value)
        end)
        bad(3, "newstate", WRONG, function()
          mtstates.newstate(nil, false, value)
        end)
        bad(3, "newstate", WRONG, function()
          mtstates.newstate("name", nil, value, "x")
        end)
      end
    end)

    it("are never a name that is taken for code", function()
      local code = "error('was run')"
      bad(2, "newstate", "got nil", function()
        mtstates.newstate(code, nil)
      end)
      bad(3, "newstate", "got nil", function()
        mtstates.newstate(code, nil, nil)
      end)
      bad(3, "newstate", "got no value", function()
        mtstates.newstate(code, true)
      end)
      bad(3, "newstate", "got nil", function()
        mtstates.newstate(code, true, nil)
      end)
      bad(3, "newstate", WRONG, function()
        mtstates.newstate(code, true, 2, code)
      end)
      bad(2, "newstate", WRONG, function() mtstates.newstate(code, 5) end)
    end)
  end)

  describe("to state", function()
    it("name both types that are expected", function()
      for _, value in ipairs({
        true, false, {}, print, coroutine.create(function() end),
        handoff.userdata(), handoff.lightuserdata(64)
      }) do
        local err = bad(1, "state", "string", function()
          mtstates.state(value)
        end)
        assert.truthy(err:find("integer", 1, true))
        assert.truthy(err:find("expected", 1, true))
        assert.truthy(err:find(type(value), 1, true), err)
      end
    end)

    it("are missing arguments and nil", function()
      local err = bad(1, "state", "string", function() mtstates.state() end)
      assert.truthy(err:find("integer", 1, true))
      assert.truthy(err:find("no value", 1, true))
      err = bad(1, "state", "string", function() mtstates.state(nil) end)
      assert.truthy(err:find("nil", 1, true))
    end)

    it("are state objects", function()
      local s = mtstates.newstate(helpers.echo)
      bad(1, "state", "integer", function() mtstates.state(s) end)
    end)
  end)

  describe("to singleton", function()
    it("are names that are no strings", function()
      for _, value in ipairs({
        true, {}, print, helpers.echo, handoff.userdata()
      }) do
        bad(1, "singleton", "string expected, got", function()
          mtstates.singleton(value, helpers.echo)
        end)
      end
      bad(1, "singleton", "string expected, got nil", function()
        mtstates.singleton(nil, helpers.echo)
      end)
      bad(1, "singleton", "string expected, got no value", function()
        mtstates.singleton()
      end)
    end)

    it("are missing setups where there is no such state", function()
      bad(2, "singleton", "expected", function()
        mtstates.singleton("arguments nowhere")
      end)
      bad(2, "singleton", "got nil", function()
        mtstates.singleton("arguments nowhere", nil)
      end)
      bad(3, "singleton", "got nil", function()
        mtstates.singleton("arguments nowhere", nil, nil)
      end)
      bad(3, "singleton", "got no value", function()
        mtstates.singleton("arguments nowhere", true)
      end)
    end)

    it("are wrong setups where there is no such state", function()
      local upvalue = {}
      for _, value in ipairs({5, print, handoff.userdata()}) do
        bad(2, "singleton", WRONG, function()
          mtstates.singleton("arguments nowhere", value)
        end)
        bad(2, "singleton", WRONG, function()
          mtstates.singleton("arguments nowhere", value, helpers.echo)
        end)
        bad(3, "singleton", WRONG, function()
          mtstates.singleton("arguments nowhere", false, value)
        end)
        bad(3, "singleton", WRONG, function()
          mtstates.singleton("arguments nowhere", nil, value, "x")
        end)
      end
      bad(2, "singleton", "lua function expected", function()
        mtstates.singleton("arguments nowhere", print)
      end)
      bad(3, "singleton", "lua function expected", function()
        mtstates.singleton("arguments nowhere", true, print)
      end)
      bad(2, "singleton", "upvalue", function()
        mtstates.singleton("arguments nowhere", function()
          return function() return upvalue end
        end)
      end)
      bad(2, "singleton", "near", function()
        mtstates.singleton("arguments nowhere", "x x")
      end)
      bad(3, "singleton", "near", function()
        mtstates.singleton("arguments nowhere", true, "x x")
      end)
    end)

    it("are values that cannot cross", function()
      bad(3, "singleton", "table", function()
        mtstates.singleton("arguments nowhere", helpers.echo, {})
      end)
      bad(5, "singleton", "thread", function()
        mtstates.singleton("arguments nowhere", true, helpers.echo, 1,
          coroutine.create(function() end))
      end)
      helpers.raises_error("unknown_object", mtstates.state,
        "arguments nowhere")
    end)
  end)

  it("to type are none", function()
    bad(1, "type", "value expected", function() mtstates.type() end)
  end)

  describe("as self of", function()
    local methods = {
      "id", "name", "call", "tcall", "interrupt", "isowner", "close", "own",
      "send", "tsend", "async", "await", "tawait", "stats"
    }

    -- A call with the method's name in it, for the message.
    local function caller_of(name)
      return assert(helpers.compile(
        "local methods, value = ...; methods." .. name .. "(value, 0)"))
    end

    for _, name in ipairs(methods) do
      it(name .. " are named with what is expected", function()
        local s = mtstates.newstate(helpers.echo)
        local call = caller_of(name)
        for _, value in ipairs({
          5, 0.5, "x", true, {}, print, io.stdout,
          coroutine.create(function() end),
          handoff.userdata(), handoff.lightuserdata(64),
          mtstates.error("mtstates.error.deadlock")
        }) do
          helpers.bad_self(name, call, s, value)
        end
        helpers.bad_self(name, call, s, nil)
        helpers.bad_self(name, assert(helpers.compile(
          "local methods = ...; methods." .. name .. "()")), s)
        local object = setmetatable({}, {__index = {[name] = s[name]}})
        helpers.bad_self(name, assert(helpers.compile(
          "local object = ...; object:" .. name .. "()")), object)
      end)

      it(name .. " do not deceive by a metatable", function()
        local s = mtstates.newstate(helpers.echo)
        local call = caller_of(name)
        helpers.bad_self(name, call, s,
          setmetatable({}, debug.getmetatable(s)))
        local named = handoff.userdata()
        debug.setmetatable(named, {__name = "mtstates.state"})
        helpers.bad_self(name, call, s, named)
      end)
    end
  end)

  it("leave every state usable", function()
    local s = mtstates.newstate("arguments usable", helpers.echo)
    for _ = 1, 100 do
      pcall(s.call, {}, 1)
      pcall(s.call, s, {}, {})
      pcall(s.tcall, s, "x", {})
      pcall(s.interrupt, s, 5)
      pcall(mtstates.state, {})
      pcall(mtstates.singleton, {}, {})
      pcall(mtstates.newstate, {}, {}, {})
    end
    assert.equals("x", s:call("x"))
    assert.equals(s:id(), mtstates.state("arguments usable"):id())
  end)
end)
