-- A host that switches C stacks: calls of one thread end in any order.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"
local stacks = require "stacks"

-- LuaJIT notes what runs beside its C stack.
local it_switches = helpers.it_needs(rawget(_G, "jit") == nil, "C stacks")

describe("on two C stacks #switch", function()
  before_each(helpers.watch("C stacks"))
  after_each(helpers.unwatch)

  local function new(...)
    return mtstates.newstate(..., [[
      require "interruptible"
      local mtstates, stacks = require "mtstates", require "stacks"
      return function(what, below)
        if what == "switch" then
          stacks.switch()
        elseif tonumber(what) then
          mtstates.state(tonumber(what)):call(below or "switch")
          while not below do local _ = {} end
        elseif what == "interrupt" then
          mtstates.state(mtstates.id()):interrupt()
        elseif what == "spin" then
          stacks.switch()
          while true do local _ = {} end
        end
        return what
      end
    ]])
  end

  local function is_busy(s)
    return s:stats().busy ~= nil
  end

  it_switches("a call ends before one that began in it", function()
    local outer, inner = new(true), new(true)
    local result
    stacks.prepare(function()
      result = inner:call("switch")
    end)
    assert.equals("switch", outer:call("switch"))
    assert.is_false(is_busy(outer))
    assert.is_true(is_busy(inner))
    helpers.raises_error("invoking_state", outer.call, outer, "interrupt")
    assert.equals("again", outer:call("again"))
    stacks.switch()
    assert.is_true(stacks.ended())
    assert.equals("switch", result)
    assert.is_false(is_busy(inner))
    helpers.raises_error("invoking_state", outer.call, outer, "interrupt")
    helpers.raises_error("invoking_state", inner.call, inner, "interrupt")
    outer:close()
    inner:close()
  end)

  it_switches("a call ends before three that began in it", function()
    local outer, second = new({time = 1000}), new({time = 1000})
    local third, inner = new({time = 1}), new({time = 1000})
    local result
    stacks.prepare(function()
      result = {pcall(second.call, second, third:id(), inner:id())}
    end)
    assert.equals("switch", outer:call("switch"))
    assert.is_false(is_busy(outer))
    for _, s in ipairs {second, third, inner} do
      assert.is_true(is_busy(s))
    end
    assert.equals("again", outer:call("again"))
    stacks.switch()
    assert.is_true(stacks.ended())
    local err = mtstates.error(result[2])
    assert.equals(mtstates.error.interrupted, err and err:cause(), result[2])
    for _, s in ipairs {outer, second, third, inner} do
      assert.is_false(is_busy(s))
      s:close()
    end
  end)

  it_switches("each has its own time", function()
    local outer, inner = new({time = 1000}), new({time = 1})
    local ok, err
    stacks.prepare(function()
      ok, err = pcall(inner.call, inner, "spin")
    end)
    assert.equals("switch", outer:call("switch"))
    stacks.wipe(1)
    stacks.switch()
    assert.is_true(stacks.ended())
    assert.is_false(ok)
    assert.equals(mtstates.error.interrupted, mtstates.error(err):cause())
    assert.equals("again", outer:call("again"))
    assert.equals("again", inner:call("again"))
    outer:close()
    inner:close()
  end)
end)
