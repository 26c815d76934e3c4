-- The thread that tries again what has not worked at once: src/core/watch.c.

local helpers = require "helpers"
local watches = require "watches"

describe("a watch", function()
  before_each(helpers.watch("watches"))
  after_each(helpers.unwatch)

  local function wait_for(n)
    helpers.wait_until(function() return watches.tries() >= n end)
  end

  it("is tried until the function says that it is over", function()
    for _ = 1, 2 do
      watches.plan(5, 0.002)
      assert.is_true(watches.start(0.001))
      wait_for(5)
      watches.plan(1, 0)
      assert.is_true(watches.start(0))
      wait_for(1)
      assert.same({1, 0}, {watches.tries()})
    end
  end)

  it("is tried after as many seconds as the function says", function()
    watches.plan(4, 0.01)
    assert.is_true(watches.start(0))
    wait_for(4)
    assert.same({4, 0}, {watches.tries()})
  end)

  it("that is on is tried earlier, but not later, when started", function()
    watches.plan(10, 1e6)
    assert.is_true(watches.start(1e6))
    assert.is_false(watches.start(2e6))
    assert.is_false(watches.start(0))
    wait_for(1)
    assert.same({1, 0}, {watches.tries()})
    assert.is_false(watches.start(0.001))
    assert.is_false(watches.start(1e6))
    wait_for(2)
    watches.plan(1, 0)
    assert.is_false(watches.start(0))
    wait_for(1)
    watches.plan(1, 0)
    assert.is_true(watches.start(0)) -- it was off
    wait_for(1)
  end)

  it("is one of many, which come and go in any order", function()
    for _ = 1, 20 do
      local early = watches.start_many()
      helpers.wait_until(function() return watches.tried() >= early end)
      assert.equals(early, watches.tried())
      local all = watches.start_rest()
      helpers.wait_until(function() return watches.tried() >= all end)
    end
  end)
end)
