-- What the end of a pool waits for, and where its last functions run.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"

-- Setup: the last function waits for the gate `go`, then moves the other one.
local function lasting(gate, go)
  local gates, mt = require "handoff", require "mtstates"
  return {
    f = function() return 1 end,
    __close = function()
      mt.sleep(0.001)
      if go then
        gates.wait(go, 1)
      end
      gates.add(gate)
    end,
  }
end

describe("the end of a pool", function()
  local log -- of forks that are ended while they run

  before_each(helpers.watch("ends of pools"))
  before_each(function()
    log = requests.log_to_mailbox()
  end)
  after_each(function()
    log.reset()
    helpers.unwatch()
  end)

  it("runs __close of each member, and waits for that", function()
    for _, has_own_threads in ipairs({false, true}) do
      local gate = handoff.unique("closed")
      local pool = mtstates.pool({n = 3, own_thread = has_own_threads},
        lasting, gate)
      assert.equals(1, pool:call("f"))
      pool:close()
      assert.equals(3, handoff.get(gate))
    end
  end)

  it("runs __close when a later setup fails", function()
    local gate, count = handoff.unique("closed"), handoff.unique("count")
    helpers.raises_error("invoking_state", mtstates.pool, 3, function(g, c)
      local gates = require "handoff"
      gates.add(c)
      assert(gates.get(c) < 3, "third")
      return {__close = function() gates.add(g) end}
    end, gate, count)
    assert.equals(2, handoff.get(gate))
  end)

  it("does not run __close in the thread that drops the owner", function()
    for _, has_own_threads in ipairs({false, true}) do
      local gate, go = handoff.unique("closed"), handoff.unique("go")
      mtstates.pool({n = 3, own_thread = has_own_threads}, lasting, gate, go)
      helpers.collect()
      assert.equals(0, handoff.get(gate))
      handoff.set(go, 1)
      handoff.wait(gate, 3)
    end
  end)

  it("by closing a member comes after all that was sent before", function()
    local pool = mtstates.pool(2, tasks.setup)
    local done = handoff.unique("done")
    for _ = 1, 50 do
      pool:send("mt.sleep(0) gates.add((...))", nil, done)
    end
    assert.is_true(mtstates.state(pool:stats().members[2].id):close(60))
    assert.equals(50, handoff.get(done))
    helpers.raises_error("object_closed", pool.call, pool)
  end)

  -- Setup: a fork that is ready at all times.
  local function restless(gate)
    local mt = require "mtstates"
    guard = require "on_collect"( -- luacheck: ignore
      function() require "handoff".add(gate) end)
    mt.fork(function() while true do mt.sleep(0) end end)
    return require "tasks".setup()
  end

  it("is not kept off by forks, without owners", function()
    local gate = handoff.unique("closed")
    local pool = mtstates.pool(2, restless, gate)
    pool:await("return")
    local id = pool:id()
    pool = nil -- luacheck: ignore
    helpers.collect()
    handoff.wait(gate, 2)
    helpers.raises_error("unknown_object", mtstates.state, id)
  end)

  it("is not kept off by forks, without owners, after a request", function()
    local gate, stop = handoff.unique("closed"), handoff.unique("stop")
    local pool = mtstates.pool(2, restless, gate)
    tasks.begin(pool, "work((...))", stop)
    pool = nil -- luacheck: ignore
    helpers.collect()
    assert.equals(0, handoff.get(gate))
    handoff.set(stop, 1)
    handoff.wait(gate, 2)
  end)

  it("with a timeout is not kept off by forks", function()
    local gate, done = handoff.unique("closed"), handoff.unique("done")
    local pool = mtstates.pool(2, restless, gate)
    for _ = 1, 20 do
      pool:send("gates.add((...))", nil, done)
    end
    assert.is_true(pool:close(60))
    assert.equals(20, handoff.get(done))
    handoff.wait(gate, 2)
  end)

  it("refuses no request while a member is busy, without owners", function()
    local pool = mtstates.pool("busy without owners", 3, tasks.setup)
    local reference, stop = mtstates.state(pool:id()), handoff.unique("stop")
    tasks.begin(pool, "work((...))", stop)
    pool = nil -- luacheck: ignore
    helpers.collect()
    local askers = {}
    for i = 1, 2 do
      askers[i] = mtstates.thread(function(s)
        for _ = 1, 2000 do
          s:await("return")
        end
        return "done"
      end, reference)
    end
    for i = 1, 2 do
      assert.equals("done", askers[i]:await())
    end
    handoff.set(stop, 1)
    helpers.wait_until(function()
      return not pcall(mtstates.state, "busy without owners")
    end)
  end)

  it("hides a member at once that a call still uses", function()
    local pool = mtstates.pool(2, tasks.setup)
    local members = pool:stats().members
    local is_found, own = pool:call([[
      for _, id in ipairs({...}) do
        if id ~= mt.id() then
          mt.state(id):await("mt.quit()")
        end
      end
      return pcall(mt.state, mt.id()), mt.id()
    ]], nil, members[1].id, members[2].id)
    assert.is_false(is_found)
    helpers.raises_error("unknown_object", mtstates.state, own)
    helpers.raises_error("object_closed", pool.call, pool)
  end)

  it("by closing a member is refused while a call is in progress", function()
    local pool = mtstates.pool(2, tasks.setup)
    local member = mtstates.state(pool:stats().members[2].id)
    helpers.raises_error("invoking_state", pool.call, pool,
      "(...):close()", nil, member)
    assert.equals(1, pool:call("return 1"))
    assert.is_nil(member:close())
    helpers.raises_error("object_closed", pool.call, pool)
  end)
end)

describe("a task of a state that is being closed", function()
  local log -- of forks that are ended while they run

  before_each(helpers.watch("closing of what runs"))
  before_each(function()
    log = requests.log_to_mailbox()
  end)
  after_each(function()
    log.reset()
    helpers.unwatch()
  end)

  it("ends where it lets others go on", function()
    local gate, stop = handoff.unique("closed"), handoff.unique("stop")
    local s = mtstates.newstate({}, tasks.setup)
    local future = tasks.begin(s, [[
      local stop, closed = ...
      guard = require "on_collect"(function() gates.add(closed) end)
      work(stop)
      while true do mt.sleep(0) end
    ]], stop, gate)
    s:close()
    handoff.set(stop, 1)
    handoff.wait(gate, 1)
    local ok, err = pcall(future.await, future)
    assert.is_false(ok)
    assert.equals(mtstates.error.object_closed, mtstates.error(err):cause())
  end)
end)

describe("mtstates.shutdown", function()
  for _, has_own_threads in ipairs({false, true}) do
    local with = has_own_threads and " with threads of their own" or ""

    it("ends pools" .. with .. " whose __close does not end", function()
      local out, code
      local tries = 0
      repeat -- they have a tenth of a second when they are interrupted
        out, code = helpers.run_program(([[
          local mtstates = require "mtstates"
          local pool = mtstates.pool({n = 2, own_thread = %s}, function()
            require "interruptible"
            return {f = function() return 1 end,
                    __close = function() while true do end end}
          end)
          print(pool:await("f"))
          print(mtstates.shutdown(0.01))
        ]]):format(tostring(has_own_threads)))
        tries = tries + 1
      until out:find("1\n.*true\n") or tries == 20
      assert.truthy(out:find("interrupted", 1, true), out)
      assert.truthy(out:find("1\n.*true\n"), out)
      assert.equals(0, code)
    end)

    it("lets what closed pools" .. with .. " run end in time", function()
      local out, code = helpers.run_program(([[
        local mtstates = require "mtstates"
        local handoff = require "handoff"
        local pool = mtstates.pool({n = 2, own_thread = %s}, function()
          local mt, gates = require "mtstates", require "handoff"
          return function()
            gates.add("begun")
            local begun = mt.now()
            while mt.now() < begun + 0.1 do end
            return "done"
          end
        end)
        local one, two = pool:async(), pool:async()
        handoff.wait("begun", 2)
        pool:close()
        print(mtstates.shutdown(60), one:await(), two:await())
      ]]):format(tostring(has_own_threads)))
      assert.equals("true\tdone\tdone\n", out)
      assert.equals(0, code)
    end)
  end
end)
