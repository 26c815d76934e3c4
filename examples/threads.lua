-- threads.lua: what threads of their own are for.
--
-- Teaches mtstates.thread and the option own_thread.  Each of three programs
-- has a thread that reads what it prints: reading blocks in C, as accepting
-- connections does.  The screen is a state whose requests run in one thread,
-- as libraries for windows want it.  On a terminal the bars grow.
--
-- Prints:
--   hare      ####################
--   fox       ##########
--   tortoise  #####
--   35 steps

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local RUNNERS = { { name = "hare", steps = 20, seconds = 0.05 },
                  { name = "fox", steps = 10, seconds = 0.1 },
                  { name = "tortoise", steps = 5, seconds = 0.2 } }
local COMMAND = "for i in $(seq %d); do sleep %g; echo step; done"

local screen = mtstates.newstate("screen", { own_thread = true }, function()
  local status = os.execute("test -t 1")
  local on_terminal = status == true or status == 0
  local counts, functions = {}, {}
  function functions.draw()
    for _, runner in ipairs(RUNNERS) do
      local bar = ("#"):rep(counts[runner.name] or 0)
      print(("%-9s %s"):format(runner.name, bar))
    end
  end
  function functions.step(name)
    counts[name] = (counts[name] or 0) + 1
    if on_terminal then
      functions.draw()
      io.write(("\27[%dA"):format(#RUNNERS)) -- up to the first line again
    end
  end
  return functions
end)

local function watch(runner)
  local pipe = assert(io.popen(COMMAND:format(runner.steps, runner.seconds)))
  local count = 0
  for line in pipe:lines() do -- blocks in C
    screen:await(line, runner.name) -- runs step
    count = count + 1
  end
  pipe:close()
  return count
end

local running, steps = {}, 0
for i, runner in ipairs(RUNNERS) do
  running[i] = mtstates.thread({ name = runner.name }, watch, runner)
end
for i = 1, #RUNNERS do steps = steps + running[i]:await() end
screen:await("draw")
print(steps .. " steps")
