-- The option memory: what a state may take, with what waits in its queue.

local capidriver = require "capidriver"
local gates = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

local LIMIT = 400000

local it = helpers.it_needs(
  pcall(mtstates.newstate, {memory = 1e8}, "return print"), "an allocator")

-- A service that runs code, and keeps what the code puts into kept.
local function open(memory, options)
  options = options or {}
  options.memory = memory or LIMIT
  return mtstates.newstate(options, function()
    local compile = rawget(_G, "loadstring") or load
    kept = {} -- luacheck: ignore
    return function(code, ...)
      return assert(compile(code))(...)
    end
  end)
end

-- The call raises that there is no memory; some libraries say more about it.
local function lacks_memory(f, ...)
  local err = helpers.raises_error("invoking_state", f, ...)
  local text = mtstates.error(err):text()
  assert.truthy(text:find("not enough memory", 1, true), text)
end

local function used(s)
  return s:call("return collectgarbage('count') * 1024")
end

-- The state does its work; nothing is left of what was too much for it.
local function is_usable(s, before)
  assert.equals("abc", s:call("local t = {} for i = 1, 1000 do t[i] = {i} " ..
    "end return ('abc'):rep(#t):sub(1, 3)"))
  local stats = s:stats()
  assert.is_true(stats.peak <= LIMIT)
  s:call("collectgarbage() collectgarbage()")
  assert.is_true(used(s) < before + 65536)
end

describe("a limit of memory", function()
  before_each(helpers.watch("memory"))
  after_each(helpers.unwatch)

  it("counts as Lua does, to the byte", function()
    local s = open()
    for _, code in ipairs({"", "kept[1] = ('x'):rep(1000)",
      "for i = 1, 1000 do kept[i] = {} end", "kept = {}",
      "kept[1] = coroutine.wrap(function() end)", "collectgarbage()"}) do
      s:call(code)
      assert.equals(used(s), s:stats().memory)
    end
    assert.is_true(s:stats().peak > s:stats().memory + 10000)
    local free = mtstates.newstate({}, requests.runner)
    assert.equals(used(free), free:stats().memory)
  end)

  it("is one for each state of a pool, a thread and a singleton", function()
    local grow = "local t = {} for i = 1, 1e7 do t[i] = i end"
    local pool = mtstates.pool({n = 2, memory = LIMIT}, requests.runner)
    lacks_memory(pool.call, pool, grow)
    lacks_memory(pool.await, pool, grow)
    local stats = pool:stats()
    assert.equals(stats.memory,
      stats.members[1].memory + stats.members[2].memory)
    assert.is_true(stats.peak <= 2 * LIMIT and stats.peak >= stats.memory)
    local one = mtstates.singleton("memory", {memory = LIMIT}, requests.runner)
    lacks_memory(one.call, one, grow)
    local future = mtstates.thread({memory = LIMIT}, grow)
    lacks_memory(future.await, future)
  end)

  -- Code that needs ever more.
  local greedy = {
    ["a string"] = "local s = 'x' while true do s = s .. s end",
    ["a string of C"] = "return ('x'):rep(1e6)",
    ["a replacement"] = "return (('x'):rep(1e4):gsub('x', ('y'):rep(100)))",
    ["a format"] = "local s = ('x'):rep(99) while true do " ..
      "s = ('%s%s'):format(s, s) end",
    ["a concatenation"] = "local t = {} for i = 1, 1e4 do t[i] = " ..
      "('x'):rep(100) end return #table.concat(t)",
    ["a list"] = "local t = {} for i = 1, 1e9 do t[i] = i end",
    ["a hash"] = "local t = {} for i = 1, 1e9 do t['k' .. i] = i end",
    ["tables"] = "local t while true do t = {t} end",
    ["closures"] = "local f while true do " ..
      "local g = f f = function() return g end end",
    ["coroutines"] = "local t = {} while true do " ..
      "t[#t + 1] = coroutine.create(function() end) end",
    ["a recursion"] = "local function f(n) return 1 + f(n + 1) end f(1)",
    ["values on the stack"] =
      "local t = {} for i = 1, 5000 do t[i] = i end " ..
      "local function f(...) return (f(1, ...)) end " ..
      "return f((rawget(table, 'unpack') or unpack)(t))",
    ["the compiler"] = "local t = {} for i = 1, 4000 do " ..
      "t[i] = 'x[' .. i .. '.5] = {' .. i .. '}' end " ..
      "error(select(2, (loadstring or load)(table.concat(t, ' '))), 0)",
    ["code in a coroutine"] = "local ok, e = coroutine.resume(" ..
      "coroutine.create(function() local t while true do t = {t} end end)) " ..
      "error(e, 0)",
  }
  for name, code in pairs(greedy) do
    it("stops " .. name, function()
      local s = open()
      local before = used(s)
      for _ = 1, 3 do
        lacks_memory(s.call, s, code)
        is_usable(s, before)
        lacks_memory(s.await, s, code)
        is_usable(s, before)
      end
    end)
  end

  it("can be met and caught, again and again", function()
    local s = open()
    for name, code in pairs(greedy) do
      assert.equals(20, s:call([[
        local code, name = ...
        local run = (loadstring or load)(code)
        local caught = 0
        for _ = 1, 20 do
          local ok, err = pcall(run)
          assert(not ok, name)
          assert(err:find("not enough memory", 1, true), err)
          local t = {{}, {}} -- there is something to be had again
          caught = caught + #t / 2
        end
        return caught]], code, name), name)
    end
  end)

  -- Code that makes garbage, and keeps a fifth of the limit.
  local wasteful = {
    tables = {20000, "local t = {n, {n}}"},
    strings = {20000, "local s = 'abc' .. n .. 'def'"},
    ["long strings"] = {5000, "local s = ('x'):rep(n)"},
    lists = {300, "local t = {} for i = 1, n do t[i] = i end"},
    closures = {20000, "local f = function() return n end f()"},
    chains = {200, "local t for i = 1, 200 do t = {t} end"},
    coroutines = {3000, "coroutine.wrap(function() local t = {n} end)()"},
    ["a coroutine"] = {50, "coroutine.wrap(function() " ..
      "for i = 1, 500 do local t = {i} end end)()"},
    ["finalized values"] = {5000, "on_collect(function() local t = {n} end)"},
    files = {2000, "io.open('/dev/null'):close()"},
    functions = {3000, "local f = (loadstring or load)('return ' .. n)"},
  }
  for name, waste in pairs(wasteful) do
    it("lets code go on that leaves as garbage: " .. name, function()
      local s = open()
      local code = ([[
        local on_collect = require "on_collect"
        local limit = ...
        while collectgarbage("count") * 1024 < limit / 5 do
          kept[#kept + 1] = {#kept}
        end
        for n = 1, %d do %s end
        return #kept]]):format(helpers.unpack(waste))
      local count = s:call(code, LIMIT)
      for _ = 1, 5 do
        assert.is_true(s:call(code, LIMIT) >= count)
        assert.is_true(s:await(code, LIMIT) >= count)
      end
      assert.is_true(s:stats().peak <= LIMIT)
    end)
  end

  helpers.it_needs(pcall(coroutine.wrap, print), "coroutines of C functions")(
    "lets code go on that leaves as garbage: what C makes in coroutines",
    function()
      local s = open()
      assert.equals(100, s:call([[
        local guard, count = require "on_collect", 0
        for i = 1, 100 do
          local big = coroutine.wrap(string.rep)("x", 20000 + i)
          guard(function() big = nil end)
          count = count + 1
        end
        return count
      ]]))
    end)

  it("lets calls nest that leave much garbage", function()
    local s = open()
    assert.equals(60 * 60000, s:call([[
      local s, sum = require "mtstates".state(...), 0
      for i = 1, 60 do
        sum = sum + s:call("return #('x'):rep(60000 - 1) + 1")
      end
      return sum
    ]], s:id()))
    assert.is_true(s:stats().peak <= LIMIT)
  end)

  it("holds for finalizers", function()
    local s = open()
    s:call([[
      local on_collect = require "on_collect"
      runs, fails = 0, 0
      for i = 1, 10 do
        on_collect(function()
          runs = runs + 1
          if not pcall(string.rep, "x", 1e6) then fails = fails + 1 end
        end)
      end]])
    s:call("collectgarbage() collectgarbage()")
    assert.same({10, 10}, {s:call("return runs, fails")})
    is_usable(s, 30000)
  end)

  it("leaves a hook of users as it is", function()
    local s = open()
    assert.is_true(s:call([[
      require "interruptible"
      -- So that the limit is near at times.
      if not pcall(collectgarbage, "setpause", 1000) then
        collectgarbage("param", "pause", 1000)
      end
      collectgarbage()
      local count = 0
      local function hook() count = count + 1 end
      debug.sethook(hook, "", 1000)
      for i = 1, 20000 do kept = {i, {i}} end
      local found, mask, steps = debug.gethook()
      debug.sethook()
      return found == hook and steps == 1000 and count > 10]]))
  end)

  it("keeps away garbage that C functions have made", function()
    local s = mtstates.newstate({memory = LIMIT}, [[
      collectgarbage("stop")
      return string.rep]])
    for i = 1, 20 do
      assert.equals(30000, #s:call(("%03d"):format(i), 10000))
      assert.is_true(s:stats().memory < 0.7 * LIMIT)
    end
  end)

  it("lets code be interrupted that lives near it", function()
    local s = open()
    local gate = gates.unique()
    local future = s:async([[
      require "interruptible"
      local gate = ...
      local function fill() local t while true do t = {t} end end
      pcall(fill)
      require "handoff".add(gate)
      while true do pcall(fill) end]], gate)
    gates.wait(gate, 1)
    s:interrupt(true)
    local err = helpers.raises(future.await, future)
    assert.equals("mtstates.error.interrupted", mtstates.error(err):cause())
    s:interrupt(false)
    assert.equals(5, s:call("return 5"))
  end)

  it("holds for the setup", function()
    local name = "memory, setup"
    for _ = 1, 3 do
      local err = helpers.raises_error("invoking_state", mtstates.newstate,
        name, {memory = LIMIT}, "local t while true do t = {t} end")
      assert.equals("not enough memory", mtstates.error(err):text())
      for _, memory in ipairs({1, 1000, 5000, 15000}) do
        helpers.raises_error("out_of_memory", mtstates.newstate, name,
          {memory = memory}, "return print")
      end
      helpers.raises_error("out_of_memory", mtstates.newstate, name,
        {memory = LIMIT}, "return print", ("x"):rep(LIMIT))
      helpers.raises_error("out_of_memory", mtstates.pool,
        {n = 2, memory = 5000}, "return print")
      helpers.raises_error("unknown_object", mtstates.state, name)
    end
  end)

  it("holds for arguments, plain and deep, and for results", function()
    local s = open()
    local deep = {}
    for i = 1, 10000 do
      deep[i] = {i}
    end
    local before = used(s)
    for _, value in ipairs({("x"):rep(LIMIT), deep}) do
      for _, method in ipairs({"call", "await"}) do
        helpers.raises_error("out_of_memory", s[method], s, "", value)
        is_usable(s, before)
      end
    end
    local other = mtstates.newstate({}, requests.runner)
    lacks_memory(s.call, s,
      "return #require 'mtstates'.state(...):call('return (\"x\"):rep(1e6)')",
      other:id())
    is_usable(s, before)
    assert.equals(100000, #s:call("return ('x'):rep(100000)"))
  end)

  it("says what it is when it is not one", function()
    local text = "option 'memory': positive number expected, got "
    for got, value in pairs({["0"] = helpers.compile("return 0")(),
      ["-1"] = -1, nan = 0 / 0, string = "5", boolean = true}) do
      helpers.bad_argument(1, "newstate", text .. got, function()
        mtstates.newstate({memory = value}, "return print")
      end)
      helpers.bad_argument(1, "pool", text .. got, function()
        mtstates.pool({memory = value}, "return print")
      end)
    end
    for _, value in ipairs({math.huge, 1e300, 1e15}) do
      local s = mtstates.newstate({memory = value}, requests.runner)
      assert.equals(1e6, s:call("return #('x'):rep(1e6)"))
    end
    helpers.bad_argument(1, "here", "option 'memory' is unknown", function()
      mtstates.here({memory = 5}, print)
    end)
  end)
end)

describe("a limit of memory and the queue", function()
  before_each(helpers.watch("memory of queues"))
  after_each(helpers.unwatch)

  local BIG = ("x"):rep(20000)

  -- A state that a request keeps until the function is called.
  local function held(options)
    options.memory = LIMIT
    local s = mtstates.newstate(options, helpers.gated)
    return s, requests.hold(s)
  end

  -- The request ends, and those that wait begin; then all workers sleep.
  local function drain(s, release)
    release()
    helpers.wait_until(function() return s:stats().queue == 0 end)
    helpers.wait_until(function()
      local now = mtstates.stats()
      return now.idle == now.workers + now.replacements
    end)
  end

  -- Sends until there is no more memory; gives how often it went well.
  local function fill(s)
    local count = 0
    while true do
      local ok, err = pcall(s.send, s, nil, nil, BIG)
      if not ok then
        assert.truthy(err:find("^mtstates.error.out_of_memory: "), err)
        return count
      end
      count = count + 1
      assert.is_true(count < 1000)
    end
  end

  it("has a short string once that a message has often", function()
    local s, release = held({})
    local same, others = {}, {}
    local text = ("x"):rep(30)
    for i = 1, LIMIT / 40 do
      same[i], others[i] = text, text .. i
    end
    helpers.raises_error("out_of_memory", s.send, s, nil, nil, others)
    s:send(nil, nil, same)
    drain(s, release)
    s:close()
  end)

  for _, kind in ipairs({{"", {}}, {" with an own thread", {own_thread = true}}
                        }) do
    it("stops all senders" .. kind[1] .. ", and gives back", function()
      local s, release = held(kind[2])
      local before = s:stats().queue
      local count = fill(s)
      assert.is_true(count > 5 and count < LIMIT / #BIG)
      assert.equals(before + count, s:stats().queue)
      for _, method in ipairs({"send", "async", "await"}) do
        helpers.raises_error("out_of_memory", s[method], s, nil, nil, BIG)
      end
      helpers.raises_error("out_of_memory", s.tsend, s, 1, nil, nil, BIG)
      helpers.raises_error("out_of_memory", s.tawait, s, 1, nil, nil, BIG)
      helpers.raises_error("out_of_memory", s:map({BIG}))
      drain(s, release)
      assert.equals(5, s:await(nil, nil, 5))
      for _ = 1, 3 do
        release = requests.hold(s)
        assert.is_true(fill(s) > count / 2)
        drain(s, release)
      end
      assert.equals(BIG, s:await(nil, nil, BIG))
      assert.equals(BIG, s:call(nil, nil, BIG))
    end)
  end

  it("is given back by what never begins", function()
    local s, release = held({})
    local count = fill(s)
    drain(s, release)
    release = requests.hold(s)
    for _ = 1, 3 * count do
      assert.is_false(s:tawait(0.0001, nil, nil, BIG))
      assert.is_true(s:async(nil, nil, BIG):cancel())
    end
    fill(s)
    drain(s, release)
    assert.equals(5, s:await(nil, nil, 5))
  end)

  it("is given back when the state is closed", function()
    local gate, closed = gates.unique(), gates.unique()
    local s = mtstates.newstate({memory = LIMIT}, function(done)
      local handoff = require "handoff"
      return {
        hold = function(entered, leave)
          handoff.enter(entered, leave, 1)
        end,
        __close = function()
          handoff.put(done, pcall(string.rep, "x", 50000))
        end
      }
    end, closed)
    local leave = gates.unique()
    local future = s:async("hold", gate, leave)
    gates.wait(gate, 1)
    local futures = {}
    while pcall(function()
      futures[#futures + 1] = s:async("hold", BIG, BIG)
    end) do
      assert.is_true(#futures < LIMIT / #BIG)
    end
    s:close()
    gates.set(leave, 1)
    future:await()
    assert.is_true((gates.take(closed)))
    helpers.raises_error("object_closed", futures[1].await, futures[1])
  end)

  it("counts many small ones", function()
    local s, release = held({queue = math.huge})
    local count = 0
    while pcall(s.send, s) do
      count = count + 1
    end
    assert.is_true(count > 100 and count < LIMIT / 100)
    drain(s, release)
    assert.equals(5, s:await(nil, nil, 5))
  end)

  it("holds for the code that runs", function()
    local s = open()
    local gate, done = gates.unique(), gates.unique()
    local future = s:async([[
      local gate, done = ...
      local handoff = require "handoff"
      handoff.enter(gate, done, 1)
      local ok, err = pcall(string.rep, "x", 100000)
      return ok, err]], gate, done)
    gates.wait(gate, 1)
    local count = 0
    while pcall(s.send, s, "", BIG) do
      count = count + 1
    end
    gates.set(done, 1)
    assert.is_false((future:await()))
    helpers.wait_until(function() return s:stats().queue == 0 end)
    assert.is_true(s:await("return pcall(string.rep, 'x', 100000)"))
  end)

  it("is met by a sender that waits for room", function()
    local s, release = held({queue = 1})
    s:send()
    local gate = gates.unique()
    local sender = threads.waiting(gate, function(g, id, big)
      local r = require "mtstates".state(id)
      require "handoff".add(g)
      r:send(nil, nil, big)
    end, gate, s:id(), ("x"):rep(LIMIT))
    local suspended = mtstates.newstate({}, function()
      local module = require "mtstates"
      return function(id, big)
        module.state(id):send(nil, nil, big)
      end
    end):async(s:id(), ("x"):rep(LIMIT))
    release()
    local ok, err = sender:join()
    assert.is_false(ok)
    assert.truthy(err:find("^mtstates.error.out_of_memory: "), err)
    assert.truthy(helpers.raises(suspended.await, suspended):find(
      "mtstates.error.out_of_memory: ", 1, true))
    assert.equals(5, s:await(nil, nil, 5))
  end)

  it("finds room in a state that is full of garbage", function()
    local s = open()
    for _ = 1, 3 do
      s:call("for i = 1, 5 do local s = ('x'):rep(60000 + i) end")
      assert.equals(100000, s:await("return #...", ("y"):rep(100000)))
      s:await("for i = 1, 5 do local s = ('x'):rep(60000 + i) end")
      assert.equals(100000, s:await("return #...", ("y"):rep(100000)))
    end
  end)

  it("leaves room when much was given back, and taken again", function()
    local s = open()
    for _ = 1, 3 do
      s:call("collectgarbage() collectgarbage('stop') " ..
        "kept[1] = ('x'):rep(130000) kept[2] = ('y'):rep(30000)")
      s:call("kept[1], kept[2] = nil collectgarbage() " ..
        "for i = 1, 40 do local s = ('x'):rep(6000 + i) end")
      s:await("", ("y"):rep(200000))
      s:call("collectgarbage('restart')")
    end
  end)

  -- What is sent may find no room at first: garbage is collected then.
  local function finds_room(s)
    local text = ("y"):rep(250000)
    if not pcall(s.await, s, "", text) then
      s:await("")
      s:await("", text)
    end
  end

  it("finds room where garbage has finalizers", function()
    local s = open()
    for _ = 1, 3 do
      s:call([[
        local on_collect = require "on_collect"
        local rows = {}
        for i = 1, 2000 do
          rows[i] = {i, i}
        end
        on_collect(function() return #rows end)
      ]])
      finds_room(s)
    end
  end)

  it("finds room where finalizers fail", function()
    local s = open()
    local before = used(s)
    for i = 1, 60 do
      pcall(s.call, s, [[
        local text = ("x"):rep(20000) .. ...
        require "on_collect"(function() error(text, 0) end)
      ]], i)
      finds_room(s)
    end
    is_usable(s, before)
  end)

  it("gives native senders 6", function()
    local s, release = held({})
    local r = capidriver.receiver(s)
    local w = r:writer(10, 2)
    w:boolean(false)
    w:boolean(false)
    w:string(BIG)
    local code, count = 0, 0
    while code == 0 do
      code = r:send(w)
      count = count + 1
      if code == 0 then
        w:boolean(false)
        w:boolean(false)
        w:string(BIG)
      end
    end
    assert.equals(6, code)
    assert.is_true(count > 5)
    assert.equals(6, (r:send(w)))
    drain(s, release)
    assert.equals(0, (r:send(w)))
  end)

  it("holds for what is sent to a member of a pool", function()
    local pool = mtstates.pool({n = 1, memory = LIMIT}, helpers.gated)
    local release = requests.hold(pool)
    local member = mtstates.state(pool:stats().members[1].id)
    assert.is_true(fill(member) > 5)
    drain(member, release)
  end)

  it("of a pool is one more, for what waits there", function()
    local pool = mtstates.pool({n = 1, memory = LIMIT}, helpers.gated)
    local release = requests.hold(pool)
    local count = fill(pool)
    assert.is_true(count > 10 and count <= LIMIT / #BIG)
    drain(pool, release)
    release = requests.hold(pool)
    assert.equals(count, fill(pool))
    drain(pool, release)
    assert.equals(5, pool:await(nil, nil, 5))
  end)
end)

describe("memory in stats", function()
  before_each(helpers.watch("memory in stats"))
  after_each(helpers.unwatch)

  require "busted".it("is there for each state", function()
    local s = mtstates.newstate(true, requests.runner)
    local before = s:stats()
    assert.is_true(before.memory > 5000 and before.peak >= before.memory)
    s:call("kept = ('x'):rep(1e6)")
    local stats = s:stats()
    assert.is_true(stats.memory > 1e6 and stats.peak >= stats.memory)
    s:call("kept = nil collectgarbage()")
    assert.is_true(s:stats().memory < 1e6)
    assert.is_true(s:stats().peak > 1e6)
  end)

  -- Nothing is freed in between: the array of the table only gets smaller.
  it("has the peak of a block that gets smaller", function()
    local s = open(1e8)
    s:call([[
      collectgarbage("stop")
      kept = {}
      for i = 1, 2 ^ 18 do kept[i] = i end
      for i = 2 ^ 18, 1001, -1 do kept[i] = nil end
      kept.x = 1
    ]])
    local stats = s:stats()
    assert.is_true(stats.peak > stats.memory + 1e6)
  end)

  -- No block gets smaller in between.
  it("has the peak of blocks that are given back", function()
    local s = open(1e8)
    s:call([[
      collectgarbage("stop")
      local text = ("x"):rep(1e6)
      text = nil
      collectgarbage()
    ]])
    local stats = s:stats()
    assert.is_true(stats.memory < 1e6 and stats.peak > 1e6)
  end)

  require "busted".it("is there for the state of a main program", function()
    local output = helpers.run_program([[
      local s = require "mtstates".here({f = print})
      local stats = s:stats()
      print(stats.memory > 5000 and stats.peak >= stats.memory)
      kept = {}
      for i = 1, 1e5 do kept[i] = {} end
      s:send("f", "run")
      s:run()
      print(s:stats().memory > 1e6)
    ]])
    assert.equals("true\nrun\ntrue\n", output)
  end)

  require "busted".it("is gone with the state", function()
    local s = mtstates.newstate({}, requests.runner)
    s:close()
    helpers.raises_error("object_closed", s.stats, s)
  end)
end)

