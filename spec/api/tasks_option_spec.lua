-- The option tasks: how many requests of a state may be under way at once.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"
local runs = require "runs"

-- Waits until the promise `name` of its state is set, and marks both ends.
local WAIT = [[
  local name = ...
  mark(name)
  local go
  go, _G[name] = mt.promise()
  go:await()
  mark("-" .. name)
  return name
]]

describe("the option tasks", function()
  before_each(helpers.watch("option tasks"))
  after_each(helpers.unwatch)

  it("is a positive number", function()
    for _, value in ipairs({1, 2, 1000, 1e9, math.huge}) do
      local s = mtstates.newstate({tasks = value}, helpers.echo)
      assert.same({1, 2}, {s:call(1), s:await(2)})
    end
    for text, value in pairs({
      ["0"] = helpers.compile("return 0")(), ["-1"] = -1, nan = 0 / 0,
      [tostring(-math.huge)] = -math.huge, string = "1", boolean = true,
      table = {}, ["function"] = print,
    }) do
      local err = helpers.bad_argument(1, "newstate",
        "option 'tasks': positive",
        function() mtstates.newstate({tasks = value}, helpers.echo) end)
      if value == value then -- how nan is shown is a matter of the system
        assert.truthy(err:find("expected, got " .. text .. ")", 1, true), err)
      end
      helpers.bad_argument(2, "singleton", "option 'tasks': positive",
        function()
          mtstates.singleton("tasks bad", {tasks = value}, helpers.echo)
        end)
      helpers.bad_argument(1, "thread", "option 'tasks': positive",
        function() mtstates.thread({tasks = value}, "") end)
    end
  end)

  it("is without a limit where nothing is said", function()
    for _, options in ipairs({{}, {tasks = math.huge}}) do
      local s = runs.new("service", options)
      local futures = {}
      for i = 1, 2000 do
        futures[i] = s:async("mt.sleep(0) return 1")
      end
      local many = {}
      for i = 1, 900 do
        many[i] = s:async(WAIT, "many" .. i)
      end
      runs.settle(s)
      helpers.wait_until(function() return s:stats().tasks == 900 end)
      s:await([[
        for i = 1, 900 do
          _G["many" .. i]:set()
        end
      ]])
      for i = 1, 900 do
        assert.equals("many" .. i, many[i]:await())
      end
      for i = 1, 2000 do
        assert.equals(1, futures[i]:await())
      end
    end
  end)
end)

for _, kind in ipairs(runs.services) do
  describe("tasks = 2 of a " .. kind, function()
    before_each(helpers.watch("option tasks"))
    after_each(helpers.unwatch)

    it("lets two requests begin, and calls and forks besides", function()
      local s = runs.new(kind, {tasks = 2})
      local a = s:async("mt.fork(mark, 'fork') " .. WAIT, "a")
      local b, c, d = s:async(WAIT, "b"), s:async(WAIT, "c"),
        s:async(WAIT, "d")
      helpers.wait_until(function()
        return s:stats().tasks == 2 and s:stats().queue == 2
          and s:call("return a and b") ~= nil
      end)
      local seen = s:call("return marks()")
      assert.equals("a b", (seen:gsub(" fork", "")))
      assert.truthy(seen:find("fork", 1, true))
      s:call("a:set()")
      assert.equals("a", a:await())
      helpers.wait_until(function() return s:call("return c ~= nil") end)
      assert.same({2, 1}, {s:stats().tasks, s:stats().queue})
      assert.equals("-a c", s:call("return marks()"))
      s:call("c:set() b:set()")
      assert.same({"b", "c"}, {b:await(), c:await()})
      helpers.wait_until(function() return s:call("return d ~= nil") end)
      s:call("d:set()")
      assert.equals("d", d:await())
      s:close()
    end)

    it("takes the next one when one is cancelled", function()
      local s = runs.new(kind, {tasks = 2})
      local a, b, c = s:async(WAIT, "a"), s:async(WAIT, "b"),
        s:async(WAIT, "c")
      helpers.wait_until(function() return s:call("return a and b") ~= nil end)
      assert.is_false(s:call("return c ~= nil"))
      assert.is_true(a:cancel())
      helpers.wait_until(function() return s:call("return c ~= nil") end)
      s:call("b:set() c:set()")
      assert.same({"b", "c"}, {b:await(), c:await()})
      s:close()
    end)
  end)
end
