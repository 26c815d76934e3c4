-- Functions and the table of globals that cross to services; their setup
-- functions, which may have upvalues.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"

local compile = helpers.compile
local it = helpers.it_with_globals
local has_setfenv = rawget(_G, "setfenv")
local upvaluejoin = rawget(debug, "upvaluejoin")

local function it_needs(has_feature, feature)
  local pending = helpers.it_needs(has_feature, feature)
  return has_feature and it or pending
end

describe("functions that cross", function()
  before_each(helpers.watch("deep functions"))
  after_each(helpers.unwatch)

  local echo, call, look

  setup(function()
    echo = mtstates.newstate({}, helpers.echo)
    -- Calls what it is given, there.
    call = mtstates.newstate({}, "return function(f, ...) return f(...) end")
    -- Runs code there, which is given the rest.
    look = mtstates.newstate({}, [[
      return function(code, ...)
        return assert((loadstring or load)(code))(...)
      end
    ]])
  end)

  it("run there", function()
    assert.same({3, "x"}, {call:call(function(a, b) return a + b, "x" end, 1,
      2)})
    assert.equals("vararg", call:call(compile("return ..."), "vararg"))
    local t = look:call("return {f = ...}", function() return "here" end)
    assert.equals("here", t.f())
    assert.same({6}, {look:call("local t = ... return t:f(5)",
      {x = 1, f = function(self, y) return self.x + y end})})
  end)

  it("keep their debug information", function()
    local upvalue = 1
    local function named(parameter)
      local result = parameter
      return result + upvalue
    end
    local here = debug.getinfo(named, "S")
    local source, line, name, ok, err = look:call([[
      local f = ...
      local info = debug.getinfo(f, "S")
      return info.source, info.linedefined, debug.getupvalue(f, 1),
        pcall(f, {})
    ]], named)
    assert.same({here.source, here.linedefined}, {source, line})
    assert.equals("upvalue", name)
    assert.is_false(ok)
    assert.truthy(err:find(("deep_functions_spec.lua:%d: "):format(line + 2),
      1, true), err)
    assert.truthy(err:find("result", 1, true), err)
  end)

  it("have copies of their upvalues", function()
    local n, t = 5, {1}
    local function count()
      n, t[1] = n + 1, t[1] + 1
      return n, t[1]
    end
    assert.same({6, 2}, {call:call(count)})
    assert.same({6, 2}, {call:call(count)})
    assert.same({5, 1}, {n, t[1]})
    local copy = echo:call(count)
    assert.same({6, 2}, {copy()})
    assert.same({7, 3}, {copy()})
    assert.equals(5, n)
  end)

  it("keep upvalues of every kind", function()
    local a, b, c, d, e, f = nil, false, 0.5, "s\0", {{}}, print
    local function get() return a, b, c, d, e, f end
    local results = helpers.pack(echo:call(get)())
    assert.equals(6, results.n)
    assert.is_nil(results[1])
    assert.same({false, 0.5, "s\0", {{}}, print},
      {helpers.unpack(results, 2, 6)})
  end)

  it("may have 60 upvalues", function()
    local names, values = {}, {}
    for i = 1, 60 do
      names[i], values[i] = "v" .. i, i
    end
    local list = table.concat(names, ", ")
    local f = compile(("local %s = ... return function() return %s end")
      :format(list, list))(helpers.unpack(values))
    assert.same(values, {echo:call(f)()})
    assert.same(values, {call:call(f)})
  end)

  it("are one function where they are met again", function()
    local f = function() end
    local a, b, t = echo:call(f, f, {f, [f] = f})
    assert.is_true(a == b and t[1] == a and t[a] == a)
    assert.is_false(a == f)
  end)

  it("may refer to themselves and to each other", function()
    local function factorial(n)
      return n < 2 and 1 or n * factorial(n - 1)
    end
    local is_even
    local function is_odd(n) return n > 0 and is_even(n - 1) end
    function is_even(n) return n == 0 or is_odd(n - 1) end
    assert.equals(3628800, call:call(factorial, 10))
    assert.is_true(call:call(is_even, 10))
    assert.is_false(call:call(is_odd, 10))
    local copy = echo:call(factorial)
    local _, itself = debug.getupvalue(copy, 1)
    assert.equals(copy, itself)
    local t = {}
    t.f = function() return t end
    local u = echo:call(t)
    assert.is_true(u.f() == u)
  end)

  it_needs(upvaluejoin, "shared upvalues")("share their variables there",
    function()
      local n = 0
      local function add() n = n + 1 end
      local function get() return n end
      local add_there, t = echo:call(add, {get = get})
      add_there()
      add_there()
      assert.same({2, 0}, {t.get(), get()})
      local first, second = look:call([[
        local add, get = ...
        add()
        local first = get()
        add()
        return first, get()
      ]], add, get)
      assert.same({1, 2}, {first, second})
      local other = echo:call(get) -- another message
      add_there()
      assert.equals(0, other())
    end)

  it_needs(upvaluejoin, "shared upvalues")("share no more than here",
    function()
      local function make()
        local n = 0
        return function() n = n + 1 return n end
      end
      local f, g = echo:call(make(), make())
      assert.same({1, 2, 1}, {f(), f(), g()})
    end)

  it_needs(pcall(string.dump, print, true) == false
           and #string.dump(function() end, true)
             < #string.dump(function() end), "stripped bytecode")(
    "may be stripped", function()
      local n = 5
      local f = compile(string.dump(function(x) return x + 1 end, true))
      local function g() return f(n) end
      assert.equals(6, call:call(g))
      assert.equals(2, call:call(f, 1))
      local stripped = compile(string.dump(g, true))
      rawget(debug, "upvaluejoin")(stripped, 1, g, 1)
      rawget(debug, "upvaluejoin")(stripped, 2, g, 2)
      assert.equals(6, call:call(stripped))
    end)

  it("of another environment have a copy of that", function()
    local own = {mark = "own"}
    local f
    if has_setfenv then
      f = has_setfenv(function() return mark end, own) -- luacheck: ignore
    else
      f = load("return mark", "own", "t", own)
    end
    assert.equals("own", call:call(f))
    local copy, env = echo:call(f, own)
    env.mark = "changed"
    assert.same({"changed", "own"}, {copy(), f()})
  end)

  it_needs(upvaluejoin, "shared upvalues")(
    "share variables beside own types, as long as these leave them",
    function()
      local class = mtstates.class("deep.Beside")
      look:call("require 'mtstates'.class('deep.Beside').__receive = type")
      local function cross(joins)
        local n, other = 1, 10
        local function add() n = n + 1 return n end
        local function get() return n end
        function class.__transfer()
          if joins then
            upvaluejoin(add, 1, function() return other end, 1)
          end
          return 1
        end
        return look:call([[
          local add, own, get = ...
          return add(), get()
        ]], add, setmetatable({}, class), get)
      end
      assert.same({2, 2}, {cross(false)})
      assert.same({2, 1}, {cross(true)})
      class.__transfer = nil
    end)

  -- In Lua 5.4 such a function is as large as a variable that it has dropped.
  it_needs(upvaluejoin, "shared upvalues")(
    "are none of those whose variables they replace", function()
      local class = mtstates.class("deep.Replaced")
      look:call("require 'mtstates'.class('deep.Replaced').__receive = " ..
        "function(fs) return fs end")
      local function make(n) return function() return n end end
      for round = 1, 20 do
        local f, other = make(0), make(-round)
        function class.__transfer()
          upvaluejoin(f, 1, other, 1)
          collectgarbage()
          collectgarbage()
          local fs = {}
          for i = 1, 50 do
            fs[i] = make(i) -- a function and a variable
          end
          return fs
        end
        assert.equals(50, (look:call([[
          local f, fs = ...
          for i = 1, 50 do
            assert(fs[i] ~= f and fs[i]() == i, i)
          end
          return #fs
        ]], f, setmetatable({}, class))))
      end
      class.__transfer = nil
    end)

  -- Bytecode of Lua 5.1 ends with the names of the upvalues.
  local function without_names(f)
    local code, names = string.dump(f), "\1\0\0\0\2" .. ("\0"):rep(7) .. "n\0"
    return code:sub(-#names) == names
      and compile(code:sub(1, -#names - 1) .. ("\0"):rep(4)) or nil
  end

  local n = 1
  local nameless = without_names(function() return n end)
  it_needs(nameless and not debug.getupvalue(nameless, 1),
           "upvalues that need names")(
    "are refused if not all of their upvalues can be had", function()
      local text = "function whose upvalues have no names " ..
        "cannot be transferred to another state)"
      local head = "bad argument #1 to 'call' ("
      local _, alone = pcall(function() call:call(nameless) end)
      local _, inside = pcall(function() call:call({nameless}) end)
      assert.truthy(alone:find(head .. text, 1, true), alone)
      assert.truthy(inside:find(head .. "field '[1]': " .. text, 1, true),
        inside)
      assert.equals(1, call:call(function() return n end))
    end)

  it_needs(has_setfenv, "environments of functions")(
    "are refused if their environment is no table there", function()
      local class = mtstates.class("deep.Environs")
      look:call("require 'mtstates'.class('deep.Environs').__receive = " ..
        "function() return 5 end")
      class.__transfer = type
      local f = has_setfenv(function() end, setmetatable({}, class))
      local err = helpers.raises_error("invoking_state", function()
        look:call("", f)
      end)
      class.__transfer = nil
      assert.truthy(err:find("the environment of a function is a number here",
        1, true), err)
      assert.equals(1, look:call("return 1"))
    end)

  it("of an environment with a metatable need its class", function()
    local own = {mark = "own"}
    local f
    if has_setfenv then
      f = has_setfenv(function() return mark end, own) -- luacheck: ignore
    else
      f = load("return mark", "own", "t", own)
    end
    look:call("require 'mtstates'.class('deep.Environment')")
    setmetatable(own, mtstates.class("deep.Environment"))
    assert.equals("own", look:call("return (...)()", f))
    setmetatable(own, {})
    helpers.bad_argument(2, "call", "no class name", function()
      look:call("", f)
    end)
  end)

  it("have the globals of the other side", function()
    look:call("mark = 'there'")
    rawset(_G, "mark", "here")
    local function get() return rawget(_G, "mark") end
    local renamed = _G
    local t = {get = function() return renamed.mark end, [_G] = 1, g = _G}
    local a, b, c, d = look:call([[
      local get, t = ...
      return get(), t.get(), t.g == _G, t[_G]
    ]], get, t)
    rawset(_G, "mark", nil)
    assert.same({"there", "there", true, 1}, {a, b, c, d})
    look:call("mark = nil")
    assert.equals(_G, (echo:call(_G)))
    assert.equals(_G, echo:call({{_G}})[1][1])
    assert.is_true(look:call("return ... == _G", _G))
  end)

  it("set globals of the other side", function()
    local f = compile("set_there = ...")
    look:call("local f = ... f('set')", f)
    assert.is_nil(rawget(_G, "set_there"))
    assert.equals("set", look:call("return set_there"))
  end)
end)

describe("setup functions of services", function()
  before_each(helpers.watch("deep setups"))
  after_each(helpers.unwatch)

  it("may have upvalues", function()
    local n, t = 5, {"x"}
    local lib, mt = string, mtstates
    local function inner(x) return lib.rep(t[1], x) end
    local s, result = mtstates.newstate({}, function(...)
      n = n + 1
      return function(x)
        n = n + x
        return n, inner(3), lib == string, mt == require "mtstates", t
      end, n, ...
    end, "argument")
    assert.equals(6, result)
    assert.same({8, "xxx", true, true, {"x"}}, {s:call(2)})
    assert.same({5, {"x"}}, {n, t})
  end)

  it("share what they hold with their arguments", function()
    local t = {}
    local function f() return t end
    local s, is_same, is_one = mtstates.newstate({}, function(u, g)
      return f, u == t, g == f and g() == u
    end, t, f)
    assert.is_true(is_same)
    assert.is_true(is_one)
    assert.same({}, s:call())
  end)

  it("have the globals of the new state", function()
    rawset(_G, "mark", "here")
    local globals = _G
    local s, mark = mtstates.newstate({}, function()
      globals.mark = globals.mark or "there"
      return function() return rawget(_G, "mark"), globals == _G end,
        globals.mark
    end)
    rawset(_G, "mark", nil)
    assert.equals("there", mark)
    assert.same({"there", true}, {s:call()})
  end)

  it("are refused with upvalues that cannot cross", function()
    local thread = coroutine.create(function() end)
    local t = {inner = {thread}}
    local function bad(text, f)
      for _, name in ipairs({"newstate", "singleton"}) do
        local first = name == "newstate" and {} or "deep setup"
        helpers.bad_argument(name == "newstate" and 2 or 3, name, text ..
          ": thread cannot be transferred to another state)", function()
            if name == "newstate" then
              mtstates.newstate(first, f)
            else
              mtstates.singleton(first, {}, f)
            end
          end)
      end
      helpers.raises_error("unknown_object", mtstates.state, "deep setup")
    end
    bad("(upvalue 'thread'", function() return thread end)
    bad("(upvalue 't', field 'inner[1]'", function() return t end)
  end)

  it("of classic states still have none", function()
    local n = 1
    helpers.bad_argument(1, "newstate", "has upvalue", function()
      mtstates.newstate(function() return n end)
    end)
    helpers.bad_argument(2, "newstate", "has upvalue", function()
      mtstates.newstate(true, function() return n end)
    end)
  end)
end)
