-- Long strings of arguments are not copied while the caller waits: the caller
-- keeps them. In all other messages they are copied.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("long strings that cross", function()
  before_each(helpers.watch("deep strings"))
  after_each(helpers.unwatch)

  -- Drops what it was given and has its memory used again.
  local spoil = [[
    local function spoil(t)
      for key in next, t do
        t[key] = nil
      end
      collectgarbage()
      collectgarbage()
      local others = {}
      for i = 1, 50 do
        others[i] = ("z"):rep(5000)
      end
      return others
    end
  ]]

  local function long(name)
    return name .. ("long"):rep(1250)
  end

  it("leave the other arguments as they are", function()
    local echo = mtstates.newstate({}, helpers.echo)
    for count = 0, 12 do
      local t = {}
      for i = 1, count do
        t[i] = long("number " .. i .. " ")
      end
      assert.same({t, "next", 2.5, {}, "last"},
        {echo:call(t, "next", 2.5, {}, "last")})
      assert.same({true, "first", t}, {echo:tcall(100, "first", t)})
    end
  end)

  -- A finalizer runs while the arguments are made there, and calls back.
  it("stay for the target when the caller has dropped them", function()
    local caller = mtstates.newstate({}, spoil .. [[
      local root, others
      local methods = {}
      function methods.run(target, me, key, value)
        local list = {}
        for i = 1, 20000 do
          list[i] = {i}
        end
        local name = key .. ("k"):rep(5000)
        local text = value .. ("v"):rep(5000)
        root = {[name] = text}
        target:call("arm", me)
        name, text = nil, nil
        name, text = target:call("look", key .. ("k"):rep(5000), list, root)
        return others ~= nil, name == key .. ("k"):rep(5000),
          text == value .. ("v"):rep(5000)
      end
      function methods.drop()
        others = spoil(root)
      end
      return methods
    ]])
    local target = mtstates.newstate({}, [[
      local on_collect = require "on_collect"
      local methods, is_armed = {}, false
      function methods.arm(caller)
        collectgarbage()
        on_collect(function() caller:call("drop") end)
      end
      function methods.look(_, _, t)
        return next(t)
      end
      return methods
    ]])
    for i = 1, 3 do
      assert.same({true, true, true},
        {caller:call("run", target, caller, "key " .. i, "value " .. i)})
    end
  end)

  it("of requests that wait are copies", function()
    local sender = mtstates.newstate({}, spoil .. [[
      return function(target, name)
        local t = {name .. ("x"):rep(5000), {[name .. ("y"):rep(5000)] = true}}
        local future = target:async("look", t, t[1])
        spoil(t[2])
        spoil(t)
        return future, "is sent"
      end
    ]])
    local target = mtstates.newstate({tasks = 1}, [[
      local mt = require "mtstates"
      return {
        wait = function(future) return future:await() end,
        look = function(t, x) return t[1], (next(t[2])), x end
      }
    ]])
    local future, promise = mtstates.promise()
    local waits = target:async("wait", future)
    local answer = sender:call(target, "name")
    promise:set("go")
    assert.equals("go", waits:await())
    local x, y = "name" .. ("x"):rep(5000), "name" .. ("y"):rep(5000)
    local a, b, c = answer:await()
    assert.is_true(a == x and b == y and c == x)
  end)

  it("of answers that wait are copies", function()
    local s = mtstates.newstate({}, spoil .. [[
      local t
      return {
        give = function(name)
          t = {name .. ("x"):rep(5000), {[name .. ("y"):rep(5000)] = true}}
          return t
        end,
        spoil = function()
          spoil(t[2])
          spoil(t)
        end
      }
    ]])
    local future = s:async("give", "name")
    s:async("spoil"):await()
    local t = future:await()
    assert.is_true(t[1] == "name" .. ("x"):rep(5000))
    assert.is_true(next(t[2]) == "name" .. ("y"):rep(5000))
  end)
end)
