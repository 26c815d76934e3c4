-- Modules cross as what the other side has under their name, and so do the C
-- functions in them.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"

local it = helpers.it_with_globals

describe("modules that cross", function()
  before_each(helpers.watch("deep modules"))
  after_each(helpers.unwatch)

  local function loads(code, path)
    local saved = package.path
    package.path = (path or "") .. saved
    local s = mtstates.newstate({}, code)
    package.path = saved
    return s
  end

  local run_code = [[
    return function(code, ...)
      return assert((loadstring or load)(code))(...)
    end
  ]]

  local run

  setup(function()
    run = mtstates.newstate({}, run_code)
  end)

  it("are the libraries of the other side", function()
    local s, t = string, table
    local function upper(x) return s.upper(x), s, t.concat({1, 2}) end
    assert.is_true(run:call([[
      local x, lib, y = (...)("x")
      return x == "X" and lib == string and y == "12"
    ]], upper))
    for _, name in ipairs({"string", "table", "math", "io", "os", "debug"}) do
      assert.is_true(run:call("local m, name = ... return m == _G[name]",
        package.loaded[name], name))
      assert.is_true(run:call("local m, name = ... return m[1] == _G[name]",
        {package.loaded[name]}, name))
    end
  end)

  it("are what require gives there", function()
    local name = os.tmpname()
    local dir, module = name:match("^(.*)/([^/]*)$")
    module = module:gsub("%W", "_")
    local path = dir .. "/" .. module .. ".lua"
    local file = assert(io.open(path, "w"))
    file:write("return {f = function() end, list = {}}")
    file:close()
    local s = loads(run_code, dir .. "/?.lua;")
    local m = assert(loadfile(path))()
    m.here = true
    package.loaded[module] = m
    local is_loaded_before = s:call("return package.loaded[...] ~= nil",
      module)
    local is_module, here = s:call([[
      local t, name = ...
      return t.m == require(name), t.m.here
    ]], {m = m}, module)
    m.f = nil -- now it is no module any more, but a table
    local is_table, mark = s:call([[
      local t, name = ...
      return t.m ~= require(name), t.m.here
    ]], {m = m}, module)
    package.loaded[module] = nil
    os.remove(path)
    os.remove(name)
    assert.is_false(is_loaded_before)
    assert.same({true}, {is_module, here})
    assert.same({true, true}, {is_table, mark})
  end)

  it("without functions are copied", function()
    local constants = {pi = 3}
    package.loaded["deep.constants"] = constants
    local ok, is_table = pcall(run.call, run, "return (...).pi == 3",
      constants)
    local beside, is_beside = pcall(run.call, run,
      "return (...)[1].pi == 3", {constants, function() end})
    package.loaded["deep.constants"] = nil
    assert.same({true, true}, {ok, is_table})
    assert.same({true, true}, {beside, is_beside})
  end)

  it("are an error if the other side has none", function()
    local m = {f = function() end}
    package.loaded["deep.nowhere"] = m
    local err = helpers.raises_error("unknown_class", function()
      run:call("return 1", {x = {m}})
    end)
    package.loaded["deep.nowhere"] = nil
    assert.truthy(err:find("argument #2, field 'x[1]': " ..
      "module 'deep.nowhere' is not known there", 1, true), err)
    assert.equals(1, run:call("return 1"))
  end)

  it("are an error each time that they cannot be loaded there", function()
    local s = mtstates.newstate({}, [[
      package.preload["deep.broken"] = function() error("is broken", 0) end
      return type
    ]])
    local m = {f = function() end}
    package.loaded["deep.broken"] = m
    local _, first = pcall(s.call, s, m)
    local ok, second = pcall(s.call, s, m)
    package.loaded["deep.broken"] = nil
    assert.equals("is broken", mtstates.error(first):text())
    -- Lua 5.1 and LuaJIT: "loop or previous error loading module ..."
    assert.is_false(ok, second)
    assert.truthy(second:find("is broken", 1, true) or
      second:find("'deep.broken'", 1, true), second)
  end)

  it("are an error if the other side has lost require", function()
    local s = mtstates.newstate({}, run_code)
    local m = {f = function() end}
    package.loaded["deep.lost"] = m
    s:call("require = nil")
    local err = helpers.raises_error("unknown_class", s.call, s, "", m)
    package.loaded["deep.lost"] = nil
    assert.truthy(err:find("module 'deep.lost' is not known there", 1, true),
      err)
    assert.equals(1, s:call("return 1"))
  end)

  -- Nobody should do that, but no process may crash of it.
  it("cross or are refused without the table of loaded modules", function()
    local target = mtstates.newstate({}, run_code)
    local source = mtstates.newstate({}, run_code)
    local function try(when)
      return source:call([[
        local target, when = ...
        local registry = debug.getregistry()
        local loaded = registry._LOADED
        local class = require "mtstates".class("deep.Unloaded")
        local m = {f = function() end}
        loaded["deep.unloaded"] = m
        if when == "before" then
          registry._LOADED = nil
        end
        function class.__transfer()
          registry._LOADED = nil
          return 1
        end
        local ok, err = pcall(target.call, target, "return type((...))",
          when == "meanwhile" and setmetatable({}, class) or 1, m, m.f, print)
        registry._LOADED = loaded
        return ok, err
      ]], target, when)
    end
    target:call("require 'mtstates'.class('deep.Unloaded').__receive = type")
    for _, when in ipairs({"before", "meanwhile"}) do
      local ok, err = try(when)
      assert.is_false(ok)
      assert.truthy(err:find("C function of no loaded module", 1, true), err)
    end
    assert.is_false((pcall(target.call, target, [[
      debug.getregistry()._LOADED = nil
    ]], 1)) and (pcall(target.call, target, "", string)))
    assert.equals(1, target:call("return 1"))
  end)

  it("may be of C, and this one", function()
    local luv = require "luv"
    assert.is_true(run:call([[
      local t = ...
      return t.luv == require "luv" and t.now == t.luv.hrtime
        and t.mtstates == require "mtstates" and t.new == t.mtstates.newstate
    ]], {luv = luv, now = luv.hrtime, mtstates = mtstates,
         new = mtstates.newstate}))
  end)
end)

describe("C functions that cross", function()
  before_each(helpers.watch("deep C functions"))
  after_each(helpers.unwatch)

  local run_code = [[
    return function(code, ...)
      return assert((loadstring or load)(code))(...)
    end
  ]]

  it("are those of the other side", function()
    local run = mtstates.newstate({}, run_code)
    assert.is_true(run:call([[
      local f, g, t = ...
      return f == print and g == string.format and t.insert == table.insert
        and t[print] == "print" and t.pcall == pcall
    ]], print, string.format, {insert = table.insert, [print] = "print",
                               pcall = pcall}))
    assert.equals(print, (run:call("return print")))
    assert.equals(string.format, run:call("return {string.format}")[1])
  end)

  it("are what the other side has under that name", function()
    local run = mtstates.newstate({}, run_code)
    run:call("function print() return 'own print' end")
    assert.equals("own print", run:call("local f = ... return f()", print))
  end)

  it("of libraries are theirs, whatever globals there are", function()
    local run = mtstates.newstate({}, run_code)
    rawset(_G, "a_format", string.format)
    local ok, err = pcall(run.call, run, "return (...)('%d', 1)",
      string.format)
    rawset(_G, "a_format", nil)
    assert.is_true(ok, err)
  end)

  it("of libraries and globals are theirs, whatever modules have them",
    function()
      local run = mtstates.newstate({}, run_code)
      package.loaded["A.module"] = {format = string.format, print = print}
      local ok, are_same = pcall(run.call, run, [[
        local f, g = ...
        return f == string.format and g == print
      ]], string.format, print)
      package.loaded["A.module"] = nil
      assert.same({true, true}, {ok, are_same})
    end)

  it("have the first of several names", function()
    local luv = require "luv"
    local run = mtstates.newstate({}, run_code)
    rawset(string, "zz_format", string.format)
    package.loaded["zz.module"] = {time = luv.hrtime}
    local ok, are_same = pcall(run.call, run, [[
      local f, g = ...
      return f == string.format and g == require "luv".hrtime
    ]], string.format, luv.hrtime)
    rawset(string, "zz_format", nil)
    package.loaded["zz.module"] = nil
    assert.same({true, true}, {ok, are_same})
  end)

  it("may have a later or an earlier name here, as unpack has", function()
    local run = mtstates.newstate({}, run_code)
    local earlier, later = rawget(_G, "unpack"), rawget(table, "unpack")
    local both = earlier or later
    rawset(_G, "unpack", both)
    rawset(table, "unpack", both)
    local ok, result = pcall(run.call, run, "return (...)({7})", both)
    rawset(_G, "unpack", earlier)
    rawset(table, "unpack", later)
    assert.same({true, 7}, {ok, result})
  end)

  it("have the name that is first in the alphabet, if none is better",
    function()
      local f = require "handoff".get
      for _, name in ipairs {"deep.b", "deep.a", "deep.c"} do
        package.loaded[name] = {f = f}
      end
      package.loaded.handoff = nil
      local ok, result = pcall(mtstates.newstate, {}, [[
        local f = ...
        return function() end, f == require "deep.a".f
      ]], f)
      package.loaded["deep.b"] = nil
      package.loaded["deep.a"], package.loaded["deep.c"] = nil, nil
      require "handoff"
      assert.is_false(ok)
      assert.truthy(result:find("module 'deep.a' is not known there", 1, true),
        result)
    end)

  it("are the same if they are met again", function()
    local s = mtstates.newstate({}, [[
      return function(a, b) return a == b, a end
    ]])
    assert.same({true, string.rep}, {s:call(string.rep, string.rep)})
  end)

  it("are in modules that are not loaded yet", function()
    local s = mtstates.newstate({libs = false}, [[
      local had_io = io ~= nil
      return function(f, g)
        return had_io, f == require "io".write, g == require "string".rep
      end
    ]])
    assert.same({false, true, true}, {s:call(io.write, string.rep)})
  end)

  it("are refused if they are in no module", function()
    local s = mtstates.newstate({}, helpers.echo)
    local text = "C function of no loaded module " ..
      "cannot be transferred to another state)"
    local iterator = string.gmatch("", "")
    helpers.bad_argument(2, "call", text, function() s:call(1, iterator) end)
    helpers.bad_argument(1, "call", "field 'x': " .. text, function()
      s:call({x = coroutine.wrap(function() end)})
    end)
    helpers.bad_argument(1, "call", "upvalue 'iterator': " .. text, function()
      s:call(function() return iterator end)
    end)
    helpers.bad_argument(1, "call", text, function() s:call(s.call) end)
    assert.equals(1, s:call(1))
  end)

  it("are an error if the other side has none of the name", function()
    local run = mtstates.newstate({}, run_code)
    run:call("string.format, setmetatable = nil, 1")
    local function unknown(way, name, ...)
      local err = helpers.raises_error("unknown_class", run.call, run, ...)
      local text = ("argument #%s: function '%s' is not known there")
        :format(way, name)
      assert.truthy(err:find(text, 1, true), err)
    end
    unknown("2", "string.format", "", string.format)
    unknown("2, field 'f[1]'", "string.format", "", {f = {string.format}})
    unknown("2", "setmetatable", "", setmetatable)
    assert.equals(1, run:call("return 1"))
  end)

  it("are what indexing a module gives there", function()
    local name = "deep.indexed"
    local luv = require "luv"
    package.loaded[name] = {time = luv.hrtime} -- earlier than luv
    local run = mtstates.newstate({}, run_code)
    local code = ("package.loaded['%s'] = "):format(name)
    run:call(code .. [[
      setmetatable({}, {__index = function(_, key)
        return function() return key end
      end})
    ]])
    local ok, key = pcall(run.call, run, "return (...)()", luv.hrtime)
    run:call(code .. "true")
    local is_known, err = pcall(run.call, run, "", luv.hrtime)
    package.loaded[name] = nil
    assert.same({true, "time"}, {ok, key})
    assert.is_false(is_known)
    assert.truthy(err:find(mtstates.error.unknown_class, 1, true), err)
    assert.truthy(err:find("'deep.indexed.time' is not known there", 1, true),
      err)
  end)

  it("are an error as results if this side has none of the name", function()
    local run = mtstates.newstate({}, run_code)
    run:call("require 'string'.only_there = string.gmatch('', '')")
    local err = helpers.raises_error("unknown_class", function()
      run:call("return 1, {f = string.only_there}")
    end)
    assert.truthy(err:find("result #2.f: function 'string.only_there' is " ..
      "not known here", 1, true), err)
  end)
end)
