-- harness.lua - measures pairs of functions and prints a table of ratios
--
-- Only ratios of two things that ran side by side mean anything on a machine
-- that others use too.  So a row is measured in rounds, each of which runs
-- the work and what it is compared with one after the other; the result is
-- the median of the rounds' ratios, and next to it stand the smallest and the
-- largest one: if they are far apart, the machine was not quiet.

local floor = require "floor"

local harness = {}

local ROUNDS = 25             -- odd, so that there is one in the middle
local SECONDS_A_RUN = 0.005  -- long against the clock's steps

local function seconds_for(fn, n)
  collectgarbage()
  local start = floor.clock()
  fn(n)
  return floor.clock() - start
end

-- How many repetitions last long enough; this is the warm-up, too.  Both
-- sides of a row get the same number: the cost of garbage grows with it.
local function calibrate(work, base)
  local n = 1
  while seconds_for(work, n) + seconds_for(base, n) < 2 * SECONDS_A_RUN do
    n = n * 2
  end
  return n
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) / 2]
end

-- work, base: functions that do the thing n times.
local function measure(work, base)
  local n = calibrate(work, base)
  local works, bases, ratios = {}, {}, {}
  for round = 1, ROUNDS do
    works[round] = seconds_for(work, n) / n
    bases[round] = seconds_for(base, n) / n
    ratios[round] = works[round] / bases[round]
  end
  local ratio = median(ratios)
  return {
    work = median(works), base = median(bases),
    ratio = ratio, lowest = ratios[1], highest = ratios[ROUNDS],
  }
end

local function first_match(path, pattern)
  local file = io.open(path)
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return text:match(pattern) or "unknown"
end

local function print_machine()
  print(("%s, %s, Linux %s, %s"):format(_VERSION,
    first_match("/proc/cpuinfo", "model name%s*:%s*([^\n]+)"),
    first_match("/proc/sys/kernel/osrelease", "[^\n]+"),
    floor.pin() and "pinned to one core" or "not pinned"))
end

local function in_ns(seconds)
  return ("%.0f"):format(seconds * 1e9)
end

-- rows: list of { name, base_name, work, base, [prepare] }; prepare is called
-- before the row is measured.
function harness.run(rows)
  local layout = "%-30s %10s  %-20s %10s  %6s  %s"
  print_machine()
  print(("median of %d interleaved rounds"):format(ROUNDS))
  print()
  print(layout:format("mtstates", "ns", "compared with", "ns", "ratio",
    "(lowest - highest)"))
  for _, row in ipairs(rows) do
    if row.prepare then row.prepare() end
    local r = measure(row.work, row.base)
    print(layout:format(row.name, in_ns(r.work), row.base_name,
      in_ns(r.base), ("%.2f"):format(r.ratio),
      ("(%.2f - %.2f)"):format(r.lowest, r.highest)))
    io.stdout:flush()
  end
end

return harness
