-- Faults that a reader and a model found before requests had been used:
-- 1. A worker that was replaced kept what its request made runnable in its
--    slot, where nobody looked until the request had ended.
-- 2. A worker that was surplus left its queue in the run queue, and nobody
--    looked after the worker that had the token.
-- 3. A worker that was woken to search and had to give its token back at once
--    went on to count as the one that searches: nobody was woken any more.
-- 4. Futures that name futures were freed by recursion, on the C stack.

local helpers = require "helpers"

local prelude = [[
  local mtstates = require "mtstates"
  local handoff = require "handoff"
]]

-- What has moved its gate can still be under way at the end.
local function run(program, workers)
  local output, status = helpers.run_program(prelude .. program ..
    " while mtstates.stats().requests > 0 do handoff.breathe() end",
    "MTSTATES_WORKERS=" .. workers)
  assert.same({"fine\n", 0}, {output, status})
end

describe("regression 032", function()
  before_each(helpers.watch("regression 032"))
  after_each(helpers.unwatch)

  it("what a request of a replaced worker sends is not kept", function()
    run([=[
      local B = mtstates.newstate("B", [[
        return function() require "handoff".set("sent", 1) end
      ]])
      local A = mtstates.newstate([[
        local handoff = require "handoff"
        local B = require "mtstates".state("B")
        return function()
          while handoff.get("replaced") == 0 do end
          B:send()
          while handoff.get("sent") == 0 do end
          return "fine"
        end
      ]])
      local future = A:async()
      mtstates.newstate("return function() end"):await()
      handoff.set("replaced", 1)
      print(future:await())
    ]=], 1)
  end)

  it("a queue that a surplus worker leaves is served", function()
    run([=[
      local A = mtstates.newstate([[
        local hold = require "helpers".hold
        local mtstates = require "mtstates"
        return function() hold(mtstates.sleep, 0.02) end
      ]])
      local B = mtstates.newstate([[
        local handoff = require "handoff"
        return function()
          handoff.set("blocked", 1)
          handoff.wait("done", 1)
        end
      ]])
      for i = 1, 3 do
        A:send()
      end
      B:send()
      handoff.wait("blocked", 1)
      A:await()
      handoff.set("done", 1)
      B:await()
      print("fine")
    ]=], 1)
  end)

  it("a worker that gives its token back does not search", function()
    run([=[
      local sleepers = {}
      for i = 1, 30 do
        sleepers[i] = mtstates.newstate([[
          local hold = require "helpers".hold
          local mtstates = require "mtstates"
          return function(seconds)
            for i = 1, 3 do
              hold(mtstates.sleep, seconds)
            end
          end
        ]])
      end
      local other = mtstates.newstate("return function() end")
      for round = 1, 300 do
        local futures = {}
        for i = 1, 30 do
          futures[i] = sleepers[i]:async((i + round % 5) * 1e-5)
        end
        for i = 1, 20 do
          futures[30 + i] = other:async()
          if i % 3 == 0 then
            mtstates.sleep(round % 60 * 1e-6)
          end
        end
        for i = 1, 50 do
          futures[i]:await()
        end
      end
      print("fine")
    ]=], 1)
  end)

  it("a chain of futures can be of any length", function()
    run([=[
      local s = mtstates.newstate({}, [[return function(f) return f, 1 end]])
      local future = s:async()
      for i = 1, 300000 do
        future = s:async(future)
        if i % 500 == 0 then
          future:await()
        end
      end
      future = nil
      collectgarbage()
      print("fine")
    ]=], 1)
  end)
end)
