-- Faults that a reader found in cancel, own threads and closing:
-- 1. A thread that had waited for the mutex of its state at the begin or the
--    end of a wait did not look for interrupts, and who had the mutex sent no
--    signal: the interrupt, or the cancel, was lost.
-- 2. Last functions that close further states were nested without bound, on
--    the C stack.
-- 3. The name of a thread was that of a string that code which runs while the
--    arguments are read could have collected.
-- 4. shutdown(timeout) waited, as long as it could, for states that had ended
--    before it made queues for them.
-- 5. The last function of a state could begin while the thread that closed it
--    had not failed all requests, and got a false deadlock from code that
--    waited for one of them.
-- 6. A state whose last request had just been answered was closed before its
--    last function had run, as the worker was still in its turn.
-- 7. A state whose own thread had been started, but did not run yet, was
--    closed by another thread.

local helpers = require "helpers"

local prelude = [[
  local mtstates = require "mtstates"
  local handoff = require "handoff"
]]

-- What the logger has not got at the end goes to stderr; what somebody has
-- heard of can still be under way.
local function run(program)
  local output, status = helpers.run_program(prelude .. program ..
    " while mtstates.stats().requests > 0 do handoff.breathe() end")
  output = output:gsub("mtstates: warning: [^\n]* requests failed\n", "")
  assert.same({"fine\n", 0}, {output, status})
end

describe("regression 034", function()
  before_each(helpers.watch("regression 034"))
  after_each(helpers.unwatch)

  it("no interrupt of code that waits again and again is lost", function()
    run [=[
      local s = mtstates.newstate([[
        local hold = require "helpers".hold
        local mtstates = require "mtstates"
        return function()
          while true do hold(mtstates.sleep, 1e-6) end
        end
      ]])
      for i = 1, 20000 do
        local future = s:async()
        for _ = 1, i % 100 * 50 do end
        s:interrupt()
        if pcall(future.tawait, future, 20) then
          print("lost", i)
          os.exit(1, false)
        end
      end
      print("fine")
    ]=]
  end)

  it("last functions that close states nest as deep as calls", function()
    run [=[
      mtstates.logger(function() end)
      local first
      local states = {}
      for i = 1, 20000 do
        first = mtstates.newstate({libs = false}, function(following)
          return {__close = function()
            if following then following:close() end
          end}
        end, first)
        states[i] = first
      end
      first:close()
      while mtstates.stats().requests > 0 do handoff.breathe() end
      print("fine")
      os.exit(0, false)
    ]=]
  end)

  it("the name of a thread is kept while arguments are read", function()
    local mtstates = require "mtstates"
    local options = {name = ("n"):rep(1000)}
    local class = mtstates.class("regression 034", {
      __transfer = function()
        options.name = nil
        helpers.collect()
        for i = 1, 100 do
          options[i] = ("x"):rep(997) .. i + 100
        end
      end})
    local future, s = mtstates.thread(options, "", setmetatable({}, class))
    assert.is_false(pcall(future.await, future)) -- no such class there
    assert.is_true(s:name() == ("n"):rep(1000))
  end)

  it("shutdown waits for no state that has ended", function()
    run [=[
      for _ = 1, 20 do
        local states = {}
        local closing = mtstates.newstate([[
          local mtstates = require "mtstates"
          return function(first, last)
            for id = last, first, -1 do
              local is_open, s = pcall(mtstates.state, id)
              if is_open then pcall(s.close, s) end
            end
          end
        ]])
        for i = 1, 150 do
          states[i] = mtstates.newstate({}, "return function() end")
        end
        local future = closing:async(states[1]:id(), states[150]:id())
        mtstates.sleep(1e-3)
        assert(mtstates.shutdown(1000))
        future:await()
      end
      print("fine")
    ]=]
  end)

  it("a last function may call who waits for a failing request", function()
    run [=[
      mtstates.logger(function() end)
      local result, promise = mtstates.promise()
      local s = mtstates.newstate({queue = math.huge}, function(promise)
        local mtstates = require "mtstates"
        return {
          run = function(id)
            while pcall(mtstates.state, id) do end -- until it is closing
          end,
          __close = function()
            promise:set(pcall(function()
              return mtstates.state("waiting"):call("answer", "fine")
            end))
          end
        }
      end, promise)
      local waiting = mtstates.newstate("waiting", {}, function()
        local handoff, helpers = require "handoff", require "helpers"
        return {
          await = function(future)
            handoff.set("awaiting", 1)
            return (helpers.hold(pcall, future.await, future))
          end,
          answer = function(...) return ... end
        }
      end)
      s:send("run", s:id())
      for _ = 1, 100000 do s:send() end
      local future = waiting:async("await", s:async())
      handoff.wait("awaiting", 1)
      s:close()
      assert(future:await() == false)
      local _, answer = result:await()
      print(answer)
    ]=]
  end)

  it("close waits for the last function after the last answer", function()
    run [=[
      for i = 1, 2000 do
        local s = mtstates.newstate({own_thread = i % 2 == 0}, function()
          local mtstates = require "mtstates"
          local handoff = require "handoff"
          return {
            run = function() end,
            __close = function()
              mtstates.sleep(1e-3)
              handoff.add("closed")
            end
          }
        end)
        s:await("run")
        if i % 4 < 2 then
          s:close()
        else
          assert(s:close(50))
        end
        assert(handoff.get("closed") == i)
      end
      print("fine")
    ]=]
  end)

  it("an own thread closes its state, however young that is", function()
    run [=[
      for _ = 1, 300 do
        local s = mtstates.newstate({own_thread = true}, function()
          local handoff = require "handoff"
          return {
            __close = function() handoff.set("closer", handoff.tid()) end
          }
        end)
        s:close()
        assert(handoff.get("closer") ~= handoff.tid())
      end
      print("fine")
    ]=]
  end)
end)
