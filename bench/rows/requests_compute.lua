-- Requests that compute for 10 microseconds, sent by the main program to 8
-- services in turn, with two workers, on a core each; compared with bare Lua
-- that does the same in two threads.  Those don't have to be told what to do;
-- what sending costs is within what the goal leaves.  The last request of each
-- service is awaited.  The wall clock tells the time.

local crew = require "crew"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

if not requests.are_there() then return print("this needs requests") end
if not crew.has_two_cores() then return print("this needs two cores") end

local REQUESTS, STATES, CHUNK, TURNS = 10000, 8, 10e-6, 10

local CODE = [[
  local steps = ...
  return function()
    local x = 1
    for _ = 1, steps do x = (x * 16807) % 2147483647 end
    return 1, 0
  end]]

local cores = { crew.core(1), crew.core(2) }

-- How many chunks these threads do together in a second.
local function rate_of_threads(number, seconds, steps)
  local jobs = {}
  for i = 1, number do jobs[i] = { core = cores[i], arg = steps } end
  return threads.run(seconds, jobs, CODE).sum
end

local SOME_STEPS = 1000
local steps = math.floor(SOME_STEPS * CHUNK
  * rate_of_threads(1, 0.2, SOME_STEPS))

local states = {}
for i = 1, STATES do states[i] = mtstates.newstate({}, CODE, steps) end
requests.pin_workers(cores)

local function send_all()
  local last = {}
  for _ = 2, REQUESTS / STATES do
    for i = 1, STATES do states[i]:send() end
  end
  for i = 1, STATES do last[i] = states[i]:async() end
  for i = 1, STATES do last[i]:await() end
end

local sides = {
  work = function() return requests.rate(REQUESTS, send_all) / 1e3 end,
  base = function()
    return rate_of_threads(2, REQUESTS * CHUNK / 2, steps) / 1e3
  end,
}

local work, base = {}, {}
for round = 1, harness.ROUNDS do
  local best = requests.best(TURNS, sides)
  work[round], base[round] = best.work, best.base
end

harness.report {
  name = "10,000 requests that compute 10 us each",
  compared_with = "bare Lua, 2 threads",
  unit = "K/s", at_least = 0.95, work = work, base = base,
}
