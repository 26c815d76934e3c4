-- crew.lua - what the programs with threads have in common

local threads = require "threads"

local crew = {}

local cores = threads.cores()

-- What threads do; `...` is the id of a state.

crew.CALL = [[
  local state = require("mtstates").state(...)
  return function()
    for _ = 1, 100 do state:call() end
    return 100
  end]]

-- Counts each call by itself: for slow ones.
crew.CALL_ONCE = [[
  local state = require("mtstates").state(...)
  return function()
    state:call()
    return 1
  end]]

-- Looks at the clock, too; so it is no measure of how many calls there are.
crew.TIME_CALLS = [[
  local state = require("mtstates").state(...)
  local clock = require("threads").clock
  return function()
    local longest = 0
    for _ = 1, 100 do
      local start = clock()
      state:call()
      local seconds = clock() - start
      if seconds > longest then longest = seconds end
    end
    return 100, longest
  end]]

-- No state at all.
crew.PCALL = [[
  local function f(...) return ... end
  return function()
    for _ = 1, 100 do pcall(f) end
    return 100
  end]]

function crew.has_two_cores()
  return #cores >= 2
end

-- The number of the i-th core that this process could use when it began.
function crew.core(i)
  return cores[i]
end

-- Runs code in threads, thread i on core i mod cores with states[i], or with
-- the last state if there are more threads.
function crew.run(seconds, number, states, code)
  local jobs = {}
  for i = 1, number do
    jobs[i] = {
      core = cores[(i - 1) % #cores + 1],
      arg = (states[i] or states[#states]):id(),
    }
  end
  return threads.run(seconds, jobs, code)
end

-- What one thread alone does per second, in the mean of the cores that these
-- threads would use: they are not always equally fast.
function crew.alone(seconds, number, states, code)
  local sum, used = 0, math.min(number, #cores)
  for i = 1, used do
    local job = { core = cores[i], arg = states[1]:id() }
    sum = sum + threads.run(seconds / used, { job }, code).sum
  end
  return sum / used
end

return crew
