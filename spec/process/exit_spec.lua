-- How processes end, and how Lua states do that own states which are in use.
-- Each program has a process of its own, whose exit status is checked.  The
-- threads are native ones, with Lua states of their own (see host.c).

local helpers = require "helpers"

local prelude = [[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local host = require "host"
  local mtstates = require "mtstates"
]]

local function run(program, expected_output, expected_status)
  local output, status = helpers.run_program(prelude .. program)
  assert.same({expected_output, expected_status}, {output, status})
end

local it_closes = helpers.it_needs_closing_exit()

describe("the end of the main program", function()
  before_each(helpers.watch("exit"))
  after_each(helpers.unwatch)

  -- Three threads are in callbacks of states that the main state owns, one
  -- waits for the first of them, one calls a fourth all the time.  Nobody gets
  -- on before the main state is closed.
  local busy = [[
    local states = {}
    for i = 1, 4 do
      states[i] = mtstates.newstate("busy " .. i, function()
        local gates = require "handoff"
        guard = require "on_collect"(function() gates.add("closed") end)
        return function(what)
          if what == "wait" then
            gates.enter("entered", "leave", 1)
            return "left"
          end
        end
      end)
    end
    for i = 1, 3 do
      host.start(([=[
        local gates = require "handoff"
        local s = require "mtstates".state("busy %d")
        assert(s:call("wait") == "left")
        gates.add("left")
      ]=]):format(i))
    end
    handoff.wait("entered", 3)
    host.start([=[
      local gates = require "handoff"
      local mtstates = require "mtstates"
      local s = mtstates.state("busy 1")
      gates.put("waiter", gates.tid())
      local ok, err = pcall(s.call, s)
      assert(not ok and err:find(mtstates.error.object_closed, 1, true))
      gates.add("left")
    ]=])
    handoff.wait_asleep(handoff.take("waiter"))
    host.start([=[
      local gates = require "handoff"
      local mtstates = require "mtstates"
      local s = mtstates.state("busy 4")
      gates.add("calling")
      local ok, err
      repeat
        ok, err = pcall(s.call, s)
      until not ok
      assert(err:find(mtstates.error.object_closed, 1, true))
      gates.add("left")
    ]=])
    handoff.wait("calling", 1)
    host.at_exit([=[
      local gates = require "handoff"
      gates.wait("left", 2)
      gates.wait("closed", 1)
      gates.set("leave", 1)
      gates.wait("left", 5)
      gates.wait("closed", 4)
      print("closed")
    ]=])
  ]]

  it("lets threads finish their calls of states that it owns", function()
    run(busy, "closed\n", 0)
  end)

  it("by an error lets threads finish, too", function()
    local output, status = helpers.run_program(prelude .. busy .. [[
      error("the end", 0)
    ]])
    assert.equals(1, status)
    assert.truthy(output:find("the end", 1, true))
    assert.equals("closed\n", output:match("[^\n]*\n$"))
  end)

  it_closes("by os.exit lets threads finish, too", function()
    run(busy .. "os.exit(3, true)", "closed\n", 3)
  end)

  it_closes("by os.exit in a coroutine lets them finish, too", function()
    run(busy .. "coroutine.wrap(function() os.exit(3, true) end)()",
      "closed\n", 3)
  end)

  it("by os.exit without closing leaves everything as it is", function()
    run(busy:gsub("host%.at_exit.*$", "") .. "os.exit(3)", "", 3)
  end)

  it("lets threads go on that interrupt and are interrupted", function()
    run([[
      local s = mtstates.newstate("interrupted", function()
        require "interruptible"
        return function()
          while true do end
        end
      end)
      for _, method in ipairs({"call", "interrupt"}) do
        host.start(([=[
          local gates = require "handoff"
          local mtstates = require "mtstates"
          local s = mtstates.state("interrupted")
          gates.add("started")
          local ok, err
          repeat
            ok, err = pcall(s.%s, s)
          until not ok and err:find(mtstates.error.object_closed, 1, true)
          gates.add("left")
        ]=]):format(method))
      end
      host.at_exit("require 'handoff'.wait('left', 2) print('left')")
      handoff.wait("started", 2)
    ]], "left\n", 0)
  end)

  it("comes while threads create states", function()
    run([[
      for _ = 1, 3 do
        host.start([=[
          local gates = require "handoff"
          local mtstates = require "mtstates"
          gates.add("started")
          while true do
            local s = mtstates.newstate(false, "return function() end")
            pcall(mtstates.singleton, "same", false, "return function() end")
            pcall(function() mtstates.state("same"):close() end)
            s:close()
          end
        ]=])
      end
      handoff.wait("started", 3)
      for _ = 1, 50 do
        pcall(mtstates.singleton, "same", "return function() end")
      end
      os.exit(3, true)
    ]], "", 3)
  end)

  it("is not held up by a setup that waits or who waits for it", function()
    run([[
      host.start([=[
        require "mtstates".singleton("slow", function()
          local gates = require "handoff"
          gates.enter("in setup", "never", 1)
        end)
      ]=])
      handoff.wait("in setup", 1)
      host.start([=[
        local gates = require "handoff"
        gates.put("waiter", gates.tid())
        require "mtstates".singleton("slow", "return function() end")
      ]=])
      handoff.wait_asleep(handoff.take("waiter"))
      os.exit(3, true)
    ]], "", 3)
  end)

  it("comes although interrupts are pending", function()
    run([[
      local idle = mtstates.newstate("return function() end")
      local busy = mtstates.newstate("busy", function()
        local gates = require "handoff"
        return function()
          gates.enter("entered", "never", 1)
        end
      end)
      host.start("local s = require 'mtstates'.state('busy') " ..
        "pcall(s.call, s)")
      handoff.wait("entered", 1)
      idle:interrupt()
      idle:interrupt(true)
      busy:interrupt(true)
      os.exit(3, true)
    ]], "", 3)
  end)
end)

describe("os.exit in a callback", function()
  before_each(helpers.watch("exit in a callback"))
  after_each(helpers.unwatch)

  it("ends the process", function()
    run([[
      local s = mtstates.newstate("return function() os.exit(3, true) end")
      pcall(s.call, s)
      print("not reached")
    ]], "", 3)
  end)

  it("ends the process from a setup", function()
    run([[
      pcall(mtstates.newstate, "os.exit(3, true)")
      print("not reached")
    ]], "", 3)
  end)

  it("ends the process from a finalizer of a state that is closed", function()
    run([[
      local s = mtstates.newstate(function()
        guard = require "on_collect"(function() os.exit(3, true) end)
        return function() end
      end)
      s:close()
      print("not reached")
    ]], "", 3)
  end)

  it("ends the process from deep within, while others wait", function()
    run([[
      local outer = mtstates.newstate("outer", function()
        local mt = require "mtstates"
        local inner = mt.newstate("inner", function()
          local own = require "mtstates"
          return function(depth)
            return coroutine.wrap(function()
              if depth > 0 then
                return own.state(own.id()):call(depth - 1)
              end
              local gates = require "handoff"
              gates.add("inside")
              gates.wait_asleep(gates.take("waiter"))
              gates.wait_asleep(gates.take("waiter"))
              os.exit(3, true)
            end)()
          end
        end)
        return function() return inner:call(3) end
      end)
      for _, name in ipairs({"inner", "outer"}) do
        host.start(([=[
          local gates = require "handoff"
          gates.wait("inside", 1)
          gates.put("waiter", gates.tid())
          local s = require "mtstates".state("%s")
          pcall(s.call, s, 0)
        ]=]):format(name))
      end
      pcall(outer.call, outer)
      print("not reached")
    ]], "", 3)
  end)

  it("ends the process from another thread than the main one", function()
    run([[
      local s = mtstates.newstate("exiting", function()
        local gates = require "handoff"
        return function()
          gates.add("inside")
          gates.wait_asleep(gates.take("main"))
          os.exit(3, true)
        end
      end)
      host.start("require 'mtstates'.state('exiting'):call()")
      handoff.wait("inside", 1)
      handoff.put("main", handoff.tid())
      pcall(s.call, s)
      handoff.wait("never", 1)
    ]], "", 3)
  end)

  -- The Lua state that is being closed runs finalizers, which call others,
  -- which call it back.
  it_closes("lets finalizers of the state use it and others", function()
    run([[
      local other = mtstates.newstate("other", function()
        local mt = require "mtstates"
        return function(id)
          return mt.state(id):call("back")
        end
      end)
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        local other = mt.state("other")
        local owned = mt.newstate("return function() return 'owned' end")
        guard = require "on_collect"(function()
          print(other:call(mt.id()), owned:call())
        end)
        return function(what)
          if what == "exit" then
            coroutine.wrap(function() os.exit(3, true) end)()
          end
          return what
        end
      end)
      pcall(s.call, s, "exit")
      print("not reached", other)
    ]], "back\towned\n", 3)
  end)
end)

describe("the end of a thread", function()
  before_each(helpers.watch("end of a thread"))
  after_each(helpers.unwatch)

  it("that owns a busy state closes it when the call returns", function()
    run([[
      local owner = host.start([=[
        local gates = require "handoff"
        local s = require "mtstates".newstate("owned", function()
          local gates = require "handoff"
          guard = require "on_collect"(function() gates.add("closed") end)
          return function(...)
            gates.enter("entered", "leave", 1)
            return ...
          end
        end)
        gates.put("id", s:id())
        gates.wait("entered", 1)
      ]=])
      local id = handoff.take("id")
      local caller = host.start([=[
        local s = require "mtstates".state("owned")
        print(s:call("result"))
        local ok, err = pcall(s.call, s)
        print(ok, err:match("mtstates%.error%.[%w_]+"))
      ]=])
      host.join(owner)
      print((pcall(mtstates.state, id)), handoff.get("closed") == 0)
      handoff.set("leave", 1)
      host.join(caller)
      handoff.wait("closed", 1)
      print("end")
    ]], "false\ttrue\nresult\nfalse\tmtstates.error.object_closed\nend\n", 0)
  end)

  it("whose Lua state stays open leaves its states open", function()
    run([[
      host.start_bare([=[
        local gates = require "handoff"
        kept = require "mtstates".newstate("kept", function()
          return function(x) return x end
        end)
        gates.put("tid", gates.tid())
      ]=])
      local tid = handoff.take("tid")
      while handoff.wait_asleep(tid) do end
      local s = mtstates.state("kept")
      assert(s:tcall(0, 1))
      s:interrupt()
      print((pcall(s.call, s, 2)))
      print(s:call("open"))
      os.exit(3, true)
    ]], "false\nopen\n", 3)
  end)
end)

describe("a host in C", function()
  before_each(helpers.watch("host"))
  after_each(helpers.unwatch)

  it("closes Lua states that have loaded the module in any order", function()
    run([[
      local orders = {
        {1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}
      }
      local function must(is_fine, err)
        if not is_fine then
          error(err, 0)
        end
      end
      for _, order in ipairs(orders) do
        local lua = {}
        for i = 1, 3 do
          lua[i] = host.open()
          must(host.run(lua[i], ([=[
            mtstates = require "mtstates"
            owned = mtstates.newstate("of %d", function(i)
              local mt = require "mtstates"
              return function(other)
                return other and mt.state(other):call() or i
              end
            end, %d)
          ]=]):format(i, i)))
        end
        for i = 1, 3 do
          local next_one = i % 3 + 1
          must(host.run(lua[i], ([=[
            other = mtstates.state("of %d")
            assert(other:call() == %d and owned:call("of %d") == %d)
          ]=]):format(next_one, next_one, next_one, next_one)))
        end
        for _, i in ipairs(order) do
          host.close(lua[i])
          lua[i] = nil
          for k = 1, 3 do
            if lua[k] then
              must(host.run(lua[k], ([=[
                local ok, err = pcall(mtstates.state, "of %d")
                assert(not ok and err:find(mtstates.error.unknown_object))
                assert(owned:call() == %d)
                local again = mtstates.newstate("return print")
              ]=]):format(i, k)))
            end
          end
        end
      end
      print("closed")
    ]], "closed\n", 0)
  end)

  -- Here the main program does not load the module itself.  The Lua state
  -- that is closed while it is in use is the last one that has loaded it, or
  -- the state that is in use loads it, too, and is closed inside the module.
  for _, who in ipairs({"another", "the same"}) do
    it("unloads the module while a thread is in a call of " .. who ..
       " Lua state", function()
      local output, status = helpers.run_program(([[
        local handoff = require "handoff"
        local host = require "host"
        local function load_module()
          local lua = host.open()
          assert(host.run(lua, "mtstates = require 'mtstates'"))
          return lua
        end
        assert(not host.is_loaded("/mtstates.so"))
        local lua = load_module()
        assert(host.run(lua, [=[
          s = mtstates.newstate(function(who)
            local gates = require "handoff"
            guard = require "on_collect"(function() gates.add("closed") end)
            if who == "the same" then
              require "mtstates"
            end
            return function()
              gates.enter("entered", "leave", 1)
            end
          end, "%s")
          require "handoff".put("id", s:id())
          notifier = require "capidriver".notifier(s)
          job = notifier:start()
          require "handoff".put("tid", job:tid())
          notifier:release()
        ]=]))
        handoff.wait("entered", 1)
        host.close(lua)
        assert(host.is_loaded("/mtstates.so"))
        handoff.set("leave", 1)
        handoff.wait("closed", 1)
        local tid = handoff.take("tid")
        while handoff.wait_asleep(tid) do end -- until it is gone
        lua = load_module()
        assert(host.run(lua, "id = mtstates.newstate('return print'):id()" ..
          "require 'handoff'.put('id', id)"))
        print(handoff.take("id") < handoff.take("id"))
        host.close(lua)
      ]]):format(who))
      assert.same({"true\n", 0}, {output, status})
    end)
  end
end)
