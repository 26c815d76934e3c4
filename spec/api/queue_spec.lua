-- The queue of a state: how many requests may wait, and who waits for room.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

describe("the option queue", function()
  before_each(helpers.watch("option queue"))
  after_each(helpers.unwatch)

  -- How many requests go into the queue of s while its worker is held.
  local function room(s, most)
    local release = requests.hold(s)
    local count = 0
    while count < most and s:tsend(0) do
      count = count + 1
    end
    release()
    return count
  end

  it("is 1000 where nothing is said", function()
    assert.equals(1000, room(mtstates.newstate(helpers.gated), 2000))
    assert.equals(1000, room(mtstates.newstate({}, helpers.gated), 2000))
    assert.equals(1000, room(mtstates.newstate({queue = nil}, helpers.gated),
      2000))
  end)

  it("says how many requests may wait", function()
    for _, limit in ipairs({1, 2, 3, 64, 65, 1500}) do
      local s = mtstates.newstate({queue = limit}, helpers.gated)
      assert.equals(limit, room(s, 2000))
      assert.equals(limit, room(s, 2000)) -- again, as it is empty again
    end
    assert.equals(1, room(mtstates.newstate({queue = 0.5}, helpers.gated), 9))
    assert.equals(2, room(mtstates.newstate({queue = 2.9}, helpers.gated), 9))
    local s = mtstates.newstate({queue = 1e300}, helpers.gated)
    assert.equals(5000, room(s, 5000))
    s = mtstates.newstate({queue = math.huge}, helpers.gated)
    assert.equals(5000, room(s, 5000))
    s = mtstates.singleton("queue single", {queue = 2}, helpers.gated)
    assert.equals(2, room(s, 10))
  end)

  it("has to be a positive number", function()
    for _, case in ipairs({
      {0, "0"}, {-1, "-1"}, {-math.huge, "-inf"}, {0/0, "nan"},
      {"1", "string"}, {true, "boolean"}, {{}, "table"}, {print, "function"},
    }) do
      local value, shown = case[1], case[2]
      local err = helpers.bad_argument(1, "newstate",
        "option 'queue': positive number expected, got ",
        function() mtstates.newstate({queue = value}, helpers.echo) end)
      if value == value then -- how nan is shown is a matter of the system
        assert.truthy(err:find("got " .. shown, 1, true), err)
      end
      helpers.bad_argument(2, "singleton", "option 'queue': positive number",
        function()
          mtstates.singleton("queue bad", {queue = value}, helpers.echo)
        end)
    end
  end)

  it("does not count what is under way, or what a state sends to itself",
    function()
      local s, gate = mtstates.newstate({queue = 1}, requests.runner),
        handoff.unique()
      assert.equals("sent", s:await([[
        local gate = ...
        local mt = require "mtstates"
        local self = mt.state(mt.id())
        for i = 1, 3000 do
          self:send("require 'handoff'.add(...)", gate)
        end
        self:async("require 'handoff'.add(...)", gate)
        assert(self:tsend(0, "require 'handoff'.add(...)", gate))
        return "sent"
      ]], gate))
      handoff.wait(gate, 3002)
      s:await("return 1")
      assert.equals(3002, handoff.get(gate))
    end)
end)

for _, kind in ipairs(requests.kinds) do
  describe("a full queue of a " .. kind, function()
    before_each(helpers.watch("full queue"))
    after_each(helpers.unwatch)

    -- A state with a full queue, and the function that lets its worker go.
    local function full(setup, limit)
      local s
      if kind == "service" then
        limit = limit or 1
        s = mtstates.newstate({queue = limit}, setup or helpers.gated)
      else
        limit = 1000
        s = mtstates.newstate(setup or helpers.gated)
      end
      local release = requests.hold(s)
      for _ = 1, limit do
        assert.is_true(s:tsend(0))
      end
      return s, release, limit
    end

    it("lets senders wait for room, tsend for its time", function()
      local s, release = full()
      for _, timeout in ipairs({0, -1, -math.huge, 0.005, 0.02}) do
        local before = handoff.monotonic()
        assert.same({false}, {s:tsend(timeout)})
        assert.is_true(handoff.monotonic() - before >= timeout - 1e-3)
        assert.same({false}, {s:tawait(timeout)})
      end
      local gate = handoff.unique()
      local waiting = {}
      for i, method in ipairs({"send", "async", "await", "tsend", "tawait"}) do
        waiting[i] = threads.waiting(gate, function(g, id, name)
          local r = require "mtstates".state(id)
          require "handoff".add(g)
          local result
          if name:sub(1, 1) == "t" then
            result = r[name](r, 60, nil, nil, name)
          else
            result = r[name](r, nil, nil, name)
          end
          require "handoff".add(g .. " in")
          return type(result) == "userdata" and result:await() or result
        end, gate, s:id(), method)
      end
      assert.equals(0, handoff.get(gate .. " in"))
      release()
      handoff.wait(gate .. " in", 5)
      local results = {}
      for i = 1, 5 do
        results[i] = waiting[i]:results() or false
      end
      assert.same({false, "async", "await", true, true}, results)
    end)

    it("lets senders in in their order", function()
      local order = handoff.unique("order")
      local s, release = full(function()
        local gates = require "handoff"
        return function(entered, leave, box, n)
          if entered then
            gates.enter(entered, leave, 1)
          end
          if box then
            gates.put(box, n)
          end
        end
      end)
      local gate, waiting = handoff.unique(), {}
      for i = 1, 8 do
        waiting[i] = threads.waiting(gate, function(g, id, box, n)
          local r = require "mtstates".state(id)
          require "handoff".add(g)
          r:send(nil, nil, box, n)
          r:send(nil, nil, box, n + 100)
        end, gate, s:id(), order, i)
      end
      release()
      for i = 1, 8 do
        waiting[i]:results()
      end
      local firsts, seconds = {}, {}
      for _ = 1, 16 do
        local n = handoff.take(order)
        local list = n > 100 and seconds or firsts
        list[#list + 1] = n
      end
      assert.same({1, 2, 3, 4, 5, 6, 7, 8}, firsts)
      assert.equals(8, #seconds)
    end)

    it("that is closed raises object_closed in senders that wait", function()
      local s, release = full()
      local gate, waiting = handoff.unique(), {}
      for i, method in ipairs({"send", "async", "await", "tsend", "tawait"}) do
        waiting[i] = threads.waiting(gate, function(g, id, name)
          local r = require "mtstates".state(id)
          require "handoff".add(g)
          if name:sub(1, 1) == "t" then
            return pcall(r[name], r, 60)
          end
          return pcall(r[name], r)
        end, gate, s:id(), method)
      end
      local log = requests.log_to_mailbox()
      s:close()
      for i = 1, 5 do
        local ok, err = waiting[i]:results()
        assert.is_false(ok)
        assert.equals(1, err:find(mtstates.error.object_closed, 1, true), err)
      end
      release()
      log.reset()
    end)

    it("slows eight senders of a slow receiver down", function()
      local s = requests.new(kind, function()
        local gates = require "handoff"
        local count, last, wrong = 0, {}, 0
        return function(sender, n)
          if sender then
            count, wrong = count + 1, n == (last[sender] or 0) + 1 and wrong
              or wrong + 1
            last[sender] = n
            if count % 100 == 0 then
              gates.breathe()
            end
          end
          return count, wrong
        end
      end)
      local senders, most = {}, 0
      for i = 1, 8 do
        senders[i] = threads.start(function(id, number)
          local r = require "mtstates".state(id)
          for n = 1, 1000 do
            r:send(number, n)
          end
        end, s:id(), i)
      end
      repeat
        most = math.max(most, s:stats().queue)
      until s:await() == 8000
      for i = 1, 8 do
        senders[i]:results()
      end
      assert.is_true(most <= 1000, most)
      assert.same({8000, 0}, {s:await()})
    end)
  end)
end

describe("queues of a chain of states", function()
  before_each(helpers.watch("chain"))
  after_each(helpers.unwatch)

  -- Each of the first two sends on what it gets; the last is slow.
  it("slow down whoever sends to the first", function()
    local gate = handoff.unique()
    local last = mtstates.newstate({queue = 2}, function(g)
      local gates = require "handoff"
      return function(entered, leave)
        if entered then
          gates.enter(entered, leave, 1)
        end
        gates.add(g)
      end
    end, gate)
    local function link(next_one)
      return mtstates.newstate({queue = 2}, [[
        local id, gate = ...
        local next_one = require "mtstates".state(id)
        return function()
          next_one:send()
        end
      ]], next_one:id())
    end
    local second = link(last)
    local first = link(second)
    local release = requests.hold(last)
    for _ = 1, 8 do -- in three queues of two, and two wait with one each
      assert.is_true(first:tsend(30))
    end
    assert.is_false(first:tsend(0.05))
    assert.equals(2, first:stats().queue)
    assert.equals(1, first:stats().tasks)
    assert.same({false}, {second:tsend(0)})
    release()
    handoff.wait(gate, 9)
    for _ = 1, 1000 do
      first:send()
    end
    handoff.wait(gate, 1009)
  end)

  it("are no hindrance where two states send to each other", function()
    local gate = handoff.unique()
    local code = [[
      local mt, gates = require "mtstates", require "handoff"
      local other
      return function(id, gate, n)
        other = other or mt.state(id)
        gates.add(gate)
        if n > 0 then
          other:send(mt.id(), gate, n - 1)
        end
      end
    ]]
    local a = mtstates.newstate({queue = 4}, code)
    local b = mtstates.newstate({queue = 4}, code)
    for _ = 1, 3 do
      a:send(b:id(), gate, 1000)
    end
    local c = mtstates.newstate({}, helpers.echo)
    for i = 1, 50 do
      assert.equals(i, c:await(i))
    end
    handoff.wait(gate, 3003)
  end)
end)
