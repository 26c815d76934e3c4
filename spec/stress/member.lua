-- What a state of the stress is set up with: a callback that counts its calls
-- and does what it is told. When the state ends it hands in what it counted.
--
--   callback(action, step, ...)       counts step, does the action; gives the
--                                     state's id and results of the action
--   callback()                        the same with step 1 and no action
--   callback("own", depth)            counts nothing; the state owns one that
--                                     owns one ...; gives the state's id
--   callback("pass", id, timeout, ...)   counts nothing, calls another state
--                                     with the rest; gives what that gave, or
--                                     false if that stayed busy

local coroutine = require "coroutine"
local handoff = require "handoff"
local mtstates = require "mtstates"
require "interruptible"

local id = mtstates.id()
local calls, sum = 0, 0
local actions = {}
local child, old_thread

handoff.add("opened")
actions.guard = require "on_collect"(function()
  handoff.put("ended", id, calls, sum)
  handoff.add("closed")
end)

function actions.echo(...)
  return ...
end

-- Others come meanwhile and queue up.
function actions.slow(times)
  for _ = 1, times do
    handoff.breathe()
  end
end

function actions.collect()
  collectgarbage()
end

local function spin(n)
  while true do
    local x = 0
    for i = 1, n do
      x = x + i
    end
    n = coroutine.yield(x)
  end
end

-- Runs inside a coroutine that can be older than an interrupt, or new.
function actions.spin(n)
  if not old_thread or coroutine.status(old_thread) == "dead" then
    old_thread = coroutine.create(spin)
  end
  local ok, err = coroutine.resume(old_thread, n)
  if not ok then
    error(err, 0)
  end
  coroutine.wrap(spin)(n)
end

function actions.boom(text, as_object)
  if as_object then
    error(setmetatable({}, {__tostring = function() return text end}))
  end
  error(text)
end

function actions.bad()
  return {}
end

-- The state that was owned before is dropped.
local function own(depth)
  if depth > 0 then
    child = mtstates.newstate(nil, false, 'return require "stress.member"')
    if child:call("own", depth - 1) ~= child:id() then
      error("the call went to the wrong state")
    end
  end
  return id
end

function actions.child(depth)
  own(depth)
end

-- Not if it has just lost its last owner.
function actions.stop()
  local ok, this = pcall(mtstates.state, id)
  if ok then
    this:interrupt()
  end
end

local function passed(in_time, ...)
  if in_time then
    return ...
  end
  return false
end

local function pass(next_id, timeout, ...)
  local next_state = mtstates.state(next_id)
  if timeout then
    return passed(next_state:tcall(timeout, ...))
  end
  return next_state:call(...)
end

return function(action, step, ...)
  if action == "pass" then
    return pass(step, ...)
  elseif action == "own" then
    return own(step)
  end
  calls = calls + 1
  sum = sum + (step or 1)
  if actions[action or 1] then
    return id, actions[action](...)
  end
  return id
end
