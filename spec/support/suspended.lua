-- Tasks that are suspended, and waits that hold: what specs about both share.
-- The states are those of tasks.setup.

local gates = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local tasks = require "tasks"

local suspended = {}

-- Lua tells itself where it can yield: what suspends is known exactly.
suspended.is_exact = rawget(coroutine, "isyieldable") ~= nil

-- Coroutines that a task has made are suspended with it: wherever functions
-- have no environments.
suspended.has_coroutines = not rawget(_G, "setfenv")

suspended.has_closing =
  helpers.compile("local x <close> = nil") and true or false

-- What pcall calls can yield.
suspended.has_pcall = coroutine.wrap(function()
  return pcall(coroutine.yield, true)
end)() == true

suspended.it_has_coroutines = helpers.it_needs(suspended.has_coroutines,
  "suspended coroutines")
suspended.it_has_no_coroutines = helpers.it_needs(
  not suspended.has_coroutines, "coroutines that hold")
suspended.it_has_closing = helpers.it_needs(suspended.has_closing,
  "to-be-closed variables")
suspended.it_has_pcall = helpers.it_needs(suspended.has_pcall,
  "pcall that yields")

-- A busted before_each and after_each: one worker only.
function suspended.one_worker(before_each, after_each)
  local count
  before_each(function()
    count = mtstates.workers()
    mtstates.workers(1)
  end)
  after_each(function()
    mtstates.workers(count)
  end)
end

-- Until `count` tasks of s are suspended and nothing else of it runs: it lets
-- calls in. Each try is a call, which runs no code.
function suspended.wait(s, count)
  helpers.wait_until(function()
    return s:stats().tasks == count and (s:tcall(0, ""))
  end)
end

-- Has s run code; gives the future when the task is suspended, and the number
-- of the thread on which it called enter. count: so many are suspended then.
function suspended.begin(s, count, code, ...)
  local future, tid = tasks.begin(s, code, ...)
  suspended.wait(s, count)
  return future, tid
end

-- Has s run code, which calls enter and then waits; gives the future when it
-- is clear that it holds: nobody gets into s.
function suspended.begin_holding(s, code, ...)
  local future, tid = tasks.begin_waiting(s, code, ...)
  if future:ready() then
    error("the request is over: " ..
      tostring(select(2, pcall(future.await, future))), 2)
  elseif s:tcall(0, "") or s:tcall(0.02, "") then
    error("the wait does not hold", 2)
  end
  return future, tid
end

-- Code that makes local the functions of the coroutine library, the arguments
-- behind the id of a keeper, and wait(), which calls enter the first time and
-- gives the keeper's answer.
suspended.IN_COROUTINE = [[
  local id, a1, a2 = ...
  local create, resume = coroutine.create, coroutine.resume
  local yield, wrap, status = coroutine.yield, coroutine.wrap,
    coroutine.status
  local entered
  local function wait()
    if not entered then
      enter()
      entered = true
    end
    local answer = mt.state(id):await("get")
    return answer
  end
]]

-- Has s run code behind that, which waits in a coroutine; gives the future
-- when the task is suspended, or holds, as this Lua can.
function suspended.begin_in_coroutine(s, keeper_id, code, ...)
  code = suspended.IN_COROUTINE .. code
  if not suspended.has_coroutines then
    return suspended.begin_holding(s, code, keeper_id, ...)
  end
  local future = suspended.begin(s, 1, code, keeper_id, ...)
  if s:await("return 'asked'") ~= "asked" then
    error("the state does not answer", 2)
  end
  return future
end

-- Has s run code, which calls enter and then waits in pcall; gives the future
-- when the task is suspended, or holds, as this Lua can.
function suspended.begin_in_pcall(s, code, ...)
  if suspended.has_pcall then
    return suspended.begin(s, 1, code, ...)
  end
  return suspended.begin_holding(s, code, ...)
end

local keepers = {}

-- A service that answers when open(...) is called, to all that ask by then or
-- later, by "get"; also for askers that no future can be sent to. Who makes
-- some calls open_keepers at the end: a promise that is lost is logged.
function suspended.keeper()
  local future, promise = mtstates.promise()
  local keeper = {state = mtstates.newstate({}, function(answer)
    local function give(...)
      return ...
    end
    return {
      get = function()
        return give(answer:await())
      end
    }
  end, future)}
  keepers[#keepers + 1] = keeper
  keeper.id = keeper.state:id()
  keeper.future = future
  function keeper.open(...)
    return promise:set(...)
  end
  function keeper.fail(...)
    return promise:fail(...)
  end
  return keeper
end

function suspended.open_keepers()
  for _, keeper in ipairs(keepers) do
    keeper.open()
  end
  keepers = {}
end

-- A service without room, held by a call on a thread; release() ends that.
function suspended.full()
  local threads = require "threads"
  local s = mtstates.newstate({queue = 1}, helpers.gated)
  local busy = threads.hold(s)
  s:send()
  local full = {state = s, id = s:id()}
  function full.release()
    busy:release()
  end
  return full
end

-- A mailbox's messages, one after the other, as a list of their first values.
function suspended.take(box, count)
  local list = {}
  for i = 1, count do
    list[i] = gates.take(box)
  end
  return list
end

return suspended
