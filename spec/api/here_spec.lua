-- mtstates.here: the state of the Lua state that runs the specs, which the
-- module has not made: its object, arguments, and run.

local assert = require "luassert"
local capidriver = require "capidriver"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

describe("mtstates.here", function()
  local here, name

  before_each(helpers.watch("here"))
  before_each(function()
    name = handoff.unique("here")
  end)
  after_each(function()
    if here then
      here:close(60)
      here = nil
    end
  end)
  after_each(helpers.unwatch)

  local function open(...)
    here = mtstates.here(...)
    return here
  end

  -- A service whose requests ask the state with that name by that method.
  local function asker()
    return mtstates.newstate({}, function(of)
      local mt = require "mtstates"
      return function(method, ...)
        local s = mt.state(of)
        return s[method](s, ...)
      end
    end, name)
  end

  it("gives an owner of a state, which is found", function()
    open(name, {}, function(...) return ... end)
    assert.equals("mtstates.state", mtstates.type(here))
    assert.equals(name, here:name())
    assert.is_true(here:isowner())
    assert.is_true(here == mtstates.state(name))
    assert.is_true(here == mtstates.state(here:id()))
    assert.is_false(mtstates.state(name):isowner())
    assert.equals(1, helpers.count(tostring(here),
      ('state(name="%s",id=%d)'):format(name, here:id())))
    local stats = here:stats()
    assert.same({here:id(), name, 0, 0},
      {stats.id, stats.name, stats.queue, stats.tasks})
    assert.is_nil(mtstates.id())
  end)

  it("stays when its objects are gone, since the Lua state has it", function()
    open(name, function() return "there" end)
    local id = here:id()
    here = nil
    helpers.collect()
    here = mtstates.state(name)
    assert.equals(id, here:id())
    assert.equals("there", here:await())
  end)

  it("takes all its arguments or none", function()
    local function f() return "f" end
    local t = {g = function() return "g" end}
    for _, case in ipairs({
      {nil, n = 0}, {nil, f, n = 1, nil, "f"}, {nil, t, n = 1, "g", "g"},
      {name, name, n = 1}, {name, name, f, n = 2, nil, "f"},
      {name, name, t, n = 2, "g", "g"}, {nil, nil, t, n = 2, "g", "g"},
      {name, name, {}, f, n = 3, nil, "f"},
      {name, name, {queue = 3, tasks = 1}, t, n = 3, "g", "g"},
      {nil, {queue = 1}, f, n = 2, nil, "f"},
      {nil, nil, nil, f, n = 3, nil, "f"},
      {name, name, nil, t, n = 3, "g", "g"},
      {nil, {tasks = 1}, nil, n = 2},
    }) do
      open(helpers.unpack(case, 2, case.n + 1))
      assert.equals(case[1], here:name())
      local choice, result = case[case.n + 2], case[case.n + 3]
      if result then
        assert.equals(result, here:await(choice))
      else
        assert.equals(1, helpers.count(helpers.raises_error("invoking_state",
          here.await, here), "this state has no callback"))
      end
      here:close()
    end
    here = nil
  end)

  it("refuses other arguments", function()
    local f = function() end
    local function refuses(position, text, ...)
      local arguments = helpers.pack(...)
      helpers.bad_argument(position, "here", text, function()
        mtstates.here(helpers.unpack(arguments, 1, arguments.n))
      end)
    end
    refuses(1, "function or table expected, got number", 1)
    refuses(2, "function or table expected, got string", name, "x")
    refuses(2, "function or table expected, got boolean", {}, true)
    refuses(1, "option 'libs' is unknown", {libs = true}, f)
    refuses(2, "option 'own_thread' is unknown", name, {own_thread = true}, f)
    refuses(2, "option 'name' is unknown", name, {name = "x"}, f)
    refuses(1, "option 'queue': positive number expected, got 0", {queue = 0},
      f)
    refuses(1, "option 'tasks': positive number expected, got string",
      {tasks = "1"}, f)
    helpers.raises_error("unknown_object", mtstates.state, name)
  end)

  it("called again gives the same state, which takes one callback", function()
    open(name)
    assert.is_true(mtstates.here() == here)
    assert.is_true(mtstates.here():isowner())
    helpers.bad_argument(1, "here", "is there already", function()
      mtstates.here(name)
    end)
    helpers.bad_argument(1, "here", "is there already", function()
      mtstates.here({}, nil)
    end)
    helpers.raises_error("invoking_state", here.await, here)
    assert.is_true(mtstates.here(function() return "late" end) == here)
    assert.equals("late", here:await())
    helpers.bad_argument(1, "here", "has a callback already", function()
      mtstates.here(function() end)
    end)
    assert.is_true(mtstates.here() == here and mtstates.here(nil, nil) == here)
    assert.equals("late", here:await())
  end)

  it("takes the place of the state that forks had", function()
    local future = mtstates.fork(function()
      mtstates.sleep(0)
      return "forked"
    end)
    open(name, {tasks = 1}, function() return "asked" end)
    assert.equals("asked", here:await())
    assert.equals("forked", future:await())
  end)

  it("in a state of the module gives a reference to that", function()
    for _, kind in ipairs(requests.kinds) do
      local s = requests.new(kind, function()
        local mt = require "mtstates"
        return function(...)
          local me = mt.here(...)
          return me:id(), me:isowner(), me == mt.state(mt.id())
        end
      end)
      assert.same({s:id(), false, true}, {s:call()})
      assert.same({s:id(), false, true}, {s:call(nil, nil)})
      for position, arguments in ipairs({{name}, {nil, 1}}) do
        assert.equals(1, helpers.count(helpers.raises_error("invoking_state",
          s.call, s, arguments[1], arguments[2]),
          ("bad argument #%d to 'here' ("):format(position)))
      end
      s:close()
    end
  end)

  it("answers requests of others in the waits of this thread", function()
    local tid = handoff.tid()
    open(name, {
      add = function(a, b) return a + b, handoff.tid() end,
      slow = function(x)
        mtstates.sleep(0.001)
        return x, handoff.tid()
      end,
      deep = function(t) return {t, t} end,
      fail = function() error({code = 404}) end,
    })
    local s = asker()
    assert.same({3, tid}, {s:await("await", "add", 1, 2)})
    assert.same({5, tid}, {s:await("await", "slow", 5)})
    local t = s:await("await", "deep", {7})
    assert.is_true(t[1] == t[2] and t[1][1] == 7)
    local future = s:async("tawait", 60, "add", 3, 4)
    assert.same({true, 7, tid}, {future:await()})
    local ok, err = pcall(s.await, s, "await", "fail")
    assert.same({false, 404}, {ok, err.code})
    assert.equals(1, helpers.count(helpers.raises_error("invoking_state",
      s.await, s, "await", "none"), "there is no function 'none'"))
  end)

  it("answers its own requests, and tasks of it fork and wait", function()
    open(name, function(n)
      local sum = 0
      for i = 1, n do
        sum = sum + mtstates.fork(function()
          mtstates.sleep(0.001)
          return i
        end):await()
      end
      return sum
    end)
    local futures = {}
    for i = 1, 10 do
      futures[i] = here:async(i)
    end
    for i = 1, 10 do
      assert.equals(i * (i + 1) / 2, futures[i]:await())
    end
  end)

  it("is not counted against its queue when it asks itself", function()
    local count = 0
    open(name, {queue = 1}, function(n)
      count = count + 1
      for _ = 1, n or 0 do
        here:send()
      end
    end)
    for _ = 1, 5 do
      here:send()
    end
    here:await(5)
    here:close(60)
    here = nil
    assert.equals(11, count)
  end)

  it("keeps its limits", function()
    local running, most = 0, 0
    open(name, {queue = 2, tasks = 1}, function()
      running = running + 1
      most = math.max(most, running)
      mtstates.sleep(0.001)
      running = running - 1
      return most
    end)
    local thread = threads.start(function(id)
      local s = require "mtstates".state(id)
      local sent = 0
      while s:tsend(0) do
        sent = sent + 1
      end
      return sent
    end, here:id())
    assert.equals(2, thread:results())
    assert.equals(2, here:stats().queue)
    local forked = mtstates.fork(function() return "forked" end)
    assert.equals(1, here:await())
    assert.equals("forked", forked:await())
  end)

  it("gets requests and notices of native threads", function()
    local tids, calls, arguments = {}, 0, 0
    open(name, function(...)
      tids[handoff.tid()] = true
      calls, arguments = calls + 1, arguments + select("#", ...)
    end)
    local r, n = capidriver.receiver(here), capidriver.notifier(here)
    r:storm(4, 100)
    n:storm(4, 100)
    assert.equals(0, calls)
    helpers.wait_until(function()
      here:run(1)
      return calls == 800
    end)
    assert.equals(800, arguments)
    assert.same({[handoff.tid()] = true}, tids)
  end)

  describe("run", function()
    it("begins what was due on entry", function()
      local order, counts
      open(name, function(x)
        order[#order + 1] = x
        if x < 3 then
          here:send(x + 1)
        end
      end)
      assert.equals(0, here:run())
      local tries = 0
      repeat -- it ends early where the thread is kept from running
        order, tries = {}, tries + 1
        here:send(1)
        here:send(1)
        counts = {here:run(), here:run(), here:run(0), here:run(-1)}
        while here:run() > 0 do end
      until counts[1] + counts[2] + counts[3] == 6 or tries == 100
      assert.same({2, 2, 2, 0}, counts)
      assert.same({1, 1, 2, 2, 3, 3}, order)
    end)

    it("gets through very many that are due at once", function()
      local sum, count = 0, 0
      open(name, {queue = math.huge}, function(x) sum = sum + x end)
      for i = 1, 12000 do
        here:send(i)
      end
      repeat
        count = count + here:run()
      until count >= 12000
      assert.same({12000, 12000 * 12001 / 2}, {count, sum})
    end)

    it("begins all notices and forks that were due on entry", function()
      open(name, function() end)
      local n = capidriver.notifier(here)
      local function notify()
        n:notify_quietly()
      end
      local function fork()
        mtstates.fork(function() end)
      end
      for _, make in ipairs({notify, fork}) do
        local tries, count = 0
        repeat -- it ends early where the thread is kept from running
          for _ = 1, 4 do
            make()
          end
          helpers.wait_until(function()
            count = here:run()
            return count > 0
          end)
          while here:run() > 0 do end
          tries = tries + 1
        until count == 4 or tries == 100
        assert.equals(4, count)
      end
    end)

    it("begins nothing new after a millisecond", function()
      open(name, function(seconds)
        local stop = mtstates.now() + seconds
        repeat until mtstates.now() >= stop
      end)
      for _ = 1, 3 do
        here:send(0.0015)
      end
      assert.equals(1, here:run())
      assert.equals(1, here:run())
      assert.equals(1, here:run())
      assert.equals(0, here:run())
      for i = 1, 23 do -- also where many took no time before
        here:send(i > 20 and 0.0015 or 0)
      end
      assert.is_true(here:run() <= 21)
      while here:run() > 0 do end
    end)

    it("may be called by a coroutine that is gone afterwards", function()
      open(name, function(x) return x end)
      for i = 1, 10 do
        local future = here:async(i)
        assert.equals(1, coroutine.wrap(function()
          return here:run(60)
        end)())
        helpers.collect()
        local forked = mtstates.fork(function() return i end)
        assert.same({i, i}, {future:await(), forked:await()})
      end
    end)

    it("waits for the first", function()
      local times = 0
      open(name, function()
        times = times + 1
      end)
      local before = mtstates.now()
      assert.equals(0, here:run(0.02))
      assert.is_true(mtstates.now() - before >= 0.02)
      local thread = threads.start(function(id)
        require "mtstates".state(id):send()
      end, here:id())
      assert.equals(1, here:run(math.huge))
      assert.equals(1, times)
      thread:results()
      mtstates.fork(mtstates.sleep, 0.02)
      assert.equals(1, here:run(60))
      assert.equals(1, here:run(60)) -- when the timer is over
      assert.is_true(mtstates.now() - before >= 0.04)
    end)

    it("tells from the beginning what memory it takes", function()
      assert.equals("true\n", (helpers.run_program([[
        local stats = require "mtstates".here():stats()
        print(stats.memory > 10000 and stats.peak >= stats.memory)
      ]])))
    end)

    it("runs nothing in its own tasks", function()
      open(name, function()
        here:send()
        return here:run(), here:run(math.huge)
      end)
      assert.same({0, 0}, {here:await()})
      here:close()
      here = nil
    end)

    it("refuses other states and arguments", function()
      open(name)
      helpers.bad_argument(1, "run", "number expected", function()
        here:run({})
      end)
      helpers.bad_argument(1, "run", "number expected, got nan", function()
        here:run(0/0)
      end)
      local s = mtstates.newstate({}, function()
        return function(method, h) return h[method](h) end
      end)
      for _, method in ipairs({"run", "fd"}) do
        helpers.bad_self(method, function()
          local object = {run = here.run, fd = here.fd}
          if method == "run" then object:run() else object:fd() end
        end)
        local text = "state made by mtstates.here in this Lua state expected"
        assert.equals(1, helpers.count(helpers.raises(s[method], s), text))
        assert.equals(1, helpers.count(helpers.raises_error("invoking_state",
          s.call, s, method, here), text))
      end
    end)
  end)
end)
