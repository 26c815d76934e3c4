local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

-- Whether functions have their globals in _ENV.
local has_env = assert(helpers.compile("local _ENV = {x = 1}; return x"))()

local dump, echo = string.dump, helpers.echo
local it_strips = helpers.it_needs(#dump(echo, true) < #dump(echo),
                                   "stripped bytecode")

describe("mtstates.newstate", function()
  before_each(helpers.watch("newstate"))
  after_each(helpers.unwatch)

  describe("setup", function()
    it("runs once, before newstate returns", function()
      local gate = handoff.unique()
      local s = mtstates.newstate(function(g)
        require "handoff".add(g)
        return function() end
      end, gate)
      assert.equals(1, handoff.get(gate))
      s:call()
      s:call()
      assert.equals(1, handoff.get(gate))
    end)

    it("can be a string of Lua code", function()
      local s = mtstates.newstate("return function(x) return x .. '!' end")
      assert.equals("hi!", s:call("hi"))
    end)

    it("can be a string of many lines and much code", function()
      local code = {}
      for i = 1, 5000 do
        code[i] = "local function f() return " .. i .. " end f()\n"
        if i % 100 == 1 then
          code[i] = "do " .. code[i]
        elseif i % 100 == 0 then
          code[i] = code[i] .. " end"
        end
      end
      code[#code + 1] = "return function() return 'end' end"
      local s = mtstates.newstate(table.concat(code, "\n"))
      assert.equals("end", s:call())
    end)

    it("has a collector that works #collector", function()
      local s = mtstates.newstate(function()
        local has_collected = false
        require "on_collect"(function() has_collected = true end)
        local list
        for i = 1, 100000 do
          list = {i, list and i}
        end
        return function() return has_collected, #list end
      end)
      assert.is_true((s:call()))
    end)

    it("can use globals although _ENV is an upvalue of it", function()
      local s = mtstates.newstate(function()
        local t = tostring(12)
        return function() return t .. type(t) end
      end)
      assert.equals("12string", s:call())
    end)

    local it_with_env = helpers.it_needs(has_env, "_ENV")

    it_with_env("gets the new state's globals, not its _ENV's", function()
      local maker = assert(helpers.compile([[
        local _ENV = {type = "fake"}
        return function()
          local seen = type
          return function() return seen == "fake", seen({}) end
        end
      ]]))
      assert.same({false, "table"}, {mtstates.newstate(maker()):call()})
    end)

    it("gets the arguments behind it", function()
      local function setup(...)
        local count, first, second = select("#", ...), ...
        return function() return count, first, second end
      end
      local function called(s)
        return {s:call()}
      end
      local new = mtstates.newstate
      assert.same({0}, called(new(setup)))
      assert.same({2, "a", 7}, called(new(setup, "a", 7)))
      assert.same({2, "a", 7}, called(new("name", setup, "a", 7)))
      assert.same({2, "a", 7}, called(new("name", true, setup, "a", 7)))
      assert.same({2, "a", 7}, called(new(true, setup, "a", 7)))
      assert.same({2, "a", 7}, called(new(nil, setup, "a", 7)))
      assert.same({2, "a", 7}, called(new(nil, false, setup, "a", 7)))
      assert.same({3, "a", 7}, called(new(setup, "a", 7, nil)))
    end)

    it("gets the arguments behind it when it is a string", function()
      local code = "local a, b = ... ; return function() return a, b end"
      local new = mtstates.newstate
      assert.same({1, "x"}, {new("name", code, 1, "x"):call()})
      assert.same({1, "x"}, {new("name", true, code, 1, "x"):call()})
      assert.same({1, "x"}, {new("name", nil, code, 1, "x"):call()})
      assert.same({1, "x"}, {new(nil, code, 1, "x"):call()})
      assert.same({1, "x"}, {new(nil, nil, code, 1, "x"):call()})
      assert.same({1, "x"}, {new(true, code, 1, "x"):call()})
      assert.same({"x"}, {new("name", code, "x"):call()})
      assert.same({}, {new("name", code, nil):call()})
    end)

    it("gives its further results to the caller of newstate", function()
      local results = helpers.pack(mtstates.newstate(function()
        return print, 1, nil, "three", false, nil
      end))
      assert.equals(6, results.n)
      assert.equals("mtstates.state", mtstates.type(results[1]))
      assert.equals(1, results[2])
      assert.is_nil(results[3])
      assert.equals("three", results[4])
      assert.is_false(results[5])
      assert.is_nil(results[6])
    end)

    it("gives nothing else when it returns only the callback", function()
      assert.equals(1, select("#", mtstates.newstate(helpers.echo)))
    end)

    it("may return a C function as the callback", function()
      local s = mtstates.newstate(function() return math.max end)
      assert.equals(9, s:call(3, 9, 4))
    end)

    it("may return itself as the callback", function()
      local s = mtstates.newstate(
        "local f = function(x) return x end; return f, 'more'")
      assert.equals(5, s:call(5))
    end)

    it("takes 250 arguments and gives 250 results", function()
      local args = {}
      for i = 1, 250 do
        args[i] = i
      end
      local results = helpers.pack(mtstates.newstate(function(...)
        return print, ...
      end, helpers.unpack(args)))
      assert.equals(251, results.n)
      assert.equals(1, results[2])
      assert.equals(250, results[251])
    end)

    it_strips("may be bytecode without debug information", function()
      local plain = assert(helpers.compile(
        "return function(x) local y = x; return y end"))
      local stripped = assert(helpers.compile(string.dump(plain, true)))
      assert.equals(8, mtstates.newstate(stripped):call(8))
    end)

    it_strips("may be bytecode without debug information that uses globals",
      function()
        local plain = assert(helpers.compile(
          "local t = type(print); return function() return t end"))
        local stripped = assert(helpers.compile(string.dump(plain, true)))
        assert.equals("function", mtstates.newstate(stripped):call())
      end)
  end)

  describe("name", function()
    it("is the string in front of a setup function", function()
      assert.equals("left", mtstates.newstate("left", helpers.echo):name())
    end)

    it("is the string in front of a setup string", function()
      local s = mtstates.newstate("left", "return function() end")
      assert.equals("left", s:name())
    end)

    it("is the string in front of a boolean and a setup", function()
      local s = mtstates.newstate("left", true, helpers.echo)
      assert.equals("left", s:name())
      s = mtstates.newstate("left", false, "return function() end")
      assert.equals("left", s:name())
    end)

    it("is none when it is nil or missing", function()
      assert.is_nil(mtstates.newstate(helpers.echo):name())
      assert.is_nil(mtstates.newstate(nil, helpers.echo):name())
      assert.is_nil(mtstates.newstate(true, helpers.echo):name())
      assert.is_nil(mtstates.newstate(nil, true, helpers.echo):name())
    end)

    it("is none when a string is the only argument", function()
      local s = mtstates.newstate("return function() end")
      assert.is_nil(s:name())
    end)

    it("is the string in front of nil and a setup", function()
      local s = mtstates.newstate("left", nil, helpers.echo)
      assert.equals("left", s:name())
      s = mtstates.newstate("left", nil, "return function() end")
      assert.equals("left", s:name())
    end)

    it("need not be unique", function()
      local a = mtstates.newstate("newstate twin", helpers.echo)
      local b = mtstates.newstate("newstate twin", helpers.echo)
      assert.equals(a:name(), b:name())
      assert.not_equals(a:id(), b:id())
      assert.equals(1, a:call(1))
      assert.equals(2, b:call(2))
    end)
  end)

  describe("new states", function()
    it("have globals of their own", function()
      local a = mtstates.newstate(function()
        counter = 0 -- luacheck: ignore
        return function()
          counter = counter + 1 -- luacheck: ignore
          return counter -- luacheck: ignore
        end
      end)
      local b = mtstates.newstate(function()
        return function() return rawget(_G, "counter") end
      end)
      assert.equals(1, a:call())
      assert.equals(2, a:call())
      assert.is_nil(b:call())
      assert.is_nil(rawget(_G, "counter"))
    end)

    it("can be made inside states and inside coroutines", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(code, x)
          return coroutine.wrap(function()
            return mt.newstate(code):call(x)
          end)()
        end
      end)
      assert.equals(6, s:call("return function(x) return 2 * x end", 3))
    end)

    it("start with the package.path and package.cpath of their creator",
      function()
        local path, cpath = package.path, package.cpath
        package.path = "./?/spec-newstate.lua;" .. path
        package.cpath = "./?/spec-newstate.so;" .. cpath
        local ok, s = pcall(mtstates.newstate, function()
          return function() return package.path, package.cpath end
        end)
        local expected = {package.path, package.cpath}
        package.path, package.cpath = path, cpath
        assert(ok, s)
        assert.same(expected, {s:call()})
      end)

    it("hand the paths on to the states that they create", function()
      local s = mtstates.newstate(function()
        package.path = package.path .. ";./nested/?.lua"
        return function()
          local mt = require "mtstates"
          local inner = mt.newstate(
            "return function() return package.path end")
          return package.path, inner:call()
        end
      end)
      local outer_path, inner_path = s:call()
      assert.truthy(outer_path:find(";./nested/?.lua", 1, true))
      assert.equals(outer_path, inner_path)
    end)

    it("get the paths with libs=false too", function()
      local s = mtstates.newstate(false, function()
        return function() return package.path, package.cpath end
      end)
      assert.same({package.path, package.cpath}, {s:call()})
    end)

    it("survive a creator whose paths are no strings", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(code)
          package.path, package.cpath = nil, {}
          local ok, inner = pcall(mt.newstate, code)
          if ok then
            return inner:call()
          end
          return type(inner)
        end
      end)
      local seen = s:call("return function() return type(package.path) end")
      assert.equals("string", seen)
      assert.equals("table", mtstates.newstate(function()
        return function() return type(package) end
      end):call())
    end)

    it("have the module without a file", function()
      local output = helpers.run_program([[
        local path = package.cpath:match("[^;]+"):gsub("%?", "mtstates")
        local open = package.loadlib(path, "luaopen_mtstates")
        package.preload.mtstates = assert(open)
        package.path, package.cpath = "", ""
        local mtstates = require "mtstates"
        local code = [=[
          local next_code = ...
          local mt = require "mtstates"
          assert(package.path .. package.cpath == "")
          local function look()
            return type(package.preload.mtstates), mt.id() ~= nil
          end
          if next_code then
            local inner = mt.newstate(nil, false, next_code)
            return function() return inner:call() end
          end
          return look
        ]=]
        for _, libs in ipairs {true, false} do
          print(mtstates.newstate(nil, libs, code):call())
          print(mtstates.newstate(nil, libs, code, code):call())
        end
      ]])
      assert.equals(("function\ttrue\n"):rep(4), output)
    end)

    it("run mtstates themselves", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function() return type(mt.newstate), mt._VERSION end
      end)
      assert.same({"function", mtstates._VERSION}, {s:call()})
    end)
  end)

  describe("refuses", function()
    it("no arguments", function()
      helpers.bad_argument(1, "newstate", "expected", function()
        mtstates.newstate()
      end)
    end)

    it("C functions, naming what it expects", function()
      helpers.bad_argument(1, "newstate", "lua function expected", function()
        mtstates.newstate(print)
      end)
      helpers.bad_argument(2, "newstate", "lua function expected", function()
        mtstates.newstate("name", print)
      end)
      helpers.bad_argument(2, "newstate", "lua function expected", function()
        mtstates.newstate(nil, print)
      end)
      helpers.bad_argument(3, "newstate", "lua function expected", function()
        mtstates.newstate("name", false, print)
      end)
    end)

    it("functions with an upvalue, naming it", function()
      local tell_tale = 5
      helpers.bad_argument(1, "newstate", "tell_tale", function()
        mtstates.newstate(function()
          return function() return tell_tale end
        end)
      end)
      helpers.bad_argument(2, "newstate", "tell_tale", function()
        mtstates.newstate("name", function()
          tell_tale = 6
          return print
        end)
      end)
      helpers.bad_argument(3, "newstate", "tell_tale", function()
        mtstates.newstate("name", true, function()
          print(tell_tale)
          return print
        end)
      end)
    end)

    it("functions with an upvalue behind _ENV", function()
      local hidden = {}
      helpers.bad_argument(1, "newstate", "hidden", function()
        mtstates.newstate(function()
          print()
          return hidden
        end)
      end)
    end)

    it("functions with an upvalue that is nil", function()
      local nothing
      helpers.bad_argument(1, "newstate", "nothing", function()
        mtstates.newstate(function()
          nothing = nothing
          return print
        end)
      end)
    end)

    it("functions with an upvalue _ENV where that is a plain name", function()
      local setup = assert(helpers.compile(
        "local _ENV = {} return function() return function() end, _ENV end"))()
      if has_env then
        helpers.raises_error("state_result", mtstates.newstate, setup)
      else
        helpers.bad_argument(1, "newstate", "_ENV", function()
          mtstates.newstate(setup)
        end)
      end
    end)

    it_strips("functions with upvalues from stripped bytecode", function()
      for _, code in ipairs({
        "local x = 1 return function() return x end",
        "local x return function() x = x return print end",
        "local x = 1 return function() print() return x end",
        "local x = {} return function() x = print return x end"
      }) do
        local maker = assert(helpers.compile(code))
        local stripped = assert(helpers.compile(string.dump(maker, true)))
        helpers.bad_argument(1, "newstate", "upvalue", function()
          mtstates.newstate(stripped())
        end)
      end
    end)

    it_strips("stripped functions with an upvalue that is not the globals",
      function()
        local secret = 1
        local function original()
          secret = secret + 1
          return secret
        end
        local stripped = assert(helpers.compile(string.dump(original, true)))
        debug.setupvalue(stripped, 1, 42)
        helpers.bad_argument(1, "newstate", "upvalue", function()
          mtstates.newstate(stripped)
        end)
      end)

    it("syntax errors in a string, at the string's position", function()
      local code = "return function( end"
      local err = helpers.bad_argument(1, "newstate", "near", function()
        mtstates.newstate(code)
      end)
      assert.truthy(err:find("end", 1, true))
      helpers.bad_argument(2, "newstate", "near", function()
        mtstates.newstate("name", code)
      end)
      helpers.bad_argument(2, "newstate", "near", function()
        mtstates.newstate(nil, code)
      end)
      helpers.bad_argument(2, "newstate", "near", function()
        mtstates.newstate(false, code)
      end)
      helpers.bad_argument(3, "newstate", "near", function()
        mtstates.newstate("name", true, code)
      end)
    end)

    it("damaged bytecode in a string", function()
      local code = string.dump(helpers.echo):sub(1, 20)
      helpers.bad_argument(1, "newstate", "", function()
        mtstates.newstate(code)
      end)
    end)

    it("arguments that cannot cross, at their position", function()
      local new, setup = mtstates.newstate, helpers.echo
      helpers.bad_argument(2, "newstate", "table", function()
        mtstates.newstate(setup, {})
      end)
      helpers.bad_argument(5, "newstate", "function", function()
        mtstates.newstate("name", true, setup, 1, print)
      end)
      helpers.bad_argument(4, "newstate", "thread", function()
        mtstates.newstate(nil, setup, nil, coroutine.create(function() end))
      end)
      helpers.bad_argument(3, "newstate", "userdata", function()
        mtstates.newstate(setup, 1, handoff.userdata())
      end)
      assert.equals(3, new(setup):call(3))
    end)
  end)

  describe("fails with state_result", function()
    local function fails(setup, ...)
      return helpers.raises_error("state_result", mtstates.newstate, setup,
        ...)
    end

    it("when setup returns nothing", function()
      fails(function() end)
      fails("")
      fails("return")
    end)

    it("when the first result is no function", function()
      fails(function() return nil end)
      fails(function() return 5, function() end end)
      fails(function() return {} end)
      fails("return 'text'")
      fails(function()
        return setmetatable({}, {__call = function() end})
      end)
    end)

    it("when a further result cannot cross, naming position and type",
      function()
        local err = fails(function() return print, {} end)
        assert.truthy(err:find("#2", 1, true))
        assert.truthy(err:find("table", 1, true))
        err = fails(function() return print, 1, nil, print end)
        assert.truthy(err:find("#4", 1, true))
        assert.truthy(err:find("function", 1, true))
        err = fails("return print, coroutine.create(function() end)")
        assert.truthy(err:find("#2", 1, true))
        assert.truthy(err:find("thread", 1, true))
      end)
  end)

  describe("fails with invoking_state", function()
    it("when setup raises a string", function()
      local err = helpers.raises_error("invoking_state", mtstates.newstate,
        function() error("setup is out of order") end)
      assert.truthy(err:find("setup is out of order", 1, true))
      assert.truthy(err:find("stack traceback:", 1, true))
    end)

    it("when setup raises something else", function()
      local err = helpers.raises_error("invoking_state", mtstates.newstate,
        function() error({}) end)
      assert.truthy(err:find("(error object is a table value)", 1, true))
      err = helpers.raises_error("invoking_state", mtstates.newstate,
        function()
          error(setmetatable({}, {__tostring = function()
            return "setup told so"
          end}))
        end)
      assert.truthy(err:find("setup told so", 1, true))
    end)
  end)

  describe("when it fails", function()
    local failing = {
      "return function( end",
      "",
      "return print, {}",
      "error('no')",
      "error()",
      "return 5"
    }

    it("leaves no state behind", function()
      for i, code in ipairs(failing) do
        local name = "newstate failing " .. i
        assert.is_false(pcall(mtstates.newstate, name, code))
        helpers.raises_error("unknown_object", mtstates.state, name)
      end
    end)

    it("closes the failed state: its finalizers run", function()
      local gate = handoff.unique()
      local code = [[
        local on_collect = require "on_collect"
        local gate, what = ...
        guard = on_collect(function() require "handoff".add(gate) end)
        if what == "raise" then
          error("no")
        end
        return what
      ]]
      helpers.raises_error("invoking_state", mtstates.newstate, nil, code,
        gate, "raise")
      assert.equals(1, handoff.get(gate))
      helpers.raises_error("state_result", mtstates.newstate, nil, code, gate,
        5)
      assert.equals(2, handoff.get(gate))
    end)

    it("leaves every other state usable and leaks no memory", function()
      local s = mtstates.newstate(helpers.echo)
      local function fail_all()
        for _, code in ipairs(failing) do
          assert.is_false(pcall(mtstates.newstate, "newstate leak", code))
          assert.is_false(pcall(mtstates.newstate, code, {}))
        end
        helpers.collect()
      end
      for _ = 1, 5 do
        fail_all()
      end
      local before = handoff.heap_bytes()
      for _ = 1, 30 do
        fail_all()
      end
      local grown = handoff.heap_bytes() - before
      assert.is_true(grown < 500000, "grown by " .. grown)
      assert.equals("ok", s:call("ok"))
    end)
  end)
end)
