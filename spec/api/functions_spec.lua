local helpers = require "helpers"
local mtstates = require "mtstates"

-- Whether code that a C function calls can yield.
local function yields_across_c()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write("coroutine.yield(true)")
  file:close()
  local ok = pcall(coroutine.wrap(function() dofile(path) end))
  os.remove(path)
  return ok
end

describe("a table of functions", function()
  before_each(helpers.watch("functions"))
  after_each(helpers.unwatch)

  -- What is said of an unknown choice, without state and traceback.
  local function complaint(s, ...)
    local err = helpers.raises_error("invoking_state", s.call, s, ...)
    local e = mtstates.error(err)
    assert.is_nil(e:cause())
    assert.truthy(e:traceback())
    return e:text()
  end

  local function calculator()
    return mtstates.newstate({}, function()
      local t = {}
      function t.add(a, b) return a + b end
      function t.sub(a, b) return a - b end
      function t.echo(...) return ... end
      function t.fail(text) error(text, 0) end
      return t
    end)
  end

  it("is the callback: the first argument chooses", function()
    local s = calculator()
    assert.equals(7, s:call("add", 3, 4))
    assert.equals(-1, s:call("sub", 3, 4))
    assert.same({true, 7}, {s:tcall(0, "add", 3, 4)})
  end)

  for _, method in ipairs({"call", "await"}) do
    it("gets all arguments behind the choice, gives all results: " .. method,
       function()
      local s = calculator()
      local function echo(...)
        return helpers.pack(s[method](s, "echo", ...))
      end
      assert.same({n = 0}, echo())
      assert.same({n = 1}, echo(nil))
      assert.same({n = 4, nil, "x", false, nil}, echo(nil, "x", false, nil))
      assert.same({n = 2, {1}, nil}, echo({1}, nil))
      local many = {}
      for i = 1, 200 do
        many[i] = i
      end
      many.n = 200
      assert.same(many, echo(helpers.unpack(many, 1, 200)))
    end)
  end

  it("can be that of a singleton", function()
    local s = mtstates.singleton("functions", {},
      "return {id = require 'mtstates'.id}, 'more'")
    assert.equals(s:id(), s:call("id"))
  end)

  it("leaves further results of the setup alone", function()
    local s, a, b = mtstates.newstate({}, "return {f = type}, 1, 'two'")
    assert.same({1, "two"}, {a, b})
    assert.equals("nil", s:call("f", nil))
  end)

  it("leaves a function as it is", function()
    local s = mtstates.newstate({}, helpers.echo)
    assert.same({"add", 1}, {s:call("add", 1)})
  end)

  it("is for services only", function()
    local err = helpers.raises_error("state_result", mtstates.newstate,
      "return {f = type}")
    assert.truthy(err:find(
      "result #1 of the setup is not a function but table", 1, true))
  end)

  it("is what other results are not", function()
    for code, actual in pairs({
      ["return"] = "no value", ["return nil, {}"] = "nil",
      ["return 'f'"] = "string", ["return coroutine.create(function() end)"] =
        "thread",
    }) do
      local err = helpers.raises_error("state_result", mtstates.newstate,
        {}, code)
      assert.equals("result #1 of the setup is not a function or table of " ..
        "functions but " .. actual, err:match(": (result .*)$"))
    end
  end)

  it("is asked for nil by a call without arguments", function()
    local s = mtstates.newstate({}, function()
      return setmetatable({}, {__index = function(_, key)
        return function(...)
          return "chosen", key, select("#", ...)
        end
      end})
    end)
    for _, ask in ipairs({s.call, s.await}) do
      local text, key, count = ask(s)
      assert.same({"chosen", nil, 0}, {text, key, count})
    end
    s:close()
  end)

  it("is asked at each call", function()
    local s = mtstates.newstate({}, function()
      local t = {}
      function t.set(value)
        t.f = function() return value end
      end
      function t.remove() t.f = nil end
      return t
    end)
    s:call("set", 1)
    assert.equals(1, s:call("f"))
    s:call("set", 2)
    assert.equals(2, s:call("f"))
    s:call("remove")
    assert.equals("there is no function 'f'; there are 'remove', 'set'",
                  complaint(s, "f"))
  end)

  it("can inherit", function()
    local s = mtstates.newstate({}, function()
      local base = {a = function() return "a" end}
      local middle = setmetatable({b = function() return "b" end, c = false},
                                  {__index = base})
      local made = {c = function() return "c" end}
      return setmetatable(made, {__index = middle})
    end)
    assert.same({"a", "b", "c"}, {s:call("a"), s:call("b"), s:call("c")})
  end)

  it("can make its functions when they are asked for", function()
    local s = mtstates.newstate({}, function()
      return setmetatable({}, {__index = function(_, key)
        if key ~= "no" then
          return function(x) return tostring(key) .. tostring(x) end
        end
      end})
    end)
    assert.equals("a1", s:call("a", 1))
    assert.equals("nilnil", s:call())
    assert.equals("there is no function 'no', nor any other",
                  complaint(s, "no"))
  end)

  it("can have callable values", function()
    local s = mtstates.newstate({}, function()
      local called = setmetatable({}, {__call = function(self, ...)
        return type(self), ...
      end})
      return {called = called, plain = {}}
    end)
    assert.same({"table", 1}, {s:call("called", 1)})
    assert.equals("there is no function 'plain'; there is 'called'",
                  complaint(s, "plain"))
  end)

  it("can have other keys than strings", function()
    local s = mtstates.newstate({}, function()
      return {
        function() return "one" end,
        [1.5] = function() return "1.5" end,
        [true] = function() return "true" end,
      }
    end)
    assert.equals("one", s:call(1))
    assert.equals("1.5", s:call(1.5))
    assert.equals("true", s:call(true))
    assert.equals("there is no function '1', nor any other",
                  complaint(s, "1"))
  end)

  it("names an unknown choice", function()
    local s = calculator()
    local function unknown(...)
      local there = "; there are 'add', 'echo', 'fail', 'sub'"
      return complaint(s, ...):match("^there is no function (.*)" .. there ..
        "$")
    end
    assert.equals("'foo'", unknown("foo", 1))
    assert.equals("''", unknown(""))
    assert.equals("[1]", unknown(1))
    assert.equals("[-1.5]", unknown(-1.5))
    assert.equals("[true]", unknown(true))
    assert.equals("nil", unknown())
    assert.equals("nil", unknown(nil, 1))
    assert.equals(3, s:call("add", 1, 2))
  end)

  it("names each function that there is once, sorted", function()
    local s = mtstates.newstate({}, function()
      local t, base, loop = {}, {}, {}
      for i = 1, 100 do
        t["f" .. i] = print
        base["f" .. i] = print
      end
      t.hidden, base.hidden = false, print
      t.value, base[1], base.own = 1, print, print
      loop.last = print
      setmetatable(t, {__index = base})
      setmetatable(base, {__index = loop})
      setmetatable(loop, {__index = t})
      return t
    end)
    local names = {"'last'", "'own'"}
    for i = 1, 100 do
      names[#names + 1] = "'f" .. i .. "'"
    end
    table.sort(names)
    assert.equals("there is no function 'value'; there are " ..
      table.concat(names, ", "), complaint(s, "value"))
  end)

  it("keeps __close from being chosen and named", function()
    local s = mtstates.newstate({}, function()
      return {__close = function() return "chosen" end, f = print}
    end)
    assert.equals("there is no function '__close'; there is 'f'",
                  complaint(s, "__close"))
  end)

  it("raises what its functions raise", function()
    local s = calculator()
    assert.equals("no", complaint(s, "fail", "no"))
    local err = helpers.raises_error("invoking_state", s.call, s, "add", 1)
    assert.truthy(mtstates.error(err):text():find("arithmetic", 1, true))
  end)

  local it_yields = helpers.it_needs(yields_across_c(),
                                     "yields across C functions")

  it_yields("can be yielded across", function()
    local s = mtstates.newstate({}, function()
      local t = {}
      function t.yield(...)
        return "end", coroutine.yield(...)
      end
      function t.run(...)
        local callback = debug.getinfo(2, "f").func
        local co = coroutine.create(callback)
        local _, first, second = coroutine.resume(co, "yield", ...)
        return first, second, coroutine.resume(co, "resumed", 3)
      end
      return t
    end)
    assert.same({1, 2, true, "end", "resumed", 3}, {s:call("run", 1, 2)})
  end)

  it("can be called by itself", function()
    local s = mtstates.newstate({}, function()
      local mt = require "mtstates"
      local t = {}
      function t.factorial(n)
        return n < 2 and 1 or n * mt.state(mt.id()):call("factorial", n - 1)
      end
      return t
    end)
    assert.equals(120, s:call("factorial", 5))
  end)
end)
