-- Random calls of, and requests to, a pool and its members by many threads:
-- each is done once, or not at all, and its sender knows which.

local check = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

local THREADS, ROUNDS = 6, 600

-- Setup: the callback counts what it is given, in the way that it is told.
local function counter()
  local mt = require "mtstates"
  local sum, calls = 0, 0
  return function(how, n, pool)
    if how == "take" then
      return sum, calls
    end
    if how == "sleep" then
      mt.sleep(0)
    elseif how == "nested" then
      pool:call("plain", 1)
    elseif how == "awaits" then
      pool:await("plain", 1)
    elseif how == "sends" then
      pool:send("plain", 1)
    elseif how == "error" then
      sum, calls = sum + n, calls + 1
      error("as asked", 0)
    end
    sum, calls = sum + n, calls + 1
    return n
  end
end

-- Thread: gives the sum that it is sure of, how many calls that were, and both
-- of those that perhaps never began.
local function work(id, seed, rounds)
  local mt, h = require "mtstates", require "helpers"
  local random = h.random(seed)
  local pool = mt.state(id)
  local members = pool:stats().members
  local hows = {"plain", "plain", "sleep", "nested", "awaits", "sends"}
  local sum, calls, maybe_sum, maybe_calls = 0, 0, 0, 0
  local futures = {}
  local function sure(n, extra)
    sum, calls = sum + n + extra, calls + 1 + extra
  end
  local ways = {
    function(s, how, n, extra)
      assert(s:call(how, n, pool) == n)
      sure(n, extra)
    end,
    function(s, how, n, extra)
      if s:tcall(n / 1e5, how, n, pool) then
        sure(n, extra)
      end
    end,
    function(s, how, n, extra)
      assert(s:await(how, n, pool) == n)
      sure(n, extra)
    end,
    function(s, how, n, extra)
      s:send(how, n, pool)
      sure(n, extra)
    end,
    function(s, how, n, extra)
      if s:tsend(n / 1e5, how, n, pool) then
        sure(n, extra)
      end
    end,
    function(s, how, n, extra)
      futures[#futures + 1] = {s:async(how, n, pool), n}
      sure(n, extra)
    end,
    function(s, how, n, extra)
      local future = s:async(how, n, pool)
      future:cancel()
      if pcall(future.await, future) then
        sure(n, extra)
      else
        maybe_sum, maybe_calls = maybe_sum + n + extra,
          maybe_calls + 1 + extra
      end
    end,
    function(s, _, n)
      assert(not pcall(s.await, s, "error", n))
      sure(n, 0)
    end,
  }
  for _ = 1, rounds do
    local how = hows[random(#hows)]
    local extra = (how == "plain" or how == "sleep") and 0 or 1
    local s = random(4) == 1 and mt.state(members[random(#members)].id)
      or pool
    local way = random(#ways)
    if way <= 2 and how == "awaits" then -- it would be a deadlock
      how = "nested"
    end
    ways[way](s, how, random(100), extra)
  end
  for _, entry in ipairs(futures) do
    assert(entry[1]:await() == entry[2])
  end
  return sum, calls, maybe_sum, maybe_calls
end

describe("random use of a pool by many threads", function()
  before_each(helpers.watch("pool stress", 300))
  after_each(helpers.unwatch)

  for seed = 1, tonumber(os.getenv("SEEDS")) or 4 do
    for i, options in ipairs({{n = 1}, {n = 3, queue = 5}, {n = 8},
                              {n = 2, own_thread = true}}) do
      it(("is accounted for, kind %d, seed %d"):format(i, seed), function()
        local pool = mtstates.pool(options, counter)
        local running = {}
        local sum, calls, maybe_sum, maybe_calls = 0, 0, 0, 0
        for k = 1, THREADS do
          running[k] = threads.start(work, pool:id(), seed * 100 + k, ROUNDS)
        end
        for k = 1, THREADS do
          local s, c, ms, mc = running[k]:results()
          sum, calls = sum + s, calls + c
          maybe_sum, maybe_calls = maybe_sum + ms, maybe_calls + mc
        end
        helpers.wait_until(function()
          local stats = pool:stats()
          return stats.queue + stats.tasks == 0
        end)
        local got_sum, got_calls = 0, 0
        for _, member in ipairs(pool:stats().members) do
          local s, c = mtstates.state(member.id):call("take")
          got_sum, got_calls = got_sum + s, got_calls + c
        end
        check.is_true(got_calls >= calls, got_calls .. " < " .. calls)
        check.is_true(got_calls <= calls + maybe_calls)
        check.is_true(got_sum >= sum and got_sum <= sum + maybe_sum)
        check.is_true(pool:close(60))
        handoff.breathe()
      end)
    end
  end
end)
