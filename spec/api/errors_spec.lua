local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local names = {
  "abandoned", "ambiguous_name", "cancelled", "concurrent_access", "deadlock",
  "interrupted", "invoking_state", "object_closed", "out_of_memory",
  "state_result", "unknown_class", "unknown_object"
}

describe("errors", function()
  before_each(helpers.watch("errors"))
  after_each(helpers.unwatch)

  local function invoke(setup, ...)
    local s = mtstates.newstate(setup)
    return helpers.raises_error("invoking_state", function(...)
      s:call(...)
    end, ...), s
  end

  local function has(text, part)
    assert.truthy(text:find(part, 1, true),
      "'" .. part .. "' is missing in: " .. text)
  end

  it("have a table of names", function()
    local expected = {}
    for _, name in ipairs(names) do
      expected[name] = "mtstates.error." .. name
    end
    local offered = {}
    for name, text in pairs(mtstates.error) do
      offered[name] = text
    end
    assert.same(expected, offered)
  end)

  it("can be matched with the names", function()
    local s = mtstates.newstate(helpers.echo)
    s:close()
    local _, err = pcall(s.call, s)
    assert.equals(mtstates.error.object_closed,
      err:match(mtstates.error.object_closed))
    assert.is_nil(err:match(mtstates.error.unknown_object))
  end)

  it("are strings that begin with their name, without a position", function()
    local s = mtstates.newstate("errors twin", function()
      local mt = require "mtstates"
      return function(what)
        if what == "close" then
          mt.state(mt.id()):close()
        elseif what == "result" then
          return {}
        end
        error("x")
      end
    end)
    helpers.raises_error("unknown_object", function() mtstates.state(7) end)
    helpers.raises_error("state_result", function() s:call("result") end)
    helpers.raises_error("invoking_state", function() s:call("raise") end)
    local twin = mtstates.newstate("errors twin", helpers.echo)
    helpers.raises_error("ambiguous_name", function()
      mtstates.state("errors twin")
    end)
    twin:close()
    helpers.raises_error("object_closed", function() twin:call() end)
    local err = helpers.raises_error("invoking_state", function()
      s:call("close")
    end)
    has(err, mtstates.error.concurrent_access)
  end)

  it("inside a state are strings that begin with their name too", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function()
        local own = mt.state(mt.id())
        local _, closing = pcall(own.close, own)
        local _, unknown = pcall(mt.state, 7)
        return closing, unknown
      end
    end)
    local closing, unknown = s:call()
    assert.equals(1, closing:find(mtstates.error.concurrent_access, 1, true))
    assert.equals(1, unknown:find(mtstates.error.unknown_object, 1, true))
  end)

  describe("invoking_state", function()
    it("shows the state's name and id, the message and the traceback",
      function()
        local s = mtstates.newstate("errors described", function()
          local function innermost_function()
            error("the inner message")
          end
          return function() innermost_function() end
        end)
        local err = helpers.raises_error("invoking_state", function()
          s:call()
        end)
        has(err, "errors described")
        has(err, ("%.0f"):format(s:id()))
        has(err, "the inner message")
        has(err, "stack traceback:")
        has(err, "innermost_function")
      end)

    it("keeps the inner position", function()
      local err = invoke("return function()\n\nerror('here') end")
      has(err, ":3: here")
    end)

    it("shows runtime errors", function()
      local err = invoke("return function() local x; return x.field end")
      has(err, "attempt to index")
      err = invoke("return function() nowhere() end")
      has(err, "nowhere")
    end)

    it("shows errors of coroutines inside", function()
      local err = invoke(function()
        return function()
          coroutine.wrap(function() error("in a coroutine") end)()
        end
      end)
      has(err, "in a coroutine")
    end)

    it("shows messages of any bytes and any length", function()
      has(invoke("return function() error('', 0) end"), "stack traceback:")
      local err = invoke("return function() error('a\\0b%s%d\\255', 0) end")
      has(err, "a\0b%s%d\255")
      err = invoke("return function() error(('x'):rep(1e6), 0) end")
      has(err, ("x"):rep(1e6))
    end)

    it("shows both ends of a long traceback", function()
      local lines = {}
      for i = 1, 100 do -- each function in a line of its own
        lines[i] = ("function f%d() f%d() return 1 end"):format(i, i + 1)
      end
      lines[101] = "function f101() error('here') end return f1"
      local err = invoke(table.concat(lines, "\n"))
      for i = 1, 101 do
        local is_shown = err:find((":%d: "):format(i), 1, true) ~= nil
        assert.is_true(is_shown or i > 10 and i < 93, "level " .. i)
        assert.is_false(is_shown and i > 12 and i < 90, "level " .. i)
      end
    end)

    it("keeps lines of the message that look like a traceback", function()
      local err = invoke("return function() error('a\\nstack\\nb', 0) end")
      has(err, "a\nstack\nb")
    end)

    it("comes from tcall, newstate and singleton too", function()
      local s = mtstates.newstate("return function() error('one') end")
      has(helpers.raises_error("invoking_state", s.tcall, s, 0), "one")
      has(helpers.raises_error("invoking_state", mtstates.newstate,
        "error('two')"), "two")
      has(helpers.raises_error("invoking_state", mtstates.singleton,
        "errors single", "error('three')"), "three")
    end)

    it("that crosses several states shows each", function()
      local setup = function()
        local mt = require "mtstates"
        return function(id, ...)
          if id then
            return mt.state(id):call(...)
          end
          error("origin of all")
        end
      end
      local a = mtstates.newstate("errors first", setup)
      local b = mtstates.newstate("errors second", setup)
      local c = mtstates.newstate("errors third", setup)
      local err = helpers.raises_error("invoking_state", function()
        a:call(b:id(), c:id())
      end)
      has(err, "errors first")
      has(err, "errors second")
      has(err, "errors third")
      has(err, "origin of all")
      local count = helpers.count(err, mtstates.error.invoking_state)
      assert.equals(3, count)
      local first = err:find("errors first", 1, true)
      local second = err:find("errors second", 1, true)
      local third = err:find("errors third", 1, true)
      assert.is_true(first < second and second < third)
    end)

    it("keeps the names of errors that cross states", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(id) mt.state(id) end
      end)
      local err = helpers.raises_error("invoking_state", function()
        s:call(1)
      end)
      has(err, mtstates.error.unknown_object)
    end)

    it("shows argument errors inside the other state", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function() mt.state({}) end
      end)
      local err = helpers.raises_error("invoking_state", function()
        s:call()
      end)
      has(err, "bad argument #1 to 'state'")
    end)
  end)

  describe("with values that are no strings", function()
    it("show the type", function()
      has(invoke("return function() error({}) end"),
        "(error object is a table value)")
      has(invoke("return function() error(print) end"),
        "(error object is a function value)")
      has(invoke("return function() error(true) end"),
        "(error object is a boolean value)")
      has(invoke("return function() " ..
        "error(coroutine.create(function() end)) end"),
        "(error object is a thread value)")
      has(invoke("return function() error(require 'handoff'.userdata()) end"),
        "(error object is a userdata value)")
      has(invoke("return function() error(nil) end"),
        "(error object is a nil value)")
      has(invoke("return function() error() end"),
        "(error object is a nil value)")
    end)

    it("show numbers as they are", function()
      local s = mtstates.newstate("return function(e) error(e, 0) end")
      for _, number in ipairs({4711, 0.25, -1.0, 1e30, 1/0}) do
        local err = helpers.raises_error("invoking_state", s.call, s, number)
        has(err, ": " .. tostring(number) ..
          " (error object is a number value)\n")
      end
    end)

    it("use __tostring if there is one", function()
      has(invoke([[
        return function()
          error(setmetatable({code = 17}, {
            __tostring = function(e) return "code " .. e.code end
          }))
        end
      ]]), "code 17")
    end)

    it("survive a __tostring that raises", function()
      local err, s = invoke([[
        return function(what)
          if what then return what end
          error(setmetatable({}, {
            __tostring = function() error("worse") end
          }))
        end
      ]])
      assert.equals("string", type(err))
      assert.equals("usable", s:call("usable"))
    end)

    it("survive a __tostring that gives no string", function()
      for _, value in ipairs({"nil", "{}", "print", "true", "5", "error"}) do
        local err, s = invoke([[
          return function(what)
            if what then return what end
            error(setmetatable({}, {
              __tostring = function() return ]] .. value .. [[ end
            }))
          end
        ]])
        assert.truthy(err:find("(error object is a table value)", 1, true))
        assert.equals("usable", s:call("usable"))
      end
    end)

    it("survive a __tostring that never ends its recursion", function()
      local err, s = invoke([[
        return function(what)
          if what then return what end
          local e = setmetatable({}, {})
          getmetatable(e).__tostring = function(x)
            return "x" .. tostring(x)
          end
          error(e)
        end
      ]])
      assert.equals("string", type(err))
      assert.equals("usable", s:call("usable"))
    end)

    it("survive a __tostring that calls the state itself", function()
      local err = invoke([[
        local mt = require "mtstates"
        return function(what)
          if what then return what end
          local id = mt.id()
          error(setmetatable({}, {
            __tostring = function() return mt.state(id):call("nested") end
          }))
        end
      ]])
      has(err, "nested")
    end)
  end)

  it("from endless recursion leave the state usable", function()
    local err, s = invoke([[
      local function f(x) return 1 + f(x) end
      return function(what) return what or f(1) end
    ]])
    has(err, "stack overflow")
    assert.equals("usable", s:call("usable"))
    assert.is_true(#err < 100000)
  end)

  it("do not break when the state's own libraries are gone", function()
    local err, s = invoke([[
      return function(what)
        if what then return what end
        local raise, globals = error, _G
        debug.traceback = nil
        for name in pairs(globals) do globals[name] = nil end
        raise("bare world")
      end
    ]])
    has(err, "bare world")
    assert.equals("usable", s:call("usable"))
  end)

  it("leave all states usable and leak nothing", function()
    local s = mtstates.newstate("return function() error('again') end")
    local function provoke(times)
      for _ = 1, times do
        pcall(s.call, s)
      end
      helpers.collect()
    end
    provoke(300)
    local before = handoff.heap_bytes()
    provoke(2000)
    local grown = handoff.heap_bytes() - before
    assert.is_true(grown < 500000, "grown by " .. grown)
  end)
end)

describe("mtstates.error(err)", function()
  before_each(helpers.watch("error objects"))
  after_each(helpers.unwatch)

  local function caught(f, ...)
    return helpers.raises(f, ...)
  end

  it("gives an object that takes the error apart", function()
    local s = mtstates.newstate("error object", function()
      return function() error("what happened") end
    end)
    local text = caught(function() s:call() end)
    local e = mtstates.error(text)
    assert.equals("mtstates.error", mtstates.type(e))
    assert.equals("mtstates.error.invoking_state", e:name())
    assert.equals(mtstates.error.invoking_state, e:name())
    assert.truthy(e:details():find("what happened", 1, true))
    assert.is_nil(e:details():find("stack traceback:", 1, true))
    assert.is_nil(e:details():find(e:name(), 1, true))
    assert.equals(1, e:traceback():find("stack traceback:", 1, true))
    assert.equals(text, e:message())
    assert.equals(text, tostring(e))
  end)

  it("splits the text and loses nothing of it", function()
    local s = mtstates.newstate("return function() error('x') end")
    local text = caught(function() s:call() end)
    local e = mtstates.error(text)
    assert.equals(text,
      e:name() .. ": " .. e:details() .. "\n" .. e:traceback())
  end)

  it("has no traceback where there is none", function()
    local s = mtstates.newstate(helpers.echo)
    s:close()
    local text = caught(function() s:call() end)
    local e = mtstates.error(text)
    assert.equals(mtstates.error.object_closed, e:name())
    assert.equals("string", type(e:details()))
    assert.equals(text, e:message())
    if not text:find("stack traceback:", 1, true) then
      assert.is_nil(e:traceback())
      assert.equals(1, select("#", e:traceback()))
    end
  end)

  it("knows each name", function()
    for _, name in ipairs(names) do
      local e = mtstates.error("mtstates.error." .. name .. ": some details")
      assert.equals("mtstates.error." .. name, e:name())
      assert.equals("some details", e:details())
      assert.is_nil(e:traceback())
      assert.equals("mtstates.error." .. name .. ": some details",
        tostring(e))
    end
  end)

  it("takes a bare name", function()
    local e = mtstates.error("mtstates.error.deadlock")
    assert.equals("mtstates.error.deadlock", e:name())
    assert.equals("", e:details())
    assert.is_nil(e:traceback())
    assert.equals("mtstates.error.deadlock", e:message())
  end)

  it("takes the text up to the first traceback as details", function()
    local e = mtstates.error("mtstates.error.invoking_state: a\nb" ..
      "\nstack traceback:\n\tone\nstack traceback:\n\ttwo")
    assert.equals("a\nb", e:details())
    assert.equals("stack traceback:\n\tone\nstack traceback:\n\ttwo",
      e:traceback())
  end)

  it("keeps any bytes", function()
    local text = "mtstates.error.unknown_object: a\0b\255"
    local e = mtstates.error(text)
    assert.equals("a\0b\255", e:details())
    assert.equals(text, e:message())
  end)

  it("takes errors that crossed several states", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(id)
        if id then
          mt.state(id):call()
        end
        error("origin")
      end
    end)
    local e = mtstates.error(caught(function() s:call(s:id()) end))
    assert.equals(mtstates.error.invoking_state, e:name())
    assert.truthy(e:message():find("origin", 1, true))
    assert.truthy(e:details():find(mtstates.error.invoking_state, 1, true))
  end)

  it("is nil for whatever is none of this module's errors", function()
    for _, value in ipairs({
      "", "text", "mtstates.error", "mtstates.error.", "mtstates.error: x",
      "mtstates.error.nothing: x", "mtstates.error.object_closedx: y",
      "some text: mtstates.error.object_closed: x", 5, true, false, {},
      print, coroutine.create(function() end), handoff.userdata()
    }) do
      assert.is_nil(mtstates.error(value))
    end
    assert.is_nil(mtstates.error(nil))
    assert.is_nil(mtstates.error(mtstates.newstate(helpers.echo)))
    local _, err = pcall(mtstates.state, {})
    assert.is_nil(mtstates.error(err))
  end)

  it("gives an equal object for an error object", function()
    local e = mtstates.error("mtstates.error.deadlock: x")
    local again = mtstates.error(e)
    assert.is_true(e == again)
    assert.equals(e:name(), again:name())
    assert.equals(e:message(), again:message())
  end)

  it("gives objects that are equal when the names are", function()
    local a = mtstates.error("mtstates.error.deadlock: one")
    local b = mtstates.error("mtstates.error.deadlock: two\n" ..
      "stack traceback:\n\tx")
    local c = mtstates.error("mtstates.error.interrupted: one")
    assert.is_true(a == b)
    assert.is_false(rawequal(a, b))
    assert.is_false(a == c)
    assert.is_true(a ~= c)
    assert.is_false(a == a:message())
    assert.is_false(a == a:name())
    local s = mtstates.newstate(helpers.echo)
    local future, promise = mtstates.promise()
    for _, other in ipairs({io.stdout, s, future, promise}) do
      assert.is_false(a == other)
      assert.is_false(other == a)
    end
    promise:set()
    s:close()
  end)

  it("gives objects that can be raised and caught again", function()
    local e = mtstates.error("mtstates.error.deadlock: x")
    local _, caught_object = pcall(error, e)
    assert.is_true(rawequal(e, caught_object))
    assert.is_true(mtstates.error(caught_object) == e)
  end)

  it("gives objects that show as text when they leave a state", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      return function()
        local _, err = pcall(mt.state, 12)
        error(mt.error(err))
      end
    end)
    local err = helpers.raises_error("invoking_state", function()
      s:call()
    end)
    assert.truthy(err:find(mtstates.error.unknown_object, 1, true))
  end)

  it("ends an error where it ends, whatever was in memory before", function()
    for _, name in ipairs({"interrupted", "deadlock", "object_closed",
                           "unknown_object", "out_of_memory"}) do
      for _, before in ipairs({": ", " :"}) do
        for size = 1, 100 do
          assert(before:rep(size))
        end
        helpers.collect()
        local e = mtstates.error(mtstates.error[name])
        assert.same({mtstates.error[name], ""}, {e:cause(), e:text()})
      end
    end
  end)

  describe("tells cause and text", function()
    -- Cause (without prefix) and text of what f raises.
    local function has_inside(cause, text, f, ...)
      local e = mtstates.error(helpers.raises(f, ...))
      assert.equals(cause and mtstates.error[cause], e:cause())
      assert.equals(text, e:text())
    end

    -- The same for an error of this text.
    local function says(cause, text, err)
      has_inside(cause, text, error, err, 0)
    end

    it("of an error that crossed no state", function()
      local s = mtstates.newstate("cause", helpers.echo)
      s:close()
      has_inside("object_closed", "the state is closed", s.call, s)
      has_inside("unknown_object", "id 7: no such open state",
        mtstates.state, 7)
      has_inside("unknown_object", "name \"nobody: x\": no such open state",
        mtstates.state, "nobody: x")
      has_inside("state_result",
        "result #1 of the setup is not a function but nil",
        mtstates.newstate, "return nil")
    end)

    it("of other errors inside a state", function()
      local s = mtstates.newstate("cause",
        "return function(...) error(...) end")
      local new = mtstates.newstate
      has_inside(nil, "boom", s.call, s, "boom", 0)
      has_inside(nil, "", s.call, s, "", 0)
      has_inside(nil, "two\nlines", s.call, s, "two\nlines", 0)
      has_inside(nil, "a\0b", s.call, s, "a\0b", 0)
      has_inside(nil, "(error object is a nil value)", s.call, s)
      has_inside(nil, "boom", s.call, s, "boom\nstack traceback:\n\tx", 0)
      has_inside(nil, "[string \"error('boom')\"]:1: boom", new,
        "error('boom')")
      has_inside(nil, "[string \"error('boom')\"]:1: boom", new, "cause",
        "error('boom')")
    end)

    it("of errors that only mention a name", function()
      local s = mtstates.newstate("return function(...) error(...) end")
      for _, text in ipairs({
        "see mtstates.error.deadlock", "mtstates.error.deadlock.",
        "mtstates.error.deadlock2: x", "see: mtstates.error.deadlock: x",
        "could not load: file.lua:3: mtstates.error.deadlock: x",
        "a\nb:1: mtstates.error.deadlock: x", "mtstates.error.none: x",
        ":1: mtstates.error.deadlock: x", "b:1 mtstates.error.deadlock: x",
        "b:x: mtstates.error.deadlock: x", "state(id=5): boom",
        ("x"):rep(100) .. ":1: mtstates.error.deadlock: x",
        "boom\nmtstates.error.deadlock: x",
        "[string \"x\" mtstates.error.deadlock: y]:1: z",
        "[string \"x:1: mtstates.error.deadlock: y\"]:1: z"
      }) do
        has_inside(nil, text, s.call, s, text, 0)
      end
      local code = "-- mtstates.error.deadlock: x"
      has_inside(nil, "[string \"-- mtstates.error.deadlock: x...\"]:2: boom",
        mtstates.newstate, code .. "\nerror('boom')")
    end)

    it("of errors of this module inside, through any number of states",
      function()
        local setup = function()
          local mt = require "mtstates"
          return function(id, ...)
            if id == "interrupt" then
              mt.state(mt.id()):interrupt()
              error("not interrupted")
            elseif id == "result" then
              return {}
            elseif id == "wrap" then
              return coroutine.wrap(function(...)
                mt.state((...)):call(select(2, ...))
              end)(...)
            elseif id == "again" then
              local s = mt.state((...))
              local _, err = pcall(s.call, s, select(2, ...))
              error(err)
            end
            return mt.state(id):call(...)
          end
        end
        local a = mtstates.newstate("a", setup)
        local b = mtstates.newstate("b\": state(id=1): \n\\\"", setup)
        local c = mtstates.newstate(("long\0\""):rep(50), setup)
        local d = mtstates.newstate(nil, setup)
        local stopped = "the running code was stopped"
        has_inside("interrupted", stopped, a.call, a, "interrupt")
        has_inside("unknown_object", "id 7: no such open state",
          a.call, a, b:id(), c:id(), d:id(), 7)
        has_inside("interrupted", stopped, a.call, a, "wrap", b:id(), "again",
          c:id(), "wrap", d:id(), "wrap", a:id(), "interrupt")
        has_inside("state_result",
          "result #1 is a table, which cannot be transferred; " ..
          "return its values", a.call, a, "again", b:id(), c:id(), "result")
      end)

    it("of texts as they could come", function()
      local head = "mtstates.error.invoking_state: "
      local tail = "\nstack traceback:\n\tx\nstack traceback:\n\ty"
      says("deadlock", "", "mtstates.error.deadlock")
      says("deadlock", "x", "mtstates.error.deadlock: x" .. tail)
      says(nil, "", head)
      says(nil, "", head:sub(1, -3) .. tail)
      says(nil, "boom", head .. "boom" .. tail)
      says(nil, "boom", head .. "state(id=1): boom" .. tail)
      says(nil, "state(id=): boom", head .. "state(id=): boom" .. tail)
      says(nil, "state(name=\"x): boom",
        head .. "state(name=\"x): boom" .. tail)
      says("deadlock", "x", head .. "state(name=\"\\\"\\\\\",id=12): " ..
        "C:\\a b.lua:12: [string \"a: b:1: ...\"]:1: ?:3: x:1: " ..
        "mtstates.error.deadlock: x" .. tail)
      says("deadlock", "", head .. "a:1: " .. head .. "b:2: " .. head ..
        "mtstates.error.deadlock" .. tail)
      local many = ("a:1: "):rep(300000)
      says("deadlock", "x", head .. many .. "mtstates.error.deadlock: x")
      says(nil, many, head .. many)
      says("deadlock", "x", head:rep(30000) .. "mtstates.error.deadlock: x")
    end)
  end)

  it("has methods that refuse other selfs", function()
    local e = mtstates.error("mtstates.error.deadlock: x")
    for _, name in ipairs({"name", "details", "traceback", "message", "cause",
                           "text"}) do
      for _, other in ipairs({5, "x", {}, true, io.stdout}) do
        local err = helpers.raises(function() e[name](other) end)
        assert.truthy(tostring(err):find("mtstates.error expected", 1, true),
          err)
      end
      local err = helpers.raises(function() e[name]() end)
      assert.truthy(tostring(err):find("mtstates.error expected", 1, true))
    end
  end)
end)
