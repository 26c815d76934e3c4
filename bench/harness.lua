-- harness.lua - what the programs in bench/rows have in common
--
-- Only ratios of things that ran side by side mean anything on a machine that
-- others use too.  So a row is measured in rounds; each runs the work and what
-- it is compared with in turn, on the same core, and of the runs of each side
-- the fastest counts, since others can only make it slower.  The result is the
-- median of the rounds' ratios, and next to it stand the lowest and the
-- highest: if they are far apart, the machine was not quiet.
--
-- Time is that of the thread, so that other programs don't count.  Where other
-- threads work, or the thread waits, it is that of the wall clock.
--
-- A program runs in a process of its own and tells its results with
-- `harness.compare` or `harness.report`.  What it is started with says how:
--   nothing                   prints them for a reader
--   json                      prints each row as a line of JSON (table.lua)
--   count NAME SIDE N         runs one side of one row N times, for callgrind

local floor = require "floor"
local json = require "dkjson"

local harness = {}

harness.ROUNDS = 7
harness.LONG_ROUNDS = 3 -- of seconds; table.lua runs a program three times

local TURNS_A_ROUND = 20
local LEAST_TURNS, SECONDS_A_ROUND = 3, 1 -- where a turn takes long
local SECONDS_A_TURN = 0.006 -- all sides; the shorter, the less disturbed
local LEAST_REPETITIONS = 8 -- enough for the collectors to do their part

local mode = arg[1]

-- A compiled loop around pcall(f) would be empty: nothing to compare with.
if rawget(_G, "jit") then require("jit").off() end

-- For programs whose loops would not be empty: LuaJIT as users have it.
function harness.compile()
  if rawget(_G, "jit") then require("jit").on() end
end

-- The program that runs this one.
function harness.interpreter()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

function harness.median(list)
  local sorted = {}
  for i, x in ipairs(list) do sorted[i] = x end
  table.sort(sorted)
  local middle = (#sorted + 1) / 2
  return (sorted[math.floor(middle)] + sorted[math.ceil(middle)]) / 2,
    sorted[1], sorted[#sorted]
end

-- How many digits to show of a number with this unit.
local DIGITS = {
  ns = 0, us = 0, ms = 2, ["M/s"] = 2, ["K/s"] = 0, ["1/s"] = 0, KB = 2,
  bytes = 0, cores = 2, threads = 0, files = 0, times = 2,
}

function harness.show(number, unit)
  return ("%." .. DIGITS[unit] .. "f %s"):format(number, unit)
end

local function print_row(row)
  local line = { row.name, harness.show(harness.median(row.work), row.unit) }
  if row.base then
    local ratios = {}
    for i, work in ipairs(row.work) do ratios[i] = work / row.base[i] end
    line[#line + 1] = row.compared_with
    line[#line + 1] = harness.show(harness.median(row.base), row.unit)
    line[#line + 1] = ("ratio %.2f (%.2f-%.2f)"):format(harness.median(ratios))
  end
  if row.floor then
    line[#line + 1] = "floor"
    line[#line + 1] = harness.show(harness.median(row.floor), row.unit)
  end
  print(table.concat(line, "  "))
end

-- A row is a table with
--   name, unit
--   work           list of what was measured, one number for each round
--   compared_with  and
--   base           the same for what it is compared with (can be missing)
--   floor          the same for the bare C floor (can be missing)
--   at_most, at_least  the goal for the ratio, or for work if there is no base
--   grace          what work may have on top of that (can be missing)
function harness.report(row)
  if mode == "json" then
    io.stdout:write(json.encode(row), "\n")
  else
    print_row(row)
  end
  io.stdout:flush()
end

-- Each side pays for all of its garbage, and for none that was there before.
local function seconds_for(fn, n, row)
  local collect = row.collect or collectgarbage
  local clock = row.clock or floor.clock
  collect()
  local start = clock()
  fn(n)
  collect()
  return clock() - start
end

-- How many repetitions last long enough, and how many turns of them a round
-- has; this is the warm-up, too.  All sides get the same number of
-- repetitions: the cost of garbage grows with it.
local function calibrate(sides, row)
  local n = LEAST_REPETITIONS / 2
  local seconds
  repeat
    n = n * 2
    seconds = 0
    for _, fn in pairs(sides) do
      seconds = seconds + seconds_for(fn, n, row)
    end
  until seconds >= SECONDS_A_TURN
  return n, math.max(LEAST_TURNS, math.min(TURNS_A_ROUND,
    math.floor(SECONDS_A_ROUND / seconds)))
end

local function nothing() end

-- What it takes to look at the clock and to collect no garbage counts for
-- nobody: it is measured as one more side, and so is what is around the work.
local function measure(row)
  local sides = {
    work = row.work, base = row.base, floor = row.floor, around = row.around,
  }
  local n, turns = calibrate(sides, row)
  sides.nothing = nothing
  local samples = {
    work = {}, base = row.base and {}, floor = row.floor and {},
  }
  for round = 1, harness.ROUNDS do
    local fastest = {}
    for _ = 1, turns do
      for side, fn in pairs(sides) do
        local seconds = seconds_for(fn, n, row)
        fastest[side] = math.min(fastest[side] or seconds, seconds)
      end
    end
    local unrelated = { work = fastest.around }
    for side, list in pairs(samples) do
      local seconds = fastest[side] - (unrelated[side] or fastest.nothing)
      list[round] = seconds / n / (row.parts or 1) * 1e9
    end
  end
  return samples
end

-- work, base, floor: functions that do it n times; else as in
-- report, and each of these can be missing:
--   around              the part of work that does not count, n times
--   parts               how many things work and base do; a time is for one
--   collect             instead of collectgarbage, where other states have
--                       garbage of the work
--   clock               instead of floor.clock, where it is not this thread
--                       that works: the wall clock, threads.clock
--   prepare             is called before
--   count_instructions  whether the table is to have their numbers
function harness.compare(row)
  if mode == "count" and arg[2] ~= row.name then return end
  if row.prepare then row.prepare() end
  if mode == "count" then
    row[arg[3]](tonumber(arg[4]))
    return
  end
  floor.pin()
  local samples = measure(row)
  for key, value in pairs(row) do
    if type(value) ~= "function" then samples[key] = value end
  end
  samples.unit = "ns"
  harness.report(samples)
end

return harness
