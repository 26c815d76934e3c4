-- What Lua keeps for all code of a state is changed by some of it, while deep
-- values cross.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"

local it = helpers.it_with_globals

describe("deep values cross or fail cleanly", function()
  before_each(helpers.watch("deep tampered"))
  after_each(helpers.unwatch)

  local function without_class(t)
    debug.setmetatable(t, nil)
    return t
  end

  local function usable(s)
    assert.same({1, {2}}, s:call("echo", {1, {2}}))
  end

  it("when basic types have metatables", function()
    local function never() error("a metamethod was called") end
    local code = [[
      local function set(mt)
        for _, value in ipairs({0, true, print, coroutine.create(print_)}) do
          debug.setmetatable(value, mt)
        end
        debug.setmetatable(nil, mt)
      end
      return set
    ]]
    local set = helpers.compile((code:gsub("print_", "function() end")))()
    local hostile = {__transfer = never, __receive = never, __index = never,
                     __newindex = never, __len = never, __name = "number"}
    local s = mtstates.newstate({}, helpers.echo)
    local t = {1, true, print, "x", nil, {2, [print] = function() end}}
    set(hostile)
    local ok, copy = pcall(s.call, s, t)
    set(nil)
    assert.is_true(ok, copy)
    assert.same({1, true, print, "x"}, {copy[1], copy[2], copy[3], copy[4]})
    assert.equals("function", type(copy[6][print]))
  end)

  it("when the registry is tampered with", function()
    local registry = debug.getregistry()
    local class = mtstates.class("deep.Tampered")
    local x = setmetatable({1}, class)
    local s = mtstates.newstate({}, [[
      local class = require "mtstates".class("deep.Tampered")
      return function(what, value)
        if what == "set" then
          debug.getregistry()["deep.Tampered"] = value
        elseif what == "restore" then
          debug.getregistry()["deep.Tampered"] = class
        elseif what == "make" then
          return {setmetatable({1}, class)}
        end
        return value
      end
    ]])
    for _, value in ipairs({7, "text", true, false, {}, print,
                            {__name = "deep.Other"}}) do
      s:call("set", value)
      helpers.raises_error("unknown_class", s.call, s, "echo", {x})
      helpers.raises_error("state_result", s.call, s, "make")
      usable(s)
      s:call("restore")
      assert.same({1}, without_class(s:call("make")[1]))
      registry["deep.Tampered"] = value
      helpers.bad_argument(2, "call", "no class name", function()
        s:call("echo", {x})
      end)
      helpers.raises_error("unknown_class", s.call, s, "make")
      registry["deep.Tampered"] = class
      usable(s)
    end
    for _, name in ipairs({0/0, 1, true, {}, "", "\0", "_G", "_LOADED"}) do
      class.__name = name
      local ok, err = pcall(s.call, s, "echo", {x})
      assert.is_false(ok)
      assert.equals("string", type(err))
      usable(s)
    end
    class.__name = "deep.Tampered"
    assert.same({1}, without_class(s:call("echo", {x})[1]))
  end)

  it("when package.loaded is tampered with", function()
    local s = mtstates.newstate({}, [[
      local loaded = package.loaded
      return function(what, ...)
        if what == "break" then
          for name in pairs(loaded) do
            loaded[name] = nil
          end
          package.loaded, package.preload = nil, nil
        end
        return ...
      end
    ]])
    s:call("break")
    pcall(s.call, s, "echo", {string, print, function() return string end})
    usable(s)
    local saved = {}
    for _, key in ipairs({1, true, 0.5, print}) do
      package.loaded[key] = {f = function() end}
      saved[#saved + 1] = key
    end
    package.loaded["deep.proxy"] = setmetatable({}, {
      __index = error, __pairs = error, __len = error
    })
    local other = mtstates.newstate({}, helpers.echo)
    local ok, copy = pcall(other.call, other, {string, print})
    for _, key in ipairs(saved) do
      package.loaded[key] = nil
    end
    package.loaded["deep.proxy"] = nil
    assert.is_true(ok, copy)
    assert.same({string, print}, copy)
  end)

  it("when the target has no require", function()
    local s = mtstates.newstate({}, [[
      require = nil
      return function(what, t)
        if what == "module" then
          return t[1] == string, t[2] == string.format
        elseif what == "state" then
          return t[1]:call({5}), t
        end
        return t
      end
    ]])
    local answer, t = s:call("state", {mtstates.newstate({}, helpers.echo)})
    assert.same({5}, answer)
    assert.equals("mtstates.state", mtstates.type(t[1]))
    local ok, err, is_function = pcall(s.call, s, "module",
      {string, string.format})
    if ok then
      assert.is_true(err and is_function)
    else
      assert.equals(1, err:find("mtstates.error.unknown_class", 1, true), err)
    end
    usable(s)
  end)
end)
