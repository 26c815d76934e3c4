-- Workers do not poll the lock of a state that others hold.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local suspended = require "suspended"
local tasks = require "tasks"
local threads = require "threads"

describe("a worker", function()
  before_each(helpers.watch("lock idle"))
  suspended.one_worker(before_each, after_each)
  after_each(helpers.unwatch)

  -- The number of the one worker, which has nothing to do then.
  local function find_worker(other)
    local future, tid = tasks.begin(other, "enter()")
    future:await()
    handoff.wait_asleep(tid)
    return tid
  end

  it("sleeps while a call keeps it from a request", function()
    local other = mtstates.newstate({}, tasks.setup)
    local worker = find_worker(other)
    local s = mtstates.newstate({}, helpers.gated)
    local holder = threads.hold(s)
    local future = s:async(nil, nil, "answer")
    other:await("return") -- the worker has had a look at s before
    handoff.wait_asleep(worker)
    assert.is_false(future:ready())
    holder:release()
    assert.equals("answer", future:await())
  end)
end)
