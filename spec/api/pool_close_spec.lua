-- The end of a pool: close, quit, the loss of owners, shutdown.

local assert = require "luassert"
local capidriver = require "capidriver"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

local it_closes = helpers.it_needs(
  helpers.compile("local x <close> = nil"), "to-be-closed variables")

-- Setup: as tasks.setup; a finalizer moves the gate.
local function guarded(gate)
  local gates = require "handoff"
  guard = require "on_collect"( -- luacheck: ignore
    function() gates.add(gate) end)
  return require "tasks".setup()
end

describe("the end of a pool", function()
  local log

  before_each(helpers.watch("closing pools"))
  before_each(function()
    log = requests.log_to_mailbox()
  end)
  after_each(function()
    log.reset()
    helpers.unwatch()
  end)

  local function new(gate, options)
    return mtstates.pool("closing pool", options or 3, guarded, gate)
  end

  local function check_closed(pool, members)
    for _, method in ipairs({"call", "await", "send", "async", "stats",
                             "interrupt"}) do
      helpers.raises_error("object_closed", pool[method], pool)
    end
    helpers.raises_error("object_closed", pool.tcall, pool, 0)
    helpers.raises_error("unknown_object", mtstates.state, pool:id())
    helpers.raises_error("unknown_object", mtstates.state, "closing pool")
    for _, member in ipairs(members) do
      helpers.raises_error("unknown_object", mtstates.state, member.id)
    end
    pool:close()
    assert.is_true(pool:close(1))
    assert.equals("closing pool", pool:name())
  end

  it("closes all members at once", function()
    local gate = handoff.unique("closed")
    local pool = new(gate)
    local members = pool:stats().members
    pool:await("")
    assert.is_nil(pool:close())
    assert.equals(3, handoff.get(gate))
    check_closed(pool, members)
  end)

  it("fails what waits and what is suspended, and lets the rest end",
  function()
    local gate = handoff.unique("closed")
    local pool = new(gate, {n = 1})
    local members = pool:stats().members
    local suspended = tasks.begin(pool, "enter() mt.sleep(1000)")
    local stop = handoff.unique("stop")
    local running = tasks.begin(pool, "return work((...))", stop)
    local waiting = pool:async("return")
    pool:send("return")
    pool:close()
    helpers.raises_error("object_closed", suspended.await, suspended)
    helpers.raises_error("object_closed", waiting.await, waiting)
    helpers.raises_error("object_closed", pool.call, pool)
    handoff.set(stop, 1)
    assert.is_number(running:await())
    handoff.wait(gate, 1)
    check_closed(pool, members)
    local kind, text = log.take()
    assert.equals("warning", kind)
    assert.truthy(text:find("was closed: 2 requests failed", 1, true), text)
  end)

  it("is refused while a call is in progress", function()
    local pool = new(handoff.unique())
    local members = pool:stats().members
    local gate, stop = handoff.unique(), handoff.unique("stop")
    local function hold(id)
      return threads.start(function(s, g, leave)
        return require "mtstates".state(s):call(
          "local g, stop = ... gates.enter(g, stop, 1)", nil, g,
          leave)
      end, id, gate, stop)
    end
    local one, two = hold(pool:id()), hold(members[2].id)
    handoff.wait(gate, 2)
    helpers.raises_error("concurrent_access", pool.close, pool)
    helpers.raises_error("concurrent_access", pool.close, pool, 0.001)
    assert.equals(1, pool:call("return 1"))
    helpers.raises_error("invoking_state", pool.call, pool,
      "local p = ... p:close()", nil, pool)
    handoff.set(stop, 1)
    one:results()
    two:results()
    local err = helpers.raises_error("invoking_state", pool.await, pool,
      "local p = ... p:close()", nil, pool)
    assert.truthy(err:find("concurrent_access", 1, true), err)
    local closing = pool:async("local p = ... p:close(60)", nil, pool)
    err = helpers.raises_error("invoking_state", closing.tawait, closing, 20)
    assert.truthy(err:find("concurrent_access", 1, true), err)
    assert.is_true(pool:close(60))
    check_closed(pool, members)
  end)

  it("that is cancelled lets the pool take requests and notices again",
     function()
    local pool = mtstates.pool(2, helpers.gated)
    local notifier = capidriver.notifier(pool)
    local release = requests.hold(pool)
    local other = mtstates.newstate({}, tasks.setup)
    local closing = tasks.begin(other,
      "enter() return mt.state(...):close(60)", pool:id())
    helpers.wait_until(function() return notifier:notify_quietly() ~= 0 end)
    assert.is_false((pcall(pool.tsend, pool, 0)))
    assert.is_true(closing:cancel())
    helpers.raises_error("cancelled", closing.await, closing)
    helpers.wait_until(function() return pool:stats().queue == 0 end)
    pool:await() -- the free member has done the last one
    local calls = pool:stats().calls
    assert.equals(0, notifier:notify_quietly())
    helpers.wait_until(function() return pool:stats().calls == calls + 1 end)
    release()
    assert.equals("on", pool:await(nil, nil, "on"))
    pool:close()
    other:close()
  end)

  it("with a timeout comes after all that was sent before", function()
    local gate = handoff.unique("closed")
    local pool = new(gate)
    local members = pool:stats().members
    local done = handoff.unique("done")
    local go, answer = mtstates.promise()
    local future = pool:async("return (...)", nil, go)
    for _ = 1, 300 do
      pool:send("mt.sleep(0) gates.add((...))", nil, done)
    end
    mtstates.state(members[1].id):send("gates.add((...))", nil, done)
    local closer = threads.start(function(id)
      return require "mtstates".state(id):close(60)
    end, pool:id())
    handoff.wait(done, 301)
    helpers.wait_until(function()
      return not pcall(pool.tsend, pool, 0, "return")
    end)
    closer:wait_asleep()
    answer:set("answer")
    assert.is_true(closer:results())
    assert.equals("answer", future:await())
    assert.equals(3, handoff.get(gate))
    check_closed(pool, members)
  end)

  it("with a timeout refuses what is sent to members, too", function()
    local pool = new(handoff.unique())
    local members = pool:stats().members
    local go, answer = mtstates.promise()
    local future = pool:async("return (...)", nil, go)
    local closer = threads.start(function(id)
      return require "mtstates".state(id):close(60)
    end, pool:id())
    helpers.wait_until(function()
      return not pcall(pool.tsend, pool, 0, "return")
    end)
    closer:wait_asleep()
    for _, member in ipairs(members) do
      local s = mtstates.state(member.id)
      helpers.raises_error("object_closed", s.send, s, "return")
    end
    answer:set("answer")
    assert.is_true(closer:results())
    assert.equals("answer", future:await())
  end)

  it("with a timeout that is over is as without", function()
    local pool = new(handoff.unique())
    local members = pool:stats().members
    local future = tasks.begin(pool, "enter() mt.sleep(1000)")
    for _, member in ipairs(members) do
      mtstates.state(member.id):await("") -- it sleeps when all have answered
    end
    assert.is_false(pool:close(0.01))
    helpers.raises_error("object_closed", future.await, future)
    check_closed(pool, members)
  end)

  it("ends the waits of callers and senders", function()
    local pool = mtstates.pool({n = 1, queue = 1}, helpers.gated)
    local entered, leave = handoff.unique(), handoff.unique("leave")
    local future = pool:async(entered, leave)
    handoff.wait(entered, 1)
    pool:send()
    local gate, waiting = handoff.unique(), {}
    for i, method in ipairs({"call", "send", "call", "send"}) do
      waiting[i] = threads.waiting(gate, function(g, id, how)
        local s = require "mtstates".state(id)
        require "handoff".add(g)
        return s[how](s)
      end, gate, pool:id(), method)
    end
    pool:close()
    for i = 1, 4 do
      local ok, err = waiting[i]:join()
      assert.is_false(ok)
      assert.equals(1, err:find("mtstates.error.object_closed", 1, true))
    end
    handoff.set(leave, 1)
    future:await()
    log.take()
  end)

  it("ends the waits of callers, however many there are", function()
    local pool = mtstates.pool(1, helpers.gated)
    local entered, leave = handoff.unique(), handoff.unique("leave")
    local future = pool:async(entered, leave)
    handoff.wait(entered, 1)
    local gate, waiting = handoff.unique(), {}
    for i = 1, 40 do
      waiting[i] = threads.waiting(gate, function(g, id)
        local s = require "mtstates".state(id)
        require "handoff".add(g)
        return s:call()
      end, gate, pool:id())
    end
    pool:close()
    for i = 1, #waiting do
      local ok, err = waiting[i]:join()
      assert.is_false(ok)
      assert.equals(1, err:find("mtstates.error.object_closed", 1, true))
    end
    handoff.set(leave, 1)
    future:await()
  end)

  it("is brought about by quit in a member", function()
    for _, method in ipairs({"call", "await"}) do
      local gate = handoff.unique("closed")
      local pool = new(gate)
      local members = pool:stats().members
      assert.equals("last", pool[method](pool, "mt.quit() return 'last'"))
      handoff.wait(gate, 3)
      check_closed(pool, members)
    end
  end)

  it("is brought about by closing a member", function()
    local gate = handoff.unique("closed")
    local pool = new(gate)
    local members = pool:stats().members
    mtstates.state(members[2].id):close()
    assert.equals(3, handoff.get(gate))
    check_closed(pool, members)
  end)

  it("follows the loss of the last owner, when all is done", function()
    local gate, done = handoff.unique("closed"), handoff.unique("done")
    local pool = new(gate)
    local reference, stop = mtstates.state(pool:id()), handoff.unique("stop")
    pool:send("local g, stop = ... work(stop) gates.add(g)", nil, done, stop)
    pool:send("mt.sleep(0.01) gates.add((...))", nil, done)
    pool = nil
    helpers.collect()
    handoff.wait(done, 1)
    assert.equals(0, handoff.get(gate))
    reference:send("gates.add((...))", nil, done)
    handoff.wait(done, 2)
    assert.is_nil(pool)
    handoff.set(stop, 1)
    handoff.wait(done, 3)
    handoff.wait(gate, 3)
    helpers.raises_error("object_closed", reference.call, reference)
    helpers.wait_until(function()
      return not pcall(mtstates.state, "closing pool")
    end)
  end)

  it("does not follow that while there is an owner again", function()
    local gate, stop = handoff.unique("closed"), handoff.unique("stop")
    local pool = new(gate)
    local reference = mtstates.state(pool:id())
    local future = tasks.begin(pool, "work((...))", stop)
    pool = nil
    helpers.collect()
    local owner = reference:own()
    assert.is_nil(pool)
    handoff.set(stop, 1)
    future:await()
    assert.equals(1, owner:await("return 1"))
    assert.equals(0, handoff.get(gate))
    owner:close()
  end)

  it("follows the loss of an idle pool", function()
    local gate = handoff.unique("closed")
    local id = new(gate):id()
    helpers.collect()
    helpers.raises_error("unknown_object", mtstates.state, id)
    handoff.wait(gate, 3)
  end)

  it_closes("follows the end of the scope", function()
    local gate = handoff.unique("closed")
    local made, done = handoff.unique(), handoff.unique("done")
    helpers.compile([[
      local new, gate, done = ...
      local pool <close> = new(gate)
      pool:call("return")
    ]])(new, gate, done)
    assert.equals(3, handoff.get(gate))
    helpers.compile([[
      local new, gate, done = ...
      local pool <close> = new(gate)
      for i = 1, 50 do pool:send("gates.add((...))", nil, done) end
    ]])(new, gate, done)
    handoff.wait(done, 50)
    helpers.collect()
    handoff.wait(gate, 6)
    assert.equals(0, handoff.get(made))
  end)

  it("is refused by a member whose call is being made", function()
    local pool = new(handoff.unique())
    local err = helpers.raises_error("invoking_state", pool.call, pool,
      "(...):close()", nil, pool)
    assert.truthy(err:find("concurrent_access", 1, true), err)
    pool:close()
  end)
end)

describe("mtstates.shutdown", function()
  before_each(helpers.watch("shutdown of pools"))
  after_each(helpers.unwatch)

  it("closes pools when their requests are done", function()
    local out, code = helpers.run_program([[
      local mtstates = require "mtstates"
      local pool = mtstates.pool("p", 3, function()
        local count = 0
        return function() count = count + 1 return count end
      end)
      for i = 1, 200 do pool:send(i) end
      local last = pool:async()
      print(mtstates.shutdown(60))
      print(last:await() > 0, pcall(pool.call, pool) == false)
      print(pcall(mtstates.state, "p") == false)
    ]])
    assert.equals("true\ntrue\ttrue\ntrue\n", out)
    assert.equals(0, code)
  end)

  it("is not needed: a process ends with pools that work", function()
    for _, last in ipairs({"", "os.exit(0)", "os.exit(0, true)"}) do
      local _, code = helpers.run_program([[
        local mtstates = require "mtstates"
        local pool = mtstates.pool(3, function()
          return function() while true do end end
        end)
        for i = 1, 20 do pool:send(i) end
      ]] .. last)
      assert.equals(0, code)
    end
  end)
end)
