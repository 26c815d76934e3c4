-- native_notify.lua: a state that native code notifies.
--
-- Teaches the Notify C API: C code can run the callback of a state from a
-- thread that has nothing to do with Lua.  The native part here is
-- native/ticker.c, a thread in C that ticks as often as it is told to.
--
-- Prints:
--   5 of 5 notifications sent: ok
--   the state was notified 5 times
--   2 of 5 notifications sent: failed
--   error: no more than 7 ticks, please
--   0 of 5 notifications sent: closed

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local has_ticker, ticker = pcall(require, "ticker")
if not has_ticker then
  io.stderr:write([[
This example needs its native part.  In the folder of the project, say
  make
or compile examples/native/ticker.c as described at its beginning.
]])
  os.exit(1)
end

-- A notification is a call without arguments, and its results are dropped.
-- So the callback answers questions only if it gets one.
local state = mtstates.newstate("ticks", function(limit)
  local ticks = 0
  return function(question)
    if question then
      return ticks
    end
    if ticks == limit then
      error("no more than " .. limit .. " ticks, please", 0)
    end
    ticks = ticks + 1
  end
end, 7)

-- The ticker's thread and this one run at the same time; wait() joins it.
local t = ticker.new(state)
local function tick(count)
  t:start(count)
  local done, result, message = t:wait()
  print(("%d of %d notifications sent: %s"):format(done, count, result))
  return message
end

tick(5)
print(("the state was notified %d times"):format(state:call("how many?")))

-- There is no Lua code above a notification that could catch its error: an
-- error handler in C gets the message.
local err = mtstates.error(tick(5))
print("error: " .. (err and err:text() or "none of mtstates"))

-- Native code may hold on to a state for as long as it wants.  That doesn't
-- keep the state open: when it is closed, notify tells so.
state:close()
tick(5)
