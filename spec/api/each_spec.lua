-- mtstates.each: loops over futures in the order of their answers.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"
local threads = require "threads"

describe("each", function()
  local log, made

  before_each(helpers.watch("each"))
  before_each(function()
    log, made = requests.log_to_mailbox(), {}
  end)
  after_each(function()
    for _, future in ipairs(made) do
      future:cancel() -- so that it is not abandoned, which would be logged
    end
    log.reset()
    helpers.unwatch()
  end)

  local function promise()
    local future, answer = mtstates.promise()
    made[#made + 1] = future
    return future, answer
  end

  -- So many promises: a list of their futures and one of what answers them.
  local function promises(count)
    local futures, answers = {}, {}
    for i = 1, count do
      futures[i], answers[i] = promise()
    end
    return futures, answers
  end

  it("gives futures in the order in which they are answered", function()
    local futures, answers = promises(4)
    local order = {3, 1, 4, 2}
    answers[3]:set("three")
    local count = 0
    for future, ok, answer in mtstates.each(futures) do
      count = count + 1
      assert.is_true(rawequal(futures[order[count]], future))
      assert.is_true(ok)
      assert.equals(count == 1 and "three" or "later", answer)
      if count < 4 then
        answers[order[count + 1]]:set("later")
      end
    end
    assert.equals(4, count)
  end)

  it("begins with those that are answered, as they are listed", function()
    local futures, answers = promises(5)
    for _, i in ipairs({4, 1, 3}) do
      answers[i]:set(i)
    end
    local got = {}
    local next_future = mtstates.each(futures)
    answers[2]:set(2)
    for _, _, i in next_future do
      got[#got + 1] = i
      if i == 2 then
        answers[5]:set(5)
      end
    end
    assert.same({1, 3, 4, 2, 5}, got)
  end)

  it("takes a list or futures", function()
    local futures, answers = promises(3)
    for i = 1, 3 do
      answers[i]:set(i)
    end
    local function collect(...)
      local got = {}
      for future, ok, i in mtstates.each(...) do
        assert.is_true(ok)
        assert.is_true(rawequal(futures[i], future))
        got[#got + 1] = i
      end
      return got
    end
    assert.same({1, 2, 3}, collect(futures))
    assert.same({2}, collect(futures[2]))
    assert.same({3, 1}, collect(futures[3], futures[1]))
    assert.same({}, collect({}))
    assert.same({}, collect())
  end)

  it("gives a future as often as it is in the list", function()
    local future, answer = promise()
    local other, other_answer = promise()
    local next_future = mtstates.each({future, other, future, future})
    other_answer:set("other")
    assert.is_true(rawequal(other, (next_future())))
    answer:set("answer", 2)
    for _ = 1, 3 do
      local results = helpers.pack(next_future())
      assert.is_true(rawequal(future, results[1]))
      results[1] = nil
      assert.same({n = 4, [2] = true, [3] = "answer", [4] = 2}, results)
    end
    assert.is_nil((next_future()))
    assert.is_nil((next_future()))
  end)

  it("takes a list as it is now", function()
    local futures, answers = promises(2)
    local first, second = futures[1], futures[2]
    local next_future = mtstates.each(futures)
    futures[1], futures[2] = nil, nil
    answers[2]:set()
    answers[1]:set()
    helpers.collect()
    assert.is_true(rawequal(second, (next_future())))
    assert.is_true(rawequal(first, (next_future())))
  end)

  it("gives the answer as pcall of await does", function()
    local s = requests.new("service", requests.runner)
    local codes = {
      "", "return nil, nil", "return {1, {2}}, 'x', nil", "error('text')",
      "error({code = 4})", "error()", "error(print)",
      "return coroutine.create(print)",
    }
    local futures = {}
    for i, code in ipairs(codes) do
      futures[i] = s:async(code)
    end
    local closed = requests.new("service", helpers.gated)
    local let_go = requests.hold(closed)
    futures[#futures + 1] = closed:async("never")
    closed:close()
    let_go()
    local cancelled = promise()
    cancelled:cancel()
    futures[#futures + 1] = cancelled
    local next_future = mtstates.each(futures)
    for _ = 1, #futures do
      local results = helpers.pack(next_future())
      local future = results[1]
      assert.same(helpers.pack(future, pcall(future.await, future)), results)
    end
    assert.is_nil((next_future()))
  end)

  it("gives one error where an answer cannot be made", function()
    local s = mtstates.newstate({}, [[
      return function(fails)
        local class = require "mtstates".class("each.There")
        class.__transfer = function() return 1 end
        local value = setmetatable({}, class)
        if fails then
          error(value)
        end
        return value
      end
    ]])
    for _, fails in ipairs({true, false}) do
      local future = s:async(fails)
      local results = helpers.pack(mtstates.each(future)())
      assert.equals(3, results.n)
      assert.is_true(rawequal(future, results[1]))
      assert.is_false(results[2])
      assert.equals("string", type(results[3]))
    end
    s:close()
  end)

  it("refuses what is no future, and says where", function()
    local future = promise()
    local bad = helpers.bad_argument
    bad(1, "each", "mtstates.future expected, got nil",
        function() mtstates.each(nil) end)
    bad(1, "each", "mtstates.future expected, got string",
        function() mtstates.each("x") end)
    bad(2, "each", "mtstates.future expected, got number",
        function() mtstates.each(future, 7) end)
    bad(3, "each", "mtstates.future expected, got table",
        function() mtstates.each(future, future, {}) end)
    bad(2, "each", "a list is the only argument",
        function() mtstates.each({future}, future) end)
    bad(1, "each", "index 1: mtstates.future expected, got boolean",
        function() mtstates.each({true}) end)
    bad(1, "each", "index 3: mtstates.future expected, got userdata",
        function() mtstates.each({future, future, io.stdout, 7}) end)
    local holed = {future, nil, future}
    if #holed == 3 then -- not in each Lua
      bad(1, "each", "index 2: mtstates.future expected, got nil",
          function() mtstates.each(holed) end)
    end
    local finalized = mtstates.newstate({}, helpers.echo):async()
    getmetatable(finalized).__gc(finalized)
    helpers.raises_error("object_closed", mtstates.each, finalized)
    helpers.raises_error("object_closed", mtstates.each, {future, finalized})
  end)

  it("waits while other threads answer", function()
    local futures, leaves, index = {}, {}, {}
    for i = 1, 3 do
      leaves[i] = handoff.unique("leave")
      futures[i] = mtstates.newstate({}, helpers.gated):async(nil, leaves[i],
                                                              i)
      index[futures[i]] = i
    end
    local taken = handoff.unique("taken")
    local thread = threads.start(function(tid, gate, ...)
      local gates = require "handoff"
      for i, leave in ipairs({...}) do
        gates.wait(gate, i - 1)
        gates.wait_asleep(tid)
        gates.set(leave, 1)
      end
    end, handoff.tid(), taken, leaves[2], leaves[3], leaves[1])
    local got = {}
    for future, ok, i in mtstates.each(futures) do
      assert.is_true(ok)
      assert.equals(index[future], i)
      got[#got + 1] = i
      handoff.add(taken)
    end
    thread:join()
    assert.same({2, 3, 1}, got)
  end)

  it("lets forks of a main program run", function()
    local order = {}
    local function fork(seconds)
      return mtstates.fork(function()
        mtstates.sleep(seconds)
        order[#order + 1] = seconds
        return seconds
      end)
    end
    local got = {}
    for _, ok, seconds in mtstates.each(fork(0.002), fork(0), fork(0.001)) do
      assert.is_true(ok)
      got[#got + 1] = seconds
    end
    assert.equals(3, #got)
    assert.same(order, got)
  end)

  it("lets forks of its task answer", function()
    local s = requests.new("service", tasks.setup)
    local future = s:async([[
      local f, p = mt.promise()
      mt.fork(function()
        mt.sleep(0.001)
        p:set("answer")
      end)
      local next = mt.each(f)
      local _, ok, answer = next()
      return ok, answer
    ]])
    assert.same({true, "answer"}, {future:await()})
  end)

  describe("in a task", function()
    local s, keeper

    suspended.one_worker(before_each, after_each)
    before_each(function()
      s = requests.new("service", tasks.setup)
      keeper = suspended.keeper()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
    end)

    -- Calls next by its name, so that it suspends in all Lua versions.
    local NEXT = [[
      local id, a1, a2 = ...
      local next = mt.each(mt.state(id):async("get"), select(2, ...))
      enter()
      local function give(future, ...)
        return ...
      end
    ]]

    it("suspends it", function()
      local future = suspended.begin(s, 1, NEXT .. [[
        local f, ok, answer = next()
        return ok, answer, (next())
      ]], keeper.id)
      assert.equals("asked", s:await("return 'asked'"))
      keeper.open("answer")
      assert.same({true, "answer"}, {future:await()})
    end)

    it("suspends it each time", function()
      local first, answer_first = promise()
      local second, answer_second = promise()
      local future = suspended.begin(s, 1, NEXT .. [[
        local list = {}
        for i = 1, 3 do
          local f, ok, answer = next()
          list[i] = answer
          gates.add(a2 == f and "second" or a1 == f and "first" or "keeper")
        end
        return list
      ]], keeper.id, first, second)
      answer_second:set("two")
      handoff.wait("second", 1)
      suspended.wait(s, 1)
      keeper.open("kept")
      handoff.wait("keeper", 1)
      suspended.wait(s, 1)
      answer_first:set("one")
      assert.same({"two", "kept", "one"}, (future:await()))
    end)

    it("holds where Lua cannot yield", function()
      local future = suspended.begin_holding(s, NEXT .. [[
        local ok, answer
        table.sort({1, 2}, function(a, b)
          if not ok then
            ok, answer = give(next())
          end
          return a < b
        end)
        return ok, answer
      ]], keeper.id)
      keeper.open("answer")
      assert.same({true, "answer"}, {future:await()})
    end)

    it("gives each future to one of the coroutines that share it", function()
      assert.same({1, 2, 3, 4, 5, 6}, (s:await([[
        local futures, answers, got = {}, {}, {}
        for i = 1, 6 do
          futures[i], answers[i] = mt.promise()
        end
        local next = mt.each(futures)
        local function take()
          local future, ok, i = next()
          while future do
            got[#got + 1] = i
            mt.sleep(0)
            future, ok, i = next()
          end
        end
        local forks = {mt.fork(take), mt.fork(take), mt.fork(take)}
        for i = 1, 6 do
          mt.sleep(0.001)
          answers[i]:set(i)
        end
        for i = 1, 3 do
          forks[i]:await()
        end
        return got
      ]])))
    end)

    it("ends by cancel, and nothing is lost", function()
      local answered, answer = promise()
      local future = suspended.begin(s, 1, NEXT .. [[
        kept = next
        next()
      ]], keeper.id, answered)
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      answer:set("first")
      keeper.open("second")
      assert.same({true, "first"}, {s:await("local f, ok, answer = kept() " ..
        "return ok, answer")})
      assert.same({true, "second"}, {s:await("local f, ok, answer = kept() " ..
        "return ok, answer")})
      assert.is_nil((s:await("return (kept())")))
    end)

    it("ends when the state closes", function()
      local future = suspended.begin(s, 1, NEXT .. "next()", keeper.id)
      s:close()
      helpers.raises_error("object_closed", future.await, future)
    end)
  end)

  describe("when it is left", function()
    -- Has s raise an error that is logged as soon as nobody has the future.
    local function begin_failing()
      local leave = handoff.unique("leave")
      local s = mtstates.newstate({}, [[
        local gates = require "handoff"
        return function(leave)
          gates.wait(leave, 1)
          error("unseen", 0)
        end
      ]])
      return s, s:async(leave), leave
    end

    local function check_is_logged(s, leave)
      handoff.set(leave, 1)
      local kind, text = log.take()
      assert.equals("error", kind)
      assert.truthy(text:find("unseen", 1, true), text)
      s:close()
    end

    it("knows no future any more once it is collected", function()
      local s, failing, leave = begin_failing()
      local first, answer = promise()
      answer:set()
      local function leave_early()
        local given
        for future in mtstates.each(failing, first) do
          given = future
          if given then
            break
          end
        end
        return given
      end
      assert.is_true(first == leave_early())
      failing = nil
      helpers.collect()
      check_is_logged(s, leave)
      assert.is_nil(failing)
    end)

    it("ends for those that wait in it", function()
      local s = requests.new("service", tasks.setup)
      assert.equals("ended", (s:await([[
        local next, _, _, closing = mt.each((mt.promise()))
        local function take()
          local future = next()
          return future == nil and "ended"
        end
        local fork = mt.fork(take)
        mt.sleep(0)
        getmetatable(closing).__close(closing)
        local answer = fork:await()
        return answer
      ]])))
      s:close()
    end)

    suspended.it_has_closing("knows no future any more", function()
      local s, failing, leave = begin_failing()
      local first, answer = promise()
      answer:set()
      local next_future, state, control, closing =
        mtstates.each(failing, first)
      local code = [[
        local next_future, state, control, closing = ...
        for _ in next_future, state, control, closing do
          return
        end
      ]]
      helpers.compile(code)(next_future, state, control, closing)
      getmetatable(failing).__gc(failing)
      check_is_logged(s, leave)
      assert.is_nil((next_future()))
    end)
  end)

  it("keeps no object that it has given", function()
    local futures, answers = promises(3)
    local seen = setmetatable({}, {__mode = "v"})
    for i = 1, 3 do
      answers[i]:set(i)
    end
    made = {}
    local next_future, state, control, closing = mtstates.each(futures)
    futures = nil -- luacheck: ignore
    for i = 1, 2 do
      local future, _, answer = next_future(state, control)
      assert.equals(i, answer)
      seen[i] = future
    end
    helpers.collect()
    assert.same({}, seen)
    assert.equals(3, select(3, next_future(state, control)))
    assert.equals("userdata", type(closing))
  end)

  -- Calls f; the nth call from then on raises an error. Gives whether there
  -- was one, and what pcall(f) gives.
  local function disturb(n, f)
    local is_running, jit = false, rawget(_G, "jit")
    if jit then
      jit.off()
      jit.flush()
    end
    debug.sethook(function()
      n = is_running and n - 1 or n
      if is_running and n == 0 then
        is_running = false
        error("disturbed", 0)
      end
    end, "c")
    local first, second, third
    local ok, err = pcall(function()
      is_running = true
      first, second, third = f()
      is_running = false
    end)
    debug.sethook()
    if jit then
      jit.on()
    end
    return n == 0, ok, ok and first or err, second, third
  end

  it("loses no future when an error ends a turn", function()
    local n, is_hit = 0, true
    while is_hit do
      n = n + 1
      local futures, answers = promises(2)
      answers[1]:set("one")
      answers[2]:set("two")
      local next_future = mtstates.each(futures)
      local hit, ok, future, _, answer = disturb(n, next_future)
      if not ok then
        assert.equals("disturbed", future)
        future, _, answer = next_future()
      end
      assert.equals(futures[1], future)
      assert.is_true(answer == "one" or hit and ok)
      assert.equals("two", select(3, next_future()))
      assert.is_nil((next_future()))
      is_hit = hit
    end
    assert.is_true(n > 3)
  end)

  it("keeps no answer that was found when an error ended a turn", function()
    local n, is_hit = 0, true
    while is_hit do
      n = n + 1
      local s = mtstates.newstate({}, helpers.echo)
      local id = s:id()
      local future, answer = mtstates.promise()
      answer:set(s, nil)
      s = nil
      local next_future, _, _, closing = mtstates.each(future)
      future, answer = nil, nil
      is_hit = disturb(n, next_future)
      helpers.collect()
      getmetatable(closing).__gc(closing)
      next_future, closing = nil, nil
      helpers.collect()
      helpers.raises_error("unknown_object", mtstates.state, id)
      assert.same({}, {s, future, answer, next_future, closing})
    end
  end)

  it("gets no futures of a loop that has ended", function()
    local function open(count)
      local futures, answers = {}, {}
      for i = 1, count do
        futures[i], answers[i] = mtstates.promise()
      end
      return futures, answers
    end
    for round = 1, 50 do -- what is new can lie where the other one was
      local before, answers_before = open(10)
      mtstates.each(before)
      helpers.collect()
      local futures, answers = open(10)
      local next_future = mtstates.each(futures)
      for i = 1, 10 do
        answers_before[i]:set(i)
      end
      answers[7]:set(round)
      local future, ok, value = next_future()
      assert.is_true(future == futures[7])
      assert.same({true, round}, {ok, value})
    end
  end)

  it("knows nothing of futures whose list was wrong", function()
    local failing = mtstates.newstate({}, "return function() error('x') end")
    local future, list = failing:async(), {}
    list[1], list[2] = future, 7
    assert.is_false((pcall(mtstates.each, list)))
    list[1], future = nil, nil
    failing:close(60)
    helpers.collect()
    assert.equals("error", (log.take()))
    assert.is_nil(future)
  end)

  it("gives all answers of many states to many loops", function()
    local echoes, COUNT = {}, 200
    for i = 1, 8 do
      echoes[i] = requests.new("service", helpers.true_echo)
    end
    local loops = {}
    local futures, sum = {}, 0
    for i = 1, COUNT do
      futures[i] = echoes[i % #echoes + 1]:async(i)
      sum = sum + i
    end
    for i = 1, 4 do
      loops[i] = requests.new("service", [[
        local mt = require "mtstates"
        return function(futures)
          local sum, count = 0, 0
          for future, ok, _, i in mt.each(futures) do
            assert(ok and future == futures[i])
            sum, count = sum + i, count + 1
          end
          return count, sum
        end
      ]]):async(futures)
    end
    local got, count = 0, 0
    for _, _, _, i in mtstates.each(futures) do
      got, count = got + i, count + 1
    end
    assert.same({COUNT, sum}, {count, got})
    for _, ok, n, total in mtstates.each(loops) do
      assert.same({true, COUNT, sum}, {ok, n, total})
    end
    assert.equals(4, #loops)
  end)
end)
