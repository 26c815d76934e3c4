-- Large numbers: of states that own each other, of errors, of states that are
-- dropped.  Each program has a process of its own, whose memory is looked at.

local helpers = require "helpers"

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
