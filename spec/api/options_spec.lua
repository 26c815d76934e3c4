local helpers = require "helpers"
local mtstates = require "mtstates"

describe("an options table", function()
  before_each(helpers.watch("options"))
  after_each(helpers.unwatch)

  local function bad(position, fname, text, f)
    local err = helpers.bad_argument(position, fname, text, f)
    assert.equals("(" .. text .. ")", (err:match("%(.*%)$")))
  end

  local LIBS = "return function() return string and 'libs' or 'none' end"

  it("stands in the place of libs", function()
    assert.equals("libs", mtstates.newstate({}, LIBS):call())
    assert.equals("libs", mtstates.newstate("name", {}, LIBS):call())
    assert.equals("libs", mtstates.newstate(nil, {}, LIBS):call())
    local s = mtstates.singleton("options", {}, LIBS)
    assert.equals("libs", s:call())
    assert.equals("options", s:name())
  end)

  it("is followed by the setup and its arguments", function()
    local s, first, second = mtstates.newstate({}, function(a, b)
      return function(c) return a, b, c end, b, a
    end, 1, "two")
    assert.same({"two", 1}, {first, second})
    assert.same({1, "two", 3}, {s:call(3)})
    bad(2, "newstate", "lua function expected, got no value", function()
      mtstates.newstate({})
    end)
    bad(2, "newstate", "lua function expected", function()
      mtstates.newstate({}, {}, LIBS)
    end)
    bad(3, "newstate", "lua function expected", function()
      mtstates.newstate("name", true, {}, LIBS)
    end)
    bad(3, "singleton", "lua function expected, got no value", function()
      mtstates.singleton("options, no setup", {})
    end)
  end)

  it("has the option libs, which is true by default", function()
    assert.equals("none", mtstates.newstate({libs = false}, LIBS):call())
    assert.equals("libs", mtstates.newstate({libs = true}, LIBS):call())
    assert.equals("libs", mtstates.newstate({libs = nil}, LIBS):call())
    local s = mtstates.singleton("options, libs", {libs = false}, LIBS)
    assert.equals("none", s:call())
  end)

  it("with an unknown key is an argument error that names it", function()
    for key, text in pairs({
      memroy = "option 'memroy' is unknown",
      queues = "option 'queues' is unknown",
      Libs = "option 'Libs' is unknown",
      ["libs\0"] = "option 'libs' is unknown",
      [""] = "option '' is unknown",
      [1] = "option [1] is unknown",
      [1.5] = "option [1.5] is unknown",
      [true] = "option [true] is unknown",
      [false] = "option [false] is unknown",
      [print] = "option [function] is unknown",
      [{}] = "option [table] is unknown",
    }) do
      bad(1, "newstate", text, function()
        mtstates.newstate({[key] = 1}, LIBS)
      end)
      bad(2, "newstate", text, function()
        mtstates.newstate("name", {libs = true, [key] = true}, LIBS)
      end)
      bad(2, "singleton", text, function()
        mtstates.singleton("options, unknown", {[key] = 1}, LIBS)
      end)
    end
    assert.is_false(pcall(mtstates.state, "options, unknown"))
  end)

  it("with a value of a wrong type is an argument error", function()
    for _, value in ipairs({"true", 1, {}, print}) do
      bad(1, "newstate",
        "option 'libs': boolean expected, got " .. type(value),
        function()
          mtstates.newstate({libs = value}, LIBS)
        end)
    end
  end)

  it("has the option queue, a positive number", function()
    for _, value in ipairs({1, 1000, 1.5, 1e-300, 1e300, math.huge}) do
      local s = mtstates.newstate({queue = value}, LIBS)
      assert.equals("libs", s:call())
    end
    for text, value in pairs({
      ["0"] = helpers.compile("return 0")(), ["-1"] = -1,
      [tostring(-math.huge)] = -math.huge, nan = 0 / 0, string = "5",
      boolean = true, table = {}
    }) do
      bad(2, "singleton",
        "option 'queue': positive number expected, got " .. text,
        function()
          mtstates.singleton("options, queue", {queue = value}, LIBS)
        end)
    end
  end)

  it("has the option time, a positive number", function()
    for _, value in ipairs({1, 1000, 0.75, 1e300, math.huge}) do
      local s = mtstates.newstate({time = value}, LIBS)
      assert.equals("libs", s:call())
    end
    for text, value in pairs({
      ["0"] = helpers.compile("return 0")(), ["-1"] = -1,
      [tostring(-math.huge)] = -math.huge, nan = 0 / 0, string = "5",
      boolean = true, table = {}
    }) do
      local err = "option 'time': positive number expected, got " .. text
      bad(2, "singleton", err, function()
        mtstates.singleton("options, time", {time = value}, LIBS)
      end)
      bad(1, "pool", err, function()
        mtstates.pool({time = value}, LIBS)
      end)
      bad(1, "thread", err, function()
        mtstates.thread({time = value}, LIBS)
      end)
    end
    bad(1, "here", "option 'time' is unknown", function()
      mtstates.here({time = 1}, helpers.echo)
    end)
  end)

  it("is looked at before the setup", function()
    bad(1, "newstate", "option 'a' is unknown", function()
      mtstates.newstate({a = 1}, 5)
    end)
  end)

  it("is read raw, and left as it is", function()
    local function fail()
      error("was run")
    end
    local options = setmetatable({libs = false}, {
      __index = fail, __newindex = fail, __pairs = fail, __len = fail,
    })
    assert.equals("none", mtstates.newstate(options, LIBS):call())
    assert.equals("libs",
      mtstates.newstate(setmetatable({}, {__index = {libs = false}}),
        LIBS):call())
    assert.is_false(rawget(options, "libs"))
    assert.is_nil(next(options, "libs"))
  end)

  it("of a singleton that is there is not looked at", function()
    local s = mtstates.newstate("options, there", LIBS)
    assert.equals(s, mtstates.singleton("options, there", {memroy = 1}))
  end)
end)
