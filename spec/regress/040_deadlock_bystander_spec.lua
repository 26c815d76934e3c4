-- Who waited for a task that was just going to find out that all members of a
-- pool wait for each other was told of that deadlock, though it was not part
-- of it. And the search read the task of a request to a pool while a member
-- made it (ThreadSanitizer sees that).

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("a deadlock of the members of a pool", function()
  before_each(helpers.watch("bystanders of deadlocks"))
  after_each(helpers.unwatch)

  it("is not one of who waits for them", function()
    local n = 3
    local pool = mtstates.pool({n = n, tasks = 1}, [[
      return function(pool)
        if pool then return pcall(pool.await, pool) end
        return true
      end
    ]])
    local deadlocks = 0
    for _ = 1, 40000 do
      local futures = {}
      for i = 1, n do
        futures[i] = pool:async(pool)
      end
      for i = 1, n do
        local ok, err = futures[i]:await()
        if not ok then
          deadlocks = deadlocks + 1
          assert.matches("mtstates.error.deadlock", tostring(err), 1, true)
        end
      end
    end
    assert.is_true(deadlocks > 0)
    pool:close()
  end)
end)
