-- mtstates.fork in Lua states that the module has not made: a main program,
-- and threads of other libraries. Forks run there while that thread waits.
-- Their errors are in fork_main_errors_spec.lua.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

-- 5.1 and LuaJIT cannot tell who resumes a coroutine that has yielded.
local it_tells = helpers.it_needs(_VERSION ~= "Lua 5.1", "continuations")

describe("a fork in the main program", function()
  local marked

  before_each(helpers.watch("forks of the main program"))
  before_each(function()
    marked = {}
  end)
  after_each(helpers.unwatch)

  local function mark(x)
    marked[#marked + 1] = tostring(x)
  end

  local function marks()
    local text = table.concat(marked, " ")
    marked = {}
    return text
  end

  it("gives a future, which gives its results", function()
    local future = mtstates.fork(function(...) return ... end, 7, nil, "x",
      nil)
    assert.equals("mtstates.future", mtstates.type(future))
    assert.is_false(future:ready())
    assert.same({7, nil, "x", nil, n = 4}, helpers.pack(future:await()))
    assert.is_true(future:ready())
    assert.same({7, nil, "x", nil, n = 4}, helpers.pack(future:await()))
    local t = {1, {2}}
    future = mtstates.fork(function(given)
      return given, given == t
    end, t)
    local result, is_same = future:await()
    assert.same({{1, {2}}, true}, {result, is_same})
    assert.is_true(result ~= t)
  end)

  it("runs on this thread, in each wait of it", function()
    local s, tid = mtstates.newstate({}, helpers.gated), handoff.tid()
    local silent, kept = mtstates.promise()
    local waits = {
      function(gate)
        repeat -- it can be over before the second one has begun
          mtstates.sleep(0.02)
        until handoff.get(gate) == 1
      end,
      function() mtstates.fork(handoff.tid):await() end,
      function(gate) s:await(nil, gate) end,
      function(gate) s:tawait(20, nil, gate) end,
      function(gate) s:async(nil, gate):await() end,
      function(gate) s:async(nil, gate):tawait(20) end,
      function()
        local future, promise = mtstates.promise()
        mtstates.fork(promise.set, promise)
        future:await()
      end,
      function(gate)
        repeat
          silent:tawait(0.02)
        until handoff.get(gate) == 1
      end,
    }
    for i, wait in ipairs(waits) do
      local gate = handoff.unique()
      mtstates.fork(mark, i)
      mtstates.fork(function()
        mark(handoff.tid())
        handoff.set(gate, 1) -- ends a wait for s
      end)
      mark("made")
      wait(gate)
      assert.equals(("made %d %s"):format(i, tostring(tid)), marks())
      handoff.set(gate, 0)
    end
    kept:set()
  end)

  it("runs when it lets others run", function()
    for i = 1, 3 do
      mtstates.fork(function()
        mark("a" .. i)
        mtstates.sleep(0)
        mark("b" .. i)
      end)
    end
    repeat -- it runs nothing new after 1 ms
      mtstates.sleep(0)
    until #marked == 6
    assert.equals("a1 a2 a3 b1 b2 b3", marks())
  end)

  it("runs in waits that are over before they begin", function()
    local silent, kept = mtstates.promise()
    for _, wait in ipairs({
      function() mtstates.sleep(1e-9) end,
      function() silent:tawait(1e-9) end,
    }) do
      local fork = mtstates.fork(mark, "run")
      helpers.wait_until(function()
        wait()
        return fork:ready()
      end)
      assert.equals("run", marks())
    end
    kept:set()
  end)

  it("that makes others for ever lets waits end", function()
    local turns, is_over = 0, false
    local function again()
      turns = turns + 1
      return is_over or mtstates.fork(again)
    end
    local last = again()
    for _ = 1, 3 do
      mtstates.sleep(0.001)
    end
    is_over = true
    last:await()
    assert.is_true(turns > 1, tostring(turns))
  end)

  it("runs while it waits for room", function()
    local s = mtstates.newstate({queue = 1}, helpers.gated)
    for _, method in ipairs({"send", "async", "await", "tsend", "tawait"}) do
      local entered, leave = handoff.unique(), handoff.unique()
      s:send(entered, leave)
      handoff.wait(entered, 1)
      s:send()
      mtstates.fork(function()
        mtstates.sleep(0.0001)
        mark(method)
        handoff.set(leave, 1)
      end)
      if method:sub(1, 1) == "t" then
        assert.is_true((s[method](s, 20)))
      else
        s[method](s)
      end
      assert.equals(method, marks())
      s:await()
    end
  end)

  it("begins in the order of forking, also if forks fork", function()
    local outer, inner = {}, {}
    for i = 1, 3 do
      outer[i] = mtstates.fork(function()
        mark(i)
        inner[i] = mtstates.fork(mark, i * 10)
      end)
    end
    for i = 1, 3 do
      outer[i]:await()
      inner[i]:await()
    end
    assert.equals("1 2 3 10 20 30", marks())
  end)

  it("is suspended where it waits", function()
    local first, first_promise = mtstates.promise()
    local second, second_promise = mtstates.promise()
    local s = requests.new("service", helpers.echo)
    local last = mtstates.fork(function()
      mark("a1")
      mark(first:await())
      second_promise:set(s:await("b2"))
      return "done"
    end)
    mtstates.fork(function()
      mark("b1")
      mtstates.sleep(0.0001)
      first_promise:set("a2")
      mark(second:await())
    end)
    assert.equals("done", last:await())
    repeat
      mtstates.sleep(0.001)
    until #marked == 4
    assert.equals("a1 b1 a2 b2", marks())
  end)

  it("answers what the main program and states wait for", function()
    local s = requests.new("service", [[
      return function(question, promise)
        promise:set("asked")
        return question:await()
      end
    ]])
    for i = 1, 50 do
      local question, answer = mtstates.promise()
      local asked, promise = mtstates.promise()
      mtstates.fork(function()
        assert.equals("asked", asked:await())
        answer:set(i)
      end)
      assert.equals(i, s:await(question, promise))
    end
  end)

  it("lets the waits of the main program end in time", function()
    local fork = mtstates.fork(mtstates.sleep, 60)
    local future, promise = mtstates.promise()
    for _, seconds in ipairs({0.001, 0.01}) do
      local before = mtstates.now()
      assert.is_false(future:tawait(seconds))
      mtstates.sleep(seconds)
      assert.is_true(mtstates.now() - before >= 2 * seconds)
    end
    assert.is_false(fork:ready())
    assert.is_true(fork:cancel())
    assert.is_true(future:cancel())
    assert.is_false(promise:set())
    helpers.raises_error("cancelled", fork.await, fork)
  end)

  it("never sleeps too short", function()
    local futures = {}
    for i = 1, 50 do
      futures[i] = mtstates.fork(function()
        local seconds = i * 37 % 50 / 5000
        local before = mtstates.now()
        mtstates.sleep(seconds)
        return mtstates.now() - before >= seconds
      end)
    end
    for i = 1, 50 do
      assert.is_true(futures[i]:await())
    end
  end)

  it("may be made, and waited for, in coroutines", function()
    local co = coroutine.wrap(function()
      local future = mtstates.fork(function()
        mtstates.sleep(0.0001)
        return "forked in a coroutine"
      end)
      coroutine.yield("made")
      return future:await()
    end)
    assert.equals("made", co())
    assert.equals("forked in a coroutine", co())
    local generator = coroutine.wrap(function()
      for i = 1, 3 do
        mtstates.sleep(0.0001)
        coroutine.yield(mtstates.fork(function() return i end):await())
      end
    end)
    assert.same({1, 2, 3}, {generator(), generator(), generator()})
    local inside = mtstates.fork(function()
      return coroutine.wrap(function()
        mtstates.sleep(0.0001)
        return "inside"
      end)()
    end)
    assert.equals("inside", inside:await())
  end)

  it("may be made in a call of the main program", function()
    local s = requests.new("service", [[
      local mt = require "mtstates"
      return function(promise)
        mt.fork(promise.set, promise, "in the state")
        return mt.id()
      end
    ]])
    local future, promise = mtstates.promise()
    local own = mtstates.fork(mtstates.id)
    assert.equals(s:id(), s:call(promise))
    assert.equals("in the state", future:await())
    assert.is_nil((own:await()))
  end)

  it("can be made 10,000 times", function()
    local go, promise = mtstates.promise()
    local sum, futures = 0, {}
    for i = 1, 10000 do
      futures[i] = mtstates.fork(function(n)
        local factor = go:await()
        sum = sum + factor * n
      end, i)
    end
    mtstates.sleep(0.001)
    assert.equals(0, sum)
    promise:set(1)
    for i = 1, 10000 do
      futures[i]:await()
    end
    assert.equals(10000 * 10001 / 2, sum)
  end)

  it("is made of a function only", function()
    for _, case in ipairs({{"no value", n = 0}, {"nil", nil, n = 1},
                           {"table", {}, n = 1}, {"string", "f", n = 1}}) do
      helpers.bad_argument(1, "fork", "function expected, got " .. case[1],
        function()
          mtstates.fork(helpers.unpack(case, 2, case.n + 1))
        end)
    end
  end)

  it("runs on the threads of other libraries, too", function()
    local future, promise = mtstates.promise()
    local s = requests.new("service", [[
      local promise = ...
      return function(...) promise:set(...) end
    ]], promise)
    local thread = threads.start(function(id)
      local mt, gates = require "mtstates", require "handoff"
      local state = mt.state(id)
      local tid
      local fork = mt.fork(function()
        mt.sleep(0.001)
        tid = gates.tid()
        state:await("from the fork")
        return "results of the fork"
      end)
      mt.fork(mt.sleep, 60) -- is still suspended when the thread ends
      mt.fork(function() mt.promise():await() end)
      return fork:await(), tid == gates.tid()
    end, s:id())
    assert.same({"results of the fork", true}, {thread:results()})
    assert.equals("from the fork", future:await())
  end)

  it_tells("goes on waiting when others resume its coroutine", function()
    local kept
    local go, promise = mtstates.promise()
    local future = mtstates.fork(function(...)
      kept = coroutine.running()
      local ok, err = pcall(function(...)
        go:await()
        return ...
      end, ...)
      mtstates.sleep(0.001)
      return ok, err
    end, "kept")
    repeat
      mtstates.sleep(0)
    until kept
    for i = 1, 100 do
      assert.same({true, n = 1}, helpers.pack(coroutine.resume(kept, i, i)))
    end
    local other = mtstates.fork(function()
      return helpers.pack(coroutine.resume(kept))
    end)
    assert.same({true, n = 1}, other:await())
    promise:set()
    assert.same({true, "kept"}, {future:await()})
  end)
end)
