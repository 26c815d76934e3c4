-- Nobody keeps others from having their turn: states with requests without
-- end, and callers without end. There is one worker.

local helpers = require "helpers"

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local host = require "host"
  local mtstates = require "mtstates"
  handoff.watchdog(300, "fairness")
  local others = {}
  for i = 1, 20 do
    others[i] = mtstates.newstate({}, "return function(...) return ... end")
  end
  local function check(times)
    for n = 1, times or 20 do
      for i = 1, 20 do
        assert(others[i]:await(n) == n)
      end
    end
  end
  -- A state that adds to the gate, and sends to the state whose name it gets.
  local function sender(name)
    return mtstates.newstate(name, {}, function()
      local gates, mt = require "handoff", require "mtstates"
      local next_one
      return function(next_name)
        if not next_name then
          return "called"
        end
        next_one = next_one or mt.state(next_name)
        gates.add("turns")
        next_one:send(mt.state(mt.id()):name())
      end
    end)
  end
]==]

local function run(program)
  local output, status = helpers.run_program(prelude .. program ..
    "print('fine') os.exit(0)", "MTSTATES_WORKERS=1")
  assert.same({"fine", 0}, {output:match("^[^\n]*"), status})
end

describe("there are turns for all", function()
  before_each(helpers.watch("fairness", 360))
  after_each(helpers.unwatch)

  it("while a state sends to itself without end", function()
    run([[
      local s = sender("itself")
      s:send("itself")
      handoff.wait("turns", 100)
      check()
      for i = 1, 50 do
        assert(s:call() == "called")
        assert(s:await() == "called")
      end
      local before = handoff.get("turns")
      handoff.wait("turns", before + 100)
    ]])
  end)

  it("while two states send to each other without end", function()
    run([[
      local a, b = sender("a"), sender("b")
      a:send("b")
      handoff.wait("turns", 100)
      check()
      for i = 1, 50 do
        assert(a:call() == "called")
        assert(b:await() == "called")
      end
      local before = handoff.get("turns")
      handoff.wait("turns", before + 100)
    ]])
  end)

  it("while threads send to a state without end", function()
    run([[
      local flooded = mtstates.newstate("flooded", {queue = 50}, [=[
        return function(x) return x end
      ]=])
      for i = 1, 3 do
        host.start([=[
          local s = require "mtstates".state("flooded")
          while true do
            s:send()
            require "handoff".add("sent")
          end
        ]=])
      end
      handoff.wait("sent", 1000)
      check()
      for i = 1, 50 do
        assert(flooded:call(i) == i)
        assert(flooded:await(i) == i)
      end
    ]])
  end)

  it("while threads call a state without end", function()
    run([[
      local called = mtstates.newstate("called", {}, [=[
        local gates = require "handoff"
        return function(x)
          if not x then
            gates.breathe() -- so that there always is one who waits
          end
          return x
        end
      ]=])
      for i = 1, 3 do
        host.start([=[
          local s = require "mtstates".state("called")
          while true do
            s:call()
            require "handoff".add("calls")
          end
        ]=])
      end
      handoff.wait("calls", 10)
      check()
      for i = 1, 100 do
        assert(called:await(i) == i)
      end
      local before = handoff.get("calls")
      handoff.wait("calls", before + 100)
    ]])
  end)

  it("while a thousand states have requests", function()
    run([[
      local states = {}
      for i = 1, 1000 do
        states[i] = mtstates.newstate({libs = false}, [=[
          return function(x) return x end
        ]=])
      end
      for n = 1, 20 do
        for i = 1, 1000 do
          states[i]:send(n)
        end
      end
      check(1)
      for i = 1, 1000 do
        assert(states[i]:await(i) == i)
      end
    ]])
  end)
end)
