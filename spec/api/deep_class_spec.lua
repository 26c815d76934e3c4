-- Classes: metatables that both sides know by name.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

-- Runs code there, which is given the rest; `class` and `kept` are there.
local run_code = [[
  class, kept = require "mtstates".class, {}
  return function(code, ...)
    return assert((loadstring or load)(code))(...)
  end
]]

local unnamed = "table with a metatable that has no class name cannot be " ..
  "transferred to another state)"

describe("instances of classes", function()
  before_each(helpers.watch("deep classes"))
  after_each(helpers.unwatch)

  local s

  local function there(code, ...)
    return s:call(code, ...)
  end

  before_each(function()
    s = mtstates.newstate({}, run_code)
  end)

  local function unknown(text, ...)
    local err = helpers.raises_error("unknown_class", there, ...)
    assert.truthy(err:find(text, 1, true), err)
    assert.equals("usable", there("return ...", "usable"))
  end

  it("get the metatable of the other side", function()
    local Point = mtstates.class("deep.Point")
    Point.__index = {side = "here"}
    there("class('deep.Point').__index = {side = 'there'}")
    local p = setmetatable({x = 1}, Point)
    p.itself = p
    local side, is_class, is_cycle, q, list = there([[
      local p, t = ...
      return p.side, getmetatable(p) == class("deep.Point"),
        p.itself == p and t[1] == p and t[p] == p, p, {p}
    ]], p, {p, [p] = p})
    assert.same({"there", true, true}, {side, is_class, is_cycle})
    assert.equals(Point, getmetatable(q))
    assert.same({"here", 1}, {q.side, q.x})
    assert.is_true(q ~= p and q.itself == q and list[1] == q)
  end)

  it("are errors where the class is unknown", function()
    local mt = mtstates.class("deep.Unknown")
    local x = setmetatable({}, mt)
    unknown("argument #2: class 'deep.Unknown' is not known there", "", x)
    local text = "class 'deep.Unknown' is not known there"
    unknown("argument #2, field 'a.b': " .. text, "", {a = {b = x}})
    unknown("argument #3, a key: " .. text, "", 1, {[x] = 1})
    local err = helpers.raises_error("unknown_class", there, [[
      return 1, {a = {setmetatable({}, class("deep.OnlyThere"))}}
    ]])
    assert.truthy(err:find("result #2.a[1]: class 'deep.OnlyThere' is not " ..
      "known here", 1, true), err)
    there("class('deep.Unknown')")
    assert.is_true(there("local t = ... return getmetatable(t) == " ..
      "class('deep.Unknown')", x))
  end)

  it("are errors as arguments of setup", function()
    local x = setmetatable({}, mtstates.class("deep.Unknown"))
    local text = ": class 'deep.Unknown' is not known there"
    local err = helpers.raises_error("unknown_class", mtstates.newstate, {},
      "return print", {x})
    assert.truthy(err:find("argument #3, field '[1]'" .. text, 1, true), err)
    err = helpers.raises_error("unknown_class", mtstates.newstate, "deep", {},
      function() return x end)
    assert.truthy(err:find("argument #3, upvalue 'x'" .. text, 1, true), err)
  end)

  it("may come from a setup that makes the class", function()
    local Point = mtstates.class("deep.Point")
    local _, p = mtstates.newstate({}, [[
      local class = require "mtstates".class("deep.Point")
      return print, setmetatable({x = 1}, class)
    ]])
    assert.equals(Point, getmetatable(p))
    assert.equals(1, rawget(p, "x"))
  end)

  it("need a name: other metatables are refused, with the way", function()
    local function bad(way, value)
      helpers.bad_argument(2, "call", way .. unnamed, function()
        s:call("", value)
      end)
    end
    local proxy = setmetatable({}, {__index = {1, 2}, __newindex = error})
    local weak = setmetatable({}, {__mode = "k"})
    local forged = setmetatable({}, {__name = "deep.Point"})
    for _, t in ipairs({proxy, weak, forged, setmetatable({}, {})}) do
      bad("", t)
      bad("field 'a.b[1]': ", {a = {b = {t}}})
      bad("a key: ", {[t] = 1})
    end
    local hidden = setmetatable({}, {__metatable = false, __index = {}})
    bad("field 'x': ", {x = hidden})
    local err = helpers.raises_error("state_result", there,
      "return {x = {setmetatable({}, {})}}")
    assert.truthy(err:find("result #1.x[1] is a table with a metatable " ..
      "that has no class name, which cannot be transferred", 1, true), err)
  end)

  it("are told by the registry, not by __name", function()
    local registry = debug.getregistry()
    local mt = mtstates.class("deep.Renamed")
    mt.__name = "deep.Else"
    helpers.bad_argument(2, "call", unnamed, function()
      s:call("", setmetatable({}, mt))
    end)
    mt.__name = "deep.Renamed"
    registry["deep.Renamed"] = nil
    helpers.bad_argument(2, "call", unnamed, function()
      s:call("", setmetatable({}, mt))
    end)
    assert.equals(1, there("return 1"))
  end)

  it("other userdata are refused by the name of their class", function()
    helpers.bad_argument(2, "call", "userdata cannot be transferred",
      function()
        s:call("", handoff.userdata())
      end)
    mtstates.class("FILE*") -- before 5.3 it has no name
    helpers.bad_argument(2, "call", "field 'f': FILE* cannot be transferred",
      function()
        s:call("", {f = io.stdout})
      end)
  end)

  it("are read and written raw", function()
    local code = [[
      local mt = require "mtstates"
      local function never() error("a metamethod was called") end
      local class = mt.class("deep.UsedRaw")
      class.__newindex, class.__index, class.__len = never, never, never
      setmetatable(class, {__index = never})
      return function(t)
        return getmetatable(t) == class, rawget(t, 1), rawget(t, "x"), t
      end
    ]]
    local raw = mtstates.newstate({}, code)
    local class = mtstates.class("deep.UsedRaw")
    local function never() error("a metamethod was called") end
    class.__newindex, class.__index, class.__len = never, never, never
    setmetatable(class, {__index = never})
    local t = setmetatable({1, x = 2}, class)
    local is_class, first, x, copy = raw:call(t)
    assert.same({true, 1, 2}, {is_class, first, x})
    assert.is_true(getmetatable(copy) == class)
    assert.same({1, 2}, {rawget(copy, 1), rawget(copy, "x")})
    class.__transfer = function() return 1 end
    local err = helpers.raises_error("unknown_class", raw.call, raw, t)
    assert.truthy(err:find("class 'deep.UsedRaw' has no __receive", 1, true),
      err)
  end)
end)
