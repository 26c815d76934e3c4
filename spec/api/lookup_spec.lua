local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("mtstates.state", function()
  before_each(helpers.watch("lookup"))
  after_each(helpers.unwatch)

  local function unknown(key)
    return helpers.raises_error("unknown_object", mtstates.state, key)
  end

  describe("by id", function()
    it("gives a reference to the same state", function()
      local s = mtstates.newstate(function()
        local count = 0
        return function()
          count = count + 1
          return count
        end
      end)
      local r = mtstates.state(s:id())
      assert.equals(1, s:call())
      assert.equals(2, r:call())
      assert.equals(s:id(), r:id())
      assert.is_false(r:isowner())
    end)

    it("takes a float with the value of the id", function()
      local s = mtstates.newstate(helpers.echo)
      local r = mtstates.state(s:id() + 0.0)
      assert.equals(s:id(), r:id())
      assert.equals("x", r:call("x"))
    end)

    it("does not know numbers that are no id", function()
      local id = mtstates.newstate(helpers.echo):id()
      for _, number in ipairs({0, -1, 1, -id, id + 2.0^20, -0.0}) do
        unknown(number)
      end
      if helpers.math_type then
        unknown(rawget(math, "maxinteger"))
        unknown(rawget(math, "mininteger"))
        assert.truthy(unknown(4711):find("id 4711:", 1, true))
      end
    end)

    -- The first float, all of them powers of 2, that another one is equal to.
    local limit = 1.0
    while limit + 1.0 ~= limit do
      limit = limit * 2.0
    end

    it("knows floats up to the last one that is exact", function()
      unknown(limit - 1)
      unknown(1 - limit)
    end)

    it("refuses numbers that are no integer, or may stand for several",
      function()
        local function refuses(text, numbers)
          for _, number in ipairs(numbers) do
            helpers.bad_argument(1, "state", "(" .. text .. ")",
              function() mtstates.state(number) end)
          end
        end
        refuses("number has no integer representation",
                {1.5, 0.1, -0.5, 2^-20, 5e-30, 1/0, -1/0, 0/0})
        refuses("number is too large for an id", {
          limit, -limit, limit + 2, 2 * limit, limit * limit, 2.0^63,
          -2.0^63, 2.0^64
        })
      end)

    it("does not know the ids of closed states", function()
      local s = mtstates.newstate(helpers.echo)
      s:close()
      unknown(s:id())
    end)

    it("does not know a state whose setup still runs", function()
      local s, ok, err = mtstates.newstate(function()
        local mt = require "mtstates"
        return print, pcall(mt.state, mt.id())
      end)
      assert.is_false(ok)
      assert.truthy(err:find(mtstates.error.unknown_object, 1, true))
      assert.equals(s:id(), mtstates.state(s:id()):id())
    end)

    it("does not know a state whose setup failed", function()
      local gate = handoff.unique()
      assert.is_false(pcall(mtstates.newstate, function(g)
        require "handoff".put(g, require "mtstates".id())
        error("no")
      end, gate))
      unknown(handoff.take(gate))
    end)
  end)

  describe("by name", function()
    it("gives a reference to the state with that name", function()
      local s = mtstates.newstate("lookup one", helpers.echo)
      local r = mtstates.state("lookup one")
      assert.equals(s:id(), r:id())
      assert.equals("lookup one", r:name())
      assert.is_false(r:isowner())
    end)

    it("does not know other names", function()
      local s = mtstates.newstate("lookup known", helpers.echo)
      for _, name in ipairs({
        "", "lookup", "lookup known ", "lookup knowN", "lookup known\0",
        tostring(s:id()), tostring(s)
      }) do
        unknown(name)
      end
      assert.equals("lookup known", s:name())
    end)

    it("names what it does not know", function()
      local err = unknown("lookup this is nowhere")
      assert.truthy(err:find("lookup this is nowhere", 1, true))
    end)

    it("does not know names of closed states", function()
      local s = mtstates.newstate("lookup closed", helpers.echo)
      s:close()
      unknown("lookup closed")
    end)

    it("does not know a state whose setup still runs", function()
      local s, ok, err = mtstates.newstate("lookup setup", function()
        return print, pcall(require "mtstates".state, "lookup setup")
      end)
      assert.is_false(ok)
      assert.truthy(err:find(mtstates.error.unknown_object, 1, true))
      assert.equals(s:id(), mtstates.state("lookup setup"):id())
    end)

    it("finds a name that looks like a number only as a string", function()
      local s = mtstates.newstate("4711", helpers.echo)
      assert.equals(s:id(), mtstates.state("4711"):id())
      unknown(4711)
    end)

    it("tells names apart that differ behind a zero byte", function()
      local a = mtstates.newstate("lookup\0a", helpers.echo)
      local b = mtstates.newstate("lookup\0b", helpers.echo)
      assert.equals(a:id(), mtstates.state("lookup\0a"):id())
      assert.equals(b:id(), mtstates.state("lookup\0b"):id())
      assert.equals("lookup\0a", a:name())
      unknown("lookup\0")
      unknown("lookup")
    end)

    it("finds the empty name, which is not the same as none", function()
      mtstates.newstate(helpers.echo)
      unknown("")
      local s = mtstates.newstate("", helpers.echo)
      assert.equals("", s:name())
      assert.equals(s:id(), mtstates.state(""):id())
      s:close()
      unknown("")
    end)

    it("finds names of 1 MB", function()
      local long = ("0123456789abcdef"):rep(65536)
      local s = mtstates.newstate(long, helpers.echo)
      assert.equals(s:id(), mtstates.state(long):id())
      assert.is_true(long == s:name())
      assert.is_true(#tostring(s) > 0)
      unknown(long .. "x")
      unknown(long:sub(1, -2))
      s:close()
      unknown(long)
    end)

    -- Ids that are that far apart can have one place in a table.
    it("finds states between whose ids there were many", function()
      local kept = {}
      for i = 1, 2048 do
        local s = mtstates.newstate(false, "return function() end")
        if i % 128 == 0 then
          kept[#kept + 1] = s
        else
          s:close()
        end
      end
      for i = 1, #kept do
        assert.equals(kept[i], mtstates.state(kept[i]:id()))
      end
      for i = 1, #kept, 2 do
        kept[i]:close()
        unknown(kept[i]:id())
      end
      for i = 2, #kept, 2 do
        assert.equals(kept[i], mtstates.state(kept[i]:id()))
        kept[i]:close()
      end
    end)

    it("finds each of many states when others of their name go", function()
      local states, twins = {}, {}
      for i = 1, 300 do
        local name = "lookup twin " .. i
        states[i] = mtstates.newstate(name, false, helpers.echo)
        twins[i] = mtstates.newstate(name, false, helpers.echo)
      end
      for i = 1, 300 do
        local gone = i % 2 == 0 and states or twins
        gone[i]:close()
        gone[i] = nil
      end
      for i = 1, 300 do
        local name = "lookup twin " .. i
        local left = states[i] or twins[i]
        assert.equals(left:id(), mtstates.state(name):id())
        left:close()
        unknown(name)
      end
    end)

    -- FNV-1a of 64 bits gives 0 for these.
    it("tells names with the same hash apart", function()
      local names = {"!0IC=VloaY", "QvXtM>@Fp%", "!0IC=VloaY\0",
                     "\213\107\185\083\066\135\008\054"}
      local states = {}
      for i, name in ipairs(names) do
        unknown(name)
        states[i] = mtstates.newstate(name, false, helpers.echo)
      end
      for i, name in ipairs(names) do
        assert.equals(states[i]:id(), mtstates.state(name):id())
        states[i]:close()
        unknown(name)
      end
    end)

    it("finds each of many states", function()
      local states = {}
      for i = 1, 300 do
        states[i] = mtstates.newstate("lookup many " .. i, false,
          helpers.echo)
      end
      for i = 1, 300, 2 do
        states[i]:close()
      end
      for i = 1, 300 do
        local name = "lookup many " .. i
        if i % 2 == 1 then
          unknown(name)
          unknown(states[i]:id())
        else
          assert.equals(states[i]:id(), mtstates.state(name):id())
          assert.equals(name, mtstates.state(states[i]:id()):name())
        end
        states[i]:close()
      end
    end)
  end)

  describe("with a name that several open states have", function()
    it("raises ambiguous_name", function()
      local a = mtstates.newstate("lookup twin", helpers.echo)
      local b = mtstates.newstate("lookup twin", helpers.echo)
      local err = helpers.raises_error("ambiguous_name", mtstates.state,
        "lookup twin")
      assert.truthy(err:find("lookup twin", 1, true))
      helpers.raises_error("ambiguous_name", mtstates.singleton,
        "lookup twin")
      helpers.raises_error("ambiguous_name", mtstates.singleton,
        "lookup twin", helpers.echo)
      assert.equals(a:id(), mtstates.state(a:id()):id())
      assert.equals(b:id(), mtstates.state(b:id()):id())
    end)

    it("finds the last one when the others are closed", function()
      local a = mtstates.newstate("lookup rest", helpers.echo)
      local b = mtstates.newstate("lookup rest", helpers.echo)
      local c = mtstates.newstate("lookup rest", helpers.echo)
      b:close()
      helpers.raises_error("ambiguous_name", mtstates.state, "lookup rest")
      a:close()
      assert.equals(c:id(), mtstates.state("lookup rest"):id())
      c:close()
      unknown("lookup rest")
    end)
  end)

  it("gives an own object each time", function()
    local s = mtstates.newstate("lookup objects", helpers.echo)
    local a, b = mtstates.state(s:id()), mtstates.state("lookup objects")
    assert.is_false(rawequal(a, b))
    assert.is_false(rawequal(a, s))
  end)

  it("works inside states, from there to any state", function()
    local s = mtstates.newstate("lookup inside", helpers.echo)
    local other = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(key) return mt.state(key):call("through") end
    end)
    assert.equals("through", other:call(s:id()))
    assert.equals("through", other:call("lookup inside"))
  end)
end)
