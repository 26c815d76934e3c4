-- No false alarms: a wait that is over, of which the thread that waited does
-- not know yet, is in no cycle. Whoever ends it goes on at once to wait for
-- what that thread holds, some thousand times; and for what the task holds no
-- more that waited without a thread.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local ROUNDS = 3000

describe("no deadlock is raised", function()
  local workers = mtstates.workers()

  before_each(helpers.watch("deadlock races", 300))
  before_each(function()
    mtstates.workers(4) -- two are blocked at gates
  end)
  after_each(function()
    mtstates.workers(workers)
  end)
  after_each(helpers.unwatch)

  -- Callbacks of the two states of each race. "ask" is what the first runs,
  -- "back" what the second one does after it has ended the wait.
  local function racer()
    local gates, mt = require "handoff", require "mtstates"
    local hold = require "helpers".hold
    local ended, kept = {}, {}
    local run = {}

    -- The waits of the first state hold it, or suspend its tasks.
    local function wait(f, ...)
      if kept.suspends then
        f(...)
      else
        hold(f, ...)
      end
    end

    local function back(id, way)
      local s = mt.state(id)
      local ok, err = hold(pcall, s[way], s)
      local word = ok and "in"
        or tostring(err):match("mtstates%.error%.(%a+)") or err
      ended[word] = (ended[word] or 0) + 1
    end

    function run.ask(id, way)
      local s = mt.state(id)
      if way == "future" then
        local future = s:async("answer", mt.id())
        wait(future.await, future)
      else
        wait(s[way], s, "answer", mt.id())
      end
    end

    -- The next request of this state calls back, on the same thread.
    function run.answer(id)
      mt.state(mt.id()):send("back", id, kept.way)
    end

    run.back = back

    function run.keep(name, value)
      kept[name] = value
    end

    function run.hold(entered, leave, turn)
      gates.enter(entered, leave, turn)
    end

    function run.fill(gate, id, way)
      local s = mt.state(id)
      gates.add(gate)
      wait(s[way], s)
    end

    -- Waits for a future; what ends that is nobody's business.
    function run.follow(gate, future)
      gates.add(gate)
      pcall(wait, future.await, future)
    end

    function run.cancel(gate, turn, promised, id, way)
      local future = promised:await()[1]
      gates.wait(gate, turn)
      future:cancel()
      back(id, way)
    end

    function run.set(gate, turn, promise, id, way)
      gates.wait(gate, turn)
      promise:set(turn)
      back(id, way)
    end

    function run.ended()
      local counts = ended
      ended = {}
      return counts
    end

    return function(what, ...)
      return what and run[what](...)
    end
  end

  local function assert_all_in(s, count)
    assert.same({["in"] = count}, (s:await("ended")))
  end

  local function new_pair(options, suspends)
    local a = mtstates.newstate({}, racer)
    local b = mtstates.newstate(options or {}, racer)
    a:await("keep", "suspends", suspends)
    return a, b, a:id(), b:id()
  end

  local function race_answers(options, asks, by, suspends)
    local a, b, _, b_id = new_pair(options, suspends)
    for _, ask in ipairs(asks) do
      for _, way in ipairs {"call", "await"} do
        b:await("keep", "way", way)
        for _ = 1, ROUNDS do
          a[by](a, "ask", b_id, ask)
          b:await() -- it is back
        end
        assert_all_in(b, ROUNDS)
      end
    end
  end

  for _, by in ipairs {"call", "await"} do
    it("for an answer that is there, in a state by " .. by, function()
      race_answers({}, {"await", "future"}, by)
    end)

    it("for an answer of an own thread, in a state by " .. by, function()
      race_answers({own_thread = true}, {"await", "future", "call"}, by)
    end)
  end

  it("for an answer that is there, to a suspended task", function()
    race_answers({}, {"await", "future"}, "await", true)
    race_answers({own_thread = true}, {"await", "future"}, "await", true)
  end)

  local function race_grants(way, suspends)
    it(("for a granted %s that is not told yet, of a %s task"):format(way,
      suspends and "suspended" or "holding"), function()
      local a, b, a_id, b_id = new_pair({queue = 1}, suspends)
      local entered, leave = handoff.unique(), handoff.unique()
      local filling = handoff.unique()
      local ways = {"call", "await"}
      local rounds = 200 -- it is told late, after 10 ms
      for i = 1, rounds do
        local held = b:async("hold", entered, leave, i)
        handoff.wait(entered, i)
        b:send("back", a_id, ways[i % 2 + 1])
        local filled = a:async("fill", filling, b_id, way)
        handoff.wait(filling, i)
        handoff.set(leave, i)
        filled:await()
        held:await()
      end
      assert_all_in(b, rounds)
    end)
  end

  for _, way in ipairs {"send", "async"} do
    race_grants(way, false)
    race_grants(way, true)
  end

  -- The first state follows what the second one answers, or a promise.
  local function race_once(begin, suspends)
    local a, b, a_id = new_pair({}, suspends)
    local gate, ways = handoff.unique(), {"call", "await"}
    for i = 1, ROUNDS do
      local asked, ended = begin(a, b, gate, i, a_id, ways[i % 2 + 1])
      pcall(asked.await, asked)
      ended:await()
    end
    assert_all_in(b, ROUNDS)
  end

  local function race(begin)
    race_once(begin, false)
    race_once(begin, true)
  end

  it("for a wait that was cancelled", function()
    race(function(a, b, gate, i, ...)
      local future, promise = mtstates.promise()
      local ended = b:async("cancel", gate, i, future, ...)
      local asked = a:async("follow", gate, ended)
      promise:set({asked})
      return asked, ended
    end)
  end)

  it("for a promise that was set", function()
    race(function(a, b, gate, i, ...)
      local future, promise = mtstates.promise()
      local asked = a:async("follow", gate, future)
      return asked, b:async("set", gate, i, promise, ...)
    end)
  end)

  -- The closed state's request goes on, and the other one's is refused.
  it("for a state that was closed", function()
    local a = mtstates.newstate({}, racer)
    local entered, leave = handoff.unique(), handoff.unique()
    local following = handoff.unique()
    for i = 1, 200 do
      local b = mtstates.newstate({}, function()
        local gates, mt = require "handoff", require "mtstates"
        return function(enter, go, turn, id)
          gates.enter(enter, go, turn)
          local s = mt.state(id)
          local ok, err = pcall(s.call, s)
          return ok or err
        end
      end)
      local ended = b:async(entered, leave, i, a:id())
      handoff.wait(entered, i)
      local unheard = b:async(entered, leave, i, a:id())
      local asked = a:async("follow", following, unheard)
      handoff.wait(following, i)
      b:close()
      handoff.set(leave, i)
      asked:await()
      local outcome = ended:await()
      assert.is_true(outcome == true
        or outcome:find(mtstates.error.object_closed, 1, true) == 1, outcome)
    end
  end)
end)
