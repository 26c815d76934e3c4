-- The end of a state of mtstates.here: closed by itself and by others, with
-- its Lua state, by quit and by shutdown; cancel and interrupt of its tasks.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local host = require "host"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

describe("a state of here", function()
  local here, name

  before_each(helpers.watch("the end of here"))
  before_each(function()
    name = handoff.unique("here")
  end)
  after_each(function()
    if here then
      here:close()
      here = nil
    end
  end)
  after_each(helpers.unwatch)

  local function open(...)
    here = mtstates.here(name, ...)
    return here
  end

  -- Starts a thread that asks it by that method, and waits until it waits.
  local function waiting(method, ...)
    local gate = handoff.unique()
    return threads.waiting(gate, function(g, of, how, ...)
      local s = require "mtstates".state(of)
      require "handoff".add(g)
      return s[how](s, ...)
    end, gate, name, method, ...)
  end

  local function is_closed_for(thread)
    local ok, err = thread:join()
    assert.is_false(ok)
    assert.equals(1, helpers.count(err, "mtstates.error.object_closed"))
  end

  it("is closed by its own program at once", function()
    local ended = 0
    open({
      wait = function() mtstates.sleep(1000) end,
      __close = function()
        ended = ended + 1
        mtstates.sleep(0.001)
        ended = ended + 1
      end,
    })
    local future = here:async("wait")
    here:run()
    local threads_waiting = {waiting("await", "wait"), waiting("call", "wait"),
      waiting("tcall", 1000, "wait")}
    here:close()
    assert.equals(2, ended)
    helpers.raises_error("object_closed", future.await, future)
    for _, thread in ipairs(threads_waiting) do
      is_closed_for(thread)
    end
    helpers.raises_error("object_closed", here.await, here)
    helpers.raises_error("object_closed", here.call, here)
    helpers.raises_error("unknown_object", mtstates.state, name)
    assert.is_true(here:close(1))
    assert.equals("new", mtstates.fork(function() return "new" end):await())
    here = nil
  end)

  it("with a timeout does what was sent before", function()
    local count = 0
    open(function(seconds)
      mtstates.sleep(seconds)
      count = count + 1
    end)
    for _ = 1, 5 do
      here:send(0.001)
    end
    assert.is_true(here:close(60))
    assert.equals(5, count)
    open(function(seconds) mtstates.sleep(seconds) end)
    local future = here:async(1000)
    assert.is_false(here:close(0.01))
    helpers.raises_error("object_closed", future.await, future)
    open(function() count = count + 1 end)
    here:send()
    local thread = threads.start(function(id)
      return require "mtstates".state(id):close(60)
    end, here:id())
    helpers.wait_until(function()
      return not pcall(here.run, here, 0.001)
    end)
    assert.is_true(thread:results())
    assert.equals(6, count)
    here = nil
  end)

  it("is closed by its own thread when a nested call has ended", function()
    local entered, closing = handoff.unique(), handoff.unique()
    local closer, closed_by
    open({
      hold = function()
        handoff.enter(entered, closing, 1)
        closer:wait_asleep()
      end,
      __close = function() closed_by = handoff.tid() end,
    })
    local s = mtstates.newstate({}, function(of)
      return function() require "mtstates".state(of):call("hold") end
    end, name)
    closer = threads.start(function(id, inside, about_to)
      local mt, gates = require "mtstates", require "handoff"
      local h = mt.state(id)
      gates.wait(inside, 1)
      gates.add(about_to)
      return h:close(60)
    end, here:id(), entered, closing)
    closer:tid()
    s:call()
    assert.is_nil(closed_by)
    here:run(math.huge)
    assert.is_true(closer:results())
    assert.equals(handoff.tid(), closed_by)
    here = nil
  end)

  it("is not closed inside, but quits", function()
    open({
      close = function() here:close() end,
      shutdown = mtstates.shutdown,
      quit = function()
        mtstates.quit()
        return "quit"
      end,
    })
    for _, method in ipairs({"await", "call"}) do
      assert.equals(1, helpers.count(requests.raised(here[method], here,
        "close"), "mtstates.error.concurrent_access"))
    end
    assert.equals(1, helpers.count(requests.raised(here.await, here,
      "shutdown"), "mtstates.error.concurrent_access"))
    assert.equals("quit", here:await("quit"))
    helpers.raises_error("object_closed", here.await, here, "quit")
    open({quit = mtstates.quit})
    here:call("quit")
    helpers.raises_error("object_closed", here.call, here, "quit")
    open({quit = mtstates.quit})
    mtstates.newstate({}, function(of)
      return function() require "mtstates".state(of):call("quit") end
    end, name):call()
    helpers.raises_error("object_closed", here.call, here, "quit")
    here = nil
    helpers.raises(mtstates.quit)
  end)

  it("is closed with its Lua state while others wait", function()
    local lua = host.open()
    assert.is_true(host.run(lua, ([[
      local mtstates = require "mtstates"
      here = mtstates.here(%q, {
        wait = function() mtstates.sleep(1000) end,
        __close = function() require "handoff".add(%q) end,
      })
      here:send("wait")
      here:run()
    ]]):format(name, name)))
    local threads_waiting = {waiting("await", "wait"), waiting("call", "wait")}
    local future = mtstates.state(name):async("wait")
    local reference = mtstates.state(name)
    host.close(lua)
    assert.equals(1, handoff.get(name))
    for _, thread in ipairs(threads_waiting) do
      is_closed_for(thread)
    end
    helpers.raises_error("object_closed", future.await, future)
    helpers.raises_error("object_closed", reference.send, reference)
    helpers.raises_error("unknown_object", mtstates.state, name)
  end)

  -- What it takes is given back: see the sanitizers.
  it("is closed with its Lua state before requests have begun", function()
    local lua = host.open()
    assert.is_true(host.run(lua, ([[
      local mtstates = require "mtstates"
      here = mtstates.here(%q, function() end)
      here:fd()
      mtstates.fork(function() end)
    ]]):format(name)))
    local future = mtstates.state(name):async()
    host.close(lua)
    helpers.raises_error("object_closed", future.await, future)
  end)

  it("leaves nothing when its Lua state is closed", function()
    local long = name .. ("n"):rep(10000) -- is seen if it stays
    local function close_often(times)
      local fd
      for _ = 1, times do
        fd = threads.start(function(of)
          local mt = require "mtstates"
          local h = mt.here(of, function() end)
          h:async()
          mt.fork(function() end)
          return h:fd()
        end, long):results()
        helpers.raises_error("unknown_object", mtstates.state, long)
      end
      helpers.collect()
      return fd, handoff.heap_bytes()
    end
    close_often(50)
    local fd, before = close_often(50)
    local same_fd, after = close_often(100)
    assert.equals(fd, same_fd) -- the system gives the lowest one
    assert.is_true(after - before < 500000, after - before)
  end)

  it("of a thread of another library is as that of a program", function()
    local thread = threads.start(function(of)
      local mt = require "mtstates"
      local tid = require "handoff".tid()
      local done = false
      local h = mt.here(of, function(...)
        done = ... == "end"
        return tid, ...
      end)
      while not done do
        h:run(1)
      end
      return tid
    end, name)
    local s = mtstates.state(name, 60)
    local tid, x = s:await("x")
    assert.equals("x", x)
    assert.same({tid, "y"}, {s:call("y")})
    assert.same({tid, "end"}, {s:await("end")})
    assert.equals(tid, thread:results())
    helpers.raises_error("object_closed", s.await, s)
  end)

  it("is closed by shutdown", function()
    local output, status = helpers.run_program([[
      local mtstates = require "mtstates"
      local count = 0
      local here = mtstates.here("main", {
        add = function() mtstates.sleep(0.001) count = count + 1 end,
        __close = function() print("last", count) end,
      })
      for _ = 1, 5 do here:send("add") end
      local s = mtstates.newstate("s", {}, function()
        return function() end
      end)
      print(mtstates.shutdown(60))
      print(pcall(mtstates.state, "main"), pcall(mtstates.state, "s"))
      print(pcall(here.send, here))
    ]])
    assert.equals(0, status)
    assert.equals(1, output:find("last\t5\ntrue\nfalse", 1, true), output)
    assert.equals(1, helpers.count(output, "object_closed"))
  end)

  it("is closed by a shutdown that waits for nothing", function()
    local output, status = helpers.run_program([[
      local mtstates = require "mtstates"
      local here = mtstates.here({__close = function() print("last") end})
      here:tsend(0)
      while not mtstates.shutdown() do end
      print(true)
    ]])
    assert.equals(0, status)
    assert.truthy(output:find("last\ntrue\n", 1, true), output)
  end)

  it("does not let code wait at the end of the program", function()
    local output, status = helpers.run_program([[
      local mtstates = require "mtstates"
      local here = mtstates.here({
        wait = function() mtstates.sleep(1000) end,
        __close = function() print("last") end,
      })
      if _VERSION == "Lua 5.4" or _VERSION == "Lua 5.5" then
        assert(load([=[
          local mtstates, here = ...
          mtstates.fork(function()
            local guard <close> = setmetatable({}, {__close = function()
              print("closed", pcall(mtstates.sleep, 0.001))
            end})
            mtstates.sleep(1000)
          end)
        ]=]))(mtstates, here)
      else
        print("closed\tfalse\tmtstates.error.object_closed")
      end
      mtstates.sleep(0)
    ]])
    assert.equals(0, status, output)
    assert.truthy(output:find("closed\tfalse\t[^\n]*object_closed"), output)
  end)

  it("lets its tasks be cancelled and interrupted", function()
    local gate = handoff.unique()
    local function loop()
      handoff.add(gate)
      while true do end
    end
    local jit = rawget(_G, "jit")
    if jit then
      jit.off(loop)
    end
    open({
      sleep = function() mtstates.sleep(1000) end,
      hold = function()
        handoff.add(gate)
        helpers.hold(mtstates.sleep, 1000)
      end,
      loop = loop,
      nest = function(id) mtstates.state(id):call() end,
    })
    local future = here:async("sleep")
    here:run()
    assert.is_true(future:cancel())
    helpers.raises_error("cancelled", future.await, future)
    for _, what in ipairs({"hold", "loop"}) do
      local thread = threads.start(function(g, of, choice)
        local mt, gates = require "mtstates", require "handoff"
        local asked = mt.state(of):async(choice)
        gates.wait(g, 1)
        if not asked:cancel() then
          return true
        end
        return pcall(asked.await, asked)
      end, gate, name, what)
      here:run(60)
      local ok, err = thread:results()
      assert.is_false(ok)
      assert.equals(1, helpers.count(err, "mtstates.error.cancelled"))
      handoff.set(gate, 0)
    end
    local other = mtstates.newstate(function(of)
      local mt = require "mtstates"
      return function() mt.state(of):call("loop") end
    end, name)
    for _, what in ipairs({"loop", "nest"}) do -- nested in a call of other
      local thread = threads.start(function(g, of, choice, id)
        local mt, gates = require "mtstates", require "handoff"
        local asked = mt.state(of):async(choice, id)
        gates.wait(g, 1)
        mt.state(of):interrupt()
        return pcall(asked.await, asked)
      end, gate, name, what, other:id())
      here:run(60)
      local ok, err = thread:results()
      assert.is_false(ok)
      assert.equals(1, helpers.count(err, "mtstates.error.interrupted"))
      handoff.set(gate, 0)
    end
    -- code that is no task's is not hit, nor is it slower afterwards
    here:interrupt(true)
    for _ = 1, 1000 do end
    assert.is_nil(debug.gethook())
    here:interrupt(false)
  end)

  it("is not made anew by finalizers behind its own", function()
    local output, status = helpers.run_program([[
      local mtstates
      local function keep()
        return require "on_collect"(function()
          print(pcall(mtstates.here))
          print(pcall(mtstates.fork, print))
        end)
      end
      kept = {keep()} -- finalized behind what the module has made when loaded,
      mtstates = require "mtstates"
      kept[2] = keep() -- and before that
      mtstates.here("behind")
    ]])
    assert.equals(0, status)
    assert.equals(4, helpers.count(output,
      "false\tmtstates.error.object_closed: this Lua state"))
  end)
end)
