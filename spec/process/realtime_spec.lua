-- Notifying a service is fit for a real-time thread: it takes no lock and no
-- memory, sleeps never, and makes no system call but the wake-up, also while
-- everybody else is busy. What the thread calls is counted by callcount.c,
-- which stands before the C library.

local helpers = require "helpers"

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local host = require "host"
  local mtstates = require "mtstates"
  local realtime = require "realtime"
  handoff.watchdog(150, "realtime")
  local function counting(options)
    return mtstates.newstate(options, function()
      local gates = require "handoff"
      local count = 0
      return function(entered, leave)
        if not entered then
          count = count + 1
        elseif leave then
          gates.enter(entered, leave, 1)
        end
        return count
      end
    end)
  end
  -- All processors and workers are in use until the gate "rest" is moved.
  local function be_busy()
    local busy = {}
    for i = 1, 6 do
      busy[i] = mtstates.newstate("busy " .. i, {}, [=[
        local gates = require "handoff"
        local mt = require "mtstates"
        return function()
          gates.add("busy")
          local other = mt.state(("busy %d"):format(math.random(1, 6)))
          for i = 1, 1000 do
            local t = {("x"):rep(i)}
          end
          if gates.get("rest") == 0 then
            other:send()
          end
        end
      ]=])
    end
    for i = 1, 12 do
      busy[i % 6 + 1]:send()
    end
    for _ = 1, 2 do
      host.start([=[
        local gates = require "handoff"
        local s = require "mtstates".state("busy 1")
        while gates.get("rest") == 0 do
          s:tcall(0)
        end
      ]=])
    end
    handoff.wait("busy", 100)
    return busy
  end
  local function check(calls, times, most_wakes)
    for _, what in ipairs({"memory", "locks", "others", "switches"}) do
      assert(calls[what] == 0, ("%s: %.0f"):format(what, calls[what]))
    end
    assert(calls.wakes <= most_wakes, ("wakes: %.0f"):format(calls.wakes))
    assert(calls.accepted == times and calls.closed == 0)
  end
  local function await_count(s, count)
    while s:await("look") < count do end
    assert(s:await("look") == count)
  end
]==]

local it_preloads = helpers.it_needs(
  io.open("/proc/self/maps") ~= nil, "preloaded libraries")

-- Programs print fine. What is busy at the end is lost.
local function run(program)
  local path = package.cpath:match("[^;]*support/%?%.so"):gsub("%?",
    "callcount")
  local output, status = helpers.run_program(prelude .. program ..
    " print('fine') os.exit(0)", "MTSTATES_WORKERS=2 LD_PRELOAD=" .. path)
  assert.same({"fine", 0}, {output:match("^[^\n]*"), status})
end

describe("notifying a service #preload", function()
  before_each(helpers.watch("realtime"))
  after_each(helpers.unwatch)

  it_preloads("is seen by what counts", function()
    run([[
      local calls = realtime.control()
      for what, count in pairs({memory = 2, locks = 2, wakes = 1, others = 1,
                                switches = 1}) do
        assert(calls[what] == count, what)
      end
    ]])
  end)

  for _, options in ipairs({"{}", "{own_thread = true}"}) do
    it_preloads("only wakes somebody, with options " .. options, function()
      run(([[
        local s = counting(%s)
        check(realtime.notify(s, 1), 1, 1)
        check(realtime.notify(s, 50000), 50000, 50000)
        await_count(s, 50001)
      ]]):format(options))
    end)

    it_preloads("that is busy wakes nobody twice, with " .. options,
      function()
        run(([[
          local s = counting(%s)
          local held = s:async("entered", "leave")
          handoff.wait("entered", 1)
          local busy = be_busy()
          check(realtime.notify(s, 50000), 50000, 1)
          check(realtime.notify(s, 50000), 50000, 1)
          handoff.set("leave", 1)
          held:await()
          check(realtime.notify(s, 50000), 50000, 50000)
          handoff.set("rest", 1)
          await_count(s, 150000)
        ]]):format(options))
      end)
  end

  it_preloads("that is closed makes no call at all", function()
    run([[
      local busy = be_busy()
      local s = counting({})
      s:close()
      local calls = realtime.notify(s, 10000)
      for what, count in pairs(calls) do
        assert(count == (what == "closed" and 10000 or 0), what)
      end
    ]])
  end)
end)
