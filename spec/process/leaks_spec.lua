-- Nothing is left of what has ended, however it ended. What is made has names
-- and values of 10 KB, and each program has a process of its own, so that it
-- is seen if they stay: a sanitizer finds them wherever the list of queues, or
-- something else that stays, leads to them.

local helpers = require "helpers"

local prelude = [==[
  local capidriver, handoff = require "capidriver", require "handoff"
  local mtstates = require "mtstates"
  long = ("x"):rep(10000)
  local function collect()
    for _ = 1, 4 do
      collectgarbage()
    end
  end
  -- A service, or pool, with a long name. The callback runs the code, whose
  -- calls have the names that Lua 5.1 and 5.2 can yield in.
  local function new(code, make, options)
    return (make or mtstates.newstate)(long, options or {}, ([[
      local mt, gates = require "mtstates", require "handoff"
      local long = ...
      return function(...)
        %s
      end
    ]]):format(code), long)
  end
  local function check(f)
    for _ = 1, 10 do
      f()
    end
    collect()
    local before = handoff.heap_bytes()
    for _ = 1, 100 do
      f()
    end
    local tries, grown = 0
    repeat -- workers can be about to give something back
      handoff.breathe()
      collect()
      grown = handoff.heap_bytes() - before
      tries = tries + 1
    until grown < 500000 or tries == 1000
    assert(grown < 500000, ("%.0f bytes are left"):format(grown))
    mtstates.shutdown(60)
  end
  local function until_suspended(s)
    while s:stats().tasks == 0 or not s:tcall(0) do
      handoff.breathe()
    end
  end
  local function fails(name, f, ...)
    local ok, err = pcall(f, ...)
    assert(not ok and tostring(err):find(mtstates.error[name], 1, true), err)
  end
]==]

local programs = {
  {"of states that have answered", [[
    local s = new("return long, ...")
    local f = s:async(long)
    local one, other = f:await()
    assert(one == long and other == long)
    s:close()
  ]]},
  {"of pools that have answered", [[
    local pool = new("return long, ...", mtstates.pool, 2)
    local one, other = pool:async(long), pool:async(long)
    assert(one:await() == long and other:await() == long)
    pool:send(long)
    assert(pool:close(60))
  ]]},
  {"of pools that were called", [[
    local pool = new("return long, ...", mtstates.pool, 2)
    assert(pool:call(long) == long)
    pool:close()
  ]]},
  {"of pools that have threads of their own", [[
    local pool = new("return long, ...", mtstates.pool,
      {n = 2, own_thread = true})
    assert(pool:call(long) == long and pool:await(long) == long)
    pool:close()
  ]]},
  {"of states with threads of their own", [[
    local s = new("return long, ...", nil, {own_thread = true})
    assert(s:call(long) == long and s:await(long) == long)
    s:close()
  ]]},
  {"of states that were notified", [[
    local s = new("gates.add('notified')")
    local n = capidriver.notifier(s)
    handoff.set("notified", 0)
    assert(n:notify_quietly() == 0)
    handoff.wait("notified", 1)
    n:release()
    assert(s:close(60))
  ]]},
  {"of errors", [[
    local s = new("error(long)")
    fails("invoking_state", s.await, s, long)
    fails("invoking_state", s.call, s, long)
    s:close()
    s = new("error({long}, 0)")
    assert(not pcall(s.await, s, long))
    s:close()
  ]]},
  {"of results that cannot cross", [[
    local s = new("return long, coroutine.create(function() end)")
    fails("state_result", s.await, s, long)
    s:close()
  ]]},
  {"of requests that are cancelled before they begin", [[
    local s = new("gates.wait('go', 1)")
    handoff.set("go", 0)
    local first, second = s:async(), s:async(long)
    assert(second:cancel() and not pcall(second.await, second))
    handoff.set("go", 1)
    first:await()
    s:close()
  ]]},
  {"of requests that fail as the state is closed", [[
    local s = new("gates.add('begun') gates.wait('go', 1)")
    handoff.set("go", 0)
    handoff.set("begun", 0)
    local first, second = s:async(long), s:async(long)
    handoff.wait("begun", 1)
    s:close()
    fails("object_closed", second.await, second)
    handoff.set("go", 1)
    pcall(first.await, first)
  ]]},
  {"of deferred answers", [[
    local s = new("return (...)")
    local future, promise = mtstates.promise()
    local answer = s:async(future, long)
    assert(not answer:ready())
    promise:set(long)
    assert(answer:await() == long)
    s:close()
  ]]},
  {"of deferred answers that are cancelled", [[
    local s = new("return (...)")
    local future, promise = mtstates.promise()
    local answer = s:async(future, long)
    s:await() -- the other has ended
    assert(answer:cancel())
    fails("cancelled", answer.await, answer)
    promise:set(long)
    assert(future:await() == long)
    s:close()
  ]]},
  {"of deferred answers when the state is closed", [[
    local s = new("return (...)")
    local future, promise = mtstates.promise()
    local answer = s:async(future, long)
    s:await()
    s:close()
    fails("object_closed", answer.await, answer)
    promise:set(long)
    assert(future:await() == long)
  ]]},
  {"of answers that wait for themselves", [[
    local s = new("return (...)")
    local future, promise = mtstates.promise()
    local answer = s:async(future, long)
    promise:set(answer, long)
    answer:cancel()
    s:close()
  ]]},
  {"of promises that are answered twice", [[
    local future, promise = mtstates.promise()
    assert(promise:set(long))
    assert(not promise:set(long .. "1"))
    assert(not promise:fail(long .. "2"))
    assert(not promise:fail({long}))
    assert(future:await() == long)
    future, promise = mtstates.promise()
    assert(promise:fail(long))
    assert(not promise:set({long}))
    assert(not pcall(future.await, future))
  ]]},
  {"of loops that are left", [[
    local futures, promises = {}, {}
    for i = 1, 200 do -- some have arrived, some not
      futures[i], promises[i] = mtstates.promise()
      if i <= 100 then
        promises[i]:set(i)
      end
    end
    for _, ok in mtstates.each(futures) do
      assert(ok)
      break
    end
    for i = 101, 200 do
      promises[i]:set(i)
    end
  ]]},
  {"of maps that are left", [[
    local s = new("gates.wait((...), 1) return long")
    local count = 0
    local function items()
      count = count + 1
      if count == 5 then
        handoff.set("first", 1)
      end
      return count == 1 and "first" or "others", long
    end
    handoff.set("first", 0)
    handoff.set("others", 0)
    local next_item, _, _, loop = s:map(items)
    assert(next_item() == "first")
    getmetatable(loop).__gc(loop)
    handoff.set("others", 1)
    s:await("others")
    s:close()
  ]]},
  {"of loops that wait", [[
    local s = new("mt.sleep(0) return long")
    local count = 0
    for future, ok, value in mtstates.each(s:async(), s:async()) do
      assert(ok and value == long)
      count = count + 1
    end
    assert(count == 2)
    s:close()
  ]]},
  {"of tasks that are closed while they await", [[
    local s = new("gates.add('waits') return (...) and (...):await()")
    handoff.set("waits", 0)
    local future, promise = mtstates.promise()
    local answer = s:async(future, long)
    handoff.wait("waits", 1)
    s:await() -- it is suspended
    s:close()
    fails("object_closed", answer.await, answer)
    promise:set(long)
    assert(future:await() == long)
  ]]},
  {"of tasks that are cancelled while they await", [[
    local s = new("gates.add('waits') return (...) and (...):await()")
    handoff.set("waits", 0)
    local future, promise = mtstates.promise()
    local answer = s:async(future, long)
    handoff.wait("waits", 1)
    s:await() -- it is suspended
    answer:cancel()
    assert(not pcall(answer.await, answer))
    promise:set(long)
    assert(future:await() == long)
    s:close()
  ]]},
  {"of tasks that look for a state", [[
    local s = new("return pcall(mt.state, 'none ' .. long, 0.0001)")
    assert(s:await(long) == false)
    s:close()
  ]]},
  {"of tasks that look for a state as theirs is closed", [[
    local s = new("if (...) then mt.state('none ' .. long, 1000) end")
    local answer = s:async(long)
    s:await() -- it is suspended
    s:close()
    fails("object_closed", answer.await, answer)
  ]]},
  {"of forks", [[
    local s = new("return mt.fork(function(...) return ... end, ...)")
    assert(s:await(long) == long)
    s:close()
    s = new("local f = mt.fork(print, ...) f:cancel()")
    s:await(long)
    s:close()
    s = new("return (...) and mt.fork(function() gates.add('sleeps') " ..
      "mt.sleep(1000) end), long")
    handoff.set("sleeps", 0)
    local fork = s:await(true)
    handoff.wait("sleeps", 1)
    s:call() -- it does
    s:close()
    fails("object_closed", fork.await, fork)
  ]]},
  {"of tasks that are closed while they wait for room", [[
    local full = new("if (...) then gates.enter('in', 'go', 1) end", nil,
      {queue = 1})
    handoff.set("go", 0)
    handoff.set("in", 0)
    full:async(1)
    handoff.wait("in", 1)
    while full:tsend(0) do end
    local s = new("if (...) then (...):async(long):await() end")
    local other = new("if (...) then (...):send(long) end")
    local answers = {s:async(full), other:async(full)}
    until_suspended(s)
    until_suspended(other)
    s:close()
    other:close()
    for i = 1, 2 do
      fails("object_closed", answers[i].await, answers[i])
    end
    handoff.set("go", 1)
    assert(full:close(60))
  ]]},
  {"of loggers", [[
    local logger = new("gates.add('logged')")
    handoff.set("logged", 0)
    mtstates.logger(logger)
    logger = nil
    local s = new("error(long, 0)")
    s:send(long)
    handoff.wait("logged", 1)
    mtstates.logger(nil)
    s:close()
  ]]},
  {"of what a logger has no room for", [[
    local logger = new("gates.add('in') gates.wait('go', 1)", nil, {queue = 1})
    handoff.set("go", 0)
    handoff.set("in", 0)
    mtstates.logger(logger)
    logger:send()
    handoff.wait("in", 1)
    while logger:tsend(0) do end
    local s = new("error(long, 0)")
    s:send(long)
    assert(s:close(60)) -- it is logged
    handoff.set("go", 1)
    mtstates.logger(nil)
    assert(logger:close(60)) -- nothing of it waits for the next go
  ]], true},
}

describe("nothing is left", function()
  before_each(helpers.watch("leaks"))
  after_each(helpers.unwatch)

  for _, program in ipairs(programs) do
    local what, code = program[1], program[2]
    it(what, function()
      local output, status = helpers.run_program(("%s check(function() %s " ..
        "end)"):format(prelude, code), "MTSTATES_WORKERS=2")
      if program[3] then -- some errors go to stderr
        output = output:match("lua[^\n]*bytes are left") or ""
      end
      assert.same({"", 0}, {output, status})
    end)
  end
end)
