-- A random program that uses everything at once and accounts for it.
--
--   lua spec/stress/stress.lua [ROUNDS [SEED [THREADS]]]
--
-- Each thread does ROUNDS random things: calls that count, calls through
-- other states that may end in a deadlock, timed calls, interrupts,
-- singletons that come and go, states that are dropped without being closed.
-- In the end each call that returned must have counted exactly once, each
-- state that was opened must have been closed, and no error may have come
-- that the thing done cannot raise. Now and then all threads meet, so that
-- one that was forgotten in a queue is not saved by the next who passes.

local handoff = require "handoff"
local mtstates = require "mtstates"
local threads = require "threads"

local ROUNDS = tonumber(arg[1]) or 2000
local SEED = tonumber(arg[2]) or os.time()
local THREADS = tonumber(arg[3]) or 8
local LEAVES, VIAS, PHOENIXES = 4, 6, 3

-- Some calls take long enough for others to queue up.
local function leaf()
  local gates = require "handoff"
  local count, calls = 0, 0
  return function(step)
    calls = calls + 1
    if calls % 8 == 0 then
      gates.breathe()
    end
    count = count + step
    return count
  end
end

-- Passes the call on, through further states of its kind, to a leaf.
local function via()
  local mt = require "mtstates"
  return function(leaf_id, next_id, ...)
    if next_id then
      return mt.state(next_id):call(leaf_id, ...)
    end
    return mt.state(leaf_id):call(1)
  end
end

-- Runs for a while inside a coroutine that is older than any interrupt.
local function victim()
  local co = coroutine.wrap(function(n)
    while true do
      local x = 0
      for i = 1, n do
        x = x + i
      end
      n = coroutine.yield(x)
    end
  end)
  local function again(n)
    local ok, result = pcall(co, n)
    return ok and result or false
  end
  return again
end

local function worker(seed, rounds, leaf_ids, via_ids, victim_id, phoenixes,
                      thread_count)
  local gates = require "handoff"
  local mt = require "mtstates"
  local counts, expected = {}, 0
  local random = math.random
  math.randomseed(seed)

  local function split(text)
    local list = {}
    for id in text:gmatch("%d+") do
      list[#list + 1] = tonumber(id)
    end
    return list
  end
  local leaves, vias = split(leaf_ids), split(via_ids)
  local victim_state = mt.state(victim_id)
  for i = 1, #leaves do
    counts[i] = 0
  end

  -- The error must be, or contain, one of these.
  local function check(err, ...)
    for i = 1, select("#", ...) do
      if err:find(mt.error[select(i, ...)], 1, true) then
        expected = expected + 1
        return
      end
    end
    error(err, 0)
  end

  local unpack = require "helpers".unpack
  local function any(list)
    local i = random(#list)
    return list[i], i
  end

  local actions = {
    function() -- a call that counts
      local id, i = any(leaves)
      mt.state(id):call(1)
      counts[i] = counts[i] + 1
    end,
    function() -- a timed one
      local id, i = any(leaves)
      local timeouts = {0, -1, 1e-5, 1e-3, 0.05, math.huge}
      if mt.state(id):tcall(any(timeouts), 1) then
        counts[i] = counts[i] + 1
      end
    end,
    function() -- one through other states
      local id, i = any(leaves)
      local path = {}
      for k = 1, random(4) do
        path[k] = any(vias)
      end
      local first = mt.state(any(vias))
      local ok, err = pcall(first.call, first, id,
                            unpack(path))
      if ok then
        counts[i] = counts[i] + 1
      else
        check(err, "deadlock")
      end
    end,
    function() -- interrupt and be interrupted
      if random(2) == 1 then
        local flags = {true, false}
        victim_state:interrupt(flags[random(3)])
      end
      local ok, err = pcall(victim_state.tcall, victim_state, 0.01, 1000)
      if not ok then
        check(err, "interrupted")
      end
    end,
    function() -- a state that others create, find and close
      local name = "phoenix " .. random(phoenixes)
      local s = mt.singleton(name, function()
        local counter = require "handoff"
        local id = require("mtstates").id()
        local guard = require "on_collect"(function()
          counter.add("closed")
        end)
        counter.add("opened")
        return function(slowly)
          if slowly and guard then
            counter.breathe()
          end
          return id
        end
      end)
      local ok, id = pcall(s.call, s)
      if not ok then
        check(id, "object_closed")
      elseif id ~= s:id() then
        error("call went to the wrong state")
      end
      if random(3) == 1 then
        local closed, err = pcall(s.close, s)
        if not closed then
          check(err, "concurrent_access")
        end
      end
    end,
    function() -- use such a state, which can lose its last owner meanwhile
      local found, s = pcall(mt.state, "phoenix " .. random(phoenixes))
      if not found then
        check(s, "unknown_object")
      else
        local ok, id = pcall(s.call, s, true)
        if not ok then
          check(id, "object_closed")
        elseif id ~= s:id() then
          error("call went to the wrong state")
        end
      end
    end,
    function() -- a state that owns a state, dropped
      local s = mt.newstate(nil, random(2) == 1, function(depth)
        local counter = require "handoff"
        local inner = require "mtstates"
        local owned = depth > 0 and inner.newstate(
          "return function(x) return x end")
        local guard = require "on_collect"(function()
          counter.add("closed")
        end)
        counter.add("opened")
        return function(x)
          return guard and owned and owned:call(x) or x
        end
      end, random(0, 1))
      local text = ("x"):rep(random(0, 100))
      if s:call(text) ~= text then
        error("the text came back changed")
      end
      if random(2) == 1 then
        s:close()
      end
    end,
    function()
      collectgarbage("step", random(50))
    end,
  }

  for round = 1, rounds do
    actions[random(#actions)]()
    if round % 20 == 0 then
      gates.add("met")
      gates.wait("met", thread_count * round / 20)
    end
  end
  collectgarbage()
  collectgarbage()
  return expected, unpack(counts)
end

local function join(states)
  local ids = {}
  for i, s in ipairs(states) do
    ids[i] = ("%d"):format(s:id())
  end
  return table.concat(ids, " ")
end

local function make(count, setup)
  local states = {}
  for i = 1, count do
    states[i] = mtstates.newstate(setup)
  end
  return states
end

local function fail(...)
  print(("FAILED with seed %d: "):format(SEED) .. (...):format(select(2, ...)))
  os.exit(1)
end

handoff.watchdog(600, "stress, seed " .. SEED)
local leaves, vias = make(LEAVES, leaf), make(VIAS, via)
local victims = make(1, victim)
local running = {}
for i = 1, THREADS do
  running[i] = threads.start(worker, SEED + i, ROUNDS, join(leaves),
                             join(vias), victims[1]:id(), PHOENIXES, THREADS)
end

local counts, expected = {}, 0
for i = 1, THREADS do
  local outcome = {running[i]:join()}
  if not outcome[1] then
    fail("thread %d: %s", i, outcome[2])
  end
  expected = expected + outcome[2]
  for k = 1, LEAVES do
    counts[k] = (counts[k] or 0) + outcome[k + 2]
  end
end

local total = 0
for k, s in ipairs(leaves) do
  local count = s:call(0)
  if count ~= counts[k] then
    fail("state %d counted %d calls of %d", k, count, counts[k])
  end
  total = total + count
end
for i = 1, PHOENIXES do
  if pcall(mtstates.state, "phoenix " .. i) then
    fail("phoenix %d is left", i)
  end
end
if handoff.get("opened") ~= handoff.get("closed") then
  fail("%d states opened, %d closed", handoff.get("opened"),
       handoff.get("closed"))
end
for _, list in ipairs {leaves, vias, victims} do
  for _, s in ipairs(list) do
    s:close()
  end
end
print(("%d threads, %d calls counted, %d errors expected, seed %d: ok")
  :format(THREADS, total, expected, SEED))
