local carray = require "carray"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local it_with_integers = helpers.it_needs(helpers.math_type, "integers")

describe("values that cross", function()
  before_each(helpers.watch("transfer"))
  after_each(helpers.unwatch)

  local echo, describe_value

  setup(function()
    echo = mtstates.newstate(helpers.echo)
    -- What the other side sees: type, kind of number, text.
    describe_value = mtstates.newstate(function()
      local math_type = require "helpers".math_type or type
      return function(x)
        local kind = math_type(x)
        local text = tostring(x)
        if type(x) == "number" then
          text = ("%.17g"):format(x)
        end
        return type(x), kind, text
      end
    end)
  end)

  local function there_and_back(value)
    local count, first, second = select("#", echo:call(value, value)),
      echo:call(value, value)
    assert.equals(2, count)
    assert.is_true(rawequal(first, second) or first ~= first)
    return first
  end

  it("keep nil, true and false", function()
    local results = helpers.pack(echo:call(nil, true, false, nil))
    assert.equals(4, results.n)
    assert.is_nil(results[1])
    assert.is_true(results[2])
    assert.is_false(results[3])
    assert.is_nil(results[4])
    assert.equals("nil", (describe_value:call(nil)))
    assert.equals("boolean", (describe_value:call(false)))
  end)

  it("keep integers", function()
    for _, n in ipairs({0, 1, -1, 255, 256, 65536, 2147483647, -2147483648}) do
      assert.equals(n, there_and_back(n))
      if helpers.math_type then
        assert.equals("integer", helpers.math_type(there_and_back(n)))
        assert.equals("integer", (select(2, describe_value:call(n))))
      end
    end
  end)

  it_with_integers("keep 64-bit integers at their limits", function()
    local max, min = rawget(math, "maxinteger"), rawget(math, "mininteger")
    for _, n in ipairs({max, min, max - 1, min + 1, 9007199254740993}) do
      local back = there_and_back(n)
      assert.is_true(n == back)
      assert.equals("integer", helpers.math_type(back))
    end
  end)

  it_with_integers("keep floats with integer values floats", function()
    for _, n in ipairs({0.0, 1.0, -1.0, 2^53, 1e15, -3.0}) do
      assert.equals("float", helpers.math_type(there_and_back(n)))
      assert.equals("float", (select(2, describe_value:call(n))))
    end
  end)

  it("keep floats", function()
    for _, n in ipairs({
      0.5, -0.5, 0.1, 1/3, 1e-300, 1e300, 2^53, 2^63, -2^63, 2^64, 5e-324,
      1.7976931348623157e308, 2.2250738585072014e-308
    }) do
      assert.is_true(n == there_and_back(n))
    end
  end)

  it("keep infinities", function()
    assert.equals(1/0, there_and_back(1/0))
    assert.equals(-1/0, there_and_back(-1/0))
  end)

  it("keep the sign of zero", function()
    local zero = 0.0
    assert.equals(-1/0, 1 / there_and_back(-zero))
    assert.equals(1/0, 1 / there_and_back(zero))
  end)

  it("keep nan", function()
    local nan = there_and_back(0/0)
    assert.is_true(nan ~= nan)
  end)

  it("keep strings, whatever their bytes", function()
    local all = {}
    for i = 0, 255 do
      all[#all + 1] = string.char(i)
    end
    for _, text in ipairs({
      "", " ", "plain", "\0", "a\0b", "\0\0\0", "ends with zero\0",
      "\255\254\0\128", "\r\n", "12", "0x10", table.concat(all)
    }) do
      assert.equals(text, there_and_back(text))
      assert.equals("string", (describe_value:call(text)))
    end
  end)

  it("keep strings of every length around short and long ones", function()
    for length = 0, 300 do
      local text = ("x"):rep(length)
      assert.equals(text, (echo:call(text)))
    end
    for power = 9, 17 do
      for offset = -1, 1 do
        local text = ("y"):rep(2^power + offset)
        assert.is_true(text == echo:call(text))
      end
    end
  end)

  -- What fits into the room for short results takes another way.
  it("keep their neighbours, whatever the length of strings", function()
    local p = handoff.lightuserdata(0x7f001230)
    for length = 1000, 1200 do
      local text = ("z"):rep(length)
      local values = {true, 1, text, nil, 2, 3.0, "", false, -0.5, nil}
      assert.same(helpers.pack(helpers.unpack(values, 1, 10)),
        helpers.pack(echo:call(helpers.unpack(values, 1, 10))))
      local a, b, c = echo:call(text, p, text)
      assert.is_true(a == text and rawequal(b, p) and c == text)
    end
    local math_type = helpers.math_type or type
    local number, three = select(2, echo:call("", 3, 3.0))
    assert.equals(math_type(3), math_type(number))
    assert.equals(math_type(3.0), math_type(three))
  end)

  -- Bytes have to know every kind, behind a string above all.
  it("keep each kind behind a string among the results", function()
    local p = handoff.lightuserdata(0x7f001230)
    local math_type = helpers.math_type or type
    local array = carray.new("short", 2)
    array:set(1, 5)
    array:set(2, -6)
    local results = helpers.pack(echo:call("s", p, nil, 1, 1.0, true, false,
      p, "t"))
    assert.equals(9, results.n)
    assert.is_true(rawequal(results[2], p) and rawequal(results[8], p))
    assert.is_nil(results[3])
    assert.equals(math_type(1), math_type(results[4]))
    assert.equals(math_type(1.0), math_type(results[5]))
    assert.same({true, false}, {results[6], results[7]})
    assert.equals("t", results[9])
    results = helpers.pack(echo:call(7, "s", p, array, "t", array, 8))
    assert.equals(7, results.n)
    assert.is_true(rawequal(results[3], p))
    for _, i in ipairs({4, 6}) do
      assert.equals("short", results[i]:type())
      assert.same({5, -6}, {results[i]:get(1), results[i]:get(2)})
    end
    assert.same({7, "s", "t", 8},
      {results[1], results[2], results[5], results[7]})
  end)

  it("keep each kind behind a string among the results of setup", function()
    local p = handoff.lightuserdata(0x7f001230)
    local array = carray.new("double", 1)
    array:set(1, 0.5)
    local results = helpers.pack(mtstates.newstate(function(...)
      return print, ...
    end, "s", p, array, nil, 2, "t"))
    assert.equals(7, results.n)
    assert.is_true(rawequal(results[3], p))
    assert.equals(0.5, results[4]:get(1))
    assert.is_nil(results[5])
    assert.same({"s", 2, "t"}, {results[2], results[6], results[7]})
  end)

  it("keep strings of 1 MB and several of them", function()
    local big = ("0123456789abcde\0"):rep(65536)
    assert.equals(1048576, #big)
    assert.is_true(big == echo:call(big))
    local a, b, c = echo:call(big, "small", big)
    assert.is_true(a == big)
    assert.equals("small", b)
    assert.is_true(c == big)
  end)

  it("keep strings strings and numbers numbers", function()
    assert.equals("10", there_and_back("10"))
    assert.equals(10, there_and_back(10))
    assert.equals("string", type(there_and_back("10")))
    assert.equals("number", type(there_and_back(10)))
  end)

  it("keep light userdata", function()
    local p = handoff.lightuserdata(0x7f001230)
    local q = handoff.lightuserdata(0)
    assert.is_true(rawequal(p, there_and_back(p)))
    assert.is_true(rawequal(q, there_and_back(q)))
    assert.equals("userdata", (describe_value:call(p)))
  end)

  it("come in their order, 250 at once", function()
    local values = {}
    for i = 1, 250 do
      values[i] = i % 3 == 0 and "s" .. i or i % 3 == 1 and i or i + 0.5
    end
    assert.same(values, {echo:call(helpers.unpack(values))})
  end)

  -- In Lua 5.1 a C function has 8000 slots for arguments and results.
  it("come in their order, 3000 at once", function()
    local results = helpers.pack(echo:call(handoff.results(3000)))
    assert.equals(3000, results.n)
    for i = 1, 3000 do
      assert.equals(i, results[i])
    end
  end)

  it("may be 5000 results", function()
    local s = mtstates.newstate(function()
      return require "handoff".results
    end)
    local results = helpers.pack(s:call(5000))
    assert.equals(5000, results.n)
    assert.equals(1, results[1])
    assert.equals(5000, results[5000])
  end)

  it("are refused or taken, never lost, when they are very many", function()
    local s = mtstates.newstate(function()
      local results = require "handoff".results
      return function(n) return results(n) end
    end)
    for _, n in ipairs({20000, 100000, 900000, 990000}) do
      local ok, result = pcall(function()
        return select("#", s:call(n))
      end)
      if ok then
        assert.equals(n, result)
      else
        assert.equals("string", type(result))
      end
    end
    assert.equals(3, select("#", s:call(3)))
  end)

  it("are the same when they come from setup", function()
    local results = helpers.pack(mtstates.newstate(function(...)
      return print, ...
    end, nil, true, -7, 0.25, "a\0b", handoff.lightuserdata(64), nil))
    assert.equals(8, results.n)
    assert.is_nil(results[2])
    assert.is_true(results[3])
    assert.equals(-7, results[4])
    assert.equals(0.25, results[5])
    assert.equals("a\0b", results[6])
    assert.is_true(rawequal(handoff.lightuserdata(64), results[7]))
    assert.is_nil(results[8])
  end)
end)

describe("values that cannot cross", function()
  before_each(helpers.watch("transfer errors"))
  after_each(helpers.unwatch)

  local function cases()
    return {
      {"table", {}},
      {"function", print},
      {"function", function() end},
      {"thread", coroutine.create(function() end)},
      {"userdata", handoff.userdata()}
    }
  end

  it("are argument errors that name position and type", function()
    local s = mtstates.newstate(helpers.echo)
    for _, case in ipairs(cases()) do
      local name, value = case[1], case[2]
      helpers.bad_argument(1, "call", name, function() s:call(value) end)
      helpers.bad_argument(3, "call", name, function()
        s:call(nil, "x", value, {})
      end)
      helpers.bad_argument(2, "tcall", name, function()
        s:tcall(0, value)
      end)
      assert.equals("usable", s:call("usable"))
    end
  end)

  it("are found at any position", function()
    local s = mtstates.newstate(helpers.echo)
    local values = {}
    for i = 1, 100 do
      values[i] = {}
      helpers.bad_argument(i, "call", "table", function()
        s:call(helpers.unpack(values, 1, i))
      end)
      values[i] = i % 2 == 0 and i or "string " .. i
    end
    assert.equals(1, s:call(1))
  end)

  it("name other userdata in a way that helps", function()
    local s = mtstates.newstate(helpers.echo)
    local err = helpers.bad_argument(1, "call", "", function()
      s:call(io.stdout)
    end)
    assert.truthy(err:find("FILE*", 1, true) or err:find("userdata", 1, true))
  end)

  it("are named with what can cross in their place", function()
    local s = mtstates.newstate(helpers.echo)
    local state = "(a state cannot be transferred; pass its id)"
    local table = "(table cannot be transferred to another state; " ..
      "pass its values)"
    local bad = helpers.bad_argument
    bad(1, "call", state, function() s:call(s) end)
    bad(2, "call", table, function() s:call(1, {}) end)
    local thread = coroutine.create(function() end)
    bad(1, "call", "(thread cannot be transferred to another state)",
      function() s:call(thread) end)
    bad(3, "tcall", state, function()
      s:tcall(0, 1, mtstates.state(s:id()))
    end)
    bad(2, "newstate", state, function()
      mtstates.newstate(helpers.echo, s)
    end)
    bad(4, "newstate", table, function()
      mtstates.newstate(nil, "return print", 1, {})
    end)
    bad(3, "singleton", state, function()
      mtstates.singleton("transfer nowhere", helpers.echo, s)
    end)
  end)

  it("are named with what can cross in their place as results", function()
    local function setup(what)
      local mt = require "mtstates"
      local s = mt.newstate("return print")
      local function get(kind)
        return 1, kind == "state" and s or {}
      end
      if what then
        return get, get(what)
      end
      return get
    end
    local s = mtstates.newstate(setup)
    for kind, hint in pairs({state = "id", table = "values"}) do
      local text = (" is a %s, which cannot be transferred; return its %s")
        :format(kind, hint)
      local function result(number, f, ...)
        local err = helpers.raises_error("state_result", f, ...)
        assert.truthy(err:find("): result #" .. number .. text, 1, true), err)
      end
      result(2, s.call, s, kind)
      result(2, s.tcall, s, 0, kind)
      result(3, mtstates.newstate, setup, kind)
    end
  end)

  it("do not start the callback", function()
    local gate = handoff.unique()
    local s = mtstates.newstate(function(g)
      return function() require "handoff".add(g) end
    end, gate)
    helpers.raises(function() s:call(1, {}) end)
    assert.equals(0, handoff.get(gate))
    s:call()
    assert.equals(1, handoff.get(gate))
  end)

  it("do not start setup", function()
    local gate = handoff.unique()
    helpers.raises(mtstates.newstate, function(g)
      require "handoff".add(g)
      return print
    end, gate, {})
    assert.equals(0, handoff.get(gate))
  end)

  it("are state_result as results, with position and type", function()
    local s = mtstates.newstate(function()
      return function(kind, position)
        local values = {
          table = {},
          ["function"] = print,
          thread = coroutine.create(function() end),
          userdata = io.stdout
        }
        local results = {}
        for i = 1, position - 1 do
          results[i] = i
        end
        results[position] = values[kind]
        return (table.unpack or unpack)(results) -- luacheck: ignore
      end
    end)
    for _, kind in ipairs({"table", "function", "thread", "userdata"}) do
      for _, position in ipairs({1, 2, 7, 60}) do
        local err = helpers.raises_error("state_result", function()
          s:call(kind, position)
        end)
        assert.truthy(err:find("#" .. position .. "%f[%D]"), err)
        assert.truthy(err:find(kind, 1, true)
          or kind == "userdata" and err:find("FILE*", 1, true), err)
      end
      helpers.raises_error("state_result", function() s:tcall(0, kind, 2) end)
    end
  end)

  it("leave the state as usable as before", function()
    local s = mtstates.newstate(function()
      return function(what, ...)
        if what == "table" then
          return 1, "two", {}
        end
        return ...
      end
    end)
    local big = ("z"):rep(100000)
    for _ = 1, 200 do
      helpers.raises(function() s:call("echo", big, {}) end)
      helpers.raises(function() s:call("table", big) end)
    end
    assert.same({1, 2, 3}, {s:call("echo", 1, 2, 3)})
  end)

  it("leak no memory", function()
    local s = mtstates.newstate(function()
      local big = ("z"):rep(10000)
      return function() collectgarbage("step") return big, {} end
    end)
    local big = ("z"):rep(10000)
    local function provoke(times)
      for _ = 1, times do
        pcall(s.call, s, big, {})
        pcall(s.call, s)
      end
      helpers.collect()
    end
    provoke(200)
    local before = handoff.heap_bytes()
    provoke(1000)
    local grown = handoff.heap_bytes() - before
    assert.is_true(grown < 1000000, "grown by " .. grown)
  end)
end)
