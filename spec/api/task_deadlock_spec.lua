-- Circles of waits through suspended tasks, of one or many states. A deadlock
-- is raised once, in the wait that closes the circle; the others go on then.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local runs = require "runs"
local threads = require "threads"

-- Says that it has begun; then waits in the way that it is told for a future,
-- or for a state. `taken`, if it is there, gives what a call cannot be given.
local MEMBER = [[
  local go, entered = ...
  go = go or taken
  gates.add(entered)
  local way, target, timeout = go:await()
  if way == "future" then
    return (target:await())
  elseif way == "deferred" then
    return target
  elseif way == "fork" then
    return (mt.fork(function() return (target:await()) end):await())
  elseif way == "coroutine" then
    return (coroutine.wrap(function() return (target:await()) end)())
  elseif way == "hold" then
    table.sort({1, 2}, function(a, b) target:await() return a < b end)
  elseif way == "timed" then
    return (target:tawait(timeout))
  elseif way == "await" then
    target:await("")
  elseif way == "call" then
    target:call("")
  elseif way == "send" then
    target:send("")
  elseif way == "async" then
    target:async("")
  end
  return "in"
]]

-- Ways that are for a state rather than for a future.
local FOR_STATES = {await = true, call = true, send = true, async = true}

-- A circle: each member waits for the next one. kinds and ways are taken over
-- and over again; a "thread" calls its state, and so answers no future.
local function open(size, kinds, ways)
  local entered, circle = handoff.unique(), {}
  for i = 1, size do
    local member = {kind = kinds[(i - 1) % #kinds + 1],
                    way = ways[(i - 1) % #ways + 1]}
    local needed = FOR_STATES[ways[(i - 2) % size % #ways + 1]]
    circle[i] = member
    member.state = runs.new(member.kind == "own" and runs.services[2]
      or "service", needed and {tasks = 1, queue = 1} or nil)
    local go
    go, member.go = mtstates.promise()
    if member.kind == "thread" then
      member.state:await("taken = ...", go)
      member.thread = threads.start(function(id, code, gate)
        local r = require "mtstates".state(id)
        return pcall(r.call, r, code, nil, gate)
      end, member.state:id(), MEMBER, entered)
    else
      member.future = member.state:async(MEMBER, go, entered)
    end
  end
  handoff.wait(entered, size)
  for i = 1, size do
    local way, following = circle[i].way, circle[i % size + 1]
    if way == "send" or way == "async" then
      following.state:send("") -- for which there is room
    end
  end
  return circle
end

-- Lets all members wait; one of them, if that is given, for so many seconds.
local function go(circle, timed, timeout)
  for i, member in ipairs(circle) do
    local following = circle[i % #circle + 1]
    if i == timed then
      member.go:set("timed", following.future, timeout)
    elseif FOR_STATES[member.way] then
      member.go:set(member.way, following.state)
    else
      member.go:set(member.way, following.future)
    end
  end
end

-- How the members have ended, by the words for it, or as texts of errors.
local function finish(circle)
  local ended = {}
  for i, member in ipairs(circle) do
    local ok, result
    if member.thread then
      ok, result = select(2, member.thread:join())
    else
      ok, result = pcall(member.future.tawait, member.future, 20)
      assert.is_true(result ~= false or not ok)
    end
    ended[i] = ok and "in" or result
  end
  for _, member in ipairs(circle) do
    assert.is_true(member.state:tawait(20, ""))
    member.state:close()
  end
  return ended
end

local DEADLOCK = "mtstates%.error%.deadlock: (state%b()): " ..
  "waiting would never end"

-- Of all errors there must be one reason, which is a deadlock.
local function check_deadlock(ended)
  local found
  for _, outcome in ipairs(ended) do
    if outcome ~= "in" then
      local where = outcome:match(DEADLOCK)
      assert.is_string(where, outcome)
      assert.equals(found or where, where)
      found = where
    end
  end
  assert.is_string(found)
end

describe("a circle of tasks", function()
  before_each(helpers.watch("deadlock of tasks", 300))
  before_each(runs.drop_log) -- errors of forks that nobody awaits
  after_each(runs.restore_log)
  after_each(helpers.unwatch)

  local all_kinds = {{"worker"}, {"own"}, {"worker", "own", "worker"}}
  local all_ways = {
    {"future"}, {"fork"}, {"coroutine"}, {"hold"}, {"await"}, {"call"},
    {"send"}, {"async"}, {"deferred"}, {"future", "deferred"},
    {"call", "future"}, {"await", "send", "fork"},
    {"future", "await", "fork", "deferred", "send", "hold", "call", "async",
     "coroutine"},
  }

  for _, size in ipairs({2, 3, 20}) do
    for _, ways in ipairs(all_ways) do
      it(("of %d is a deadlock: %s"):format(size, table.concat(ways, ", ")),
        function()
          for _, kinds in ipairs(all_kinds) do
            local circle = open(size, kinds, ways)
            go(circle)
            check_deadlock(finish(circle))
          end
        end)
    end

    it(("of %d is a deadlock if threads are in it"):format(size), function()
      for _, ways in ipairs({{"await"}, {"call"}, {"send", "call"}}) do
        for _, kinds in ipairs({{"thread", "worker"}, {"own", "thread"}}) do
          local circle = open(size, kinds, ways)
          go(circle)
          check_deadlock(finish(circle))
        end
      end
    end)
  end

  it("of one is a deadlock, but not if it nests or sends", function()
    for _, kinds in ipairs({{"worker"}, {"own"}}) do
      for _, way in ipairs({"future", "fork", "coroutine", "hold", "await",
                            "deferred"}) do
        local circle = open(1, kinds, {way})
        go(circle)
        check_deadlock(finish(circle))
      end
      for _, way in ipairs({"call", "send", "async"}) do
        local circle = open(1, kinds, {way})
        go(circle)
        assert.same({"in"}, finish(circle))
      end
    end
  end)

  it("fails one after the other, from the wait that closes it", function()
    local circle = open(20, {"worker"}, {"future"})
    go(circle)
    local seen = {}
    for _, outcome in ipairs(finish(circle)) do
      local nested = helpers.count(outcome, mtstates.error.invoking_state)
      assert.is_nil(seen[nested])
      seen[nested] = true
    end
    assert.equals(20, #seen)
  end)

  it("goes on if the error is caught", function()
    local first, second = runs.new("service"), runs.new("service")
    local ask = [[
      local go = ...
      local future = go:await()
      local ok, err = pcall(future.await, future)
      return ok or err:match("^mtstates%.error%.(%a+)")
    ]]
    for _ = 1, 50 do
      local one, one_promise = mtstates.promise()
      local two, two_promise = mtstates.promise()
      local a, b = first:async(ask, one), second:async(ask, two)
      one_promise:set(b)
      two_promise:set(a)
      local outcomes = {tostring((a:await())), tostring((b:await()))}
      table.sort(outcomes)
      assert.same({"deadlock", "true"}, outcomes)
    end
  end)

  it("of any kind is raised once, whoever closes it", function()
    local random = helpers.random(16)
    local names = {"future", "await", "fork", "deferred", "send", "hold",
                   "call", "async", "coroutine"}
    for _ = 1, 100 do
      local ways, kinds = {}, {}
      local size = random(5) + 1
      for i = 1, size do
        ways[i] = names[random(#names)]
        kinds[i] = random(2) == 1 and "worker" or "own"
      end
      for i = 1, size do -- a state whose reply is deferred is free
        if ways[i] == "deferred" and FOR_STATES[ways[(i - 2) % size + 1]] then
          ways[i] = "future"
        end
      end
      local circle = open(size, kinds, ways)
      go(circle)
      check_deadlock(finish(circle))
    end
  end)

  it("is none where one of the waits is timed", function()
    for _, ways in ipairs({{"future"}, {"deferred"}, {"future", "fork"}}) do
      for size = 1, 4 do
        local circle = open(size, {"worker", "own"}, ways)
        go(circle, size, 0.01)
        for _, outcome in ipairs(finish(circle)) do
          assert.equals("in", outcome)
        end
      end
    end
  end)

  it("is none where the one that is timed is cancelled", function()
    for _, ways in ipairs({{"future"}, {"deferred"}, {"future", "fork"}}) do
      for size = 1, 4 do
        local circle = open(size, {"worker", "own"}, ways)
        go(circle, 1, 1000)
        for i = 1, size do
          assert.is_false(circle[i].future:tawait(0.001))
        end
        assert.is_true(circle[1].future:cancel())
        for _, outcome in ipairs(finish(circle)) do
          assert.truthy(outcome:find("mtstates.error.cancelled", 1, true))
          assert.is_nil(outcome:find("deadlock", 1, true), outcome)
        end
      end
    end
  end)

  it("is none where a promise is in it, which others may set", function()
    local future, promise = mtstates.promise()
    local first, second = runs.new("service"), runs.new("service")
    local a = first:async("local f = ... return (f:await())", future)
    local b = second:async([[
      local a, promise = ...
      local result = a:await()
      promise:set("too late")
      return result
    ]], a, promise)
    assert.is_false(a:tawait(0.005) or b:tawait(0.005))
    promise:set("from outside")
    assert.same({"from outside", "from outside"}, {a:await(), b:await()})
  end)

  local function check_raised(future)
    local err = helpers.raises_error("invoking_state", future.await, future)
    assert.truthy(err:find("mtstates.error.deadlock", 1, true), err)
  end

  for _, of in ipairs({"a state", "a pool"}) do
    it("is one with a request to " .. of .. " whose task waits for room",
      function()
        local a = runs.new("service", {tasks = 1, queue = 1})
        local b = of == "a pool" and mtstates.pool(1, runs.setup)
          or runs.new("service")
        local member = of == "a pool"
          and mtstates.state(b:stats().members[1].id) or b
        local entered, leave = handoff.unique(), handoff.unique()
        local future = a:async([[
          local b, entered, leave = ...
          gates.enter(entered, leave, 1)
          b:await("")
        ]], b, entered, leave)
        handoff.wait(entered, 1)
        a:send("") -- for which there is room
        local full = runs.new("service", {queue = 1})
        local held, release = handoff.unique(), handoff.unique()
        full:send("gates.enter(...)", held, release, 1)
        handoff.wait(held, 1)
        full:send("")
        local sender = b:async([[
          local a, full = ...
          mt.fork(function() full:send("") end) -- waits elsewhere
          a:send("")
        ]], a, full)
        helpers.wait_until(function()
          local text = member:traceback(60)
          return text and helpers.count(text, "waits for room") == 2
        end)
        handoff.set(leave, 1)
        check_raised(future)
        sender:await()
        handoff.set(release, 1)
        b:await("")
      end)
  end

  -- The request keeps the state; more forks than begin at once are before.
  for by, code in pairs({
    ["it"] = "last:await()",
    ["another state"] = [[
      local other = ...
      other:await("local f = ... f:await()", last)
    ]],
  }) do
    it("is one with a fork behind a request, awaited by " .. by, function()
      local s, other = runs.new("service", {tasks = 1}), runs.new("service")
      local entered, leave = handoff.unique(), handoff.unique()
      local first = s:async("gates.enter(...)", entered, leave, 1)
      handoff.wait(entered, 1)
      s:send("for _ = 1, 40 do last = mt.fork(function() end) end")
      local future = s:async(code, other)
      handoff.set(leave, 1)
      first:await()
      check_raised(future)
      helpers.wait_until(function() -- the last fork has begun
        return (pcall(s.await, s, "last:await()"))
      end)
    end)
  end

  it("is none behind a task that waits for room, beside one that awaits it",
    function()
      local a, b = runs.new("service"), runs.new("service")
      local full = runs.new("service", {queue = 1})
      local entered, leave = handoff.unique(), handoff.unique()
      local held, release = handoff.unique(), handoff.unique()
      full:send("gates.enter(...)", held, release, 1)
      handoff.wait(held, 1)
      full:send("")
      local future = a:async([[
        local b, entered, leave = ...
        gates.enter(entered, leave, 1)
        return (b:await("return 'asked'"))
      ]], b, entered, leave)
      handoff.wait(entered, 1)
      local told = b:async("return ((...):await())", future)
      b:send("(...):send('')", full)
      helpers.wait_until(function()
        local text = b:traceback(60)
        return text and text:find("waits for room", 1, true) ~= nil
      end)
      handoff.set(leave, 1)
      assert.is_false(future:tawait(0.005))
      handoff.set(release, 1)
      assert.same({"asked", "asked"}, {future:await(), told:await()})
    end)

  it("is none where it awaits a fork that runs, beside one without room",
    function()
      local a = runs.new("service")
      local b = runs.new("service", {queue = 1, tasks = 1})
      local entered, leave = handoff.unique(), handoff.unique()
      local running, stop = handoff.unique(), handoff.unique()
      local fork, start = a:await([[
        local running, stop = ...
        local go, promise = mt.promise()
        return mt.fork(function()
          go:await()
          gates.enter(running, stop, 1)
          return "ended"
        end), promise
      ]], running, stop)
      local future = b:async([[
        local fork, entered, leave = ...
        gates.enter(entered, leave, 1)
        return (fork:await())
      ]], fork, entered, leave)
      handoff.wait(entered, 1)
      b:send("")
      a:send("(...):send('')", b)
      helpers.wait_until(function()
        local text = a:traceback(60)
        return text and text:find("waits for room", 1, true) ~= nil
      end)
      start:set()
      handoff.wait(running, 1)
      handoff.set(leave, 1)
      assert.is_false(future:tawait(0.005))
      handoff.set(stop, 1)
      assert.equals("ended", future:await())
      assert.is_true(a:close(60))
    end)

  it("is none in a line that somebody else ends", function()
    local future, promise = mtstates.promise()
    local states = {}
    local last = future
    for i = 1, 50 do
      states[i] = runs.new(runs.services[i % 5 == 0 and 2 or 1])
      last = states[i]:async("local f = ... return (f:await())", last)
    end
    assert.is_false(last:tawait(0.005))
    promise:set("told")
    assert.equals("told", last:await())
  end)
end)
