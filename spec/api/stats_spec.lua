-- What states and the module tell about queues and workers.

local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"

describe("stats of a state", function()
  before_each(helpers.watch("stats"))
  after_each(helpers.unwatch)

  it("tell what waits and what is under way", function()
    local s = mtstates.newstate("queue stats", {queue = 5}, helpers.gated)
    local function look(queue, tasks)
      local stats = s:stats()
      assert.same({s:id(), "queue stats", 1, queue, tasks}, {stats.id,
        stats.name, stats.owners, stats.queue, stats.tasks})
    end
    look(0, 0)
    local release = requests.hold(s)
    look(0, 1)
    s:send()
    s:tsend(1)
    local future = s:async()
    look(3, 1)
    release()
    future:await()
    helpers.wait_until(function() return s:stats().tasks == 0 end)
    look(0, 0)
    s:close()
    helpers.raises_error("object_closed", s.stats, s)
  end)

  it("of the module count requests and workers", function()
    local s = mtstates.newstate({}, helpers.gated)
    local release = requests.hold(s)
    local before = mtstates.stats().requests
    s:send()
    s:send()
    local stats = mtstates.stats()
    assert.equals(before + 2, stats.requests)
    assert.equals(mtstates.workers(), stats.workers)
    for _, key in ipairs({"replacements", "idle"}) do
      assert.is_true(stats[key] >= 0 and stats[key] % 1 == 0)
    end
    release()
    s:await()
  end)
end)
