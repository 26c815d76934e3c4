-- Requests where no thread can be had: an error, and nothing hangs.

local helpers = require "helpers"

local prelude = [==[
  local handoff = require "handoff"
  local mtstates = require "mtstates"
  handoff.watchdog(150, "requests without threads")
  local a = mtstates.newstate({}, [[
    local hold, mt = require "helpers".hold, require "mtstates"
    local ways = {}
    function ways.await()
      local b = mt.state("b"):await()
      return b
    end
    function ways.tawait()
      local _, b = mt.state("b"):tawait(30)
      return b
    end
    function ways.async()
      local b = mt.state("b"):async():await()
      return b
    end
    function ways.sleep() mt.sleep(0.01) return "b" end
    function ways.state() return mt.state("c", 30) end
    function ways.call() return mt.state("held"):call() end
    return function(way, holds)
      if not ways[way] then
        return way
      end
      local answer
      if holds then
        answer = hold(ways[way])
      else
        answer = ways[way]()
      end
      return answer
    end
  ]])
  local b = mtstates.newstate("b", {}, "return function() return 'b' end")
  local function refused(f, ...)
    local ok, err = pcall(f, ...)
    assert(not ok and err:find(mtstates.error.out_of_memory, 1, true), err)
  end
  -- A stack does not fit in, but what Lua code needs does.
  local function without_threads(f)
    assert(handoff.limit_memory(1e6))
    local ok, err = pcall(f)
    handoff.limit_memory(nil)
    assert(ok, err)
  end
]==]

local function run(program)
  local output, status = helpers.run_program(prelude .. program ..
    "print('fine')", "MTSTATES_WORKERS=1")
  assert.same({"fine\n", 0}, {output, status})
end

describe("where no thread can be had #rlimit #threadless", function()
  before_each(helpers.watch("requests without threads"))
  after_each(helpers.unwatch)

  it("the first request is out_of_memory", function()
    run([[
      without_threads(function()
        refused(a.send, a, 1)
        refused(a.tsend, a, 1, 1)
        refused(a.async, a, 1)
        refused(a.await, a, 1)
        refused(a.tawait, a, 30, 1)
        assert(a:call(5) == 5)
      end)
      assert(a:await(6) == 6)
      assert(a:stats().queue == 0)
    ]])
  end)

  it("a wait that holds the only worker is out_of_memory", function()
    run([[
      assert(a:await(1) == 1)
      without_threads(function()
        for _, way in ipairs({"await", "tawait", "async", "sleep", "state"}) do
          refused(a.await, a, way, true)
          assert(a:await(way .. " is over") == way .. " is over")
        end
      end)
      for _, way in ipairs({"await", "async", "sleep"}) do
        assert(a:await(way, true) == "b")
      end
    ]])
  end)

  it("a wait of the only worker to get in is out_of_memory", function()
    run([[
      local held = mtstates.newstate("held", require "helpers".gated)
      local busy = require "threads".hold(held)
      assert(a:await(1) == 1)
      without_threads(function()
        refused(a.await, a, "call")
        assert(a:await("is over") == "is over")
      end)
      busy:release()
      a:await("call")
    ]])
  end)

  it("a task that is suspended needs none", function()
    run([[
      assert(a:await(1) == 1)
      without_threads(function()
        for _, way in ipairs({"await", "tawait", "async", "sleep"}) do
          assert(a:await(way) == "b")
        end
      end)
    ]])
  end)
end)
