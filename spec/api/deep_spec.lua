-- Tables, and what is in them, that cross to services and back.

local assert = require "luassert"
local carray = require "carray"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local it_with_integers = helpers.it_needs(helpers.math_type, "integers")

describe("tables that cross", function()
  before_each(helpers.watch("deep values"))
  after_each(helpers.unwatch)

  local echo

  setup(function()
    echo = mtstates.newstate({}, helpers.echo)
  end)

  local function there_and_back(value)
    local copy = echo:call(value)
    assert.is_false(rawequal(value, copy))
    return copy
  end

  it("keep what is in them", function()
    local nested = {a = {b = {c = {"deep", {}}}}}
    for _, t in ipairs({
      {}, {1, 2, 3}, {"x", "y", true, false, 1.5}, {x = 1, y = 2}, {{}},
      {{{}}}, {1, 2, n = 2, [10] = "ten"}, nested, {[1] = 1, [3] = 3, [5] = 5},
      {[-1] = "below", [0] = "zero", "one"}, {[1e300] = 1, [-0.5] = 2},
      {[true] = 1, [false] = 0}, {[1/0] = "inf", [-1/0] = "-inf"},
      {[""] = "", ["\0"] = "\0", ["a b"] = "a\0b"}
    }) do
      assert.same(t, there_and_back(t))
    end
  end)

  it("are tables there, without a metatable", function()
    local s = mtstates.newstate({}, [[
      return function(t, ...)
        return type(t), getmetatable(t) == nil, #t, t.x, t[1], select("#", ...)
      end
    ]])
    assert.same({"table", true, 1, "x", 7, 0}, {s:call({7, x = "x"})})
  end)

  it("are not changed by their copies", function()
    local s = mtstates.newstate({}, [[
      return function(t)
        t.inner.x, t[1], t.new = "changed", nil, {}
        return t
      end
    ]])
    local inner = {x = "as it was"}
    local t = {1, 2, inner = inner}
    local copy = s:call(t)
    assert.same({1, 2, inner = {x = "as it was"}}, t)
    assert.equals(inner, t.inner)
    assert.same({[2] = 2, inner = {x = "changed"}, new = {}}, copy)
  end)

  it("keep the border of sequences of any length", function()
    for n = 0, 70 do
      local forward, backward, named = {}, {}, {name = "x", other = "y"}
      for i = 1, n do
        forward[i], named[i] = i, i
      end
      for i = n, 1, -1 do
        backward[i] = i -- in the hash part
      end
      local a, b, c = echo:call(forward, backward, named)
      assert.same({n, n, n}, {#a, #b, #c})
      assert.same({forward, backward, named}, {a, b, c})
    end
  end)

  it("keep sequences that have shrunk or grown at their ends", function()
    for n = 1, 40 do
      local shrunk, grown = {}, {0, 0, 0, 0}
      for i = 1, 2 * n do
        shrunk[i] = i
      end
      for i = 2 * n, n + 1, -1 do
        shrunk[i] = nil
      end
      for i = 5, n + 4 do
        grown[i] = i
      end
      local a, b = echo:call(shrunk, grown)
      assert.same({n, n + 4}, {#a, #b})
      assert.same({shrunk, grown}, {a, b})
    end
  end)

  it("keep holes", function()
    for hole = 1, 20 do
      local t = {}
      for i = 1, 20 do
        t[i] = i
      end
      t[hole] = nil
      assert.same(t, there_and_back(t))
    end
    assert.same({nil, nil, 3}, there_and_back({nil, nil, 3}))
    local sparse = {[1] = 1, [1000] = 2, [1000000] = 3, [2^40] = 4}
    assert.same(sparse, there_and_back(sparse))
  end)

  it("keep entries of any number", function()
    for _, n in ipairs({10, 100, 127, 128, 255, 256, 1000, 5000, 70000}) do
      local t = {}
      for i = 1, n do
        t[i], t["key " .. i] = i, {i}
      end
      local copy = there_and_back(t)
      assert.equals(n, #copy)
      local count = 0
      for key in pairs(copy) do
        count = count + 1
        if type(key) == "string" then
          assert(copy[key][1] == tonumber(key:match("%d+")))
        else
          assert(copy[key] == key)
        end
      end
      assert.equals(2 * n, count)
    end
  end)

  it("keep nan and the sign of zero", function()
    local zero = 0.0
    local copy = there_and_back({zero, -zero, 0/0, 1/0, -1/0, 5e-324})
    assert.equals(1/0, 1 / copy[1])
    assert.equals(-1/0, 1 / copy[2])
    assert.is_true(copy[3] ~= copy[3])
    assert.same({1/0, -1/0, 5e-324}, {copy[4], copy[5], copy[6]})
  end)

  it_with_integers("keep integers and floats apart", function()
    local max, min = rawget(math, "maxinteger"), rawget(math, "mininteger")
    local copy = there_and_back({max, min, 1, 1.0, -0.0, 2^53,
      [max] = "max", [min] = "min", [9007199254740992] = "key", x = {1.0, 1}})
    local kinds = {}
    for i, x in ipairs(copy) do
      kinds[i] = helpers.math_type(x)
    end
    assert.same({"integer", "integer", "integer", "float", "float", "float"},
      kinds)
    assert.same({max, min}, {copy[1], copy[2]})
    assert.same({"max", "min", "key"}, {copy[max], copy[min], copy[2^53]})
    assert.equals("float", helpers.math_type(copy.x[1]))
    assert.equals("integer", helpers.math_type(copy.x[2]))
    for key in pairs(copy) do
      assert.is_true(type(key) == "string"
        or helpers.math_type(key) == "integer")
    end
  end)

  it("have many long strings", function()
    local t = {}
    for i = 1, 30 do
      t[i] = ("%d "):format(i) .. ("long"):rep(2000)
    end
    assert.same({t, t[30]}, {echo:call(t, t[30])})
  end)

  it("keep strings of any length and bytes", function()
    for _, n in ipairs({0, 1, 39, 40, 41, 127, 128, 255, 256, 4095, 4096, 5000,
                        65535, 65536, 1048576}) do
      local text = ("a\0\255"):rep(n):sub(1, n)
      local alone, t = echo:call(text, {text, {text}, [text .. "k"] = text})
      assert.is_true(alone == text)
      assert.is_true(t[1] == text and t[2][1] == text
        and t[text .. "k"] == text)
    end
  end)

  it("keep strings that are equal, and many that differ", function()
    local t = {}
    for i = 1, 3000 do
      t[i] = {"name", "name" .. i % 100, tostring(i), name = "x" .. i % 7}
    end
    assert.same(t, there_and_back(t))
    local long = ("long"):rep(2000)
    local copy = there_and_back({long, long, {long}, long .. "2"})
    assert.is_true(copy[1] == long and copy[2] == long and copy[3][1] == long
      and copy[4] == long .. "2")
  end)

  it("keep what is shared, in one argument and across all", function()
    local shared = {}
    local t = {shared, {shared}, x = shared, [shared] = shared}
    local a, b, c = echo:call(t, shared, {t, shared})
    local copy = a[1]
    assert.is_true(copy == a[2][1] and copy == a.x and a[copy] == copy)
    assert.is_true(copy == b and c[1] == a and c[2] == b)
    assert.is_false(copy == shared)
    local d, e = echo:call({}, {})
    assert.is_false(d == e)
  end)

  it("keep tables that are shared very often", function()
    local shared, t = {"x"}, {}
    for i = 1, 5000 do
      t[i], t[-i] = shared, {shared}
    end
    local copy = there_and_back(t)
    for i = 1, 5000 do
      assert(copy[i] == copy[1] and copy[-i][1] == copy[1])
    end
    assert.same({"x"}, copy[1])
  end)

  it("keep cycles, also through keys and across arguments", function()
    local t, u = {}, {}
    t.itself, t[t], t.u, u.t, u[t] = t, "key", u, t, u
    t[1] = {{{t}}}
    local a, b = echo:call(t, u)
    assert.is_true(a.itself == a and a[a] == "key" and a.u == b)
    assert.is_true(b.t == a and b[a] == b and a[1][1][1][1] == a)
  end)

  it("may be keys, with all that is in them", function()
    local key = {name = "key", {}}
    local copy = there_and_back({[key] = "value", [{}] = {key}, k = key})
    assert.equals("value", copy[copy.k])
    assert.same({name = "key", {}}, copy.k)
    local count = 0
    for k, v in pairs(copy) do
      count = count + 1
      if type(k) == "table" and k ~= copy.k then
        assert.is_true(v[1] == copy.k and next(k) == nil)
      end
    end
    assert.equals(3, count)
  end)

  helpers.it_with_globals("may have functions as keys", function()
    local f = function() return "called" end
    local copy = echo:call({[f] = f, [print] = "print", [_G] = "globals"})
    assert.same({"print", "globals"}, {copy[print], copy[_G]})
    copy[print], copy[_G] = nil, nil
    local key, value = next(copy)
    assert.is_true(key == value and key ~= f)
    assert.equals("called", key())
    assert.is_nil(next(copy, key))
  end)

  it("leave nothing behind in requests, however deep they are", function()
    local s = mtstates.newstate({}, "return function(t) return type(t) end")
    local deep = {}
    for _ = 1, 5000 do
      deep = {deep}
    end
    local function ask(times)
      for _ = 1, times do
        assert.equals("table", s:await(deep))
      end
      helpers.collect()
      return handoff.heap_bytes()
    end
    local before = ask(10)
    assert.is_true(ask(100) - before < 5e6)
    s:close()
  end)

  it("may be a thousand arguments", function()
    local values, shared = {}, {}
    for i = 1, 1000 do
      values[i] = {i, shared}
    end
    local copies = {echo:call(helpers.unpack(values))}
    assert.equals(1000, #copies)
    for i = 1, 1000 do
      assert(copies[i][1] == i and copies[i][2] == copies[1][2])
    end
  end)

  it("cross between values of all other kinds", function()
    local p = handoff.lightuserdata(0x7f001230)
    local results = helpers.pack(echo:call(nil, {p}, p, nil, {}, "s", 1.5,
      nil))
    assert.equals(8, results.n)
    assert.is_true(rawequal(results[2][1], p) and rawequal(results[3], p))
    assert.same({{}, "s", 1.5}, {results[5], results[6], results[7]})
    assert.is_nil(results[1] or results[4] or results[8])
    local copy = there_and_back({[p] = p, x = {p}})
    assert.is_true(rawequal(copy[p], p) and rawequal(copy.x[1], p))
  end)

  -- Their stacks have little room yet.
  it("may be many, and have many names, for new states", function()
    local names = {}
    for i = 1, 64 do
      names[i] = {"name " .. i, "name " .. i}
    end
    local arguments = {}
    for i = 1, 1000 do
      arguments[i] = i
    end
    for n = 0, 160 do -- for some of them the stack would be just enough
      local s = mtstates.newstate({}, helpers.echo)
      local copies = {s:call(names, helpers.unpack(arguments, 1, n))}
      assert.same(names, table.remove(copies, 1))
      assert.same({helpers.unpack(arguments, 1, n)}, copies)
      s:close()
    end
    local s = mtstates.newstate({}, helpers.echo)
    assert.same({{}, helpers.unpack(arguments)},
      {s:call({}, helpers.unpack(arguments))})
    s:close()
  end)

  it("are garbage when the callback has dropped them", function()
    local s = mtstates.newstate({}, function()
      return function(t, other)
        local kept = setmetatable({t}, {__mode = "v"})
        local is_shared = t == other
        t, other = nil, nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        return is_shared, #kept
      end
    end)
    local t = {}
    assert.same({true, 0}, {s:call(t, t)})
  end)

  it("may hold carrays, which are copied", function()
    local array = carray.new("short", 2)
    array:set(1, 5)
    array:set(2, -6)
    local copy, alone = echo:call({array, x = {array}}, array)
    assert.equals("short", alone:type())
    assert.same({5, -6}, {alone:get(1), alone:get(2)})
    assert.is_true(copy[1] == alone and copy.x[1] == alone)
    alone:set(1, 7)
    assert.equals(5, array:get(1))
  end)
end)
