local capidriver = require "capidriver"
local carray = require "carray"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

-- The layout of the structs is checked when capidriver.c is compiled.

describe("the C APIs", function()
  before_each(helpers.watch("C APIs"))
  after_each(helpers.unwatch)

  local apis = {
    notify = {key = "_capi_notify", major = 0, minor = 0},
    receiver = {key = "_capi_receiver", major = 2, minor = 0},
    carray = {key = "_capi_carray", major = 1, minor = 0}
  }
  local pointer_size = 8

  setup(function()
    local _, size = capidriver.block(carray.new("int", 1), "_capi_carray")
    pointer_size = size - #"_capi_carray" - 1
  end)

  describe("of state objects", function()
    for _, kind in ipairs({"notify", "receiver"}) do
      local key = apis[kind].key

      it(kind .. " stand in the metatable in the agreed form", function()
        local s = mtstates.newstate(helpers.echo)
        local type, size, text = capidriver.block(s, key)
        assert.equals("userdata", type)
        assert.is_true(size >= pointer_size + #key + 1)
        assert.equals(key .. "\0", text:sub(1, #key + 1))
      end)

      it(kind .. " stand there for references and closed states", function()
        local s = mtstates.newstate(helpers.echo)
        local r = mtstates.state(s:id())
        s:close()
        for _, object in ipairs({s, r}) do
          assert.equals("userdata", (capidriver.block(object, key)))
        end
      end)
    end

    it("do not include carray", function()
      local s = mtstates.newstate(helpers.echo)
      local found, reason = capidriver.look_up(s, "carray")
      assert.is_nil(found)
      assert.equals(2, reason)
    end)

    it("are found in states as well as outside", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        local driver = require "capidriver"
        return function()
          local own = mt.state(mt.id())
          return driver.look_up(own, "notify"),
            driver.look_up(own, "receiver")
        end
      end)
      assert.same({"0.0.2", "2.0.0"}, {s:call()})
    end)
  end)

  for kind, api in pairs(apis) do
    describe("look-up of " .. kind, function()
      local key, major, minor = api.key, api.major, api.minor
      local full = pointer_size + #api.key + 1

      local function look_up(...)
        return capidriver.look_up(capidriver.forge(...), kind)
      end

      it("takes an equal major and at least the minor version", function()
        assert.equals(major .. "." .. minor .. ".0",
          look_up(key, key, full, {major, minor}))
        assert.equals(major .. "." .. minor + 3 .. ".0",
          look_up(key, key, full, {major, minor + 3}))
      end)

      it("gives reason 1 for other versions", function()
        assert.same({nil, 1}, {look_up(key, key, full, {major + 1, minor})})
        assert.same({nil, 1}, {look_up(key, key, full, {major - 1, minor})})
        assert.same({nil, 1}, {look_up(key, key, full, {major, minor - 1})})
        assert.same({nil, 1}, {
          look_up(key, key, full, {major + 1, 0}, {major + 2, 0})
        })
      end)

      it("follows the chain to the first version that fits", function()
        assert.equals(major .. "." .. minor .. ".0",
          look_up(key, key, full, {major + 1, 0}, {major + 2, 5},
            {major, minor}))
        assert.equals(major .. "." .. minor + 1 .. ".0",
          look_up(key, key, full, {major + 1, 0}, {major, minor + 1},
            {major, minor}))
      end)

      it("takes blocks that are longer", function()
        assert.equals(major .. "." .. minor .. ".0",
          look_up(key, key, full + 8, {major, minor}))
      end)

      it("gives reason 2 for blocks of another form", function()
        assert.same({nil, 2}, {look_up(key, key, full - 1, {major, minor})})
        assert.same({nil, 2}, {look_up(key, key, 0, {major, minor})})
        assert.same({nil, 2}, {look_up(key, key, pointer_size,
          {major, minor})})
        assert.same({nil, 2}, {look_up(key, "_capi_other", full,
          {major, minor})})
        assert.same({nil, 2}, {look_up(key, key .. "x", full + 1,
          {major, minor})})
        assert.same({nil, 2}, {look_up(key, key:sub(1, -2), full,
          {major, minor})})
        assert.same({nil, 2}, {look_up("_capi_other", key, full,
          {major, minor})})
      end)

      it("gives reason 2 for values without the API", function()
        for _, value in ipairs({
          5, "x", {}, true, print, io.stdout, handoff.userdata(),
          setmetatable({}, {[key] = key}), setmetatable({}, {[key] = {}}),
          setmetatable({}, {[key] = 1}),
          setmetatable({}, {[key] = handoff.lightuserdata(4096)})
        }) do
          assert.same({nil, 2}, {capidriver.look_up(value, kind)})
        end
        assert.same({nil, 2}, {capidriver.look_up(nil, kind)})
      end)
    end)
  end

  it("of arrays are what carray offers", function()
    assert.equals("1.0.0",
      capidriver.look_up(carray.new("int", 1), "carray"))
    assert.equals("1.0.0", capidriver.look_up(carray, "carray"))
    assert.same({nil, 1}, {capidriver.look_up(carray.misfit(), "carray")})
  end)
end)
