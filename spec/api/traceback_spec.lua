-- Where the code of states is: of running code, of threads that wait, of
-- suspended tasks.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local runs = require "runs"
local signals = require "signals"
local tasks = require "tasks"
local threads = require "threads"

local it_yields = helpers.it_needs(rawget(_G, "jit") == nil
  and _VERSION ~= "Lua 5.1", "waits of coroutines")

-- Setup: the callback runs the code, which can use gates, mt, and spin(gate),
-- a loop until the gate is open that first adds to the gate "in " .. gate.
local function setup()
  require "interruptible"
  local gates, mt = require "handoff", require "mtstates"
  local compile = rawget(_G, "loadstring") or load
  local function spin(gate)
    gates.add("in " .. gate)
    local turns = 0
    while gates.get(gate) == 0 do
      turns = turns + 1
    end
    return turns >= 0
  end
  return function(code, ...)
    local f = compile("local gates, mt, spin = ... return function(...) " ..
      code .. "\nend", "=code")
    local run = f(gates, mt, spin)
    local function give(...)
      return ...
    end
    return give(run(...))
  end
end

local sleeps = "local x = mt.sleep(600) return x"

local function has(text, ...)
  assert.equals("string", type(text))
  for _, part in ipairs({...}) do
    assert.truthy(text:find(part, 1, true), text)
  end
  assert.equals("stack traceback:", text:match("stack traceback:"))
  return text
end

local function has_not(text, part)
  assert.is_nil(text:find(part, 1, true), text)
end

describe("state:traceback", function()
  before_each(helpers.watch("traceback"))
  after_each(helpers.unwatch)

  -- Has s run code in a worker until release() is called; that gives what the
  -- request gave.  The code calls spin(gate).
  local function spinning(s, code, ...)
    local gate = handoff.unique("spin")
    local future = s:async("local gate = ... " .. code, gate, ...)
    handoff.wait("in " .. gate, 1)
    return function()
      handoff.set(gate, 1)
      return future:await()
    end
  end

  -- Has s run code that waits; it does so now.
  local function suspended(s, code)
    local gate = handoff.unique("suspended")
    local future = s:async(("gates.add('%s') "):format(gate) .. code)
    handoff.wait(gate, 1)
    helpers.wait_until(function() return not s:stats().busy end)
    return future
  end

  it("is nil if nothing runs", function()
    for _, kind in ipairs(requests.kinds) do
      local s = requests.new(kind, setup)
      assert.is_nil(s:traceback())
      s:await("")
      helpers.wait_until(function() return s:traceback(60) == nil end)
      assert.is_nil(s:traceback(0))
      s:close()
      helpers.raises_error("object_closed", s.traceback, s)
    end
  end)

  it("checks its argument", function()
    local s = mtstates.newstate(setup)
    for _, wrong in ipairs({"x", {}, true, 0/0}) do
      local err = helpers.raises(function() s:traceback(wrong) end)
      assert.truthy(err:find("bad argument #1 to 'traceback'", 1, true), err)
    end
    s:close()
  end)

  it("tells where running code is, which goes on", function()
    for _, kind in ipairs(requests.kinds) do
      local s = requests.new(kind, setup)
      local release = spinning(s, "local x = spin(gate) return x")
      for _ = 1, 20 do
        has(s:traceback(60), "in upvalue 'spin'", "\n\tcode:1: in ")
      end
      assert.is_true(release())
      s:close()
    end
  end)

  it("tells of a call, and of coroutines in it", function()
    local s = mtstates.newstate(setup)
    local gate = handoff.unique("gate")
    local thread = threads.start(function(id, g)
      return require "mtstates".state(id):call([[
        local gate = ...
        local function inside() local x = spin(gate) return x end
        local outside = coroutine.wrap(function()
          local x = coroutine.wrap(inside)()
          return x
        end)
        local x = outside()
        return x
      ]], g)
    end, s:id(), gate)
    handoff.wait("in " .. gate, 1)
    local text = has(s:traceback(60), "'spin'", "code:2: in", "code:4: in",
      "code:7: in", "resumed by:\n\t[C]: in")
    local _, count = text:gsub("resumed by:", "")
    assert.equals(2, count)
    handoff.set(gate, 1)
    assert.is_true(thread:results())
    s:close()
  end)

  it("tells of a call in which a nested one of the state has ended", function()
    for _, kind in ipairs(requests.kinds) do
      local s = requests.new(kind, setup)
      local release = spinning(s, [[
        require "mtstates".state(require "mtstates".id()):call("")
        local x = spin(gate)
        return x
      ]])
      has(s:traceback(60), "'spin'", "code:")
      assert.is_true(release())
      s:close()
    end
  end)

  it("tells of the states whose code calls others", function()
    local outer = mtstates.newstate("outer", {}, setup)
    local inner = mtstates.newstate("inner", {}, setup)
    local classic = mtstates.newstate(setup)
    local release = spinning(outer, [[
      local _, id, classic = ...
      local x = mt.state(id):call("local id, gate = ... " ..
        "local x = mt.state(id):call('local x = spin(...) return x', gate) " ..
        "return x", classic, gate)
      return x
    ]], inner:id(), classic:id())
    has_not(has(outer:traceback(60), "'call'", "code:2: in"), "'spin'")
    has_not(has(inner:traceback(60), "'call'", "code:1: in"), "'spin'")
    has(classic:traceback(60), "'spin'")
    assert.is_true(release())
    outer:close()
    inner:close()
    classic:close()
  end)

  it("tells of a thread that waits for a state, or an answer", function()
    local s = mtstates.newstate(setup)
    local other = mtstates.newstate({}, helpers.gated)
    for _, how in ipairs({"call", "await"}) do
      local gate = handoff.unique("waits")
      local release = requests.hold(other)
      local thread = threads.waiting(gate, function(g, id, how_, other_id)
        return require "mtstates".state(id):call([[
          local gate, id, how = ...
          local s = mt.state(id)
          gates.add(gate)
          local x = s[how](s, nil, nil, 7)
          return x
        ]], g, other_id, how_)
      end, gate, s:id(), how, other:id())
      has(s:traceback(60), "[C]: in ", "code:4: in")
      release()
      assert.equals(7, thread:results())
    end
    s:close()
    other:close()
  end)

  it("tells at once of a thread that waits", function()
    local s = mtstates.newstate(setup)
    local gate, name = handoff.unique("waits"), handoff.unique("late")
    local thread = threads.waiting(gate, function(g, id, late)
      return require "mtstates".state(id):call(
        "local g, late = ... gates.add(g) " ..
        "local x = mt.state(late, 600) return x:id()", g, late)
    end, gate, s:id(), name)
    has(s:traceback(0), "[C]: in ", "code:1: in")
    local late = mtstates.newstate(name, setup)
    assert.equals(late:id(), thread:results())
    late:close()
    s:close()
  end)

  it("tells where a thread waits, and not where it did", function()
    local s = mtstates.newstate(setup)
    local other = mtstates.newstate(helpers.gated)
    local busy = threads.hold(other)
    local thread = threads.start(function(id, wanted)
      return require "mtstates".state(id):call([[
        require "cresume"(function()
          local x = mt.sleep(0.001)
          return x
        end)
        local x = mt.state((...)):call()
        return x]], wanted)
    end, s:id(), other:id())
    helpers.wait_until(function() return other:stats().waiting == 1 end)
    has_not(has(s:traceback(60), "code:5: in"), "resumed by:")
    busy:release()
    thread:results()
    s:close()
    other:close()
  end)

  it("tells of a wait in a coroutine that C code has resumed", function()
    local s = mtstates.newstate(setup)
    local gate, name = handoff.unique("waits"), handoff.unique("late")
    local thread = threads.waiting(gate, function(g, id, late)
      return require "mtstates".state(id):call([[
        local g, late = ...
        require "cresume"(function()
          gates.add(g)
          local x = mt.state(late, 600)
          return x
        end) return 7]], g, late)
    end, gate, s:id(), name)
    has(s:traceback(60), "[C]: in ", "code:4: in", "resumed by:",
      "code:2: in")
    local late = mtstates.newstate(name, setup)
    assert.equals(7, thread:results())
    late:close()
    s:close()
  end)

  it("tells what each suspended task waits for", function()
    local s = mtstates.newstate({}, setup)
    local other = mtstates.newstate("other", {queue = 1}, helpers.gated)
    local release = requests.hold(other)
    other:send()
    local waits = {
      "local x = mt.sleep(600) return x",
      "local x = f:await() return x",
      "local x = mt.state('no such state', 600) return x",
      "local x = mt.state(id):async() return x ~= nil",
    }
    local gate, futures = handoff.unique("tasks"), {}
    local answer, promise = mtstates.promise()
    for i, code in ipairs(waits) do
      futures[i] = s:async("local gate, id, f = ... gates.add(gate) " ..
        code, gate, other:id(), answer)
    end
    handoff.wait(gate, #waits)
    helpers.wait_until(function() return not s:stats().busy end)
    local text = has(s:traceback(60), "task that sleeps\n",
      "task that waits for an answer of promise\n",
      "task that waits for room at state(name=\"other\"",
      "task that waits for a state\n")
    local _, count = text:gsub("stack traceback:\n\t%[C%]: in ", "")
    assert.equals(#waits, count)
    release()
    promise:set(7)
    assert.equals(7, futures[2]:await())
    assert.is_true(futures[4]:await())
    for _, future in ipairs(futures) do
      future:cancel()
    end
    s:close()
    other:close()
  end)

  it("tells of tasks that are about to go on", function()
    local s = mtstates.newstate({}, setup)
    local answer, promise = mtstates.promise()
    local gate = handoff.unique("suspended")
    local future = s:async([[
      local gate, answer = ...
      gates.add(gate)
      local x = answer:await()
      return x
    ]], gate, answer)
    handoff.wait(gate, 1)
    helpers.wait_until(function() return not s:stats().busy end)
    local text = has(s:await([[
      local promise = ...
      promise:set("answer")
      local text = mt.state(mt.id()):traceback(0)
      return text
    ]], promise), "task that is about to go on\n", "code:3: in")
    has_not(text, "waits for an answer")
    assert.equals("answer", future:await())
    s:close()
  end)

  it("does not keep what begins to wait from leaving the state", function()
    local s, stop = runs.new("service"), handoff.unique()
    local future = s:async([[
      local stop = ...
      while gates.get(stop) == 0 do
        me:await("")
      end
      return "stopped"
    ]], stop)
    for _ = 1, 5000 do
      s:traceback(60)
    end
    handoff.set(stop, 1)
    assert.equals("stopped", future:await())
    s:close()
  end)

  it("shows a hundred tasks, the oldest, and tells of others", function()
    local s = mtstates.newstate({}, setup)
    local gate = handoff.unique("tasks")
    local function begin(count, code)
      local before = handoff.get(gate)
      for _ = 1, count do
        s:send("local gate = ... gates.add(gate) local x = " .. code ..
          " return x", gate)
      end
      handoff.wait(gate, before + count)
      helpers.wait_until(function() return not s:stats().busy end)
    end
    begin(1, "mt.state('no such state', 600)")
    begin(99, "mt.sleep(600)")
    local text = has(s:traceback(60), "task that waits for a state\n")
    assert.equals(1, text:find("task that waits for a state", 1, true))
    assert.equals(99, helpers.count(text, "task that sleeps\n"))
    has_not(text, "more task")
    begin(3, "mt.sleep(600)")
    text = has(s:traceback(60), "\n\n(3 more tasks)")
    assert.equals(1, text:find("task that waits for a state", 1, true))
    assert.equals(99, helpers.count(text, "task that sleeps\n"))
    s:close()
  end)

  it("tells of the running and of the suspended code together", function()
    for _, options in ipairs({{}, {own_thread = true}}) do
      local s = mtstates.newstate(options, setup)
      local future = suspended(s, sleeps)
      has(s:traceback(60), "task that sleeps\n")
      local release = spinning(s, "local x = spin(gate) return x")
      has(s:traceback(60), "'spin'", "\n\ntask that sleeps\n")
      assert.is_true(release())
      future:cancel()
      s:close()
    end
  end)

  it("tells of a task that keeps its state", function()
    local s = mtstates.newstate({tasks = 1}, setup)
    local future = suspended(s, sleeps)
    for _ = 1, 10 do
      has(s:traceback(60), "task that sleeps\n")
    end
    future:cancel()
    s:close()
  end)

  it_yields("tells of coroutines that wait with their task", function()
    local s = mtstates.newstate({}, setup)
    local future = suspended(s, [[
      local inner = coroutine.wrap(function()
        local x = mt.sleep(600)
        return x
      end)
      local x = inner()
      return x
    ]])
    local text = has(s:traceback(60), "code:2: in")
    assert.truthy(
      text:find("resumed by:\n\t%[C%]: in .*\n\tcode:%d: in"), text)
    future:cancel()
    s:close()
  end)

  it("is there at once inside the state", function()
    for _, kind in ipairs(requests.kinds) do
      local s = requests.new(kind, setup)
      local code = "local x = mt.state(mt.id()):traceback(0) return x"
      has_not(has(s:call(code), "code:1: in"), "'traceback'")
      has_not(has(s:await(code), "code:1: in"), "'traceback'")
      has(s:call("local x = coroutine.wrap(function() " .. code ..
        " end)() return x"), "code:1: in", "resumed by:")
      s:close()
    end
  end)

  it("tells of coroutines that C code has resumed", function()
    local s = mtstates.newstate(setup)
    local text = has(s:call([[
      local text
      require "cresume"(function()
        local x = coroutine.wrap(function()
          local x = mt.state(mt.id()):traceback()
          return x
        end)()
        text = x
      end)
      local x = require "cresume"(function()
        local x = mt.state(mt.id()):traceback()
        text = text .. "\nsecond " .. x
      end)
      return text
    ]]))
    local first, second = text:match("^(.*)\nsecond (.*)$")
    has(first, "code:4: in function <code:3>", "in function <code:2>")
    assert.equals(2, helpers.count(first, "\nresumed by:"))
    has(second, "code:10: in function <code:9>")
    assert.equals(1, helpers.count(second, "\nresumed by:"))
    s:close()
  end)

  it("is given to those who still ask", function()
    local s = mtstates.newstate({}, tasks.setup)
    local gate = handoff.unique("gate")
    local future = tasks.begin_waiting(s, "enter() local gate = ... " ..
      "gates.wait(gate, 1) return spin('b' .. gate)", gate)
    local function ask()
      local asker = mtstates.newstate({}, setup)
      return asker:async("gates.add('asks' .. select(2, ...)) " ..
        "return mt.state((...)):traceback(600)", s:id(), gate)
    end
    local impatient = ask()
    local patient = ask()
    handoff.wait("asks" .. gate, 2)
    assert.is_true(impatient:cancel())
    helpers.raises_error("cancelled", impatient.await, impatient)
    handoff.set(gate, 1)
    has(patient:await(), "task:1: in")
    handoff.set("b" .. gate, 1)
    future:await()
    s:close()
  end)

  it("shows the ends of a deep stack", function()
    local s = mtstates.newstate(setup)
    local text = has(s:call([[
      local function f(n)
        if n == 0 then
          local x = mt.state(mt.id()):traceback()
          return x
        end
        local x = f(n - 1)
        return x
      end
      local x = f(1000)
      return x
    ]]), "code:3: in", "code:9: in", "skipping 9")
    local _, count = text:gsub("\n", "")
    assert.equals(22, count)
    s:close()
  end)

  it("shows the whole of a stack that is not deep", function()
    local s = mtstates.newstate(setup)
    local skipped, expected
    for depth = 1, 30 do
      local text = has(s:call([[
        local function f(n)
          local x = n > 0 and f(n - 1) or mt.state(mt.id()):traceback()
          return x
        end
        local x = f(...)
        return x
      ]], depth))
      skipped = tonumber(text:match("skipping (%S+) levels"))
      expected = skipped and (expected or 0) + 1
      assert.equals(expected, skipped)
      local _, count = text:gsub("\n", "")
      assert.is_true(skipped and count == 22 or count <= 21, text)
    end
    assert.truthy(skipped)
    s:close()
  end)

  it("tells what kind each function is", function()
    local s = mtstates.newstate(setup)
    local text = has(s:call([[
      local compile = rawget(_G, "loadstring") or load
      local chunk = compile([==[
        function global()
          local x = mt.state(mt.id()):traceback()
          return x
        end
        local _, x = pcall(function() local x = global() return x end)
        return x
      ]==], "=chunk")
      rawset(_G, "mt", mt)
      local x = chunk()
      return x
    ]]))
    local lines = {}
    for line in text:gmatch("\n\t([^\n]*)") do
      lines[#lines + 1] = line:gsub("in %a+ '", "in '")
    end
    assert.equals("chunk:2: in 'global'", lines[1])
    assert.equals("chunk:5: in function <chunk:5>", lines[2])
    assert.equals("[C]: in 'pcall'", lines[3])
    assert.equals("chunk:5: in main chunk", lines[4])
    assert.equals("[C]: in ?", lines[#lines])
    s:close()
  end)

  it("gives up in time, and the code goes on undisturbed", function()
    local s = mtstates.newstate({}, tasks.setup)
    local gate = handoff.unique("leave")
    local future = tasks.begin_waiting(s,
      "enter() gates.wait(..., 1) return 'kept'", gate)
    for _, patience in ipairs({0, -1, 0.01}) do
      local err = helpers.raises(s.traceback, s, patience)
      assert.truthy(err:find("no traceback within", 1, true), err)
    end
    handoff.set(gate, 1)
    assert.equals("kept", future:await())
    assert.equals("next", s:await("return 'next'"))
    s:close()
  end)

  it("keeps the hooks of coroutines that resume others", function()
    local s = mtstates.newstate({}, function()
      local gates = require "handoff"
      return function(entered, leave)
        local counted, lost = 0, 0
        local function count() counted = counted + 1 end
        local function hooked()
          local hook = debug.gethook()
          return rawget(_G, "jit") ~= nil or hook == count
            or hook == "external hook"
        end
        debug.sethook(count, "", 100)
        gates.add(entered)
        while gates.get(leave) == 0 do
          local inner = coroutine.wrap(function(c)
            while true do c = coroutine.yield(c) end
          end)
          string.gsub(("x"):rep(100), "x", inner)
          lost = lost + (hooked() and 0 or 1)
        end
        for _ = 1, 1000 do end -- a count begins anew at each traceback
        return lost, hooked(), counted > 0
      end
    end)
    local entered, leave = handoff.unique("a"), handoff.unique("b")
    local future = s:async(entered, leave)
    handoff.wait(entered, 1)
    for _ = 1, 100 do
      has(s:traceback(60))
    end
    handoff.set(leave, 1)
    assert.same({0, true, true}, {future:await()})
    s:close()
  end)

  it("of an outer state reaches threads that block signals #race", function()
    local outer, inner = mtstates.newstate(setup), mtstates.newstate(setup)
    local gate = handoff.unique("gate")
    local thread = threads.start(function(id, inner_id, g)
      return require "mtstates".state(id):call("local signals, id, gate = " ..
        "require 'signals', ... signals.block(true) local x = " ..
        "mt.state(id):call('local x = spin(...) return x', gate) " ..
        "signals.block(false) return x", inner_id, g)
    end, outer:id(), inner:id(), gate)
    handoff.wait("in " .. gate, 1)
    has_not(has(outer:traceback(60), "code:1: in"), "'spin'")
    has(inner:traceback(60), "'spin'")
    handoff.set(gate, 1)
    assert.is_true(thread:results())
    outer:close()
    inner:close()
  end)

  it("reaches threads that block all signals #race", function()
    local s = mtstates.newstate(setup)
    local gate = handoff.unique("gate")
    local thread = threads.start(function(id, g)
      return require "mtstates".state(id):call("local signals, gate = " ..
        "require 'signals', ... signals.block(true) local x = spin(gate) " ..
        "signals.block(false) return x", g)
    end, s:id(), gate)
    handoff.wait("in " .. gate, 1)
    has(s:traceback(60), "'spin'")
    handoff.set(gate, 1)
    assert.is_true(thread:results())
    s:close()
  end)

  it("is answered when the code is back from C", function()
    local s = mtstates.newstate({}, setup)
    local gate = handoff.unique("late")
    local future = s:async("local gate = ... gates.add('a' .. gate) " ..
      "gates.wait(gate, 1) local x = spin('b' .. gate) return x", gate)
    handoff.wait("a" .. gate, 1)
    local asked = handoff.unique("asked")
    local thread = threads.start(function(id, g)
      require "handoff".add(g)
      return require "mtstates".state(id):traceback(60)
    end, s:id(), asked)
    handoff.wait(asked, 1)
    handoff.set(gate, 1)
    has(thread:results(), "code:1: in")
    handoff.set("b" .. gate, 1)
    assert.is_true(future:await())
    s:close()
  end)

  it("is given to all who ask", function()
    local s = mtstates.newstate({}, setup)
    local release = spinning(s, "local x = spin(gate) return x")
    local askers = {}
    for i = 1, 8 do
      askers[i] = threads.start(function(id)
        local state, texts = require "mtstates".state(id), 0
        for _ = 1, 50 do
          if state:traceback(60):find("'spin'", 1, true) then
            texts = texts + 1
          end
        end
        return texts
      end, s:id())
    end
    for i = 1, 8 do
      assert.equals(50, askers[i]:results())
    end
    assert.is_true(release())
    s:close()
  end)

  it("leaves interrupts and cancel as they are", function()
    local s = mtstates.newstate({}, setup)
    local release = spinning(s, "local ok, e = pcall(spin, gate) " ..
      "local x = spin(gate .. 'x') return ok, e")
    s:traceback(60)
    s:interrupt()
    s:traceback(60)
    helpers.wait_until(function()
      return not s:traceback(60):find("'pcall'", 1, true)
    end)
    local gate = s:traceback(60)
    assert.truthy(gate)
    s:interrupt(true)
    local err = helpers.raises_error("invoking_state", release)
    assert.truthy(err:find(mtstates.error.interrupted, 1, true), err)
    s:interrupt(false)
    assert.is_nil(s:traceback(60))
    s:close()
  end)

  it("keeps the hook that code has set", function()
    local s = mtstates.newstate({}, function()
      local gates = require "handoff"
      return function(entered, leave)
        local lines = 0
        debug.sethook(function() lines = lines + 1 end, "l")
        gates.add(entered)
        while gates.get(leave) == 0 do
          lines = lines + 0
        end
        local before = lines
        lines = lines + 0
        return lines > before, debug.gethook() ~= nil
      end
    end)
    local entered, leave = handoff.unique("a"), handoff.unique("b")
    local future = s:async(entered, leave)
    handoff.wait(entered, 1)
    has(s:traceback(60), "traceback_spec.lua")
    handoff.set(leave, 1)
    assert.same({true, true}, {future:await()})
    s:close()
  end)

  it("does not bring back a hook that code has removed #read", function()
    local s = mtstates.newstate({}, function()
      require "interruptible"
      local gates, pipes = require "handoff", require "signals"
      return function(pipe, leave)
        local lines = 0
        debug.sethook(function() lines = lines + 1 end, "l")
        pipes.read_and_unhook(pipe)
        local before = lines
        while gates.get(leave) == 0 do
          lines = lines + 0
        end
        return lines - before
      end
    end)
    local input, output = signals.pipe()
    local leave = handoff.unique("leave")
    local future = s:async(input, leave)
    helpers.wait_until(function() -- the signal finds the code in C
      return s:stats().busy and not pcall(s.traceback, s, 0.05)
    end)
    signals.write(output)
    has(s:traceback(60))
    handoff.set(leave, 1)
    assert.equals(0, future:await())
    s:close()
  end)

  it("leaves the hook of a program whose tasks it looks at", function()
    assert.equals("true	true	l", (helpers.run_program([[
      require "interruptible"
      local handoff = require "handoff"
      local mtstates = require "mtstates"
      local lines = 0
      local here = mtstates.here({work = function(goes_on)
        handoff.add("in work")
        if goes_on then
          handoff.wait_asleep(handoff.take("asker"))
          return 1
        end
        return handoff.wait_asleep(handoff.take("asker")) -- and ends
      end})
      local s = mtstates.newstate({}, function()
        local m = require "mtstates"
        return function(id, ...) return m.state(id):await("work", ...) end
      end)
      local asker = mtstates.thread(function(id)
        local gates = require "handoff"
        local state, texts = require "mtstates".state(id), 0
        for i = 1, 10 do
          gates.wait("in work", i)
          gates.put("asker", gates.tid())
          local ok, traceback = pcall(state.traceback, state, 60)
          texts = texts + (ok and traceback and 1 or 0)
        end
        return texts
      end, here:id())
      debug.sethook(function() lines = lines + 1 end, "l")
      for i = 1, 10 do
        s:await(here:id(), i % 2 == 1)
      end
      local texts = asker:await()
      local before = lines
      before = before + 0
      print(texts >= 5, lines > before, (select(2, debug.gethook())))
    ]]):gsub("\n$", "")))
  end)

  it("of a pool has those of its members", function()
    local pool = mtstates.pool(3, setup)
    assert.is_nil(pool:traceback())
    local one = spinning(pool, "local x = spin(gate) return x")
    local two = spinning(pool, "local x = spin(gate) return x")
    local text = has(pool:traceback(60))
    local _, count = text:gsub("state%(id=%d+%)\nstack traceback:", "")
    assert.equals(2, count)
    assert.is_true(one())
    assert.is_true(two())
    pool:close()
    helpers.raises_error("object_closed", pool.traceback, pool)
  end)

  it("of a pool says which member gave none in time", function()
    local pool = mtstates.pool(2, tasks.setup)
    local gate = handoff.unique("gate")
    local future = tasks.begin_waiting(pool,
      "enter() gates.wait(..., 1) return 'kept'", gate)
    local text = pool:traceback(0.01)
    assert.truthy(text:match("^state%(id=%d+%)\nno traceback in time$"), text)
    handoff.set(gate, 1)
    assert.equals("kept", future:await())
    pool:close()
  end)

  it("ends with object_closed when the state is closed", function()
    -- The callback is a C function: it does not get to an operation.
    local s = mtstates.newstate({}, function()
      return require "handoff".wait
    end)
    local gate, asked = handoff.unique("gate"), handoff.unique("asked")
    s:send(gate, 1)
    helpers.wait_until(function() return s:stats().busy end)
    local thread = threads.waiting(asked, function(g, id)
      local state = require "mtstates".state(id)
      require "handoff".add(g)
      return pcall(state.traceback, state, 60)
    end, asked, s:id())
    local closer = threads.start(function(id)
      require "mtstates".state(id):close()
    end, s:id())
    helpers.wait_until(function() return not pcall(s.stats, s) end)
    handoff.set(gate, 1)
    closer:results()
    local ok, err = thread:results()
    assert.is_false(ok)
    assert.equals(1, err:find(mtstates.error.object_closed, 1, true), err)
  end)

  it("is ended by cancel", function()
    local s = mtstates.newstate({}, helpers.gated)
    local release = requests.hold(s)
    local asker = mtstates.newstate({}, tasks.setup)
    local future = tasks.begin(asker,
      "enter() local x = mt.state(...):traceback(600) return x", s:id())
    assert.is_true(future:cancel())
    helpers.raises_error("cancelled", future.await, future)
    release()
    asker:close()
    s:close()
  end)
end)
