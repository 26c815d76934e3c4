-- When senders that wait for room are let in, and when they are told, while
-- the state has a request that takes long.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

describe("a sender that waits for room", function()
  before_each(helpers.watch("room"))
  after_each(helpers.unwatch)

  -- A thread that waits for room; the gate stands at 2 when it has got that.
  local function start_sender(s, gate)
    return threads.waiting(gate, function(g, id)
      local r = require "mtstates".state(id)
      require "handoff".add(g)
      r:send()
      require "handoff".add(g)
    end, gate, s:id())
  end

  it("gets that of a request that is withdrawn", function()
    local s = mtstates.newstate({queue = 1}, helpers.gated)
    local release = requests.hold(s)
    local gate = handoff.unique()
    local patient = threads.waiting(gate .. "patient", function(g, id)
      local r = require "mtstates".state(id)
      require "handoff".add(g)
      return r:tawait(0.2)
    end, gate .. "patient", s:id())
    local sender = start_sender(s, gate) -- or it gets the room at once
    assert.is_false(patient:results())
    handoff.wait(gate, 2)
    assert.equals(1, s:stats().queue)
    release()
    sender:results()
  end)

  -- More than are woken at once.
  it("is told that the state is closed, however many there are", function()
    local s = mtstates.newstate({queue = 1}, helpers.gated)
    local release = requests.hold(s)
    s:send()
    local gate, waiting = handoff.unique(), {}
    for i = 1, 40 do
      waiting[i] = threads.waiting(gate, function(g, id)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        return pcall(r.send, r)
      end, gate, s:id())
    end
    local reset = requests.log_to_mailbox().reset -- of the request that fails
    s:close()
    for i = 1, #waiting do
      local ok, err = waiting[i]:results()
      assert.is_false(ok)
      assert.truthy(err:find("mtstates.error.object_closed", 1, true), err)
    end
    release()
    reset()
  end)

  it("is told that it has got room, however many there are", function()
    local s = mtstates.newstate({queue = 1}, helpers.gated)
    local release = requests.hold(s)
    s:send()
    local gate, waiting = handoff.unique(), {}
    for i = 1, 100 do
      waiting[i] = threads.waiting(gate, function(g, id)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        return pcall(r.send, r)
      end, gate, s:id())
    end
    release()
    for i = 1, #waiting do
      assert.is_true((waiting[i]:results()))
    end
    assert.is_true(s:close(60))
  end)

  it("is told, though the queue is nearly full", function()
    local s = mtstates.newstate({queue = 4}, helpers.gated)
    local release = requests.hold(s)
    local entered, leave = handoff.unique(), handoff.unique()
    s:send(entered, leave)
    for _ = 1, 3 do
      s:send()
    end
    local gate = handoff.unique()
    local sender = start_sender(s, gate)
    release()
    handoff.wait(entered, 1)
    handoff.wait(gate, 2)
    assert.equals(4, s:stats().queue)
    handoff.set(leave, 1)
    sender:results()
  end)

  -- Room is there from when a request begins, and the sender told later: each
  -- time its time can end in between.
  it("says whether it has got it, also when its time is over", function()
    local s = mtstates.newstate({queue = 4}, function()
      local runs = 0
      return function(turns)
        if not turns then
          return runs
        end
        runs = runs + 1
        for _ = 1, turns do
          math.abs(1)
        end
      end
    end)
    local sent = 0
    for i = 1, 1000 do
      if s:tsend(1e-5 * (i % 50 + 1), 2000) then
        sent = sent + 1
      end
    end
    assert.equals(sent, s:await())
  end)
end)
