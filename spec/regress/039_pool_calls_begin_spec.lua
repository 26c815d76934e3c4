-- A call of a pool whose members have threads of their own, with a timeout of
-- 0, was begun only if the thread of a member was faster than the caller, who
-- took it back: on one processor it was not.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local tasks = require "tasks"

describe("a call of members that have own threads", function()
  before_each(helpers.watch("calls of pools that begin"))
  after_each(helpers.unwatch)

  it("begins at once if one is free, with a timeout of 0, too", function()
    local pool = mtstates.pool({n = 1, own_thread = true, tasks = 2},
      tasks.setup)
    local member = mtstates.state(pool:stats().members[1].id)
    local tid = pool:call("return gates.tid()")
    for i = 1, 50 do
      handoff.wait_asleep(tid)
      assert.same({true, i}, {pool:tcall(0, "return (...)", nil, i)})
    end
    -- With as many tasks as it may have it is not free, though they wait.
    local go, answer = mtstates.promise()
    local futures = {}
    for i = 1, 2 do
      futures[i] = member:async("local a = (...):await() return a", nil, go)
    end
    helpers.wait_until(function() return member:stats().tasks == 2 end)
    handoff.wait_asleep(tid)
    assert.is_false(pool:tcall(0, "return true"))
    assert.is_false(pool:tcall(0.001, "return true"))
    answer:set("answer")
    for i = 1, 2 do
      assert.equals("answer", futures[i]:await())
    end
    assert.is_true(pool:close(60))
  end)
end)
