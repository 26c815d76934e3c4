-- Errors of futures: those that nobody has read are logged, once.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"

describe("the error of a future", function()
  local log, s

  before_each(helpers.watch("errors of futures"))
  before_each(function()
    log = requests.log_to_mailbox()
    s = mtstates.newstate("futures failing", {},
      "return function(e) error(e, 0) end")
  end)
  after_each(function()
    s:close()
    log.reset()
    helpers.unwatch()
  end)

  it("that nobody has read is logged when it is collected", function()
    for i = 1, 3 do
      local future = s:async("unread " .. i)
      helpers.wait_until(function() return future:ready() end)
      assert.equals(0, log.count())
      future = nil -- luacheck: ignore
      helpers.collect()
      local kind, text, name, id = log.take()
      assert.same({"error", "futures failing", s:id()}, {kind, name, id})
      assert.truthy(text:find("unread " .. i, 1, true), text)
      helpers.collect()
      assert.equals(1, log.count())
    end
  end)

  it("that is collected before it is there is logged then", function()
    local held = requests.new("service", [[
      local gates = require "handoff"
      return function(leave)
        gates.wait(leave, 1)
        error("late")
      end
    ]])
    local leave = handoff.unique()
    held:async(leave) -- luacheck: ignore
    helpers.collect()
    assert.equals(0, log.count())
    handoff.set(leave, 1)
    local kind, text, _, id = log.take()
    assert.same({"error", held:id()}, {kind, id})
    assert.truthy(text:find("late", 1, true), text)
    assert.equals(1, log.count())
  end)

  it("that somebody has read is not logged", function()
    local future = s:async("read")
    pcall(future.await, future)
    future = s:async("read, too")
    pcall(future.tawait, future, 30)
    pcall(s.await, s, "awaited")
    pcall(s.tawait, s, 30, "awaited, too")
    future = nil -- luacheck: ignore
    helpers.collect()
    assert.equals(0, log.count())
  end)

  it("that one has read is not logged when another drops it", function()
    local keeper = requests.new("service", [[
      local kept
      return function(future, what)
        if what == "read" then
          return (pcall(kept.await, kept))
        end
        kept = future
        collectgarbage()
        collectgarbage()
      end
    ]])
    local future = s:async("read here")
    keeper:await(future)
    keeper:await(nil)
    assert.equals(0, log.count()) -- one object of it is left
    assert.is_false((pcall(future.await, future)))
    future = s:async("read there")
    keeper:await(future)
    future = nil -- luacheck: ignore
    helpers.collect()
    assert.is_false(keeper:await(nil, "read"))
    keeper:await(nil)
    helpers.collect()
    assert.equals(0, log.count())
    keeper:await(s:async("read nowhere"))
    helpers.collect()
    assert.equals(0, log.count())
    keeper:await(nil)
    assert.truthy(select(2, log.take()):find("read nowhere", 1, true))
    assert.equals(1, log.count())
  end)
end)
