-- A hundred requests of 50 ms each, to a service each, with two workers: ones
-- that compute so long (in processor time), and ones that sleep in C.  Workers
-- are replaced meanwhile: how many threads there are at most, the watcher left
-- out, and how long all take.
--
-- Threads live on for seconds; so each run has a process of its own (this
-- program, started with `run`), on two cores.  The wall clock tells the time.

local crew = require "crew"
local floor = require "floor"
local harness = require "harness"

if not crew.has_two_cores() then return print("this needs two cores") end

local REQUESTS = 100
local GOAL = { compute = 8, sleep = 66 } -- threads

local CODE = {
  compute = [[
    local clock = require("floor").clock
    return function()
      local finish = clock() + 0.05
      repeat until clock() >= finish
    end]],
  sleep = [[
    local sleep = require("threads").sleep
    return function() sleep(0.05) end]],
}

local function run(kind)
  floor.pin(crew.core(1), crew.core(2)) -- workers inherit it
  local mtstates, threads = require "mtstates", require "threads"
  mtstates.workers(2)

  local states, futures, most = {}, {}, 0
  for i = 1, REQUESTS do states[i] = mtstates.newstate({}, CODE[kind]) end
  local start = threads.clock()
  for i = 1, REQUESTS do futures[i] = states[i]:async() end
  for i = 1, REQUESTS do
    while not futures[i]:tawait(0.005) do
      local number = threads.count("mtstates/") -
        threads.count("mtstates/watch")
      most = math.max(most, number)
    end
  end
  print(most, (threads.clock() - start) * 1e3)
  os.exit() -- nothing else counts
end

if arg[1] == "run" then run(arg[2]) end

if not require("requests").are_there() then
  return print("this needs requests")
end

local function threads_and_time(kind)
  local pipe = assert(io.popen(("%s '%s' run %s"):format(
    harness.interpreter(), arg[0], kind)))
  local most, time = pipe:read("*n", "*n")
  pipe:close()
  assert(most and time, "the process that runs the requests has failed")
  return most, time
end

for _, kind in ipairs { "compute", "sleep" } do
  local most, time = {}, {}
  for round = 1, harness.LONG_ROUNDS do
    most[round], time[round] = threads_and_time(kind)
  end
  harness.report {
    name = ("100 requests that %s 50 ms: threads"):format(kind),
    unit = "threads", at_most = GOAL[kind], work = most,
  }
  harness.report {
    name = ("100 requests that %s 50 ms: time"):format(kind),
    unit = "ms", work = time,
  }
end
