-- timeout_and_interrupt.lua: timed calls, and stopping a script that runs
-- away.
--
-- Teaches tcall, which gives up when the state stays busy for too long, and
-- interrupt, which raises an error inside the code that keeps it busy.
--
-- Prints:
--   at first          got in: true, result: pong
--   while it runs     got in: false
--   interrupted       the call of the thread failed: yes
--   afterwards        got in: true, result: pong
--   catches errors    the call of the thread failed: yes
--   afterwards        got in: true, result: pong

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

-- Stands for code that somebody else wrote.  What LuaJIT has compiled cannot
-- be interrupted, so in LuaJIT this state does without the compiler.
local script = mtstates.newstate("script", function()
  if jit then jit.off() end -- luacheck: ignore
  local commands = {}
  function commands.ping()
    return "pong"
  end
  function commands.run_away()
    while true do end
  end
  function commands.run_away_and_catch_errors()
    while true do
      pcall(commands.run_away)
    end
  end
  return function(command)
    return commands[command]()
  end
end)

-- tcall is call with a limit, in seconds, for the time until the state is
-- free.  It returns true and the results, or just false.
local function try(when, seconds)
  local got_in, result = script:tcall(seconds, "ping")
  print(("%-17s got in: %s"):format(when, tostring(got_in)) ..
        (got_in and ", result: " .. result or ""))
end

-- Runs the command in a thread and returns when that has entered the state.
local function start(command)
  local future = mtstates.thread(function()
    script:call(command)
  end)
  -- A limit of 0 is for not waiting at all: while we still get in, the thread
  -- has not got there.
  while script:tcall(0, "ping") do end
  return future
end

local function show_end(when, future)
  local ok, message = pcall(future.await, future)
  local err = not ok and mtstates.error(message)
  local is_interrupted = err and err:cause() == mtstates.error.interrupted
  print(("%-17s the call of the thread failed: %s")
        :format(when, is_interrupted and "yes" or tostring(message)))
end

try("at first", 0.1)

local future = start("run_away")
try("while it runs", 0.1)
script:interrupt() -- raises one error in the running code
show_end("interrupted", future)
try("afterwards", 0.1)

-- One error is not enough for code that catches it.  With true, each further
-- operation raises it again, until that is switched off.
future = start("run_away_and_catch_errors")
script:interrupt(true)
show_end("catches errors", future)
script:interrupt(false)
try("afterwards", 0.1)
