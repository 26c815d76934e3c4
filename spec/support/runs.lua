-- States whose requests run code that waits, for specs about tasks. Nothing
-- between the callback and the code keeps a wait from suspending the task, in
-- any Lua version: no pcall, no tail call.

local mtstates = require "mtstates"

local runs = {}

runs.kinds = {"classic state", "service", "service with an own thread"}
runs.services = {"service", "service with an own thread"}

-- Whether waits inside pcall suspend the task.
runs.pcall_suspends = coroutine.wrap(function()
  return pcall(coroutine.yield, true)
end)() == true

-- Whether a call that waits for a deferred reply suspends the task: what C
-- functions can do that go on after a wait.
runs.call_suspends = runs.pcall_suspends and rawget(_G, "jit") == nil

-- Setup: callback(code, ...) runs the code, which can use gates and mt; me,
-- a reference to its state; and mark(x), which adds x to a text that marks()
-- gives and clears.
function runs.setup()
  local handoff, mt = require "handoff", require "mtstates"
  local compile = rawget(_G, "loadstring") or load
  local bodies, marked = {}, {}
  local head = "local gates, mt, me, mark, marks = ... return function(...) "
  local function mark(x)
    marked[#marked + 1] = tostring(x)
  end
  local function marks()
    local text = table.concat(marked, " ")
    marked = {}
    return text
  end
  local function give(...)
    return ...
  end
  return function(code, ...)
    local body = bodies[code]
    if not body then
      body = assert(compile(head .. code .. "\nend", "=task"))(handoff, mt,
        mt.state(mt.id()), mark, marks)
      bodies[code] = body
    end
    return give(body(...))
  end
end

-- Makes a state of this kind: one of runs.kinds. options are for services.
function runs.new(kind, options)
  if kind == "classic state" then
    return mtstates.newstate(nil, true, runs.setup)
  end
  options = options or {}
  options.own_thread = kind == "service with an own thread"
  return mtstates.newstate(options, runs.setup)
end

-- Has s do something else, so that what was sent before has begun and waits
-- without a thread, or has ended.
function runs.settle(s)
  if not s:tawait(20, "") then
    error("a task of the state does not leave it", 2)
  end
end

-- Has s run this code in a task that waits then; gives its future.
function runs.suspend(s, code, ...)
  local future = s:async(code, ...)
  runs.settle(s)
  return future
end

-- Keeps errors that nobody reads from stderr until restore_log is called.
function runs.drop_log()
  mtstates.logger(mtstates.newstate("return function() end"))
end

function runs.restore_log()
  mtstates.logger(nil)
end

-- Runs one worker until the function that this gives is called.
function runs.one_worker()
  local count = mtstates.workers()
  mtstates.workers(1)
  return function()
    mtstates.workers(count)
  end
end

return runs
