-- Own types: __transfer makes values that cross, __receive makes the value of
-- the other side of them.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("own types", function()
  before_each(helpers.watch("deep own types"))
  after_each(helpers.unwatch)

  local s, class, names

  -- The other side: __receive makes an instance that holds all it is given.
  local code = [[
    local mt = require "mtstates"
    local pack = require "helpers".pack
    for _, name in ipairs({"deep.Own", "deep.Data"}) do
      local class = mt.class(name)
      class.__receive = function(...)
        return setmetatable({made = name, given = pack(...)}, class)
      end
    end
    return function(code, ...)
      return assert((loadstring or load)(code))(...)
    end
  ]]

  before_each(function()
    s = mtstates.newstate({}, code)
    class = mtstates.class("deep.Own")
    names = {}
  end)

  after_each(function()
    class.__transfer, class.__receive = nil, nil
  end)

  local function own(t)
    return setmetatable(t or {}, class)
  end

  -- The stacks of new states have little room yet.
  it("may be made of many values, in new states", function()
    local values = {}
    for i = 1, 5000 do
      values[i] = i
    end
    local count
    function class.__transfer()
      return helpers.unpack(values, 1, count)
    end
    for _, n in ipairs({0, 1, 5, 10, 20, 40, 60, 70, 80, 90, 100, 150, 200,
                        1000, 5000}) do
      local new = mtstates.newstate({}, code)
      count = n
      assert.same({n, n}, {new:call([[
        local given = (...).given
        for i = 1, given.n do
          assert(given[i] == i)
        end
        return given.n, #given
      ]], own())})
      new:close()
    end
  end)

  it("are made of what __transfer returns", function()
    function class.__transfer(x)
      names[#names + 1] = rawget(x, "name")
      return rawget(x, "name"), {x.name}, nil, 0.5, nil
    end
    local t = own({name = "x"})
    local made, count, name, list, third, fourth, is_class = s:call([[
      local x = ...
      local given = x.given
      return x.made, given.n, given[1], given[2][1], given[3], given[4],
        getmetatable(x).__name == "deep.Own"
    ]], t)
    assert.same({"deep.Own", 5, "x", "x"}, {made, count, name, list})
    assert.is_nil(third)
    assert.same({0.5, true}, {fourth, is_class})
    assert.same({"x"}, names)
  end)

  it("may be made of nothing", function()
    function class.__transfer() end
    assert.same({"deep.Own", 0}, {s:call([[
      local x = ...
      return x.made, x.given.n
    ]], own())})
  end)

  it("may be anything on the other side", function()
    function class.__transfer(x) return x.kind end
    s:call([[
      require "mtstates".class("deep.Own").__receive = function(kind)
        return ({number = 7, string = "text", list = {}, print = print})[kind]
      end
    ]])
    assert.same({7, "text", 7, 0, true}, {s:call([[
      local t = ...
      return t[1], t.x, t[2], #t[3], t[4] == print
    ]], {own {kind = "number"}, own {kind = "number"}, own {kind = "list"},
         own {kind = "print"}, x = own {kind = "string"}})})
  end)

  it("may be results, too", function()
    function class.__receive(x, t)
      return {x, t, "made here"}
    end
    local a, b = s:call([[
      local class = require "mtstates".class("deep.Own")
      function class.__transfer(x) return "sent", {x.n} end
      local x = setmetatable({n = 5}, class)
      return x, {x, [x] = x}
    ]])
    assert.same({"sent", {5}, "made here"}, a)
    assert.is_true(b[1] == a and b[a] == a)
  end)

  it("are one where they are met again", function()
    function class.__transfer(x)
      names[#names + 1] = x.name
      return x.name
    end
    local x, y = own({name = "x"}), own({name = "y"})
    assert.is_true(s:call([[
      local x, t, y = ...
      return t[1] == x and t.x == x and t[x] == x and t[2] == y and x ~= y
    ]], x, {x, y, x = x, [x] = x}, y))
    table.sort(names)
    assert.same({"x", "y"}, names)
  end)

  it("cross raw as results of __transfer", function()
    function class.__transfer(x)
      names[#names + 1] = "called"
      return x, {}
    end
    local is_raw, count = s:call([[
      local x = ...
      local raw = x.given[1]
      return rawequal(getmetatable(raw), getmetatable(x)) and x ~= raw
        and raw.made == nil and raw.name == "x", x.given.n
    ]], own({name = "x"}))
    assert.same({true, 2}, {is_raw, count})
    assert.same({"called"}, names)
  end)

  it("may be made of modules and globals, met before or not", function()
    function class.__transfer() return string, _G, table, {} end
    local is_same, is_copy = s:call([[
      local lib, t, x, copy = ...
      local given = x.given
      return lib == string and t.globals == _G and given[1] == lib and
        given[2] == _G and given[3] == table, given[4] ~= copy
    ]], string, {globals = _G, f = print}, own(), {})
    assert.same({true, true}, {is_same, is_copy})
  end)

  it("may hold others of their kind", function()
    function class.__transfer(x) return x.level, {x.next} end
    local x = own({level = 0})
    for level = 1, 100 do
      x = own({level = level, next = x})
    end
    assert.equals(100, s:call([[
      local x, level = ..., 100
      while x.given[2][1] do
        assert(x.given[1] == level and x.made == "deep.Own")
        x, level = x.given[2][1], level - 1
      end
      return 100 - level
    ]], x))
  end)

  it("that their own results lead back to are refused", function()
    function class.__transfer(x) return {x} end
    local text = "object that refers to itself by its __transfer results"
    local ok, err = pcall(function() s:call("", own()) end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find(text, 1, true), err)
    ok, err = pcall(function() s:call("", 1, {a = own()}) end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find(text, 1, true), err)
    assert.equals(1, s:call("return 1"))
  end)

  it("may be userdata", function()
    local data = handoff.userdata()
    debug.setmetatable(data, mtstates.class("deep.Data"))
    mtstates.class("deep.Data").__transfer = function(x)
      return x == data, "data"
    end
    local made, first, second, is_same = s:call([[
      local x, t = ...
      return x.made, x.given[1], x.given[2], t[x] == x
    ]], data, {[data] = data})
    assert.same({"deep.Data", true, "data", true},
      {made, first, second, is_same})
  end)

  it("may be made of a C library's", function()
    local files = mtstates.class("FILE*")
    files.__transfer = function(f) return io.type(f) end
    local ok, kind = pcall(s.call, s, [[
      local receive = require "mtstates".class("FILE*")
      receive.__receive = function(kind) return {kind = kind} end
    ]])
    assert.is_true(ok, kind)
    ok, kind = pcall(s.call, s, "return (...)[1].kind", {io.stdout})
    files.__transfer = nil
    assert.is_true(ok, kind)
    assert.equals("file", kind)
    helpers.bad_argument(2, "call", "FILE* cannot be transferred", function()
      s:call("", io.stdout)
    end)
  end)

  it("need a __receive on the other side", function()
    function class.__transfer() return 1 end
    s:call("require 'mtstates'.class('deep.Own').__receive = nil")
    local err = helpers.raises_error("unknown_class", function()
      s:call("", {a = {own()}})
    end)
    local text = ": class 'deep.Own' has no __receive "
    assert.truthy(err:find("argument #2, field 'a[1]'" .. text .. "there", 1,
      true), err)
    err = helpers.raises_error("unknown_class", function()
      s:call([[
        local class = require "mtstates".class("deep.Own")
        class.__transfer = function() return 1 end
        return 1, {setmetatable({}, class)}
      ]])
    end)
    assert.truthy(err:find("result #2[1]" .. text .. "here", 1, true), err)
  end)

  it("raise the errors of __transfer as they are", function()
    local value = {"by __transfer"}
    function class.__transfer() error(value, 0) end
    local ok, err = pcall(s.call, s, "", {own()})
    assert.is_false(ok)
    assert.equals(value, err)
    value = "text"
    assert.equals("text", select(2, pcall(s.call, s, "", {own()})))
    assert.equals(1, s:call("return 1"))
  end)

  it("show where __transfer has failed in the state", function()
    local err = helpers.raises_error("invoking_state", function()
      s:call([[
        local class = require "mtstates".class("deep.Own")
        class.__transfer = function() error("by __transfer") end
        return setmetatable({}, class)
      ]])
    end)
    local trace = mtstates.error(err):traceback()
    assert.truthy(trace and trace:find("stack traceback:", 1, true), err)
    assert.truthy(trace:find("__transfer", 1, true) or
                  trace:find("in function <", 1, true), trace)
  end)

  it("raise the errors of __receive as those inside the state", function()
    function class.__transfer() return 1 end
    s:call([[
      require "mtstates".class("deep.Own").__receive = function()
        error("by __receive")
      end
      called = 0
    ]])
    local err = helpers.raises_error("invoking_state", function()
      s:call("called = called + 1", {own()})
    end)
    assert.truthy(err:find("by __receive", 1, true), err)
    assert.equals(0, s:call("return called"))
  end)

  it("are refused with the way when __transfer returns what cannot cross",
    function()
      function class.__transfer()
        return {x = {coroutine.create(function() end)}}
      end
      helpers.bad_argument(2, "call", "field 'obj', __transfer result #1, " ..
        "field 'x[1]': thread cannot be transferred to another state)",
        function()
          s:call("", {obj = own()})
        end)
      function class.__transfer()
        return 1, print, coroutine.create(function() end)
      end
      helpers.bad_argument(2, "call", "__transfer result #3: thread cannot " ..
        "be transferred to another state)", function() s:call("", own()) end)
    end)

  it("can finalize the object that is called", function()
    local future, promise = mtstates.promise()
    function class.__transfer()
      debug.getmetatable(s).__gc(s)
      return 1
    end
    helpers.raises_error("object_closed", s.call, s, "", future, own())
    helpers.raises_error("object_closed", s.call, s, "")
    promise:set(7)
    assert.equals(7, future:await())
  end)
end)
