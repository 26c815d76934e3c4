-- The ways on which deep values cross: calls, setups, nested calls; and which
-- states take them.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("deep values", function()
  before_each(helpers.watch("deep ways"))
  after_each(helpers.unwatch)

  it("are refused by classic states, as ever", function()
    local text = "(table cannot be transferred to another state; " ..
      "pass its values)"
    for _, libs in ipairs({"default", true, false}) do
      local s
      if libs == "default" then
        s = mtstates.newstate("return function(t) return t or {} end")
      else
        s = mtstates.newstate(libs, "return function(t) return t or {} end")
      end
      helpers.bad_argument(1, "call", text, function() s:call({}) end)
      helpers.bad_argument(2, "tcall", text, function() s:tcall(0, {}) end)
      local err = helpers.raises_error("state_result", s.call, s)
      assert.truthy(err:find(
        "result #1 is a table, which cannot be transferred", 1, true), err)
    end
    helpers.bad_argument(4, "newstate", text, function()
      mtstates.newstate(nil, "return print", 1, {})
    end)
  end)

  it("cross to any state that is made with options", function()
    local code = "return function(t) return {t} end"
    local name = "deep ways"
    for _, s in ipairs({
      mtstates.newstate({}, code),
      mtstates.newstate({libs = true}, code),
      mtstates.newstate({libs = false}, code),
      mtstates.newstate(nil, {}, code),
      mtstates.newstate(name .. " new", {}, code),
      mtstates.singleton(name .. " one", {}, code),
      mtstates.singleton(name .. " one"),
      mtstates.state(name .. " one")
    }) do
      assert.same({{1}}, s:call({1}))
      assert.same({true, {{1}}}, {s:tcall(0, {1})})
    end
  end)

  it("cross from classic states to services and back", function()
    local service = mtstates.newstate({}, helpers.echo)
    local classic = mtstates.newstate([[
      local mt = require "mtstates"
      return function(id)
        local t = mt.state(id):call({1, {2}})
        return #t, t[1], t[2][1]
      end
    ]])
    assert.same({2, 1, 2}, {classic:call(service:id())})
  end)

  it("cross as arguments and results of setup", function()
    local shared = {"shared"}
    local s, a, b, c = mtstates.newstate({}, [[
      local t, u, v = ...
      return function() return t, u, v end, t, u, v
    ]], {shared}, shared, nil)
    assert.is_true(a[1] == b and c == nil)
    assert.same({"shared"}, b)
    local d, e = s:call()
    assert.is_true(d[1] == e and e ~= b)
    local copy = select(2, mtstates.newstate("deep ways", {libs = false},
      "return function() end, ...", {x = {}}))
    assert.same({x = {}}, copy)
    copy = select(2, mtstates.singleton("deep ways single", {},
      "return function() end, ...", {x = {}}))
    assert.same({x = {}}, copy)
  end)

  it("are one message in each direction, and new ones in each call", function()
    local s = mtstates.newstate({}, [[
      local kept
      return function(t)
        local is_same = kept == t
        kept = kept or t
        return is_same, kept, t
      end
    ]])
    local t = {}
    local is_same, kept, back = s:call(t)
    assert.is_false(is_same)
    assert.is_true(kept == back)
    is_same, kept, back = s:call(t)
    assert.is_false(is_same)
    assert.is_false(kept == back)
  end)

  it("cross when a state calls itself", function()
    local s = mtstates.newstate({}, [[
      local mt = require "mtstates"
      return function(t, depth)
        if depth > 0 then
          local back = mt.state(mt.id()):call({t, depth, t}, depth - 1)
          assert(back ~= t and back[1] == back[3] and back[1] ~= t)
          return back
        end
        return t
      end
    ]])
    local t = s:call({"x"}, 20)
    for depth = 1, 20 do
      assert.equals(depth, t[2])
      assert.is_true(t[1] == t[3])
      t = t[1]
    end
    assert.same({"x"}, t)
  end)

  it("cross from A to B and back into A", function()
    local code = [[
      local mt = require "mtstates"
      local other
      return function(what, t, ...)
        if what == "other" then
          other = t
          return
        elseif #t < 10 then
          t[#t + 1] = {mt.id(), t, ...}
          return other:call("go", t, {t}, {})
        end
        return t, t
      end
    ]]
    local a = mtstates.newstate({}, code)
    local b = mtstates.newstate({}, code)
    a:call("other", b)
    b:call("other", a)
    local t, same = a:call("go", {})
    assert.is_true(t == same)
    assert.equals(10, #t)
    for i, entry in ipairs(t) do
      assert.equals((i % 2 == 1 and a or b):id(), entry[1])
      assert.is_true(entry[2] == t)
      assert.is_true(i == 1 or entry[3][1] == t)
    end
  end)

  it("are state objects that their message owns until it was read",
    function()
      local other = mtstates.newstate({}, helpers.echo)
      local function takes()
        return function() end
      end
      collectgarbage("stop")
      local made = {mtstates.newstate({}, takes, other),
                    mtstates.pool(2, takes, {other}),
                    (mtstates.singleton("deep owner", {}, takes, other))}
      assert.equals(1, other:stats().owners)
      for _, s in ipairs(made) do
        s:call(other)
        s:await({other})
        assert.is_true(s:tcall(60, other))
      end
      assert.equals(1, other:stats().owners)
      for _, make in ipairs({mtstates.newstate, mtstates.pool}) do
        assert.is_false(pcall(make, {}, "return 7", other))
      end
      assert.equals(1, other:stats().owners)
      collectgarbage("restart")
    end)

  it("are objects that need no module there, and make it no global",
    function()
      local s = mtstates.newstate({libs = false}, [[
        return function(x)
          return type(x), rawget(_G, "mtstates")
        end
      ]])
      assert.same({"userdata", nil}, {s:call(s)})
      local future, promise = mtstates.promise()
      promise:set()
      assert.same({"userdata", nil}, {s:await(future)})
    end)

  it("are state objects as references, never as owners", function()
    local s = mtstates.newstate({}, [[
      return function(t, alone)
        return t[1]:isowner(), alone:isowner(), t[1]:id(), t, alone
      end
    ]])
    local other = mtstates.newstate("deep other", {}, helpers.echo)
    local first, second, id, t, alone = s:call({other, k = {other}}, other)
    assert.same({false, false, other:id()}, {first, second, id})
    for _, x in ipairs({t[1], t.k[1], alone}) do
      assert.equals("mtstates.state", mtstates.type(x))
      assert.is_false(x:isowner())
      assert.equals("deep other", x:name())
      assert.is_true(x == other)
    end
    assert.is_true(t[1] ~= s)
    assert.is_true(other:isowner())
    assert.same({1}, t[1]:call({1}))
  end)

  it("are state objects of closed states, too", function()
    local echo = mtstates.newstate({}, helpers.echo)
    local closed = mtstates.newstate("deep closed", helpers.echo)
    local id = closed:id()
    closed:close()
    local t = echo:call({closed})
    assert.same({id, "deep closed", false},
      {t[1]:id(), t[1]:name(), t[1]:isowner()})
    helpers.raises_error("object_closed", function() t[1]:call() end)
    local itself = mtstates.newstate({}, [[
      local mt = require "mtstates"
      return function() return {mt.state(mt.id())} end
    ]])
    local own = itself:call()[1]
    assert.is_true(own == itself)
    itself:close()
    helpers.raises_error("object_closed", function() own:call() end)
  end)

  it("are read raw", function()
    local mt = mtstates.class("deep.Raw")
    local function never() error("a metamethod was called") end
    for _, name in ipairs({
      "__index", "__newindex", "__pairs", "__ipairs", "__len", "__eq",
      "__tostring", "__call", "__concat", "__lt", "__le", "__metatable"
    }) do
      mt[name] = never
    end
    local s = mtstates.newstate({}, [[
      local class = require "mtstates".class("deep.Raw")
      class.__newindex, class.__index, class.__len = error, error, error
      return function(t) return rawget(t, "x"), rawget(t, 3), t end
    ]])
    local t = setmetatable({1, 2, 3, x = "x"}, mt)
    local x, third, copy = s:call(t)
    assert.same({"x", 3}, {x, third})
    assert.equals(mt, debug.getmetatable(copy))
    debug.setmetatable(copy, nil)
    assert.same({1, 2, 3, x = "x"}, copy)
  end)

  it("may be a table of functions that the first argument chooses", function()
    local s = mtstates.newstate({}, [[
      local n = 0
      local t = {add = function(x) n = n + x.by return n, {n} end}
      t.more = setmetatable({}, {__call = function(_, x)
        return "called", x
      end})
      return setmetatable(t, {__index = {old = function() return "old" end}})
    ]])
    local n, t = s:call("add", {by = 2})
    assert.same({2, {2}}, {n, t})
    assert.same({true, 5, {5}}, {s:tcall(0, "add", {by = 3})})
    assert.same({"called", {}}, {s:call("more", {})})
    assert.equals("old", (s:call("old")))
  end)
end)
