local carray = require "carray"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local on_collect = require "on_collect"
local threads = require "threads"

describe("carray values", function()
  before_each(helpers.watch("carray"))
  after_each(helpers.unwatch)

  local function filled(type, ...)
    local values = {...}
    local array = carray.new(type, #values)
    for i, value in ipairs(values) do
      array:set(i, value)
    end
    return array
  end

  local function content(array)
    local values = {}
    for i = 1, array:len() do
      values[i] = array:get(i)
    end
    return values
  end

  -- The callback reads an array of the other side.
  local function reader()
    return function(array)
      local values = {}
      for i = 1, array:len() do
        values[i] = ("%.17g"):format(array:get(i))
      end
      return array:type(), array:len(), table.concat(values, " ")
    end
  end

  it("cross as arguments", function()
    local s = mtstates.newstate(reader)
    assert.same({"int", 3, "1 -2 3"}, {s:call(filled("int", 1, -2, 3))})
  end)

  it("cross as results", function()
    local s = mtstates.newstate(function()
      local arrays = require "carray"
      return function(type, value)
        local array = arrays.new(type, 4)
        for i = 1, 4 do
          array:set(i, value * i)
        end
        return array
      end
    end)
    local array = s:call("double", 0.5)
    assert.equals("double", array:type())
    assert.same({0.5, 1, 1.5, 2}, content(array))
  end)

  it("cross as arguments of setup and as its results", function()
    local s, array = mtstates.newstate(function(given)
      given:set(1, given:get(1) + 1)
      return function() return given end, given
    end, filled("long", 41, 1))
    assert.same({42, 1}, content(array))
    assert.same({42, 1}, content(s:call()))
  end)

  it("keep every element type and its edge values", function()
    local s = mtstates.newstate(helpers.echo)
    for type, values in pairs({
      uchar = {0, 1, 255},
      schar = {-128, 0, 127},
      short = {-32768, 0, 32767},
      ushort = {0, 65535},
      int = {-2147483648, 0, 2147483647},
      uint = {0, 4294967295},
      long = {-2^53, 0, 2^53},
      ulong = {0, 2^53},
      float = {-0.5, 0, 1.5, 1/0},
      double = {-1e300, 0, 0.1, 1/0},
      llong = {-2^53, 2^53},
      ullong = {0, 2^53}
    }) do
      local back = s:call(filled(type, helpers.unpack(values)))
      assert.equals(type, back:type())
      assert.same(values, content(back))
    end
  end)

  it("are copies: each side changes its own", function()
    local s = mtstates.newstate(function()
      local kept
      return function(array, value)
        kept = array or kept
        if value then
          kept:set(1, value)
        end
        return kept
      end
    end)
    local array = filled("int", 1, 2)
    local back = s:call(array, 50)
    assert.same({1, 2}, content(array))
    assert.same({50, 2}, content(back))
    back:set(1, 99)
    array:set(1, 98)
    assert.same({50, 2}, content(s:call()))
  end)

  it("may be empty", function()
    local s = mtstates.newstate(helpers.echo)
    local back = s:call(carray.new("short", 0))
    assert.equals("short", back:type())
    assert.equals(0, back:len())
  end)

  it("may be shortened by finalizers while they are read", function()
    local s = mtstates.newstate(helpers.echo)
    local array = filled("int", 1, 2, 3)
    on_collect(function() array:resize(2) end)
    carray.collect_next(1)
    local err = helpers.raises_error("invoking_state", s.call, s, array)
    assert.truthy(err:find("the array has shrunk while it was copied", 1,
      true), err)
    assert.same({1, 2}, content(s:call(array)))
  end)

  it("may be large", function()
    local s = mtstates.newstate(helpers.echo)
    local array = carray.new("double", 200000)
    array:set(1, 1.5)
    array:set(200000, 2.5)
    local back = s:call(array)
    assert.equals(200000, back:len())
    assert.equals(1.5, back:get(1))
    assert.equals(0, back:get(100000))
    assert.equals(2.5, back:get(200000))
  end)

  it("may be read-only at the sender", function()
    local s = mtstates.newstate(reader)
    local array = carray.new("int", 2, "readonly")
    array:set(2, 9)
    assert.same({"int", 2, "0 9"}, {s:call(array)})
  end)

  it("mix with other values in any order", function()
    local s = mtstates.newstate(helpers.echo)
    local results = helpers.pack(s:call("a", filled("int", 1), nil,
      filled("uchar", 2, 3), 4.5, filled("float", 0.5), "z"))
    assert.equals(7, results.n)
    assert.equals("a", results[1])
    assert.same({1}, content(results[2]))
    assert.is_nil(results[3])
    assert.same({2, 3}, content(results[4]))
    assert.equals(4.5, results[5])
    assert.same({0.5}, content(results[6]))
    assert.equals("z", results[7])
  end)

  it("may be many at once", function()
    local s = mtstates.newstate(helpers.echo)
    local arrays = {}
    for i = 1, 100 do
      arrays[i] = filled("int", i, -i)
    end
    local back = {s:call(helpers.unpack(arrays))}
    assert.equals(100, #back)
    for i = 1, 100 do
      assert.same({i, -i}, content(back[i]))
    end
  end)

  it("load carray in a state with libs=false", function()
    local s = mtstates.newstate(false, function()
      return function(array) return array:get(2) end
    end)
    assert.equals(8, s:call(filled("int", 7, 8)))
  end)

  it("are usable by the receiver's own carray module", function()
    local s = mtstates.newstate(function()
      return function(array)
        local type = getmetatable(require "carray".new("int", 1))
        return getmetatable(array) == type
      end
    end)
    assert.is_true(s:call(filled("int", 1)))
  end)

  it("cross between threads", function()
    local s = mtstates.newstate(helpers.echo)
    local sum = threads.start(function(id)
      local array = require "carray".new("int", 100)
      for i = 1, 100 do
        array:set(i, i)
      end
      local back = require "mtstates".state(id):call(array)
      local total = 0
      for i = 1, back:len() do
        total = total + back:get(i)
      end
      return total
    end, s:id()):results()
    assert.equals(5050, sum)
  end)

  it("leave no array behind", function()
    local s = mtstates.newstate(helpers.echo)
    helpers.collect()
    local before = carray.alive()
    for _ = 1, 50 do
      s:call(filled("int", 1, 2, 3))
      pcall(s.call, s, filled("int", 1), {})
    end
    s:close()
    helpers.collect()
    assert.equals(before, carray.alive())
  end)

  describe("where the receiver cannot load carray", function()
    local function without_carray()
      package.path, package.cpath = "", ""
      return function(what, ...)
        if what == "make" then
          return package.loaded.carray
        end
        return select("#", ...)
      end
    end

    it("raise an error as arguments; the state stays usable", function()
      local s = mtstates.newstate(without_carray)
      local err = helpers.raises(function() s:call(1, filled("int", 1)) end)
      assert.equals("string", type(err))
      assert.truthy(err:find("carray", 1, true))
      assert.equals(2, s:call("count", 1, 2))
      assert.is_false(pcall(s.tcall, s, 0, filled("int", 1)))
      assert.same({true, 1}, {s:tcall(0, "count", 1)})
    end)

    it("raise an error that tells what the module lacks", function()
      local s = mtstates.newstate(function()
        return function(what)
          if what == "spoil" then
            package.loaded.carray = {}
          end
          return what
        end
      end)
      s:call("spoil")
      local err = helpers.raises(function() s:call(filled("int", 1)) end)
      assert.truthy(err:find("module 'carray' has no C API", 1, true), err)
      assert.equals(1, s:call(1))
    end)

    it("raise an error as arguments of setup", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        local array = require "carray".new("int", 1)
        return function(code)
          package.path, package.cpath = "", ""
          local ok, err = pcall(mt.newstate, nil, code, array)
          return ok, err
        end
      end)
      local ok, err = s:call("return function() end")
      assert.is_false(ok)
      assert.truthy(err:find("carray", 1, true))
    end)

    it("raise an error as results; both states stay usable", function()
      local source = mtstates.newstate(function()
        local arrays = require "carray"
        return function(what)
          if what == "array" then
            return "before", arrays.new("int", 2)
          end
          return what
        end
      end)
      local target = mtstates.newstate(function()
        local mt = require "mtstates"
        package.path, package.cpath = "", ""
        return function(id, what)
          local r = mt.state(id)
          local ok, err = pcall(r.call, r, what)
          return ok, err, r:call("usable")
        end
      end)
      local ok, err, usable = target:call(source:id(), "array")
      assert.is_false(ok)
      assert.truthy(err:find("carray", 1, true))
      assert.equals("usable", usable)
      assert.same({true, "x", "usable"}, {target:call(source:id(), "x")})
      assert.equals(2, (select(2, source:call("array"))):len())
    end)
  end)

  describe("when making the copy fails", function()
    it("raise an error as arguments; the state stays usable", function()
      local s = mtstates.newstate(helpers.echo)
      for _, how in ipairs({"raise", "null"}) do
        local array = filled("int", 1)
        carray.fail_next(how)
        local err = helpers.raises(function() s:call(1, array) end)
        assert.equals("string", type(err))
        assert.same({1, 2}, {s:call(1, 2)})
        assert.same({1}, content(s:call(array)))
      end
    end)

    it("raise an error as results; the state stays usable", function()
      local s = mtstates.newstate(function()
        local arrays = require "carray"
        return function(how)
          local array = arrays.new("int", 3)
          if how then
            arrays.fail_next(how)
          end
          return 1, array, 2
        end
      end)
      for _, how in ipairs({"raise", "null"}) do
        local err = helpers.raises(function() s:call(how) end)
        assert.equals("string", type(err))
        assert.equals(3, (select(2, s:call())):len())
      end
    end)
  end)

  it("of another API version are refused like other userdata", function()
    local s = mtstates.newstate(helpers.echo)
    helpers.bad_argument(2, "call", "userdata", function()
      s:call(1, carray.misfit())
    end)
    assert.equals(1, s:call(1))
  end)

  it("in forged disguise are refused like other userdata", function()
    local s = mtstates.newstate(helpers.echo)
    local forged = handoff.userdata()
    debug.setmetatable(forged, {_capi_carray = "_capi_carray"})
    helpers.bad_argument(1, "call", "userdata", function()
      s:call(forged)
    end)
    debug.setmetatable(forged, {_capi_carray = handoff.userdata()})
    helpers.bad_argument(1, "call", "userdata", function()
      s:call(forged)
    end)
    -- The genuine API, but the object is none of its arrays.
    local genuine = getmetatable(filled("int", 1))._capi_carray
    debug.setmetatable(forged, {_capi_carray = genuine})
    helpers.bad_argument(1, "call", "userdata", function()
      s:call(forged)
    end)
    assert.equals(1, s:call(1))
  end)
end)
