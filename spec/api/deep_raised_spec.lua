-- Errors raised in services: what crosses arrives as it is.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("an error value that is no string", function()
  before_each(helpers.watch("deep raised"))
  after_each(helpers.unwatch)

  local raiser

  -- What the code gives is raised.
  local code = [[
    return function(code, ...)
      error((loadstring or load)("return " .. code)(...), 0)
    end
  ]]

  setup(function()
    raiser = mtstates.newstate({}, code)
  end)

  local function raised(...)
    local ok, err = pcall(raiser.call, raiser, ...)
    assert.is_false(ok)
    local _, other = pcall(raiser.tcall, raiser, 0, ...)
    assert.equals(type(err), type(other))
    return err
  end

  local function has_text(err, text)
    assert.equals("string", type(err))
    assert.equals(1, err:find("mtstates.error.invoking_state", 1, true), err)
    assert.truthy(err:find(text, 1, true), err)
    assert.truthy(err:find("stack traceback:", 1, true), err)
  end

  it("arrives as it is", function()
    assert.same({code = 404}, raised("{code = 404}"))
    assert.same({a = {{b = 1}}}, raised("{a = {{b = 1}}}"))
    for _, value in ipairs({true, false, 42, 0.5, -1}) do
      assert.equals(value, raised(tostring(value)))
    end
    assert.equals("number", type(raised("42")))
    assert.equals(print, raised("print"))
    local p = handoff.lightuserdata(64)
    assert.is_true(rawequal(p, raised("...", p)))
    local t = raised("...", {x = 1})
    assert.same({x = 1}, t)
    local state = raised("require('mtstates').state(...)", raiser:id())
    assert.is_true(state == raiser and not state:isowner())
  end)

  it("keeps what is shared and the class", function()
    local mt = mtstates.class("deep.Raised")
    mt.__tostring = function(e) return "code " .. e.code end
    local err = raised([[(function()
      local class = require "mtstates".class("deep.Raised")
      class.__tostring = function() return "there" end
      local e = setmetatable({code = 5}, class)
      e.itself, e[e] = e, e
      return e
    end)()]])
    assert.equals(mt, getmetatable(err))
    assert.equals("code 5", tostring(err))
    assert.is_true(err.itself == err and err[err] == err)
  end)

  it("is no error object of the module", function()
    assert.is_nil(mtstates.error(raised("{}")))
    assert.is_nil(mtstates.error(raised("42")))
  end)

  it("passes through services as it is", function()
    local outer = mtstates.newstate({}, [[
      local mt = require "mtstates"
      return function(id, code)
        local t = {mt.state(id):call(code)}
        return t
      end
    ]])
    local ok, err = pcall(outer.call, outer, raiser:id(), "{code = {404}}")
    assert.is_false(ok)
    assert.same({code = {404}}, err)
    ok, err = pcall(outer.call, outer, raiser:id(), "'text'")
    assert.is_false(ok)
    has_text(err, "text")
    assert.equals(2, helpers.count(err, "mtstates.error.invoking_state"))
  end)

  it("is a text from classic states, as ever", function()
    local classic = mtstates.newstate([[
      local mt = require "mtstates"
      return function(id, code)
        if id then
          return mt.state(id):call(code)
        end
        error({})
      end
    ]])
    local ok, err = pcall(classic.call, classic)
    assert.is_false(ok)
    has_text(err, "(error object is a table value)")
    ok, err = pcall(classic.call, classic, raiser:id(), "{}")
    assert.is_false(ok)
    has_text(err, "(error object is a table value)")
    local service = mtstates.newstate({}, [[
      local mt = require "mtstates"
      return function(id) return (mt.state(id):call()) end
    ]])
    ok, err = pcall(service.call, service, classic:id())
    assert.is_false(ok)
    has_text(err, "(error object is a table value)")
  end)

  it("is a text if it is nil or cannot cross", function()
    local ok, err = pcall(raiser.call, raiser, "nil")
    assert.is_false(ok)
    assert.equals("string", type(err))
    assert.equals(1, err:find("mtstates.error.invoking_state", 1, true), err)
    has_text(raised("coroutine.create(function() end)"),
      "(error object is a thread value)")
    has_text(raised("{x = {coroutine.create(function() end)}}"),
      "(error object is a table value)")
    has_text(raised("setmetatable({}, {})"),
      "(error object is a table value)")
    has_text(raised([[setmetatable({}, {
      __tostring = function() return "told" end
    })]]), "told")
    has_text(raised("io.stdout"), "file (")
  end)

  it("that is not a number arrives", function()
    local err = raised("0/0")
    assert.equals("number", type(err))
    assert.is_true(err ~= err)
    for _, value in ipairs({"0/0", "nil"}) do -- for which texts are kept
      local _, text = pcall(raiser.call, raiser, value)
      assert.is_nil(tostring(text):find("error in error handling", 1, true))
    end
  end)

  it("that cannot be converted is its text", function()
    local err = raised([[
      setmetatable({}, (function()
        local class = require "mtstates".class("deep.RaisedBadly")
        function class.__transfer() error("converted", 0) end
        function class.__tostring() return "its own text" end
        return class
      end)())
    ]])
    has_text(err, "its own text")
    assert.is_nil(err:find("converted", 1, true))
  end)

  it("is not kept by the state when it was reported", function()
    local s = mtstates.newstate({}, function()
      local values, count = setmetatable({}, {__mode = "k"}), 0
      return {
        fail = function()
          local value = {}
          values[value] = true
          error(value, 0)
        end,
        count = function()
          for _ = 1, 3 do
            collectgarbage()
          end
          count = 0
          for _ in pairs(values) do
            count = count + 1
          end
          return count
        end,
      }
    end)
    for _ = 1, 20 do
      assert.is_false((pcall(s.call, s, "fail")))
      assert.is_false((pcall(s.await, s, "fail")))
    end
    assert.is_true(s:call("count") <= 1)
    s:close()
  end)

  it("of a class that is unknown here is an error that says so", function()
    local err = raised([[
      setmetatable({}, require "mtstates".class("deep.RaisedThere"))
    ]])
    assert.equals("string", type(err))
    assert.is_true(err:find("mtstates.error.unknown_class", 1, true) == 1
      or err:find("mtstates.error.invoking_state", 1, true) == 1, err)
    assert.same({1}, raised("{1}"))
  end)

  it("of a setup arrives, too", function()
    for _, make in ipairs({
      function(...) return mtstates.newstate({}, ...) end,
      function(...) return mtstates.newstate("deep raised", {}, ...) end,
      function(...) return mtstates.singleton("deep raised", {}, ...) end
    }) do
      local ok, err = pcall(make, "error({code = ...})", 404)
      assert.is_false(ok)
      assert.same({code = 404}, err)
      ok, err = pcall(make, "error(..., 0)", 42)
      assert.is_false(ok)
      assert.equals(42, err)
      ok, err = pcall(make, "error(coroutine.create(function() end))")
      assert.is_false(ok)
      has_text(err, "(error object is a thread value)")
    end
    helpers.raises_error("unknown_object", mtstates.state, "deep raised")
  end)

  it("of a coroutine inside arrives when it is raised again", function()
    local s = mtstates.newstate({}, [[
      return function(how, value)
        local function raise() error(value, 0) end
        if how == "wrap" then
          coroutine.wrap(raise)()
        end
        local thread = coroutine.create(raise)
        local ok, err = coroutine.resume(thread)
        assert(not ok)
        error(how == "thread" and thread or err, 0)
      end
    ]])
    for _, how in ipairs({"wrap", "resume"}) do
      local ok, err = pcall(s.call, s, how, {code = 1})
      assert.is_false(ok)
      assert.same({code = 1}, err)
    end
    local ok, err = pcall(s.call, s, "thread", {})
    assert.is_false(ok)
    has_text(err, "(error object is a thread value)")
  end)

  it("leaves the state usable", function()
    for i = 1, 2000 do
      local ok, err = pcall(raiser.call, raiser, "{...}", i, {i})
      assert(not ok and err[1] == i and err[2][1] == i)
    end
  end)
end)
