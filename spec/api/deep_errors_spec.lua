-- What is said of deep values that cannot cross.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local it = helpers.it_with_globals

local cannot = " cannot be transferred to another state)"

describe("deep values that cannot cross", function()
  before_each(helpers.watch("deep errors"))
  after_each(helpers.unwatch)

  local s

  -- Arguments come back; of "result" what is made there of a thread.
  local code = [[
    require "mtstates".class("FILE*")
    return function(what, ...)
      if what == "result" then
        return (loadstring or load)(
          "local thread = coroutine.create(function() end) return " .. ...)()
      end
      return what, ...
    end
  ]]

  setup(function()
    mtstates.class("FILE*") -- before 5.3 it has no name
    s = mtstates.newstate({}, code)
  end)

  -- f must raise this argument error, and no more than this.
  local function refused(position, name, text, f)
    local err = helpers.raises(f)
    local message = tostring(err):gsub("^[^\n]-:%d+: ", "")
    assert.equals(("bad argument #%d to '%s' (%s%s"):format(position, name,
      text, cannot), message)
    assert.equals("usable", s:call("usable"))
  end

  local thread = coroutine.create(function() end)

  -- Way and value: where the thread is in it.
  local ways = helpers.with_globals(function()
    local t, sock = {x = {y = thread}}, thread
    local function identity() end
    return {
      {"thread", thread},
      {"field 'cfg.cb[3]': thread", {cfg = {cb = {1, 2, thread}}}},
      {"field '[1]': thread", {thread}},
      {"field '[1][2].x': thread", {{0, {x = thread}}}},
      {"field '[-7]': thread", {[-7] = thread}},
      {"field '_x1.end': thread", {_x1 = {["end"] = thread}}},
      {"field '[\"a b\"]': thread", {["a b"] = thread}},
      {"field 'x[\"1\"]': thread", {x = {["1"] = thread}}},
      {"field '[\"\"]': thread", {[""] = thread}},
      {"field 'x[\"\"].y': thread", {x = {[""] = {y = thread}}}},
      {"field '[1.5]': thread", {[1.5] = thread}},
      {"field '[true]': thread", {[true] = thread}},
      {"field 'x[false][2]': thread", {x = {[false] = {0, thread}}}},
      {"field '[table]': thread", {[{}] = thread}},
      {"field 'x[function]': thread", {x = {[identity] = thread}}},
      {"field '[userdata]': thread", {[s] = thread}},
      {"a key: thread", {[thread] = 1}},
      {"field 'cfg', a key: thread", {cfg = {[thread] = 1}}},
      {"a key, field 'x': thread", {[{x = thread}] = 1}},
      {"field 'a[1]', a key, field 'b.c': thread",
        {a = {{[{b = {c = thread}}] = 1}}}},
      {"upvalue 'sock': thread", function() return sock end},
      {"field 'f', upvalue 'sock': thread", {f = function() return sock end}},
      {"field 'f', upvalue 't', field 'x.y': thread",
        {f = function() return t end}},
      {"a key, upvalue 'sock': thread", {[function() return sock end] = 1}},
      {"field 'u': userdata", {u = handoff.userdata()}},
      {"field 'u': FILE*", {u = io.stdout}},
      {"field '[2]': C function of no loaded module",
        {1, string.gmatch("", "")}},
      {"field 'x': table with a metatable that has no class name",
        {x = setmetatable({}, {})}}
    }
  end)

  it("are argument errors that name the way", function()
    for _, case in ipairs(ways()) do
      local text, value = case[1], case[2]
      refused(1, "call", text, function() s:call(value) end)
      refused(3, "call", text, function() s:call({}, "x", value, thread) end)
      refused(2, "tcall", text, function() s:tcall(0, value) end)
      refused(3, "newstate", text, function()
        mtstates.newstate({}, "return print", value)
      end)
      refused(5, "newstate", text, function()
        mtstates.newstate("deep nowhere", {}, "return print", {}, value)
      end)
      refused(4, "singleton", text, function()
        mtstates.singleton("deep nowhere", {}, "return print", value)
      end)
    end
    helpers.raises_error("unknown_object", mtstates.state, "deep nowhere")
  end)

  it("name cdata of LuaJIT", function()
    local has_ffi, ffi = pcall(require, "ffi")
    if has_ffi then
      refused(1, "call", "cdata", function() s:call(ffi.new("int[1]")) end)
      refused(1, "call", "field '[1]': cdata", function()
        s:call({ffi.new("int[1]")})
      end)
    end
  end)

  it("are state_result as results", function()
    for _, case in ipairs({
      {"#1 is a thread, which", "thread"},
      {"#3 is a thread, which", "1, {}, thread"},
      {"#1.cfg[3] is a thread, which", "{cfg = {1, 2, thread}}"},
      {"#2[1] is a thread, which", "1, {thread}"},
      {"#1[\"a b\"][1.5] is a thread, which",
        "{['a b'] = {[1.5] = thread}}"},
      {"#1.f, upvalue 'thread', is a thread, which",
        "{f = function() return thread end}"},
      {"#2, upvalue 'thread', is a thread, which",
        "1, function() return thread end"},
      {"#1, a key, field '[1]', is a thread, which", "{[{thread}] = 1}"},
      {"#1.x is a userdata, which", "{x = require 'handoff'.userdata()}"},
      {"#1.x is a FILE*, which", "{x = io.stdout}"},
      {"#1.x is a C function of no loaded module, which",
        "{x = string.gmatch('', '')}"}
    }) do
      local text = ("): result %s cannot be transferred"):format(case[1])
      for _, err in ipairs({
        helpers.raises_error("state_result", s.call, s, "result", case[2]),
        helpers.raises_error("state_result", s.tcall, s, 0, "result", case[2])
      }) do
        assert.equals(text, err:sub(-#text))
      end
    end
    assert.equals("usable", s:call("usable"))
  end)

  it("are state_result as further results of setup", function()
    local err = helpers.raises_error("state_result", mtstates.newstate, {},
      "return print, 1, {x = coroutine.create(function() end)}")
    assert.truthy(err:find("result #3.x is a thread, which cannot be " ..
      "transferred", 1, true), err)
  end)

  it("shorten ways that are long", function()
    local function way_of(value)
      local err = helpers.raises(function() s:call(value) end)
      local way = err:match("bad argument #1 to 'call' %((.*): thread cannot")
      assert.is_string(way)
      return way
    end
    local t, fits = thread, thread
    for i = 1000, 1, -1 do
      t = {["name" .. i] = t}
    end
    for i = 30, 1, -1 do
      fits = {["n" .. i % 10] = fits}
    end
    local way = way_of(t)
    assert.is_true(#way <= 220, way)
    assert.truthy(way:find("^field 'name1%.name2%.name3"), way)
    assert.truthy(way:find("name999%.name1000'$"), way)
    assert.truthy(way:find("...", 1, true), way)
    way = way_of(fits)
    assert.is_nil(way:find("...", 1, true))
    assert.equals("field '" .. ("n1.n2.n3.n4.n5.n6.n7.n8.n9.n0."):rep(3)
      :sub(1, -2) .. "'", way)
    way = way_of({[("k"):rep(100000)] = thread})
    assert.is_true(#way <= 220, way)
    for length = 100, 101 do -- of the second one: ways of 200 and 201 bytes
      way = way_of({[("k"):rep(91)] = {[("l"):rep(length)] = thread}})
      assert.equals(length > 100, way:find("...", 1, true) ~= nil)
      assert.equals(200, #way)
    end
    local longest = ("k"):rep(129)
    assert.equals("field '" .. longest .. "'", way_of({[longest] = thread}))
    way = way_of({[longest .. "k"] = thread})
    assert.truthy(way:find("^field '%[\"k+%.%.%.\"%]'$"), way)
    way = way_of({["\0\n\255"] = thread})
    assert.is_true(#way < 40, way)
  end)

  it("are named in functions without debug information, too", function()
    local function f() return thread end
    local is_stripped, stripped = pcall(string.dump, f, true)
    local upvaluejoin = rawget(debug, "upvaluejoin")
    if not is_stripped or not upvaluejoin or #stripped == #string.dump(f) then
      return
    end
    stripped = helpers.compile(stripped)
    upvaluejoin(stripped, 1, f, 1)
    local err = helpers.raises(function() s:call({stripped}) end)
    assert.truthy(err:find("field '%[1%]', upvalue '%(%*?no name%)': thread"),
      err)
  end)

  it("are objects of this module that are finalized", function()
    local other = mtstates.newstate("return print")
    local future, promise = mtstates.promise()
    promise:set(1)
    for _, object in ipairs({other, future, promise}) do
      debug.getmetatable(object).__gc(object)
      refused(1, "call", "field '[1]': finalized object", function()
        s:call({object})
      end)
      refused(2, "call", "finalized object", function()
        s:call("x", object)
      end)
    end
  end)

  it("start nothing and leave nothing behind", function()
    local gate = handoff.unique()
    local counts = mtstates.newstate({}, [[
      local gate = ...
      local on = require "handoff"
      return function() on.add(gate) end
    ]], gate)
    for _, case in ipairs(ways()) do
      helpers.raises(function() counts:call({}, case[2]) end)
    end
    assert.equals(0, handoff.get(gate))
    counts:call({})
    assert.equals(1, handoff.get(gate))
  end)

  it("are found first where there are several", function()
    refused(2, "call", "field 'x': thread", function()
      s:call({}, {x = thread}, thread)
    end)
  end)

  it("leak no memory on either side", function()
    local big = ("z"):rep(10000)
    local target = mtstates.newstate({}, [[
      local big = ("z"):rep(10000)
      return function(what)
        if what == "count" then
          collectgarbage()
          collectgarbage()
          return collectgarbage("count")
        elseif what == "raise" then
          error({big, {}})
        elseif what == "raise thread" then
          error({big, coroutine.create(function() end)})
        end
        return {big, {coroutine.create(function() end)}}
      end
    ]])
    local unknown = setmetatable({}, mtstates.class("deep.OnlyHere"))
    local function provoke(times)
      for i = 1, times do
        pcall(target.call, target, {big .. i, {thread}})
        pcall(target.call, target, {big .. i, {unknown}})
        pcall(target.call, target)
        pcall(target.call, target, "raise")
        pcall(target.call, target, "raise thread")
        pcall(mtstates.newstate, {}, "return print", {big, thread})
      end
      helpers.collect()
      return collectgarbage("count"), target:call("count")
    end
    provoke(100)
    local here, there = provoke(10)
    local heap = handoff.heap_bytes()
    local here_after, there_after = provoke(1000)
    assert.is_true(here_after < here + 100, here_after - here)
    assert.is_true(there_after < there + 100, there_after - there)
    local grown = handoff.heap_bytes() - heap
    assert.is_true(grown < 1000000, "grown by " .. grown)
  end)
end)
