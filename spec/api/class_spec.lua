local helpers = require "helpers"
local mtstates = require "mtstates"

local registry = debug.getregistry()

-- Whether C libraries leave the name of a class in its metatable.
local has_names = rawget(registry["FILE*"], "__name") ~= nil

describe("mtstates.class", function()
  before_each(helpers.watch("class"))
  after_each(helpers.unwatch)

  local function bad(position, text, ...)
    local arguments = helpers.pack(...)
    local err = helpers.bad_argument(position, "class", text, function()
      mtstates.class(helpers.unpack(arguments, 1, arguments.n))
    end)
    assert.equals("(" .. text .. ")", (err:match("%(.*%)$")))
  end

  it("makes a class, once", function()
    local mt = mtstates.class("spec.made")
    assert.same({__name = "spec.made"}, mt)
    assert.equals(mt, registry["spec.made"])
    assert.equals(mt, mtstates.class("spec.made"))
    assert.equals(mt, mtstates.class("spec.made", nil))
    assert.equals(mt, mtstates.class("spec.made", mt))
  end)

  it("makes one of a given metatable", function()
    local mt = {__index = {}}
    assert.equals(mt, mtstates.class("spec.given", mt))
    assert.equals("spec.given", mt.__name)
    assert.equals(mt, registry["spec.given"])
    assert.equals(mt, mtstates.class("spec.given"))
  end)

  it("takes a metatable that has the name already", function()
    local mt = {__name = "spec.named"}
    assert.equals(mt, mtstates.class("spec.named", mt))
    assert.equals(mt, mtstates.class("spec.named"))
  end)

  it("returns nothing else", function()
    assert.equals(1, select("#", mtstates.class("spec.one", {}, 3)))
    assert.equals(1, select("#", mtstates.class("spec.one", nil, 3)))
  end)

  it("takes any string for a name", function()
    for _, name in ipairs({"", "a\0b", "_spec", ("x"):rep(1000)}) do
      local mt = mtstates.class(name)
      assert.equals(name, mt.__name)
      assert.equals(mt, mtstates.class(name))
    end
    assert.are_not.equal(mtstates.class("a\0b"), mtstates.class("a\0c"))
  end)

  it("is raw", function()
    local function fail()
      error("was run")
    end
    local mt = setmetatable({}, {__index = fail, __newindex = fail})
    mtstates.class("spec.raw", mt)
    assert.equals("spec.raw", rawget(mt, "__name"))
  end)

  it("refuses another metatable for a class", function()
    mtstates.class("spec.twice", {})
    local other = {}
    bad(2, "class 'spec.twice' has another metatable", "spec.twice", other)
    assert.is_nil(next(other))
    bad(2, "class 'mtstates.state' has another metatable", "mtstates.state",
      other)
    bad(2, "class 'FILE*' has another metatable", "FILE*", other)
  end)

  it("refuses a metatable that has another name", function()
    local mt = mtstates.class("spec.first")
    bad(2, "metatable has the name 'spec.first'", "spec.second", mt)
    assert.is_nil(registry["spec.second"])
    assert.equals("spec.first", mt.__name)
    bad(2, "metatable has the name [1]", "spec.second", {__name = 1})
    bad(2, "metatable has the name [false]", "spec.second", {__name = false})
  end)

  it("refuses a name that is taken", function()
    local loaded = rawget(package, "loaded")
    assert.equals(loaded, registry["_LOADED"])
    bad(1, "name '_LOADED' is taken", "_LOADED")
    bad(1, "name '_LOADED' is taken", "_LOADED", {})
    bad(1, "name '_LOADED' is taken", "_LOADED", loaded)
    assert.is_nil(loaded.__name)
    for _, value in ipairs({1, "text", true, {__name = "other"}}) do
      registry["spec.taken"] = value
      bad(1, "name 'spec.taken' is taken", "spec.taken")
      bad(1, "name 'spec.taken' is taken", "spec.taken", {})
      assert.equals(value, registry["spec.taken"])
    end
    registry["spec.taken"] = nil
  end)

  it("finds the classes of C libraries", function()
    assert.equals(registry["FILE*"], mtstates.class("FILE*"))
    assert.equals("FILE*", registry["FILE*"].__name)
    assert.equals("FILE*", mtstates.type(io.stdout))
    assert.equals(getmetatable(mtstates.newstate(helpers.echo)),
                  mtstates.class("mtstates.state"))
  end)

  local it_names = helpers.it_needs(has_names, "names in metatables")
  local it_adopts = helpers.it_needs(not has_names, "metatables without names")

  it_names("takes a table without a name for none", function()
    registry["spec.nameless"] = {}
    bad(1, "name 'spec.nameless' is taken", "spec.nameless")
    registry["spec.nameless"] = nil
  end)

  it_adopts("takes a table without a name for a class", function()
    local mt = {}
    registry["spec.nameless"] = mt
    bad(2, "class 'spec.nameless' has another metatable", "spec.nameless", {})
    assert.is_nil(mt.__name)
    assert.equals(mt, mtstates.class("spec.nameless"))
    assert.equals("spec.nameless", mt.__name)
  end)

  it("is the type of userdata of a class only", function()
    local s = mtstates.newstate(helpers.echo)
    assert.equals("table",
      mtstates.type(setmetatable({}, mtstates.class("spec.type"))))
    assert.equals("mtstates.state", mtstates.type(s))
  end)

  it("refuses wrong arguments", function()
    bad(1, "string expected, got no value")
    bad(1, "string expected, got nil", nil, {})
    bad(1, "string expected, got number", 1)
    bad(1, "string expected, got table", {}, "name")
    bad(2, "table expected, got string", "spec.wrong", "x")
    bad(2, "table expected, got boolean", "spec.wrong", false)
    assert.is_nil(registry["spec.wrong"])
  end)
end)
