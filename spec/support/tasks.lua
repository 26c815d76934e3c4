-- Requests that run code, and where they are: what specs about cancel, closing
-- and own threads share.

local gates = require "handoff"
local helpers = require "helpers"

local tasks = {}

-- Setup: callback(code, box, ...) runs code with the arguments behind box. It
-- can use gates, mt and enter(), which puts the kernel's number of its thread
-- into the mailbox box; spin(gate), which computes until the gate is open; and
-- work(gate), which does the one and then the other. Each function is called
-- by its name, so that waits of the code suspend in Lua 5.1 and 5.2, too.
function tasks.setup()
  require "interruptible"
  local handoff, mtstates = require "handoff", require "mtstates"
  local compile = rawget(_G, "loadstring") or load
  local function spin(gate)
    local turns = 0
    while not gate or handoff.get(gate) == 0 do
      turns = turns + 1
    end
    return turns
  end
  local function give(...)
    return ...
  end
  return function(code, box, ...)
    local f = assert(compile("local gates, mt, enter, spin, work = ... " ..
      "return function(...) " .. code .. "\nend", "=task"))
    local function enter()
      if box then
        handoff.put(box, handoff.tid())
      end
    end
    local function work(gate)
      enter()
      return spin(gate)
    end
    local task = f(handoff, mtstates, enter, spin, work)
    return give(task(...))
  end
end

-- Has s, whose setup is tasks.setup, run code, which calls enter; gives the
-- future and the number of the thread when it has called that.
function tasks.begin(s, code, ...)
  local box = gates.unique("task")
  local future = s:async(code, box, ...)
  return future, gates.take(box)
end

-- The same; then waits until that thread sleeps in the kernel.
function tasks.begin_waiting(s, code, ...)
  local future, tid = tasks.begin(s, code, ...)
  gates.wait_asleep(tid)
  return future, tid
end

-- Whether err is the error `cancelled` of a request of s, without more text.
function tasks.is_cancelled(err, s)
  local name = s:name() and ("name=\"%s\","):format(s:name()) or ""
  return err == ("mtstates.error.cancelled: state(%sid=%.0f): " ..
    "the request was cancelled"):format(name, s:id())
end

-- Awaits the future, whose answer must be that error.
function tasks.check_cancelled(future, s)
  local err = helpers.raises_error("cancelled", future.await, future)
  if not tasks.is_cancelled(err, s) then
    error("not the plain error of a cancelled request: " .. err, 2)
  end
end

-- Whether the thread with that number has gone.
function tasks.is_gone(tid)
  local file = io.open(("/proc/self/task/%d/comm"):format(tid))
  if file then
    file:close()
  end
  return not file
end

-- The name of the thread with that number, or nil if it has gone.
function tasks.thread_name(tid)
  local file = io.open(("/proc/self/task/%d/comm"):format(tid))
  local name = file and file:read("*l")
  if file then
    file:close()
  end
  return name
end

return tasks
