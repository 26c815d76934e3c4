-- Cancel at any time, by several threads, with an exact account: it never hits
-- another request of the state, a call, or what was not cancelled.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"

-- Setup: callback(way, turns, number, ...) computes a little, in that way, and
-- gives the number; "ask" has the states whose ids follow do the same, one by
-- the other.
local function member()
  require "interruptible"
  local mt = require "mtstates"
  local ways = {}
  local function compute(turns)
    local x = 0
    for i = 1, turns do
      x = x + i % 7
    end
    return x
  end
  ways.plain = compute
  function ways.caught(turns)
    local ok, err = pcall(compute, turns)
    if not ok then
      error(err, 0)
    end
  end
  function ways.coroutine(turns)
    local ok, err = coroutine.resume(coroutine.create(compute), turns)
    if not ok then
      error(err, 0)
    end
  end
  function ways.sorted(turns)
    table.sort({1, 2, 3}, function(a, b)
      compute(turns / 4)
      return a < b
    end)
  end
  function ways.sleep()
    mt.sleep(0.0002)
  end
  function ways.ask(turns, number, id, ...)
    if id then
      if mt.state(id):await("ask", turns, number, ...) ~= number then
        error("the answer of another request")
      end
    end
    compute(turns)
  end
  return function(way, turns, number, ...)
    ways[way](turns, number, ...)
    return number
  end
end

-- Setup: callback(seed, rounds, id, id, id) makes requests, cancels some of
-- them and looks at the answers. Gives how many results and cancelled ones
-- there were, or raises what was wrong.
local function asker()
  local helpers = require "helpers" -- luacheck: ignore
  local mt = require "mtstates"
  local names = {"plain", "caught", "coroutine", "sorted", "sleep", "ask"}
  local number = 0

  local function expect(condition, ...)
    if not condition then
      error(table.concat({...}, " "), 2)
    end
  end

  local function check(request, results)
    local ok, got = pcall(request.future.await, request.future)
    if ok then
      expect(got == request.number, "the answer of another request")
      results.given = results.given + 1
      return
    end
    expect(request.is_cancelled, "hit by the cancel of another:", got)
    expect(got == ("mtstates.error.cancelled: state(id=%.0f): " ..
      "the request was cancelled"):format(request.id), got)
    results.cancelled = results.cancelled + 1
  end

  return function(seed, rounds, ...)
    local random, ids = helpers.random(seed), {...}
    local results = {given = 0, cancelled = 0}
    for _ = 1, rounds do
      local made = {}
      for i = 1, 10 do
        local way, first = names[random(#names)], random(#ids)
        number = number + 1
        made[i] = {number = number, id = ids[first]}
        made[i].future = mt.state(ids[first]):async(way, random(3000), number,
          helpers.unpack(ids, first + 1))
        if random(3) == 1 then
          local other = made[random(i)]
          other.is_cancelled = other.future:cancel() or other.is_cancelled
        end
      end
      for i = 1, 10 do
        if random(2) == 1 then
          made[i].is_cancelled = made[i].future:cancel()
            or made[i].is_cancelled
        end
        if random(5) == 1 then
          local called = mt.state(ids[random(#ids)])
          expect(called:call("plain", random(300), i) == i, "a call is hit")
        end
        check(made[i], results)
      end
    end
    return results.given, results.cancelled
  end
end

describe("a storm of cancels", function()
  before_each(helpers.watch("storm of cancels"))
  after_each(helpers.unwatch)

  for _, kind in ipairs(requests.kinds) do
    it("hits what it is meant for, in a " .. kind, function()
      local log = requests.log_to_mailbox()
      local ids, states, askers, answers = {}, {}, {}, {}
      for i = 1, 3 do
        states[i] = requests.new(kind, member)
        ids[i] = states[i]:id()
      end
      local rounds, count = 60, 4
      for i = 1, count do
        askers[i] = requests.new("service", asker)
        answers[i] = askers[i]:async(i, rounds, helpers.unpack(ids))
      end
      local given, cancelled = 0, 0
      for i = 1, count do
        local results, others = answers[i]:await()
        given, cancelled = given + results, cancelled + others
      end
      assert.equals(rounds * count * 10, given + cancelled)
      assert.is_true(given > 0 and cancelled > 0)
      for i = 1, 3 do -- what somebody asked for who was cancelled goes on
        helpers.wait_until(function()
          local stats = states[i]:stats()
          return stats.queue + stats.tasks == 0
        end)
      end
      for i = 1, 3 do
        assert.equals(i, states[i]:await("plain", 1000, i))
        states[i]:close()
      end
      assert.equals(0, log.count())
      log.reset()
    end)
  end

  it("never begins what was cancelled in the queue", function()
    local s = requests.new("service", helpers.gated)
    for round = 1, 30 do
      local gate = handoff.unique()
      local release, futures = requests.hold(s), {}
      for i = 1, 50 do
        futures[i] = s:async(gate)
      end
      local begun = 50
      for i = 1 + round % 3, 50, 3 do
        assert.is_true(futures[i]:cancel())
        begun = begun - 1
      end
      release()
      s:await()
      assert.equals(begun, handoff.get(gate))
    end
  end)

  it("meets the end of the request", function()
    local s = requests.new("service", helpers.echo)
    local canceller = requests.new("service", [[
      return function(future) return future:cancel() end
    ]])
    for i = 1, 2000 do
      local future = s:async(i)
      local cancelling = canceller:async(future)
      local ok, got = pcall(future.await, future)
      local is_cancelled = cancelling:await()
      assert.is_true(ok and got == i or not ok and is_cancelled)
      assert.equals(i, s:call(i))
    end
  end)

  it("hits nobody after the code has ended, before there is an answer",
    function()
      -- The arguments are dropped in between, which takes long for many.
      local many = {}
      for i = 1, 5000 do
        many[i] = mtstates.promise()
        many[i]:cancel()
      end
      local s = requests.new("service", [[
        local add = require "handoff".add
        return function(gate)
          for _ = 1, 10 do end
          return add(gate)
        end
      ]])
      local gate = handoff.unique()
      for _ = 1, 100 do
        local ended = handoff.unique()
        local future, after = s:async(ended, many), s:async(gate)
        handoff.wait(ended, 1)
        while not future:ready() do
          future:cancel()
        end
        after:await()
        s:call(gate)
      end
      assert.equals(200, handoff.get(gate))
    end)
end)
