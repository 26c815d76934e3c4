-- A random program that uses everything at once and accounts for it.
--
--   lua spec/stress/stress.lua [SECONDS [SEED]]
--
-- Runs follow one another until SECONDS are over, with the seeds SEED,
-- SEED + 1 ... (the default is the time), and at least two. In a run 8
-- threads (worker.lua) do random things with hundreds of states (member.lua).
-- After it all has to add up: each call that returned did once what it said,
-- each state that was opened was closed, none is left in the registry, and
-- from the second run on the process has not more memory than after the
-- first. The seed decides what is done, the scheduler when; so a seed that
-- failed can need some tries to fail again.

package.path = "spec/?.lua;" .. package.path

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

local SECONDS = tonumber(arg[1]) or 0
local SEED = tonumber(arg[2]) or os.time()
local THREADS, ROUNDS, BASE = 8, 200, 60

local function fail(...)
  error((...):format(select(2, ...)), 0)
end

local function body(...)
  package.path = "spec/?.lua;" .. package.path
  return require "stress.worker".run(...)
end

local function work(seed)
  local base, ids, running = {}, {}, {}
  for i = 1, BASE do
    base[i] = mtstates.newstate('return require "stress.member"')
    ids[i] = ("%d"):format(base[i]:id())
  end
  for i = 1, THREADS do
    running[i] = threads.start(body, table.concat(ids, " "), seed, i, ROUNDS,
                               THREADS)
  end
  local sums, failure = {0, 0, 0, 0, 0}, nil
  for i = 1, THREADS do
    local outcome = {running[i]:join()}
    if not outcome[1] then
      failure = failure or ("thread %d: %s"):format(i, outcome[2])
    end
    for k = 1, #sums do
      sums[k] = sums[k] + (tonumber(outcome[k + 1]) or 0)
    end
  end
  if failure then
    fail("%s", failure)
  end
  for i = 1, BASE do
    base[i]:close()
  end
  return helpers.unpack(sums)
end

-- Each state has counted what the threads' accounts say.
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
    fail("%d states opened, %d closed", opened, closed)
  end
  for _ = 1, opened do
    local id, calls, sum = handoff.take("ended")
    local least, most = sure[id] or 0, (sure[id] or 0) + (perhaps[id] or 0)
    if calls < least or calls > most then
      fail("state %d counted %d calls of %d to %d", id, calls, least, most)
    elseif least == most and sum ~= (sums[id] or 0) then
      fail("state %d counted %d in %d calls, not %d", id, sum, calls, sums[id])
    elseif pcall(mtstates.state, id) then
      fail("state %d is left in the registry", id)
    end
    sure[id] = nil
  end
  if next(sure) then
    fail("state %d has not ended", next(sure))
  end
  return opened
end

local function run(seed)
  local accounts, calls, timeouts, errors, interrupted = work(seed)
  local states = audit(accounts)
  for _, gate in ipairs {"opened", "closed", "met"} do
    handoff.set(gate, 0)
  end
  helpers.collect()
  return ("%d states, %d calls, %d timeouts, %d errors, %d interrupted")
    :format(states, calls, timeouts, errors, interrupted)
end

local start, seed, heap = handoff.monotonic(), SEED, nil
repeat
  io.write(("seed %d: "):format(seed))
  io.flush()
  handoff.watchdog(120, "stress, seed " .. seed)
  local ok, result = xpcall(function() return run(seed) end, debug.traceback)
  if not ok then
    print(("FAILED with seed %d: %s"):format(seed, result))
    os.exit(1)
  end
  print(result .. ": ok", handoff.heap_bytes())
  seed = seed + 1
until seed > SEED + 1 and handoff.monotonic() - start > SECONDS
