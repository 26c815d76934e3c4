-- A random program that uses everything at once and accounts for it.
--
--   lua spec/stress/stress.lua [SECONDS [SEED]]
--
-- Runs follow one another until SECONDS are over, with the seeds SEED,
-- SEED + 1 ... (the default is the time), and at least two. In a run 8
-- threads (worker.lua) do random things with hundreds of states (member.lua).
-- After it all has to add up: each call that returned did once what it said,
-- each state that was opened was closed, none is left in the registry, and no
-- more memory is in use than after the first run. The seed decides what is
-- done, the scheduler when; so a seed that failed can need some tries to fail
-- again.
--
-- The memory is only compared where malloc tells what is in use: without
-- sanitizers, and with GLIBC_TUNABLES=glibc.malloc.tcache_count=0, as what a
-- thread has in its cache counts as in use.

package.path = "spec/?.lua;" .. package.path

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

local SECONDS = tonumber(arg[1]) or 0
local SEED = tonumber(arg[2]) or os.time()
local THREADS, ROUNDS, BASE, TARGETS = 8, 200, 200, 4
local PATIENCE = 100 -- a hang shows earlier: the threads' meeting fails

-- How much the memory may grow: the tables of the registry can double once,
-- from 256 to 512 entries, and luv calls atexit() in each thread that loads
-- it, for which glibc keeps 33 bytes. A state has 300, without its Lua state.
local MORE_ONCE, MORE_PER_RUN = 16000, 34 * THREADS

local function fail(...)
  error((...):format(select(2, ...)), 0)
end

local function body(...)
  package.path = "spec/?.lua;" .. package.path
  return require "stress.worker".run(...)
end

-- Lets the threads work; gives how many accounts came in, and a tally.
local function work(seed)
  local base, ids, running = {}, {}, {}
  for i = 1, BASE do
    base[i] = mtstates.newstate("base " .. i, i % 3 == 0,
                                'return require "stress.member"')
    ids[i] = ("%d"):format(base[i]:id())
  end
  for i = BASE + 1, BASE + TARGETS do
    base[i] = mtstates.newstate("target " .. i - BASE, false,
                                'return require "stress.member"')
  end
  for i = 1, THREADS do
    running[i] = threads.start(body, table.concat(ids, " "), seed, i, ROUNDS,
                               THREADS)
  end
  local sums = {0, 0, 0, 0, 0}
  for _ = 1, THREADS do
    local outcome = {handoff.take("finished", PATIENCE)}
    if not outcome[1] then
      fail("%s", outcome[2])
    end
    for k = 1, #sums do
      sums[k] = sums[k] + outcome[k + 1]
    end
  end
  for i = 1, THREADS do
    running[i]:results()
  end
  for i = 1, #base do
    base[i]:close()
  end
  return helpers.unpack(sums)
end

-- Each state must have counted what is in the threads' accounts; gives how
-- many states there were.
local function audit(account_count)
  local sure, perhaps, sums = {}, {}, {}
  for _ = 1, account_count do
    local id, ran, interrupted, sum = handoff.take("accounts")
    sure[id] = (sure[id] or 0) + ran
    perhaps[id] = (perhaps[id] or 0) + interrupted
    sums[id] = (sums[id] or 0) + sum
  end
  local opened, closed = handoff.get("opened"), handoff.get("closed")
  if opened ~= closed then
    fail("%d states were opened, %d closed", opened, closed)
  end
  for _ = 1, opened do
    local id, calls, sum = handoff.take("ended")
    local least, most = sure[id] or 0, (sure[id] or 0) + (perhaps[id] or 0)
    if calls < least or calls > most then
      fail("state %d counted %d calls, not %d to %d", id, calls, least, most)
    elseif least == most and sum ~= (sums[id] or 0) then
      fail("state %d: %d calls added up to %d, not %d", id, calls, sum,
           sums[id] or 0)
    elseif pcall(mtstates.state, id) then
      fail("state %d is left in the registry", id)
    end
    sure[id] = nil
  end
  if next(sure) then
    fail("state %d was called and has not ended", next(sure))
  end
  return opened
end

-- Each interrupt of a target must have hit once.
local function audit_targets()
  local sum = 0
  for i = 1, TARGETS do
    local strikes = handoff.get("strikes " .. i)
    local hits = handoff.get("hits " .. i)
    if hits ~= strikes then
      fail("target %d was interrupted %d times and hit %d times", i, strikes,
           hits)
    end
    sum = sum + hits
    handoff.set("strikes " .. i, 0)
    handoff.set("hits " .. i, 0)
  end
  return sum
end

local function run(seed)
  local accounts, calls, timeouts, errors, interrupted = work(seed)
  local states, hits = audit(accounts), audit_targets()
  for _, gate in ipairs {"opened", "closed", "met", "rush"} do
    handoff.set(gate, 0)
  end
  return ("%d states, %d calls, %d timeouts, %d errors, %d interrupted, " ..
    "%d once"):format(states, calls, timeouts, errors, interrupted, hits)
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
  first_memory = first_memory or memory
  local more = memory - first_memory
  if measures_memory and more > MORE_ONCE + runs * MORE_PER_RUN then
    fail("%d bytes more than after the first run, %d runs before", more, runs)
  end
end

repeat
  local seed = SEED + runs
  -- Printed first: it must be known also if the process dies.
  io.write(("seed %d: "):format(seed))
  io.flush()
  handoff.watchdog(PATIENCE + 20, "stress with seed " .. seed)
  local ok, result = xpcall(function()
    local report = run(seed)
    check_memory()
    return report
  end, debug.traceback)
  if not ok then
    print(("FAILED with seed %d: %s"):format(seed, result))
    os.exit(1)
  end
  print(result .. ": ok")
  runs = runs + 1
until runs >= 2 and handoff.monotonic() - start > SECONDS
if not measures_memory then
  print("memory could not be compared here")
end
