local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("the module", function()
  before_each(helpers.watch("module"))
  after_each(helpers.unwatch)

  it("has the functions of the contract", function()
    for _, name in ipairs({"newstate", "state", "singleton", "id", "type"}) do
      assert.equals("function", type(mtstates[name]), name)
    end
  end)

  it("tells its version and how it was built", function()
    assert.is_string(mtstates._VERSION)
    assert.is_true(#mtstates._VERSION > 0)
    assert.is_string(mtstates._INFO)
    assert.is_true(#mtstates._INFO > 0)
  end)

  it("sets no global variable", function()
    local s = mtstates.newstate(function()
      local before = {}
      for name in pairs(_G) do
        before[name] = true
      end
      require "mtstates"
      for name in pairs(_G) do
        if not before[name] then
          error("new global: " .. tostring(name))
        end
      end
      return function() return "none" end
    end)
    assert.equals("none", s:call())
  end)

  describe("id()", function()
    it("is nil where the running state was not made by this module",
      function()
        assert.is_nil(mtstates.id())
        assert.is_nil(coroutine.wrap(function() return mtstates.id() end)())
        local none = threads.start(function()
          return require "mtstates".id() == nil
        end):results()
        assert.is_true(none)
      end)

    it("is the id of the state that runs the code", function()
      local s, in_setup = mtstates.newstate(function()
        local mt = require "mtstates"
        return function() return mt.id() end, mt.id()
      end)
      assert.equals(s:id(), in_setup)
      assert.equals(s:id(), s:call())
    end)

    it("is the same in the state's coroutines", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return coroutine.wrap(function()
          while true do
            coroutine.yield(mt.id())
          end
        end)
      end)
      assert.equals(s:id(), s:call())
      assert.equals(s:id(), s:call())
    end)

    it("changes with the state while calls nest", function()
      local inner = mtstates.newstate(function()
        local mt = require "mtstates"
        return function() return mt.id() end
      end)
      local outer = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(id)
          local before = mt.id()
          return before, mt.state(id):call(), mt.id()
        end
      end)
      assert.same({outer:id(), inner:id(), outer:id()},
        {outer:call(inner:id())})
    end)

    it("is the same on every thread", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function() return mt.id() end
      end)
      local seen = threads.start(function(id)
        return require "mtstates".state(id):call()
      end, s:id()):results()
      assert.equals(s:id(), seen)
    end)
  end)

  describe("type(x)", function()
    it("names the classes of this module", function()
      local s = mtstates.newstate(helpers.echo)
      assert.equals("mtstates.state", mtstates.type(s))
      assert.equals("mtstates.state", mtstates.type(mtstates.state(s:id())))
      s:close()
      assert.equals("mtstates.state", mtstates.type(s))
      local _, err = pcall(s.call, s)
      assert.equals("mtstates.error", mtstates.type(mtstates.error(err)))
      assert.equals("string", mtstates.type(err))
    end)

    it("is that of Lua for everything that is no userdata", function()
      for _, value in ipairs({
        true, false, 1, 1.5, "text", {}, print, function() end,
        coroutine.create(function() end)
      }) do
        assert.equals(type(value), mtstates.type(value))
      end
      assert.equals("nil", mtstates.type(nil))
      assert.equals("table",
        mtstates.type(setmetatable({}, {__name = "mtstates.state"})))
    end)

    it("is userdata for light userdata and bare userdata", function()
      assert.equals("userdata",
        mtstates.type(handoff.lightuserdata(4096)))
      assert.equals("userdata", mtstates.type(handoff.userdata()))
    end)

    it("is the registered __name for other userdata", function()
      local name = rawget(getmetatable(io.stdout), "__name")
      assert.equals(name or "userdata", mtstates.type(io.stdout))
    end)

    it("does not believe a __name that is not registered", function()
      for _, name in ipairs({"mtstates.state", "FILE*", "spec.nobody", 5}) do
        local value = handoff.userdata()
        debug.setmetatable(value, {__name = name})
        assert.equals("userdata", mtstates.type(value))
      end
    end)

    it("runs no metamethods", function()
      local value = handoff.userdata()
      debug.setmetatable(value, setmetatable({}, {
        __index = function() error("metamethod") end
      }))
      assert.equals("userdata", mtstates.type(value))
    end)

    it("needs an argument", function()
      helpers.bad_argument(1, "type", "value expected", function()
        mtstates.type()
      end)
    end)
  end)
end)

describe("state objects", function()
  before_each(helpers.watch("state objects"))
  after_each(helpers.unwatch)

  describe("id()", function()
    it("is an integer and not a small one", function()
      local id = mtstates.newstate(helpers.echo):id()
      assert.equals("number", type(id))
      assert.equals(0, id % 1)
      assert.is_true(id > 255, tostring(id))
      if helpers.math_type then
        assert.equals("integer", helpers.math_type(id))
      end
    end)

    it("is exactly representable as a double", function()
      local id = mtstates.newstate(helpers.echo):id()
      assert.is_true(id <= 2^53)
      assert.equals(id, tonumber(("%.0f"):format(id)))
    end)

    it("is never used again", function()
      local seen = {}
      for _ = 1, 200 do
        local s = mtstates.newstate(false, helpers.echo)
        assert.is_nil(seen[s:id()])
        seen[s:id()] = true
        s:close()
      end
      for _ = 1, 20 do
        pcall(mtstates.newstate, false, "error('no')")
        local s = mtstates.newstate(false, helpers.echo)
        assert.is_nil(seen[s:id()])
        seen[s:id()] = true
      end
    end)

    it("is unique across threads", function()
      local function create(count)
        local mt = require "mtstates"
        local ids = {}
        for i = 1, count do
          local s = mt.newstate(false, "return print")
          ids[i] = ("%.0f"):format(s:id())
        end
        return table.concat(ids, " ")
      end
      local workers, seen, total = {}, {}, 0
      for i = 1, 4 do
        workers[i] = threads.start(create, 40)
      end
      for i = 1, 4 do
        for id in workers[i]:results():gmatch("%d+") do
          assert.is_nil(seen[id])
          seen[id] = true
          total = total + 1
        end
      end
      assert.equals(160, total)
    end)
  end)

  it("know whether they own", function()
    local s = mtstates.newstate("object owner", helpers.echo)
    assert.is_true(s:isowner())
    assert.is_false(mtstates.state(s:id()):isowner())
    assert.is_true(mtstates.singleton("object owner"):isowner())
  end)

  describe("==", function()
    it("is true for objects of the same state", function()
      local s = mtstates.newstate("equal", helpers.echo)
      local twin = mtstates.newstate("equal", helpers.echo)
      local a, b = mtstates.state(s:id()), mtstates.state(s:id())
      assert.is_true(s == a and a == b and b == s)
      assert.is_false(s ~= a)
      assert.is_false(rawequal(s, a))
      assert.is_false(s == twin or a == twin)
      twin:close()
      assert.is_false(s == twin)
      s:close()
      assert.is_true(s == a and a == b and s == s)
    end)

    it("is true for objects inside the state, too", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(id)
          return mt.state(mt.id()) == mt.state(id)
        end
      end)
      local other = mtstates.newstate(helpers.echo)
      assert.is_true(s:call(s:id()))
      assert.is_false(s:call(other:id()))
    end)

    it("is false for anything else", function()
      local s = mtstates.newstate(helpers.echo)
      for _, value in ipairs({
        s:id(), tostring(s), true, {}, print, io.stdout, handoff.userdata(),
        handoff.lightuserdata(64), mtstates.error("mtstates.error.deadlock")
      }) do
        assert.is_false(s == value)
        assert.is_false(value == s)
      end
      assert.is_false(s == nil)
      local eq = debug.getmetatable(s).__eq
      assert.is_false(eq(s, setmetatable({}, debug.getmetatable(s))))
      assert.is_false(eq({}, s))
    end)

    it("is by identity for finalized objects", function()
      local s = mtstates.newstate(helpers.echo)
      local a, b = mtstates.state(s:id()), mtstates.state(s:id())
      debug.getmetatable(a).__gc(a)
      assert.is_true(a == a) -- luacheck: ignore
      assert.is_false(a == b or b == a or a == s)
      debug.getmetatable(b).__gc(b)
      assert.is_false(a == b)
    end)
  end)

  describe("tostring", function()
    it("shows class, address, quoted name and id", function()
      local s = mtstates.newstate("object name", helpers.echo)
      local text = tostring(s)
      assert.truthy(text:match("^mtstates%.state"))
      assert.truthy(text:find("0x%x+"))
      assert.truthy(text:find('"object name"', 1, true))
      assert.truthy(text:find(("%.0f"):format(s:id()), 1, true))
    end)

    it("shows no quotes when there is no name", function()
      local s = mtstates.newstate(helpers.echo)
      local text = tostring(s)
      assert.truthy(text:match("^mtstates%.state"))
      assert.truthy(text:find(("%.0f"):format(s:id()), 1, true))
      assert.is_nil(text:find('"', 1, true))
    end)

    it("shows names with odd bytes so that they can be read", function()
      local s = mtstates.newstate("a\0b\"c\nd\\e", helpers.echo)
      local text = tostring(s)
      assert.truthy(text:match("^mtstates%.state"))
      assert.is_nil(text:find("\0", 1, true))
      assert.truthy(text:find(("%.0f"):format(s:id()), 1, true))
    end)

    it("shows bytes that cannot be printed as escapes, and cuts", function()
      local function shown(name)
        local s = mtstates.newstate(name, helpers.echo)
        local text = tostring(s):match("(\".*\"),?%s*id")
          or tostring(s):match("\".*\"")
        s:close()
        return text
      end
      assert.equals("\"a\\000b\\031\\127\\\"\\\\ \200\"",
        shown("a\0b\31\127\"\\ \200"))
      for _, byte in ipairs({"x", "\127", "\\"}) do
        local text = shown(byte:rep(1000))
        assert.equals("...\"", text:sub(-4))
        assert.is_true(#text > 100 and #text < 120, #text)
      end
    end)
  end)

  it("have methods only: nothing can be set", function()
    local s = mtstates.newstate(helpers.echo)
    assert.is_false(pcall(function() s.field = 1 end))
    assert.is_nil(s.field)
    assert.is_nil(s.nomethod)
    assert.is_nil(s[1])
  end)
end)
