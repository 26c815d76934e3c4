-- 100,000 tasks of one service that sleep at the same time, each for a time of
-- its own, as even as random numbers are: how late each of them goes on; in
-- the median, at 99 % of them, and the earliest, which must not be early.  The
-- floor is bare Lua: as many coroutines, resumed in their order by a loop that
-- sleeps in C until the next one is due.
--
-- One worker, on the core of the main program, which sleeps meanwhile.

local floor = require "floor"
floor.pin() -- before there are workers, so that they stay here

local harness = require "harness"
local mtstates = require "mtstates"
local threads = require "threads"

if not mtstates.fork then return print("this needs tasks") end

local SLEEPERS, ALL_ASLEEP, LONGEST = 100000, 2, 7 -- seconds

-- How long each sleeps.
local function lengths()
  local list, random = {}, 1
  for i = 1, SLEEPERS do
    random = random * 16807 % 2147483647
    list[i] = ALL_ASLEEP + (LONGEST - ALL_ASLEEP) * random / 2147483647
  end
  return list
end

mtstates.workers(1)
local service = mtstates.newstate({}, function()
  local fork, sleep, now = mtstates.fork, mtstates.sleep, mtstates.now
  return function(list)
    local late, futures = {}, {}
    local function sleep_and_look(i)
      local due = now() + list[i]
      sleep(list[i])
      late[i] = now() - due
    end
    for i = 1, #list do futures[i] = fork(sleep_and_look, i) end
    for i = 1, #list do futures[i]:await() end
    return late
  end
end)

local function sleep_in_tasks()
  return service:await(lengths())
end

local function sleep_in_coroutines()
  local list, late, due, sleepers = lengths(), {}, {}, {}
  local clock, yield = threads.clock, coroutine.yield
  local function sleep_and_look(i)
    yield()
    late[i] = clock() - due[i]
  end
  local order = {}
  for i = 1, #list do
    due[i], order[i] = clock() + list[i], i
    sleepers[i] = coroutine.wrap(sleep_and_look)
    sleepers[i](i)
  end
  table.sort(order, function(i, k) return due[i] < due[k] end)
  for _, i in ipairs(order) do
    if clock() < due[i] then threads.sleep_until(due[i]) end
    sleepers[i]()
  end
  return late
end

local POINTS = {
  { name = "earliest", at_least = 0,
    of = function(late) return late[1] end },
  { name = "median", at_most = 150, of = harness.median },
  { name = "99 %", at_most = 4000,
    of = function(late) return late[math.floor(#late * 0.99)] end },
}
for _, point in ipairs(POINTS) do point.work, point.floor = {}, {} end

local sides = { work = sleep_in_tasks, floor = sleep_in_coroutines }
for round = 1, harness.LONG_ROUNDS do
  for side, fn in pairs(sides) do
    local late = fn()
    table.sort(late)
    for _, point in ipairs(POINTS) do
      point[side][round] = 1e6 * point.of(late)
    end
  end
end

for _, point in ipairs(POINTS) do
  harness.report {
    name = "100,000 sleepers: late by, " .. point.name, unit = "us",
    at_least = point.at_least, at_most = point.at_most,
    work = point.work, floor = point.floor,
  }
end
