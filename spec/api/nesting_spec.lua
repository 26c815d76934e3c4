local helpers = require "helpers"
local mtstates = require "mtstates"

describe("nested calls", function()
  before_each(helpers.watch("nesting"))
  after_each(helpers.unwatch)

  -- The callback calls the next state of the list "id id id"; the last one
  -- gives back how it was reached.
  local function relay()
    local mt = require "mtstates"
    return function(path, trail)
      local id, rest = path:match("^(%S+)%s*(.*)$")
      trail = (trail and trail .. " " or "") .. ("%.0f"):format(mt.id())
      if not id then
        return trail
      end
      return mt.state(tonumber(id)):call(rest, trail)
    end
  end

  local function path_of(...)
    local ids = {}
    for i, s in ipairs({...}) do
      ids[i] = ("%.0f"):format(s:id())
    end
    return table.concat(ids, " ")
  end

  it("let a state call itself", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(n)
        if n <= 1 then
          return 1
        end
        return n * mt.state(mt.id()):call(n - 1)
      end
    end)
    assert.equals(120, s:call(5))
  end)

  it("let A call B which calls A back", function()
    local a = mtstates.newstate(relay)
    local b = mtstates.newstate(relay)
    assert.equals(path_of(a, b, a), a:call(path_of(b, a)))
    assert.equals(path_of(b, a, b, a), b:call(path_of(a, b, a)))
  end)

  it("go through many states and back", function()
    local states = {}
    for i = 1, 30 do
      states[i] = mtstates.newstate(relay)
    end
    local path = {}
    for i = 2, 30 do
      path[#path + 1] = states[i]
    end
    for i = 29, 1, -1 do
      path[#path + 1] = states[i]
    end
    local expected = path_of(states[1], helpers.unpack(path))
    assert.equals(expected,
      states[1]:call(path_of(helpers.unpack(path))))
  end)

  it("may be 100 deep", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(n)
        if n == 0 then
          return 0
        end
        return 1 + mt.state(mt.id()):call(n - 1)
      end
    end)
    assert.equals(100, s:call(100))
  end)

  it("without end raise an error and leave all states usable", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(endless, x)
        if not endless then
          return x
        end
        return mt.state(mt.id()):call(true) -- luacheck: ignore
      end
    end)
    helpers.raises_error("invoking_state", function() s:call(true) end)
    assert.equals("fine", s:call(false, "fine"))
  end)

  it("may be too many for a fork", function()
    local states = {}
    for i = 1, 250 do
      states[i] = mtstates.newstate("nesting " .. i, {libs = false}, [[
        local mt = require "mtstates"
        return function(i, last)
          if i < last then
            return mt.state("nesting " .. i + 1):call(i + 1, last)
          end
          return pcall(mt.fork, function() end)
        end
      ]])
    end
    local last, ok, err = 100
    repeat
      last = last + 1
      ok, err = states[1]:call(1, last)
    until not ok
    assert.truthy(err:find(mtstates.error.out_of_memory, 1, true), err)
    assert.truthy(err:find("too many nested calls", 1, true), err)
    assert.is_true(states[1]:call(1, last - 1))
    for i = 1, 250 do states[i]:close() end
  end)

  local function check_too_many(...)
    local err = helpers.raises_error("invoking_state", ...)
    assert.equals(mtstates.error.out_of_memory, mtstates.error(err):cause())
    assert.truthy(err:find("too many nested calls", 1, true))
  end

  it("without end between two states raise an error", function()
    local function setup()
      local mt = require "mtstates"
      return function(own, other)
        if not own then
          return "fine"
        end
        return mt.state(other):call(other, own)
      end
    end
    local a, b = mtstates.newstate(setup), mtstates.newstate(setup)
    check_too_many(a.call, a, a:id(), b:id())
    assert.equals("fine", a:call())
    assert.equals("fine", b:call())
  end)

  it("without end in coroutines raise an error", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(endless)
        if not endless then
          return "fine"
        end
        return coroutine.wrap(function()
          return mt.state(mt.id()):call(true)
        end)()
      end
    end)
    helpers.raises_error("invoking_state", function() s:call(true) end)
    assert.equals("fine", s:call())
  end)

  it("of newstate inside setups without end raise an error", function()
    local code = [[
      local code = ...
      local inner = require "mtstates".newstate(false, code, code)
      return function() end
    ]]
    check_too_many(mtstates.newstate, false, code, code)
    assert.equals(1, mtstates.newstate(helpers.echo):call(1))
  end)

  it("work from a coroutine: A's coroutine calls B which calls A back",
    function()
      local b = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(id, x) return mt.state(id):call("back", x) end
      end)
      local a = mtstates.newstate(function()
        local mt = require "mtstates"
        local log = {}
        return function(what, x)
          log[#log + 1] = what
          if what == "back" then
            return "A got " .. x
          elseif what == "log" then
            return table.concat(log, " ")
          end
          local co = coroutine.create(function(id)
            local first = mt.state(id):call(mt.id(), "1")
            coroutine.yield(first)
            return mt.state(id):call(mt.id(), "2")
          end)
          local _, first = coroutine.resume(co, x)
          local _, second = coroutine.resume(co)
          return first, second, coroutine.status(co)
        end
      end)
      assert.same({"A got 1", "A got 2", "dead"}, {a:call("go", b:id())})
      assert.equals("go back back log", a:call("log"))
    end)

  it("work while a coroutine of the state is suspended", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      local co = coroutine.wrap(function()
        for i = 1, 3 do
          coroutine.yield(i)
        end
      end)
      return function(depth)
        local mine = co()
        if depth > 0 then
          return mine, mt.state(mt.id()):call(depth - 1)
        end
        return mine
      end
    end)
    assert.same({1, 2, 3}, {s:call(2)})
  end)

  it("work several coroutines deep in both states", function()
    local function setup()
      local mt = require "mtstates"
      return function(own, other, depth)
        if depth == 0 then
          return "bottom"
        end
        return coroutine.wrap(function()
          return coroutine.wrap(function()
            local r = mt.state(other):call(other, own, depth - 1)
            return r .. depth
          end)()
        end)()
      end
    end
    local a, b = mtstates.newstate(setup), mtstates.newstate(setup)
    assert.equals("bottom123456", a:call(a:id(), b:id(), 6))
  end)

  it("hand errors through each level", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(depth)
        if depth == 0 then
          error("bottom")
        end
        local ok, err = pcall(function()
          return mt.state(mt.id()):call(depth - 1)
        end)
        if depth == 2 then
          return ok, err
        end
        error(err, 0)
      end
    end)
    local ok, err = s:call(2)
    assert.is_false(ok)
    assert.truthy(err:find("bottom", 1, true))
    helpers.raises_error("invoking_state", function() s:call(1) end)
    assert.is_false((s:call(2)))
  end)

  it("from a coroutine that raises leave the state usable", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(what)
        if what == "raise" then
          error("inside")
        elseif what == "fine" then
          return "fine"
        end
        local co = coroutine.create(function()
          return mt.state(mt.id()):call("raise")
        end)
        local ok, err = coroutine.resume(co)
        return ok, err, mt.state(mt.id()):call("fine")
      end
    end)
    local ok, err, fine = s:call("go")
    assert.is_false(ok)
    assert.truthy(err:find("inside", 1, true))
    assert.equals("fine", fine)
    assert.equals("fine", s:call("fine"))
  end)

  it("do not let the callback yield across the call", function()
    local s = mtstates.newstate(function()
      return function(what)
        if what == "yield" then
          coroutine.yield(1)
        end
        return "fine"
      end
    end)
    helpers.raises_error("invoking_state", function() s:call("yield") end)
    local co = coroutine.create(function() s:call("yield") end)
    assert.is_false((coroutine.resume(co)))
    assert.equals("fine", s:call())
  end)

  it("do not let the callback yield through a coroutine of its own state",
    function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(what)
          if what == "yield" then
            coroutine.yield(1)
          elseif what == "fine" then
            return "fine"
          end
          local co = coroutine.create(function()
            return mt.state(mt.id()):call("yield")
          end)
          local ok = coroutine.resume(co)
          return ok, coroutine.status(co)
        end
      end)
      assert.same({false, "dead"}, {s:call("go")})
      assert.equals("fine", s:call("fine"))
    end)

  -- What needs nothing is pushed first, and once more if more is needed.
  it("to the state itself pass plain values before arrays", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      local arrays = require "carray"
      return function(depth)
        if depth == 0 then
          local array = arrays.new("int", 2)
          array:set(2, 9)
          return 1, nil, array, "x", array, false
        end
        local a, b, c, d, e, f = mt.state(mt.id()):call(depth - 1)
        return a, b, c:get(2), d, e:get(2), f
      end
    end)
    local results = helpers.pack(s:call(1))
    assert.equals(6, results.n)
    assert.same({1, nil, 9, "x", 9, false}, {helpers.unpack(results, 1, 6)})
  end)

  it("to the state itself pass strings and arrays", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      local arrays = require "carray"
      return function(depth, text, array)
        if depth == 0 then
          array:set(1, array:get(1) + 1)
          return text .. "!", array
        end
        array = array or arrays.new("int", 3)
        local own = mt.state(mt.id())
        local inner_text, inner = own:call(depth - 1, text .. depth, array)
        return inner_text, inner:get(1), array:get(1), inner:len()
      end
    end)
    assert.same({"text1!", 1, 0, 3}, {s:call(1, "text")})
  end)

  it("to the state itself refuse what cannot cross", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(what)
        if what == "table" then
          return 1, {}
        elseif what then
          return what
        end
        local own = mt.state(mt.id())
        local _, argument = pcall(function() own:call(1, "x", {}) end)
        local _, result = pcall(own.call, own, "table")
        return argument, result, own:call("usable")
      end
    end)
    local argument, result, usable = s:call()
    assert.truthy(argument:find("bad argument #3 to 'call'", 1, true))
    assert.equals(1, (result:find(mtstates.error.state_result, 1, true)))
    assert.truthy(result:find("#2", 1, true))
    assert.equals("usable", usable)
  end)

  it("work from finalizers, message handlers and hooks", function()
    local inner = mtstates.newstate(helpers.echo)
    local outer = mtstates.newstate(nil, [[
      local on_collect = require "on_collect"
      local mt = require "mtstates"
      return function(id)
        local other = mt.state(id)
        local log = {}
        do
          local garbage = on_collect(function()
            log[#log + 1] = other:call("finalizer")
          end)
          garbage = nil
        end
        collectgarbage()
        collectgarbage()
        xpcall(function() error("x") end, function()
          log[#log + 1] = other:call("handler")
        end)
        debug.sethook(function()
          debug.sethook()
          log[#log + 1] = other:call("hook")
        end, "l")
        local x = 1
        debug.sethook()
        return table.concat(log, " "), x
      end
    ]])
    assert.same({"finalizer handler hook", 1}, {outer:call(inner:id())})
    assert.equals("fine", inner:call("fine"))
  end)

  it("call the state itself from finalizers and hooks", function()
    local s = mtstates.newstate(nil, [[
      local on_collect = require "on_collect"
      local mt = require "mtstates"
      return function(what)
        if what then
          return what
        end
        local own = mt.state(mt.id())
        local log = {}
        do
          local garbage = on_collect(function()
            log[#log + 1] = own:call("finalizer")
          end)
          garbage = nil
        end
        collectgarbage()
        collectgarbage()
        debug.sethook(function()
          debug.sethook()
          log[#log + 1] = own:call("hook")
        end, "l")
        local x = 1
        debug.sethook()
        return table.concat(log, " "), x
      end
    ]])
    assert.same({"finalizer hook", 1}, {s:call()})
    assert.same({"finalizer hook", 1}, {s:call()})
  end)

  -- A message that makes no state, as there is one already, is garbage.
  it("from finalizers of states that messages owned run where these are freed",
    function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        local name, seen = "nesting overtaken", nil
        local function finalized(id)
          local state = require "mtstates".state(id)
          local guard = require "on_collect"(function() state:call("back") end)
          return function() return guard end
        end
        return function(what)
          if what == "back" then
            seen = coroutine.running()
            return
          end
          local class = mt.class("nesting.overtaking")
          local owner, kept = mt.newstate({}, finalized, mt.id()), nil
          local reference = mt.state(owner:id())
          function class.__transfer()
            kept = mt.singleton(name, "return function() end")
            owner = nil
            collectgarbage()
            collectgarbage()
          end
          local co, was_open, is_open
          assert(require "cresume"(function()
            co = coroutine.running()
            mt.singleton(name, {}, "return print", reference,
              setmetatable({}, class))
            was_open = pcall(mt.state, reference:id())
            collectgarbage()
            collectgarbage()
            is_open = pcall(mt.state, reference:id())
          end))
          return was_open, is_open, seen == co, kept and owner
        end
      end)
      assert.same({true, false, true}, {s:call("go")})
    end)

  -- Since Lua 5.5 a coroutine can close itself, if no call runs on it.
  local it_closes_itself = helpers.it_needs(
    pcall(coroutine.wrap(function() rawget(coroutine, "close")() end)),
    "coroutines that close themselves")

  it_closes_itself("cannot be left by closing the coroutine that they run on",
    function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(part)
          if part == "inner" then
            return pcall(rawget(coroutine, "close"))
          end
          return coroutine.resume(coroutine.create(function()
            return mt.state(mt.id()):call("inner")
          end))
        end
      end)
      for _ = 1, 3 do
        local resumed, closed, err = s:call("outer")
        assert.same({true, false}, {resumed, closed})
        assert.truthy(err:find("that a call runs on", 1, true), err)
      end
      assert.is_true(pcall(s.close, s))
    end)

  it("pass many values on every level", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(depth, ...)
        if depth == 0 then
          return ...
        end
        return mt.state(mt.id()):call(depth - 1, ...)
      end
    end)
    local values = {}
    for i = 1, 200 do
      values[i] = i
    end
    assert.same(values, {s:call(10, helpers.unpack(values))})
  end)
end)
