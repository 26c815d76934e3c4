-- Errors of forks of a main program, and future:cancel of them.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"

local it_catches = helpers.it_needs(runs.pcall_suspends, "waits in pcall")

describe("a fork in the main program", function()
  local log, begun

  before_each(helpers.watch("errors of forks of the main program"))
  before_each(function()
    log, begun = requests.log_to_mailbox(), 0
  end)
  after_each(function()
    log.reset()
    helpers.unwatch()
  end)

  local function begin()
    begun = begun + 1
  end

  it("raises its error in await, or has it logged", function()
    for _, waits in ipairs({false, true}) do
      local future = mtstates.fork(function()
        if waits then
          mtstates.sleep(0.0001)
        end
        error("the inner message", 0)
      end)
      local err = helpers.raises(future.await, future)
      assert.equals(1, helpers.count(err, "the inner message"), err)
      future = mtstates.fork(error, {code = 404})
      assert.same({code = 404}, helpers.raises(future.await, future))
      future = mtstates.fork(coroutine.create, function() end)
      err = helpers.raises_error("state_result", future.await, future)
      assert.truthy(err:find("thread", 1, true), err)
      future = nil -- luacheck: ignore
      helpers.collect()
      assert.equals(0, log.count())
      future = mtstates.fork(error, "nobody reads it")
      repeat
        mtstates.sleep(0.001)
      until future:ready()
      future = nil -- luacheck: ignore
      helpers.collect()
      local level, text, name = log.take()
      assert.same({"error"}, {level, name})
      assert.truthy(text:find("nobody reads it", 1, true), text)
      assert.equals(1, log.count())
    end
  end)

  it("is cancelled before it begins, or where it waits", function()
    local future = mtstates.fork(begin)
    assert.is_true(future:cancel())
    assert.is_true(future:ready())
    mtstates.sleep(0.001)
    helpers.raises_error("cancelled", future.await, future)
    for i, seconds in ipairs({60, math.huge}) do
      future = mtstates.fork(function()
        begin()
        mtstates.sleep(seconds)
        begin()
      end)
      repeat
        mtstates.sleep(0.001)
      until begun == i
      assert.is_true(future:cancel())
      helpers.raises_error("cancelled", future.await, future)
      assert.is_false(future:cancel())
      assert.equals(i, begun)
    end
    helpers.collect()
    assert.equals(0, log.count())
  end)

  it_catches("that caught cancelled goes on", function()
    local future = mtstates.fork(function()
      begin()
      local ok, err = pcall(mtstates.sleep, 60)
      return ok, err:find("cancelled", 1, true) and 7
    end)
    repeat
      mtstates.sleep(0.001)
    until begun == 1
    assert.is_true(future:cancel())
    assert.same({false, 7}, {future:await()})
  end)
end)
