-- call_from_thread.lua: a state that is called from another thread.
--
-- Teaches newstate, thread and call: a state is prepared once by a setup
-- function.  What setup returns, the callback, can then be called by every
-- thread that knows the state.
--
-- Prints:
--   main    made the state 'counter', step 10
--   main    called it:   10
--   thread  called it:   20, 30, 40
--   main    called it:   50
--   main    got several: 60, nil, that was the last

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

-- The setup function runs inside the new state.  That state has its own
-- globals and its own standard libraries, so setup can't use the local
-- variables around it: what it needs, it gets as an argument.
local counter, description = mtstates.newstate("counter", function(step)
  local count = 0
  -- The callback. Its local variables live as long as the state.
  local function callback(farewell)
    count = count + step
    if farewell then
      return count, nil, "that was the last"
    end
    return count
  end
  return callback, "step " .. step
end, 10)

print(("main    made the state '%s', %s"):format(counter:name(), description))
print("main    called it:   " .. counter:call())

-- A thread of the module has a Lua state of its own, too.  Its function has
-- copies of the variables around it; of a state object the copy is the same
-- state.  Threads of other libraries get the name of the state, and say
-- mtstates.state("counter"): see with_luv.lua.
local future = mtstates.thread(function()
  local numbers = {}
  for i = 1, 3 do
    numbers[i] = counter:call()
  end
  return table.concat(numbers, ", ")
end)
print("thread  called it:   " .. future:await())

-- The state is the same for all: it has gone on counting.
print("main    called it:   " .. counter:call())

-- Arguments and results can be several values, nil among them.
local count, nothing, words = counter:call(true)
print(("main    got several: %d, %s, %s")
      :format(count, tostring(nothing), words))
