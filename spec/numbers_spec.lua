-- Large numbers: of states, of states that own each other, of errors.  Each
-- program has a process of its own, whose memory is looked at.

local helpers = require "helpers"
local mtstates = require "mtstates"
local on_collect = require "on_collect"

-- Programs find here what they need more than once.
local prelude = [[
  local host = require "host"
  local mtstates = require "mtstates"

  -- How much memory (MB) the process has: VmRSS, or has had at most: VmHWM.
  local function resident(what)
    for line in io.lines("/proc/self/status") do
      local kb = line:match("^" .. what .. ":%s*(%d+)")
      if kb then
        return kb / 1024
      end
    end
  end

  local function is_unknown(x)
    local ok, err = pcall(mtstates.state, x)
    return not ok and err:find(mtstates.error.unknown_object, 1, true) == 1
  end
]]

local function run(program)
  local output, status = helpers.run_program(prelude .. program, nil, 600)
  assert.equals("fine\n", output)
  assert.equals(0, status)
end

describe("large numbers: #numbers", function()
  before_each(helpers.watch("numbers", 700))
  after_each(helpers.unwatch)

  -- Each state owns the next one.  Of the module they keep the metatable only,
  -- as there are so many.
  it("100,000 named states in a chain are found and closed on a small stack",
    function()
      run([[
        local code = [=[
          local mt = require "mtstates"
          package.loaded.mtstates = nil
          return function(name, code)
            local owned = mt.newstate(name, false, code)
            mt = owned
            return owned:id()
          end
        ]=]
        local COUNT = 100000
        local first = mtstates.newstate("link 1", false, code)
        local last = first
        local ids = {first:id()}
        for i = 2, COUNT do
          ids[i] = last:call("link " .. i, code)
          last = mtstates.state(ids[i])
        end
        for i = 1, COUNT do
          assert(mtstates.state(ids[i]):name() == "link " .. i)
          assert(mtstates.state("link " .. i):id() == ids[i])
        end
        local close = "require 'mtstates'.state('link 1'):close()"
        host.join(host.start(close, 256 * 1024))
        for i = 1, COUNT do
          assert(is_unknown(ids[i]) and is_unknown("link " .. i))
        end
        print("fine")
      ]])
    end)

  it("a million calls that raise errors leave nothing behind", function()
    run([[
      local target = mtstates.newstate(function()
        return function(what, ...)
          if what == "count" then
            collectgarbage()
            collectgarbage()
            return collectgarbage("count")
          elseif what == "raise" then
            error("raised on purpose")
          elseif what == "object" then
            error({})
          elseif what == "result" then
            return 1, {}
          end
          return what, ...
        end
      end)
      local caller = mtstates.newstate(function()
        local mt = require "mtstates"
        local kinds = {
          raise = mt.error.invoking_state,
          object = mt.error.invoking_state,
          result = mt.error.state_result,
          argument = "bad argument #3 to"
        }
        return function(id, what, times)
          if what == "count" then
            collectgarbage()
            collectgarbage()
            return collectgarbage("count")
          end
          local r = mt.state(id)
          local bad = what == "argument" and {} or nil
          for _ = 1, times do
            local ok, err = pcall(r.call, r, what, bad)
            if ok or not err:find(kinds[what], 1, true) then
              error("wrong: " .. tostring(err))
            end
          end
        end
      end)
      local id = target:id()
      local function storm(times)
        for _, what in ipairs({"raise", "object", "result", "argument"}) do
          caller:call(id, what, times)
        end
        return target:call("count"), caller:call(id, "count")
      end
      local target_before, caller_before = storm(1000)
      local resident_before = resident("VmRSS")
      local target_after, caller_after = storm(250000)
      assert(target_after < target_before + 10, target_after)
      assert(caller_after < caller_before + 10, caller_after)
      assert(resident("VmRSS") < resident_before + 10, resident("VmRSS"))
      assert(target:call("usable") == "usable")
      print("fine")
    ]])
  end)

  -- The heap makes the collector slow: it waits until there is twice as much.
  it("100,000 states that are dropped and not closed need less than 100 MB",
    function()
      run([[
        local heap = {}
        for i = 1, 20000 do
          heap[i] = {}
        end
        for i = 1, 100000 do
          mtstates.newstate(i % 10 == 0, "return function() end")
        end
        local most = resident("VmHWM")
        print(most < 100 and "fine" or most)
      ]])
    end)
end)

describe("the garbage collector", function()
  before_each(helpers.watch("garbage collector"))
  after_each(helpers.unwatch)

  -- A heap that lets the collector wait long.
  local function large_heap()
    local heap = {}
    for i = 1, 20000 do
      heap[i] = {}
    end
    helpers.collect()
    return heap
  end

  -- A function that tells whether the collector has come by.
  local function observer()
    local is_collected = false
    on_collect(function() is_collected = true end)
    return function() return is_collected end
  end

  -- Creates states and drops them; tells how many are open at the end.
  local function drop(count)
    local ids, open = {}, 0
    for i = 1, count do
      ids[i] = mtstates.newstate(false, "return function() end"):id()
    end
    for i = 1, count do
      open = open + (pcall(mtstates.state, ids[i]) and 1 or 0)
    end
    return open
  end

  it("knows that states are heavy", function()
    run([[
      local heap, ids, open = {}, {}, 0
      for i = 1, 20000 do
        heap[i] = {}
      end
      for i = 1, 3000 do
        ids[i] = mtstates.newstate(false, "return function() end"):id()
      end
      for i = 1, 3000 do
        open = open + (is_unknown(ids[i]) and 0 or 1)
      end
      print(open < 1500 and "fine" or open)
    ]])
  end)

  it("need not care for states that are closed", function()
    local heap = large_heap()
    local has_collected = observer()
    for _ = 1, 500 do
      mtstates.newstate(false, "return function() end"):close()
    end
    assert.is_false(has_collected())
    assert.equals(20000, #heap)
    drop(2000)
    assert.is_true(has_collected())
  end)

  it("is not started by new states when it is stopped", function()
    helpers.collect()
    local has_collected = observer()
    collectgarbage("stop")
    local open = drop(1000)
    local has_collected_stopped = has_collected()
    collectgarbage("restart")
    assert.equals(1000, open)
    assert.is_false(has_collected_stopped)
    helpers.collect()
    assert.is_true(has_collected())
  end)
end)
