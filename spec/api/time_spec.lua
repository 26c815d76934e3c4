local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

-- The machine can have other things to do at any moment: what takes a moment
-- can last longer than its time, and is stopped then.
describe("the option time", function()
  before_each(helpers.watch("time"))
  after_each(helpers.unwatch)

  -- The callback runs the code that it gets, which finds these functions.
  local RUN = [[
    local gates, mtstates = require "handoff", require "mtstates"
    local compile = rawget(_G, "loadstring") or load
    function spin()
      local turns = 0
      while true do turns = turns + 1 end
    end
    function work(seconds)
      local over = gates.monotonic() + seconds
      while gates.monotonic() < over do end
    end
    return function(code, ...)
      local f = assert(compile("local gates, mtstates, box = ... " .. code))
      return f(gates, mtstates, ...)
    end
  ]]

  -- Calls f, which has the time `seconds` and takes less of it. Where it is
  -- stopped all the same, the machine had other things to do: it has lasted
  -- that long, and is called once more.
  local function once_in_time(seconds, f, ...)
    local outcome, begun, took
    local tries, most = 0, seconds < 0.1 and 100 or 20
    repeat
      begun = handoff.monotonic()
      outcome = helpers.pack(pcall(f, ...))
      took = handoff.monotonic() - begun
      tries = tries + 1
      if outcome[1] then
        return helpers.unpack(outcome, 2, outcome.n)
      end
      local err = mtstates.error(outcome[2])
      assert.equals(mtstates.error.interrupted, err and err:cause(),
        outcome[2])
      assert.is_true(took >= seconds, outcome[2])
    until tries == most
    error(outcome[2], 0)
  end

  local function new(time, options)
    options = options or {}
    options.time = time
    return once_in_time(time or 0, mtstates.newstate, options, RUN)
  end

  -- The next call starts afresh.
  local function works(s)
    assert.equals(7, once_in_time(0, s.call, s, "return 7"))
  end

  -- f is stopped after those seconds, or later.
  local function stopped(seconds, f, ...)
    local err = helpers.raises_error("invoking_state", f, ...)
    assert.equals(mtstates.error.interrupted, mtstates.error(err):cause())
    local ran = err:match("mtstates%.error%.interrupted: the running code " ..
      "was stopped after (%d+%.%d%d%d) seconds")
    assert.truthy(ran, err)
    assert.is_true(tonumber(ran) >= seconds, err)
    return err
  end

  describe("of", function()
    for what, code in pairs({
      ["a loop"] = "spin()",
      ["a loop of pcall"] = "while true do pcall(spin) end",
      ["a loop of xpcall"] =
        "while true do xpcall(spin, function(e) return e end) end",
      ["pcall, at last"] = "return pcall(spin)",
      ["pcall in pcall"] =
        "return pcall(pcall, pcall, function() return pcall(spin) end)",
      ["a handler that loops"] = "while true do xpcall(error, spin) end",
      ["a coroutine"] = [[
        while true do coroutine.resume(coroutine.create(spin)) end
      ]],
      ["a coroutine, at last"] =
        "return coroutine.resume(coroutine.create(spin))",
      ["coroutines of coroutines"] = [[
        local function nest(n)
          if n == 0 then spin() end
          while true do pcall(coroutine.wrap(nest), n - 1) end
        end
        nest(5)
      ]],
      ["short coroutines"] = [[
        while true do coroutine.wrap(function() end)() end
      ]],
      ["recursion"] = [[
        local function f() return 1 + f() end
        while true do pcall(f) end
      ]],
      ["C code that catches its errors, at last"] =
        "return require 'ccatch'(spin)",
      ["a comparison"] = "table.sort({1, 2, 3}, spin)",
      ["a replacement"] = "while true do ('x'):gsub('x', spin) end",
      ["a metamethod"] = [[
        return setmetatable({}, {__index = function() pcall(spin) end}).x
      ]],
      ["a reader"] = "while true do load(spin) end",
      ["a reader, at last"] = "return load(spin)",
      ["short calls of C functions"] = "while true do gates.get('time') end",
      ["a loop after a look-up"] =
        "pcall(mtstates.state, 'nobody', 0.001) spin()",
      ["a loop after a look for a singleton"] =
        "pcall(mtstates.singleton, 'nobody') spin()",
      ["a loop after a wait"] = "mtstates.sleep(0.001) spin()",
      ["text for an error"] = [[
        error(setmetatable({}, {__tostring = spin}))
      ]],
    }) do
      it(what .. " stops it", function()
        local s = new(0.03)
        stopped(0.03, s.call, s, code)
        works(s)
      end)

      it(what .. " stops it in a request", function()
        local s = new(0.03)
        local future = s:async(code)
        stopped(0.03, future.await, future)
        local count = "return select('#', ...)"
        assert.equals(2, once_in_time(0.03, s.await, s, count))
      end)
    end
  end)

  for what, code in pairs({
    pcall = "pcall(spin)",
    xpcall = "xpcall(spin, function(e) return e end)",
    load = "load(spin)",
    ["coroutine.resume"] = "coroutine.resume(coroutine.create(spin))",
  }) do
    it("lets no code go on that has caught it by " .. what, function()
      local s = new(0.03)
      local gate = handoff.unique("gate")
      stopped(0.03, s.call, s, code .. " gates.set(box, 1)", gate)
      assert.equals(0, handoff.get(gate))
      works(s)
    end)
  end

  it("leaves short calls alone, however many there are", function()
    local s = new(0.3)
    local over = handoff.monotonic() + 0.4
    repeat
      for _ = 1, 1000 do
        once_in_time(0.3, s.call, s, "return")
      end
    until handoff.monotonic() > over
  end)

  it("hits no call before its time is over", function()
    local s = new(0.02)
    local hits = 0
    for i = 1, 100 do
      local seconds = i % 20 == 0 and 1 or 0.0199 + i % 20 * 0.00001
      local ok, err = pcall(s.call, s, "work(box)", seconds)
      if not ok then
        hits = hits + 1
        local ran = err:match("stopped after (%d+%.%d+)")
        assert.is_true(tonumber(ran) >= 0.02, err)
      end
    end
    assert.is_true(hits >= 5)
  end)

  it("gives each call its own time", function()
    local s = new(0.5)
    for _ = 1, 4 do
      once_in_time(0.5, s.call, s, "work(0.2)")
    end
    for _ = 1, 2 do
      once_in_time(0.5, s.await, s, "work(0.3)")
    end
  end)

  it("can be no limit", function()
    for _, time in ipairs({math.huge, 1e300, 1e9}) do
      assert.equals(1, new(time):call("return 1"))
    end
  end)

  it("can be so short that nothing runs", function()
    local options = {time = 1e-300}
    stopped(0, mtstates.newstate, options,
      "while true do end return function() end")
  end)

  it("stops tcall and tawait", function()
    local s = new(0.02)
    stopped(0.02, s.tcall, s, 1, "spin()")
    stopped(0.02, s.tawait, s, 100, "spin()")
  end)

  it("stops what has another error in its clean-up, and says so", function()
    local s = new(0.02)
    stopped(0.02, s.call, s, [[
      pcall(spin)
      error({code = 404})
    ]])
    if _VERSION >= "Lua 5.4" then
      stopped(0.02, s.call, s, [[
        local x <close> = setmetatable({}, {__close = function()
          error({code = 404})
        end})
        spin()
      ]])
    end
  end)

  describe("of a setup", function()
    local LOOPS = "while true do end"

    it("stops it", function()
      local options = {time = 0.02}
      stopped(0.02, mtstates.newstate, options, LOOPS)
      stopped(0.02, mtstates.newstate, options, function()
        while true do
          pcall(function() while true do end end)
        end
      end)
      stopped(0.02, mtstates.newstate, options, "local function f() " ..
        LOOPS .. " end return pcall(f)")
    end)

    it("of a singleton lets others create it", function()
      local name = "time, singleton"
      local options = {time = 0.02}
      stopped(0.02, mtstates.singleton, name, options, LOOPS)
      assert.equals(3,
        mtstates.singleton(name, {}, "return function() return 3 end")
          :call())
    end)

    it("of a pool closes that", function()
      stopped(0.02, mtstates.pool, {n = 2, time = 0.02}, LOOPS)
    end)

    it("does not count what it takes to make another state", function()
      local s = new(0.25)
      assert.equals(5, once_in_time(0.25, s.call, s, [[
        local inner = mtstates.newstate({}, function()
          require "mtstates".sleep(0.4)
          return function() return 5 end
        end)
        local result = inner:call()
        work(0.05) -- what is over stops it now
        return result
      ]]))
    end)
  end)

  it("is that of each member of a pool", function()
    local pool = once_in_time(0.03, mtstates.pool, {n = 2, time = 0.03}, RUN)
    local futures = {}
    for i = 1, 4 do
      futures[i] = pool:async("spin()")
    end
    for i = 1, 4 do
      stopped(0.03, futures[i].await, futures[i])
    end
    stopped(0.03, pool.call, pool, "spin()")
    works(pool)
  end)

  it("is that of a state with a thread of its own", function()
    local s = new(0.03, {own_thread = true})
    stopped(0.03, s.call, s, "spin()")
    local future = s:async("spin()")
    stopped(0.03, future.await, future)
    works(s)
    s:close()
  end)

  it("is that of mtstates.thread", function()
    local options = {time = 0.03}
    local future = mtstates.thread(options, "while true do end")
    stopped(0.03, future.await, future)
  end)

  it("is that of the function that is called at last", function()
    local gate = handoff.unique("time, closed")
    local tries = 0
    repeat -- it can be over before the function does anything
      local s = once_in_time(0.03, mtstates.newstate, {time = 0.03},
        function(name)
          return {
            __close = function()
              require "handoff".set(name, 1)
              while true do end
            end,
          }
        end, gate)
      s:close()
      tries = tries + 1
    until handoff.get(gate) == 1 or tries == 100
    assert.equals(1, handoff.get(gate))
  end)

  it("leaves all arguments and results of functions that catch errors",
     function()
    local s = new(60)
    for _, code in ipairs({
      "return pcall(function(...) return select('#', ...), ... end, 1, nil)",
      "return pcall(error)",
      "return pcall(error, nil)",
      "return pcall(error, 'text', 0)",
      "return xpcall(function(...) return select('#', ...), ... end, type, " ..
        "1, nil, 3, nil)",
      "return xpcall(error, function(e) return type(e), 2 end, true, 0)",
      "return xpcall(function() error('text', 0) end, " ..
        "function(e) return e .. '!' end)",
      "return select('#', xpcall(function() return nil, nil end, print))",
      "local parts = {'return 1, ', '...', nil} local i = 0 " ..
        "local f = load(function() i = i + 1 return parts[i] end, '=name') " ..
        "return f(2, nil, 4)",
      "return load(function() return nil end)()",
    }) do
      local compile = rawget(_G, "loadstring") or load
      local expected = helpers.pack(compile(code)())
      assert.same(expected, helpers.pack(s:call(code)), code)
      assert.same(expected, helpers.pack(s:await(code)), code)
    end
    s:close()
  end)

  describe("does not count", function()
    it("waits", function()
      local s = new(0.25)
      for _, wait in ipairs({
        "mtstates.sleep(0.4) local x = 1",
        "local f, p = mtstates.promise() " ..
          "local x = not f:tawait(0.4) and 1 p:set()",
        "local x = pcall(mtstates.sleep, 0.4) and 1",
        "local x = mtstates.newstate({}, 'return function() " ..
          "require [[mtstates]].sleep(0.4) return 1 end'):await()",
        "local x = not pcall(mtstates.state, 'time, none', 0.4) and 1",
      }) do
        wait = wait .. " work(0.05) return x" -- what is over stops it now
        assert.equals(1, once_in_time(0.25, s.await, s, wait))
        assert.equals(1, once_in_time(0.25, s.call, s, wait))
      end
    end)

    it("calls of other states", function()
      local s, other = new(0.25), new(nil)
      local call = "local other = mtstates.state(box) " ..
        "other:call('work(0.4)') work(0.05) return 1"
      assert.equals(1, once_in_time(0.25, s.call, s, call, other:id()))
      assert.equals(1, once_in_time(0.25, s.await, s, call, other:id()))
    end)

    it("the time until it gets into another state", function()
      local s, other = new(0.25), new(nil)
      assert.equals(1, once_in_time(0.25, function()
        local gate = handoff.unique("time, busy")
        local holder = threads.start(function(id, name)
          require "mtstates".state(id):call(
            "gates.set(box, 1) mtstates.sleep(0.4)", name)
        end, other:id(), gate)
        handoff.wait(gate, 1)
        local ok, result = pcall(s.call, s,
          "mtstates.state(box):call('') work(0.05) return 1", other:id())
        holder:results()
        return ok and result or error(result, 0)
      end))
    end)

    it("the time until a singleton is there", function()
      local s = new(0.25)
      assert.equals(1, once_in_time(0.25, function()
        local singleton = handoff.unique("time, slow")
        local holder = threads.start(function(name)
          local slow = require "mtstates".singleton(name, [[
            require "handoff".set(..., 1)
            require "mtstates".sleep(0.4)
            return function() return 1 end
          ]], name)
          require "handoff".wait(name, 2) -- it stays open until then
          return slow:call()
        end, singleton)
        handoff.wait(singleton, 1)
        local ok, result = pcall(s.call, s, "local found = " ..
          "mtstates.singleton(box) work(0.05) return found:call()", singleton)
        handoff.set(singleton, 2)
        holder:results()
        return ok and result or error(result, 0)
      end))
    end)
  end)

  it("goes on after waits and calls", function()
    local s, other = new(0.05), new(nil)
    stopped(0.05, s.call, s,
      "while true do mtstates.state(box):call('') end", other:id())
    stopped(0.05, s.call, s, "while true do mtstates.sleep(0) end")
    local future = s:async("while true do mtstates.sleep(0) end")
    stopped(0.05, future.await, future)
    future = s:async("mtstates.sleep(0.01) while true do pcall(spin) end")
    stopped(0.05, future.await, future)
  end)

  it("of a task goes on where that waits between others", function()
    local s = new(0.2)
    once_in_time(0.2, function()
      local futures = {}
      for i = 1, 20 do
        futures[i] = s:async("for _ = 1, 20 do mtstates.sleep(0) " ..
          "work(0.001) end return box", i)
      end
      for i = 1, 20 do
        assert.equals(i, futures[i]:await())
      end
    end)
  end)

  it("of a fork is that of each stretch", function()
    local s = new(0.4)
    assert.equals("ended", once_in_time(0.4, function()
      local fork = s:call([[
        return mtstates.fork(function()
          for i = 1, 3 do
            work(0.25)
            mtstates.sleep(0)
          end
          return "ended"
        end), "a future"
      ]])
      return fork:await()
    end))
  end)

  describe("of calls that nest", function()
    it("is one where a state calls itself", function()
      local s = new(0.05)
      stopped(0.05, s.call, s, [[
        local this = mtstates.state(mtstates.id())
        while true do pcall(this.call, this, "while true do end") end
      ]])
      works(s)
    end)

    it("is one for each where another state is between", function()
      local s, other = new(0.3), new(nil)
      local outcome = once_in_time(0.3, s.call, s, [[
        local id = mtstates.id()
        local ok, err = mtstates.state(box):call(
          "local s = mtstates.state(box) return pcall(s.call, s, 'spin()')",
          id)
        work(0.01)
        return err
      ]], other:id())
      assert.truthy(outcome:find("stopped after"), outcome)
      stopped(0.3, s.call, s, [[
        local id = mtstates.id()
        while true do
          mtstates.state(box):call("mtstates.state(box):call('')", id)
        end
      ]], other:id())
    end)

    it("stops the inner one alone", function()
      local s, inner = new(nil), new(0.03)
      local ok, err = s:call(
        "local s = mtstates.state(box) return pcall(s.call, s, 'spin()')",
        inner:id())
      assert.is_false(ok)
      assert.truthy(err:find("stopped after"), err)
    end)
  end)

  helpers.it_needs(_VERSION >= "Lua 5.4", "to-be-closed variables")(
    "has the same again for clean-up", function()
    local s = new(0.2)
    local cleaned = handoff.unique("time, cleaned")
    local clean = [[
      local cleaned = box
      local function later(f)
        return setmetatable({}, {__close = f})
      end
      local outer <close> = later(function()
        local ok = pcall(error, "x")
        local resumed = coroutine.resume(coroutine.create(error))
        work(0.05)
        mtstates.sleep(0.3)
        if not ok and not resumed then gates.add(cleaned, 10) end
      end)
      pcall(function()
        local inner <close> = later(function() gates.add(cleaned, 1) end)
        spin()
      end)
      gates.add(cleaned, 100)
    ]]
    for _, method in ipairs({"call", "await"}) do
      local tries = 0
      repeat -- the clean-up can be stopped, too
        handoff.set(cleaned, 0)
        stopped(0.2, s[method], s, clean, cleaned)
        tries = tries + 1
      until handoff.get(cleaned) == 11 or tries == 20
      assert.equals(11, handoff.get(cleaned))
    end
  end)

  helpers.it_needs(_VERSION >= "Lua 5.4", "to-be-closed variables")(
    "stops clean-up that loops, once", function()
    local s = new(0.05)
    local count = handoff.unique("time, clean-up")
    local clean = [[
      local count = box
      for i = 1, 2 do
        local outer <close> = setmetatable({}, {__close = function()
          gates.add(count, 1)
          while true do pcall(spin) end
        end})
        pcall(spin)
      end
    ]]
    for _, method in ipairs({"call", "await"}) do
      local tries = 0
      repeat -- it can be stopped before it counts
        handoff.set(count, 0)
        stopped(0.1, s[method], s, clean, count)
        tries = tries + 1
      until handoff.get(count) > 0 or tries == 20
      assert.equals(1, handoff.get(count))
    end
    works(s)
  end)

  it("leaves the functions that catch errors as they are", function()
    local s = new(10)
    assert.same({true, 1, 2}, {s:call("return pcall(function(...) " ..
      "return ... end, 1, 2)")})
    assert.same({true, 1, 2}, {s:call("return xpcall(function() " ..
      "return 1, 2 end, error)")})
    assert.same({false, "x!"}, {s:call("return xpcall(function() " ..
      "error('x', 0) end, function(e) return e .. '!' end)")})
    assert.same({false, "x"}, {s:call("return pcall(error, 'x', 0)")})
    assert.same({true}, {s:call("return pcall(type, 1) and true")})
    assert.is_nil((s:call("return load(function() error('x') end)")))
    local err = helpers.raises_error("invoking_state", s.call, s, "pcall()")
    assert.truthy(err:find("bad argument #1 to 'pcall'", 1, true), err)
    assert.same({1, 2}, {s:async([[
      return select(2, pcall(function()
        mtstates.sleep(0)
        return 1, 2
      end))
    ]]):await()})
  end)

  it("and other interrupts do not disturb each other", function()
    local s = new(1)
    s:interrupt()
    local err = helpers.raises_error("invoking_state", s.call, s, "")
    assert.truthy(err:find("the running code was stopped\n", 1, true), err)
    s:interrupt(true)
    helpers.raises_error("invoking_state", s.call, s, "")
    s:interrupt(false)
    stopped(1, s.call, s, "while true do pcall(spin) end")
    works(s)
    local future = s:async("spin()")
    future:cancel()
    helpers.raises_error("cancelled", future.await, future)
    stopped(1, s.call, s, "spin()")
  end)

  it("wakes nobody for calls that keep to it", function()
    local function switches()
      local file
      for tid = handoff.tid(), handoff.tid() + 200000 do
        local comm = io.open(("/proc/self/task/%d/comm"):format(tid))
        local name = comm and comm:read("*l")
        if comm then
          comm:close()
        end
        if name == "mtstates/watch" then
          file = io.open(("/proc/self/task/%d/status"):format(tid))
          break
        end
      end
      local text = file:read("*a")
      file:close()
      return tonumber(text:match("\nvoluntary_ctxt_switches:%s*(%d+)"))
    end
    local s = new(1000)
    s:call("")
    local before = switches()
    for _ = 1, 20000 do
      s:call("")
    end
    -- It wakes now and then, to look, however long the calls take.
    assert.is_true(switches() - before < 5000)
  end)

  it("of many states stops all of them", function()
    local states, futures = {}, {}
    for i = 1, 40 do
      states[i] = new(0.03 + i % 7 * 0.005)
      futures[i] = states[i]:async("while true do pcall(spin) end")
    end
    for i = 1, 40 do
      stopped(0.03, futures[i].await, futures[i])
    end
  end)

  it("stops others while a thread does not take the signal #race", function()
    local entered, leave = handoff.unique(), handoff.unique()
    local blocked = once_in_time(1, mtstates.newstate, {time = 1}, function()
      local gates, signals = require "handoff", require "signals"
      return function(name, other)
        signals.block(true)
        gates.add(name)
        while true do
          if gates.get(other) > 0 then
            gates.wait(other, 2)
          end
        end
      end
    end)
    local holder = threads.start(function(id, ...)
      local s = require "mtstates".state(id)
      return pcall(s.call, s, ...)
    end, blocked:id(), entered, leave)
    handoff.wait(entered, 1)
    handoff.set(leave, 1) -- it sleeps when its time is over
    local s = new(0.02)
    mtstates.sleep(1)
    stopped(0.02, s.call, s, "while true do pcall(spin) end")
    handoff.set(leave, 2)
    local ok, err = holder:results()
    assert.is_false(ok)
    assert.truthy(err:find("stopped after", 1, true), err)
  end)

  helpers.it_needs(rawget(_G, "jit"), "a compiler")(
    "turns the compiler off", function()
    local status = "return (require 'jit'.status())"
    for _, libs in ipairs({true, false}) do
      local options = {time = 1, libs = libs}
      local s = mtstates.newstate(options, "return function() " .. status ..
        " end")
      assert.is_false(s:call())
    end
  end)

  it("ends with the state", function()
    for _ = 1, 100 do
      local s = new(1000)
      s:call("")
      s:close()
    end
    local s = new(0.02)
    stopped(0.02, s.call, s, "spin()")
  end)
end)
