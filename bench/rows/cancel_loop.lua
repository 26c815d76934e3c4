-- How long it takes from cancel() of a request whose callback runs an empty
-- loop until the loop has raised the error; the median of many, and the
-- longest of them.  The loop catches the error and answers with the time at
-- which it was there.  The floor is a signal whose handler sets a hook that
-- raises an error.
--
-- The loop has a core for itself.  The wall clock tells the time.

local bare = require "bare"
local crew = require "crew"
local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not mtstates.promise then return print("this needs cancel") end
if not crew.has_two_cores() then return print("this needs two cores") end

local SAMPLES = 200
local PAUSE = 1e-3 -- for the loop to run undisturbed, as the floor's has

local service = mtstates.newstate({}, function()
  local now = mtstates.now
  local function loop() while true do end end
  if rawget(_G, "jit") then require("jit").off(loop) end
  return function(begun)
    begun:set()
    local is_over = pcall(loop)
    return now(), is_over
  end
end)

local loop_core = crew.core(2)
requests.pin_workers { loop_core }
floor.pin(crew.core(1))

local function cancel_loop()
  local begun, promise = mtstates.promise()
  local answer = service:async(promise)
  begun:await()
  mtstates.sleep(PAUSE)
  local start = mtstates.now()
  assert(answer:cancel())
  return answer:await() - start
end

local function stop_bare_loop()
  return bare.stop_loop(loop_core)
end

-- Milliseconds: the median, and the longest.
local function measure(fn)
  local list = {}
  for i = 1, SAMPLES do list[i] = 1e3 * fn() end
  local median, _, longest = harness.median(list)
  return median, longest
end

local medians, longest = { work = {}, floor = {} }, { work = {}, floor = {} }
for round = 1, harness.LONG_ROUNDS do
  for side, fn in pairs { work = cancel_loop, floor = stop_bare_loop } do
    medians[side][round], longest[side][round] = measure(fn)
  end
end

local function report(name, samples)
  harness.report {
    name = "cancel of a running loop: " .. name, unit = "ms", at_most = 5,
    work = samples.work, floor = samples.floor,
  }
end

report("median", medians)
report("longest", longest)
