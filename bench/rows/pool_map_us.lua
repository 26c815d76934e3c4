-- pool:map over items of 1 microsecond, compared with as many requests that
-- are only sent, by the main program to one pool of two members, with two
-- workers, on a core each.  The loop gets each item and its result back; a
-- send gets nothing, but the last request of that side is awaited.  The wall
-- clock tells the time.

local crew = require "crew"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

if not mtstates.pool then return print("this needs pools") end
if not crew.has_two_cores() then return print("this needs two cores") end

local ITEMS, CHUNK, TURNS, SOME_STEPS = 100000, 1e-6, 3, 1000

local CODE = [[
  local steps = ...
  return function()
    local x = 1
    for _ = 1, steps do x = (x * 16807) % 2147483647 end
    return 1, 0
  end]]

local cores = { crew.core(1), crew.core(2) }
local one = threads.run(0.2, {{ core = cores[1], arg = SOME_STEPS }}, CODE)
local steps = math.floor(SOME_STEPS * CHUNK * one.sum)
local pool = mtstates.pool(2, CODE, steps)
requests.pin_workers(cores)

-- The iterator: 1 to ITEMS.
local function count_up(last, i) return i < last and i + 1 or nil end

local sides = {
  work = function()
    return 1e9 / requests.rate(ITEMS, function()
      local count = 0
      for _, one_result in pool:map(count_up, ITEMS, 0) do
        count = count + one_result
      end
      assert(count == ITEMS)
    end)
  end,
  base = function()
    return 1e9 / requests.rate(ITEMS, function()
      for i = 2, ITEMS do pool:send(i) end
      pool:await(ITEMS)
    end)
  end,
}

local work, base = {}, {}
for round = 1, harness.ROUNDS do
  work[round], base[round] = math.huge, math.huge
  for _ = 1, TURNS do
    work[round] = math.min(work[round], sides.work())
    base[round] = math.min(base[round], sides.base())
  end
end

harness.report {
  name = "pool:map over 100,000 items of 1 us, each",
  compared_with = "send of the same",
  unit = "ns", at_most = 1.5, work = work, base = base,
}
