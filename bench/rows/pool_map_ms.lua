-- pool:map over 1,000 items of 1 millisecond, by the main program with a pool
-- of two members and two workers, on a core each; compared with bare Lua that
-- does the same in two threads.  The wall clock tells the time.

local crew = require "crew"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

if not mtstates.pool then return print("this needs pools") end
if not crew.has_two_cores() then return print("this needs two cores") end

local ITEMS, CHUNK = 1000, 1e-3

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

local SOME_STEPS = 100000
local steps = math.floor(SOME_STEPS * CHUNK
  * rate_of_threads(1, 0.2, SOME_STEPS))
local pool = mtstates.pool(2, CODE, steps)
requests.pin_workers(cores)

-- The iterator: 1 to ITEMS.
local function count_up(last, i) return i < last and i + 1 or nil end

local sides = {
  work = function()
    return requests.rate(ITEMS, function()
      local count = 0
      for _, one_result in pool:map(count_up, ITEMS, 0) do
        count = count + one_result
      end
      assert(count == ITEMS)
    end)
  end,
  base = function()
    return rate_of_threads(2, ITEMS * CHUNK / 2, steps)
  end,
}

local work, base = {}, {}
for round = 1, harness.ROUNDS do
  work[round], base[round] = sides.work(), sides.base()
end

harness.report {
  name = "pool:map over 1,000 items of 1 ms",
  compared_with = "two bare threads",
  unit = "1/s", at_least = 0.97, work = work, base = base,
}
