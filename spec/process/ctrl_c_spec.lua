-- Ctrl-C in waits of a main program: the standalone interpreter stops there as
-- it would in Lua code, soon and with its own error.

local helpers = require "helpers"

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local host = require "host"
  local mtstates = require "mtstates"
  local HOLDING = [=[
    local gates = require "handoff"
    return function(entered)
      if entered then
        gates.enter(entered, "never", 1)
      end
    end
  ]=]
  local own = mtstates.newstate({own_thread = true}, HOLDING)
  own:send("own entered")
  local held = mtstates.newstate({queue = 1}, HOLDING)
  held:send("entered")
  handoff.wait("own entered", 1)
  handoff.wait("entered", 1)
  -- Has the process get the signal as soon as this thread sleeps.
  local function press()
    handoff.put("main", handoff.tid())
    host.start([=[
      local gates = require "handoff"
      gates.wait_asleep(gates.take("main"))
      io.popen("kill -INT $PPID"):close()
    ]=])
  end
]==]

-- What waits, and how. Nobody ends these waits.
local waits = {
  {"await", "held:await()"},
  {"tawait", "held:tawait(1000)"},
  {"await of a future", "held:async():await()"},
  {"tawait of a future", "held:async():tawait(1000)"},
  {"await of a promise", [[
    local future, promise = mtstates.promise()
    kept = promise
    future:await()
  ]]},
  {"each", "for _ in mtstates.each(held:async()) do break end"},
  {"map", "for _ in held:map({false}) do break end"},
  {"sleep", "mtstates.sleep(1000)"},
  {"state", "mtstates.state('nobody', 1000)"},
  {"send", "held:send() held:send()"},
  {"async", "held:async() held:async()"},
  {"tsend", "held:send() held:tsend(1000)"},
  {"close", "held:close(1000)"},
  {"shutdown", "mtstates.shutdown(1000)"},
  {"await of an own thread", "own:await()"},
  {"call of an own thread", "own:call()"},
  {"tcall of an own thread", "own:tcall(1000)"},
  {"run", "mtstates.here():run(1000)"},
  {"await of here", "mtstates.here(mtstates.sleep):await(1000)"}
}

if helpers.compile("local x <close> = nil") then
  waits[#waits + 1] = {"the end of a scope", [[
    local scoped <close> = mtstates.newstate({own_thread = true}, function()
      local gates = require "handoff"
      return {__close = function() gates.wait("never", 1) end}
    end)
  ]]}
end

local function run(program)
  local output, status = helpers.run_program(prelude .. program,
    "MTSTATES_WORKERS=2")
  return output:gsub("mtstates: %d+ requests? w%l+ lost [^\n]*\n", ""), status
end

-- Whether the interpreter's hook can be found while a coroutine runs: it is
-- that of the main thread, or all have the same one.
local function finds_hook()
  local main = debug.getregistry()[1]
  debug.sethook(function() end, "", 1000000)
  local is_found = type(main) == "thread" and debug.gethook(main) ~= nil
    or coroutine.wrap(function() return debug.gethook() ~= nil end)()
  debug.sethook()
  return is_found
end

local it_finds_hook = helpers.it_needs(finds_hook(), "hooks of main threads")

describe("Ctrl-C #keyboard", function()
  before_each(helpers.watch("Ctrl-C", 300))
  after_each(helpers.unwatch)

  for _, wait in ipairs(waits) do
    local name, code = wait[1], wait[2]

    it("ends the program in " .. name, function()
      local output, status = run("press() " .. code)
      assert.equals(1, status, output)
      assert.truthy(output:find("interrupted!\n", 1, true), output)
      assert.truthy(output:find("stack traceback:", 1, true), output)
    end)

    -- Then the program goes on, and waits again.
    local function catch(body)
      local output, status = run(([[
        local function wait() %s end
        press()
        print(pcall(%s))
        local echo = mtstates.newstate({}, "return function(x) return x end")
        for i = 1, 1000 do
          assert(echo:await(i) == i)
        end
        mtstates.sleep(0.2) -- longer than it takes to find a hook
        print("fine")
        os.exit(4)
      ]]):format(code, body))
      assert.equals(4, status, output)
      assert.truthy(output:find("^false\t[^\n]*interrupted!\nfine\n$"), output)
    end

    it("is caught around " .. name, function()
      catch("wait")
    end)

    it_finds_hook("is caught around a coroutine in " .. name, function()
      catch("coroutine.wrap(wait)")
    end)
  end

  it("ends no wait of other threads and states", function()
    local output, status = run([[
      local future, promise = mtstates.promise()
      local waiting = {mtstates.thread(function(f)
        require "handoff".add("waiting")
        return f:await()
      end, future)}
      local s = mtstates.newstate({}, function()
        return function(f)
          require "handoff".add("waiting")
          return f:await()
        end
      end)
      waiting[2] = s:async(future)
      handoff.wait("waiting", 2)
      press()
      print(pcall(mtstates.sleep, 1000))
      mtstates.sleep(0.2)
      promise:set("set")
      print(waiting[1]:await(), waiting[2]:await())
      os.exit(4)
    ]])
    assert.equals(4, status, output)
    assert.truthy(output:find("^false\t[^\n]*interrupted!\nset\tset\n$"),
      output)
  end)

  -- Debuggers and profilers have hooks that stay.
  it("is not what every hook means: waits end behind one", function()
    local output, status = run([[
      local hits = 0
      local function is_hooked(...)
        local _, events = debug.gethook(...)
        return events ~= nil and events ~= ""
      end
      local waiting = coroutine.create(function()
        mtstates.sleep(0.15)
        return is_hooked()
      end)
      debug.sethook(function() hits = hits + 1 end, "c")
      local before = mtstates.now()
      mtstates.sleep(0.15)
      local took, seen = mtstates.now() - before, hits
      local ok, is_there = coroutine.resume(waiting)
      local stays = is_hooked(waiting)
      debug.sethook()
      if rawget(_G, "jit") then -- it has one hook for all coroutines
        is_there, stays = false, false
      end
      print(took >= 0.15, seen > 0 and seen < 50, ok, is_there, stays)
      os.exit(4)
    ]])
    assert.equals(4, status, output)
    assert.equals("true\ttrue\ttrue\tfalse\tfalse\n", output)
  end)

  it("is no matter of waits when it has stopped Lua code", function()
    local output, status = run([[
      handoff.put("main", handoff.tid())
      host.start([=[
        local gates = require "handoff"
        gates.wait("looping", 1)
        io.popen("kill -INT $PPID"):close()
      ]=])
      print(pcall(function()
        handoff.add("looping")
        while true do handoff.get("looping") end
      end))
      mtstates.sleep(0.2)
      print("fine")
      os.exit(4)
    ]])
    assert.equals(4, status, output)
    assert.truthy(output:find("^false\t[^\n]*interrupted!\nfine\n$"), output)
  end)
end)
