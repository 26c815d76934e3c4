-- What only a task knew that waited for a promise was finalized by the next
-- collection, though the promise was answered, by another state or already:
-- the task went on with closed files and finalized futures.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"
local runs = require "runs"

local COLLECT = "collectgarbage() collectgarbage()"

local BEGIN = [[
  local other = ...
  local mine = mt.fork(function() return "mine" end)
  local go, promise = mt.promise()
]]

local ENDS = [[
  local answer = go:await()
  return answer, mine:await()
]]

for _, kind in ipairs(runs.services) do
  describe("a task of a " .. kind .. " that waits for a promise", function()
    local s, other

    before_each(helpers.watch("awaited promises"))
    before_each(function()
      s, other = runs.new(kind), runs.new("service")
    end)
    after_each(function()
      s:close()
      other:close()
      helpers.unwatch()
    end)

    it("of another state keeps what it knows", function()
      local future = runs.suspend(s, BEGIN .. [[
        other:await("kept = ...", promise)
      ]] .. ENDS, other)
      s:await(COLLECT)
      other:await("kept:set('there')")
      assert.same({"there", "mine"}, {future:await()})
    end)

    it("that goes to another state later keeps it, too", function()
      local future = runs.suspend(s, BEGIN .. [[
        mt.fork(function()
          mt.sleep(0)
          other:await("kept = ...", {promise})
          promise = nil
        end)
      ]] .. ENDS, other)
      helpers.wait_until(function()
        return other:await("return kept ~= nil")
      end)
      runs.settle(s)
      s:await(COLLECT)
      other:await("kept[1]:set('there')")
      assert.same({"there", "mine"}, {future:await()})
    end)

    it("that was answered before keeps it", function()
      local future = s:async([[
        local mine = mt.fork(function() return "mine" end)
        local go, promise = mt.promise()
        promise:set("there")
        local answer = go:await()
        go, promise = nil, nil
        mt.fork(function() ]] .. COLLECT .. [[ end)
        mt.sleep(0)
        return answer, mine:await()
      ]])
      assert.same({"there", "mine"}, {future:await()})
    end)

    for name, code in pairs({
      value = "promise:set('there')",
      error = runs.pcall_suspends and "promise:fail('there')" or nil,
    }) do
      it("that was answered with a " .. name .. " keeps it", function()
        local future = s:async(BEGIN .. [[
          mt.fork(function()
            mt.sleep(0)
            ]] .. code .. [[
            promise = nil
            ]] .. COLLECT .. [[
          end)
          local answer = ]] ..
          (name == "value" and "go:await()"
            or "tostring(select(2, pcall(go.await, go))):match('there')") ..
          "\nreturn answer, mine:await()")
        assert.same({"there", "mine"}, {future:await()})
      end)
    end
  end)
end

describe("the main program that waits for a promise", function()
  before_each(helpers.watch("awaited promises"))
  after_each(helpers.unwatch)

  it("in a fork keeps what that knows", function()
    local s = runs.new("service")
    local future = mtstates.fork(function()
      local mine = mtstates.fork(function() return "mine" end)
      local go, promise = mtstates.promise()
      s:await("kept = ...", promise)
      local answer = go:await()
      return answer, mine:await()
    end)
    helpers.wait_until(function()
      return s:await("return kept ~= nil")
    end)
    mtstates.sleep(0)
    helpers.collect()
    s:await("kept:set('there')")
    assert.same({"there", "mine"}, {future:await()})
    s:close()
  end)
end)
