-- A random program of tasks: suspended in all ways, forked, cancelled, closed.
--
--   lua spec/stress/tasks.lua [SECONDS [SEED]]
--
-- Runs follow one another until SECONDS are over, as in stress.lua, with which
-- it shares how memory is compared. In a run members (services of all kinds)
-- and threads carry out plans (taskplan.lua). Each third run has no cancels,
-- timeouts and closing: there each request that was made has begun once and
-- ended. After each run nothing may be left: no request, timer or state.

package.path = "spec/?.lua;" .. package.path

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"
local plan = require "stress.taskplan"

local SECONDS = tonumber(arg[1]) or 0
local SEED = tonumber(arg[2]) or os.time()
local MEMBERS, THREADS = 12, 3
local ROUNDS = tonumber(os.getenv("ROUNDS")) or 60
local PATIENCE = tonumber(os.getenv("PATIENCE")) or 100

local MORE_ONCE = tonumber(os.getenv("MORE_ONCE")) or 300000
local MORE_PER_RUN = 34 * THREADS

local function fail(...)
  error((...):format(select(2, ...)), 0)
end

local KINDS = {{}, {}, {queue = 2}, {tasks = 1}, {own_thread = true},
               {tasks = 3, queue = 4}, {own_thread = true, tasks = 1}}

local function open(index)
  local kind = KINDS[index % #KINDS + 1]
  local s = mtstates.newstate(plan.name(index), kind, function()
    package.path = "spec/?.lua;" .. package.path
    local p = require "stress.taskplan"
    return {
      work = p.run,
      __close = function()
        require "handoff".add("closed")
      end
    }
  end)
  handoff.add("opened")
  return s
end

local function body(...)
  package.path = "spec/?.lua;" .. package.path
  return require "stress.taskdriver".run(...)
end

-- Closes members and opens others in their place.
local function change_members(members, random)
  for _ = 1, 8 do
    mtstates.sleep(0.01)
    local index = random(MEMBERS)
    local s = members[index]
    local timeout = random(3) == 1 and 0.02 or nil
    if random(3) == 1 then
      members[index], s = nil, nil
      collectgarbage()
      collectgarbage()
    end
    while pcall(mtstates.state, plan.name(index)) do
      if s then
        pcall(s.close, s, timeout) -- not while a call is in progress
      end
      mtstates.sleep(1e-3)
    end
    members[index] = open(index)
  end
end

local function set_gates(seed)
  local may_lose = seed % 3 ~= 0
  for _, gate in ipairs {"asked", "begun", "ended", "forks", "forks ended",
                         "opened", "closed", "fault", "drivers"} do
    handoff.set(gate, 0)
  end
  handoff.set("allowed cancelled", may_lose and 1 or 0)
  handoff.set("allowed object_closed", seed % 3 == 2 and 1 or 0)
  handoff.set("allowed unknown_object", seed % 3 == 2 and 1 or 0)
  return may_lose
end

local function check_faults()
  if handoff.get("fault") > 0 then
    fail("%s", handoff.take("faults"))
  end
end

local function describe(members)
  local lines = {}
  for i = 1, MEMBERS do
    local ok, stats = pcall(members[i].stats, members[i])
    lines[#lines + 1] = ("\n  %d: queue %s, tasks %s, kind %d"):format(
      i, tostring(ok and stats.queue), tostring(ok and stats.tasks),
      i % #KINDS + 1)
  end
  return table.concat(lines)
end

local function run(seed)
  local random = helpers.random(seed % 2147483646 + 1)
  local may_lose = set_gates(seed)
  local members, running = {}, {}
  for i = 1, MEMBERS do
    members[i] = open(i)
  end
  for i = 1, THREADS do
    running[i] = threads.start(body, seed, i, ROUNDS, MEMBERS, may_lose)
  end
  local how = {random = random, members = MEMBERS, cancels = may_lose,
               timeouts = may_lose, is_host = true}
  for _ = 1, 5 do
    mtstates.fork(plan.run, plan.new(how, 0, 2, true), true)
  end
  if seed % 3 == 2 then
    change_members(members, random)
  end
  local limit = mtstates.now() + PATIENCE
  while handoff.get("drivers") < THREADS do
    mtstates.sleep(1e-3)
    if mtstates.now() > limit then
      fail("the threads do not end: asked %d, ended %d%s",
           handoff.get("asked"), handoff.get("ended"), describe(members))
    end
  end
  for _ = 1, THREADS do
    local outcome = {handoff.take("finished")}
    if not outcome[1] then
      fail("%s", outcome[2])
    end
  end
  for i = 1, THREADS do
    running[i]:results()
  end
  limit = mtstates.now() + PATIENCE
  while not may_lose and handoff.get("forks ended") < handoff.get("forks") do
    mtstates.sleep(1e-3)
    if mtstates.now() > limit then
      fail("%d forks do not end:%s",
           handoff.get("forks") - handoff.get("forks ended"),
           describe(members))
    end
  end
  for i = 1, MEMBERS do
    if not members[i]:close(60) then
      fail("member %d does not end", i)
    end
  end
  for i = 1, MEMBERS do
    members[i] = nil
  end
  helpers.wait_until(function()
    mtstates.sleep(1e-3)
    helpers.collect()
    local stats = mtstates.stats()
    return stats.requests == 0 and stats.timers == 0
  end)
  check_faults()
  local asked, begun, ended = handoff.get("asked"), handoff.get("begun"),
                              handoff.get("ended")
  if handoff.get("opened") ~= handoff.get("closed") then
    fail("%d opened, %d closed", handoff.get("opened"), handoff.get("closed"))
  elseif begun > asked or ended > begun then
    fail("asked %d, begun %d, ended %d", asked, begun, ended)
  elseif not may_lose and (asked ~= begun or begun ~= ended) then
    fail("asked %d, begun %d, ended %d", asked, begun, ended)
  end
  return ("asked %d, begun %d, ended %d, forks %d"):format(asked, begun, ended,
         handoff.get("forks"))
end

local function can_measure_memory()
  local tunables = os.getenv("GLIBC_TUNABLES") or ""
  local before = handoff.heap_bytes()
  handoff.put("probe", ("x"):rep(1e6))
  local more = handoff.heap_bytes() - before
  handoff.take("probe")
  return more >= 1e6 and tunables:find("tcache_count=0", 1, true) ~= nil
end

local measures_memory = can_measure_memory()
local start, runs, first_memory = handoff.monotonic(), 0, nil

local function check_memory()
  helpers.collect()
  local memory = handoff.heap_bytes()
  if runs == 2 then
    first_memory = memory
  end
  local more = memory - (first_memory or memory)
  if measures_memory and more > MORE_ONCE + runs * MORE_PER_RUN then
    fail("%d bytes more than after the third run, %d runs before", more, runs)
  end
  return more
end

mtstates.logger(function() end)
repeat
  local seed = SEED + runs
  io.write(("seed %d: "):format(seed))
  io.flush()
  handoff.watchdog(PATIENCE + 60, "tasks with seed " .. seed)
  local ok, result = xpcall(function()
    local report = run(seed)
    return report .. ", memory +" .. check_memory()
  end, debug.traceback)
  if not ok then
    print(("FAILED with seed %d: %s"):format(seed, result))
    os.exit(1)
  end
  print(result .. ": ok")
  runs = runs + 1
until runs >= 3 and handoff.monotonic() - start > SECONDS
