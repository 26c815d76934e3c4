-- The mode of the garbage collector of a new state.

local mtstates = require "mtstates"

if _VERSION < "Lua 5.4" then
  return
end

describe("the collector", function()
  local MODE = "return function() return collectgarbage 'incremental' end"

  it("of a classic state is incremental", function()
    assert.equal("incremental", mtstates.newstate(MODE):call())
  end)

  it("of a service is generational, as in programs", function()
    local pool = mtstates.pool({n = 2}, MODE)
    local future = mtstates.thread(function()
      return collectgarbage "incremental"
    end)
    assert.same({"generational", "generational", "generational"},
      {mtstates.newstate({}, MODE):call(), pool:call(), (future:await())})
    pool:close()
  end)

  it("stays in the mode that the setup has chosen", function()
    local state = mtstates.newstate({}, [[
      local before = collectgarbage "incremental"
      return function() return before, collectgarbage "generational" end]])
    assert.same({"generational", "incremental"}, {state:call()})
  end)

  it("goes on by itself", function()
    local state = mtstates.newstate({}, [[return function()
      local most = 0
      for i = 1, 100000 do
        local t = {i}
        most = math.max(most, collectgarbage "count")
      end
      return most
    end]])
    assert.True(state:call() < 1000)
  end)
end)
