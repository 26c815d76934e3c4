-- Many threads of the module, one after the other and at once: memory, threads
-- and descriptors stay as they are.

local helpers = require "helpers"

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local mtstates = require "mtstates"
  handoff.watchdog(300, "own threads")
  local function collect()
    collectgarbage()
    collectgarbage()
  end
  local function wait_until(condition)
    for _ = 1, 30000 do
      if condition() then
        return
      end
      handoff.breathe()
    end
    error("the condition never came true", 2)
  end
  local function descriptors()
    local pipe = io.popen("ls /proc/$PPID/fd | wc -l")
    local count = tonumber(pipe:read("*a"))
    pipe:close()
    return count
  end
  -- Runs f once, and then `rounds` times; looks that nothing is left.
  local function check_flat(rounds, f)
    mtstates.newstate({}, "return type"):await(1) -- the workers are there
    f()
    f()
    collect()
    local threads = handoff.thread_count()
    local bytes, open = handoff.heap_bytes(), descriptors()
    for _ = 1, rounds do
      f()
    end
    collect()
    wait_until(function() return mtstates.stats().requests == 0 end)
    wait_until(function() return handoff.thread_count() <= threads end)
    wait_until(function() return descriptors() <= open end)
    local grown
    local tries = 0
    repeat -- workers can be about to give something back
      handoff.breathe()
      collect()
      grown = handoff.heap_bytes() - bytes
      tries = tries + 1
    until grown < 300000 or tries == 1000
    assert(grown < 300000, ("%.0f bytes are left"):format(grown))
  end
]==]

local function run(program)
  local output, status = helpers.run_program(prelude .. program ..
    " print('fine')", "MTSTATES_WORKERS=2", 300)
  assert.same({"fine\n", 0}, {output, status})
end

describe("own threads #memory", function()
  before_each(helpers.watch("memory of own threads", 300))
  after_each(helpers.unwatch)

  it("leave nothing, one after the other", function()
    run([[
      check_flat(1000, function()
        assert(mtstates.thread("return ...", 1):await() == 1)
      end)
    ]])
  end)

  it("leave nothing, 50 at once", function()
    run([[
      check_flat(4, function()
        local futures = {}
        for i = 1, 50 do
          futures[i] = mtstates.thread([=[
            local gates = require "handoff"
            gates.enter("entered", "leave", 1)
            return ...
          ]=], i)
        end
        handoff.wait("entered", 50)
        assert(handoff.thread_count() >= 51)
        handoff.set("leave", 1)
        for i = 1, 50 do
          assert(futures[i]:await() == i)
        end
        handoff.set("entered", 0)
        handoff.set("leave", 0)
        wait_until(function() return handoff.thread_count() < 50 end)
      end)
    ]])
  end)

  it("leave nothing when they are detached", function()
    run([[
      local before = 0
      check_flat(100, function()
        mtstates.thread("require 'handoff'.add('detached')")
        before = before + 1
        handoff.wait("detached", before)
        collect()
      end)
    ]])
  end)

  it("leave nothing when their states are closed, in any way", function()
    run([[
      check_flat(50, function()
        local s = mtstates.newstate({own_thread = true}, "return type")
        assert(s:call(1) == "number" and s:await(1) == "number")
        s:close()
        s = mtstates.newstate({own_thread = true}, "return type")
        s:send(1)
        assert(s:close(60))
        s = mtstates.newstate({own_thread = true}, "return type")
        s:async(1)
        s = nil
        collect()
        local future = mtstates.thread("require 'mtstates'.sleep(60)")
        assert(future:cancel())
        assert(not pcall(future.await, future))
      end)
    ]])
  end)

  it("that block hold no worker", function()
    run([[
      mtstates.workers(1)
      local states, futures = {}, {}
      for i = 1, 20 do
        states[i] = mtstates.newstate({own_thread = true}, [=[
          local gates = require "handoff"
          return function()
            gates.enter("entered", "leave", 1)
          end
        ]=])
        futures[i] = states[i]:async()
      end
      handoff.wait("entered", 20)
      local echo = mtstates.newstate({}, "return type")
      for _ = 1, 1000 do
        assert(echo:await(1) == "number")
      end
      -- A worker that was kept from running is replaced for a moment.
      wait_until(function() return mtstates.stats().replacements == 0 end)
      handoff.set("leave", 1)
      for i = 1, 20 do
        futures[i]:await()
      end
    ]])
  end)
end)
