-- What the specs about deadlocks do inside of states and threads: waiting, and
-- telling in a word how that ended.

local gates = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local waits = {}

local function outcome(ok, result)
  if ok then
    return result == false and "late" or "in"
  elseif result:find(mtstates.error.deadlock, 1, true) == 1 then
    return "deadlock"
  end
  return result
end

-- Meets `count` others at the gate; each holds something by then. Then waits
-- for the target: the callback of the state with that id, for `timeout`
-- seconds if that is given, or the singleton with that name.
function waits.meet(gate, count, target, in_coroutine, timeout)
  local function wait()
    local state
    if type(target) == "string" then
      return outcome(pcall(mtstates.singleton, target, waits.member))
    end
    state = mtstates.state(target)
    if timeout then
      return outcome(pcall(state.tcall, state, timeout))
    end
    return outcome(pcall(state.call, state))
  end
  gates.enter(gate, gate, count)
  if in_coroutine then
    return coroutine.wrap(wait)()
  end
  return wait()
end

-- Setup: the callback waits as above, or without arguments does nothing.
function waits.member()
  local inner = require "waits"
  return function(gate, ...)
    return gate and inner.meet(gate, ...)
  end
end

-- Thread: waits as above while it runs the state `own`, given by its id, or
-- sets up the singleton `own`, given by its name.
function waits.hold(own, ...)
  if type(own) == "string" then
    return mtstates.singleton(own, function(...)
      local ended = require "waits".meet(...)
      return function() return ended end
    end, ...):call()
  end
  return mtstates.state(own):call(...)
end

-- Setup: the callback calls the first of the states whose ids it gets, to call
-- the next, and so on.
function waits.link()
  local inner = require "waits"
  return function(ids)
    return inner.descend(ids)
  end
end

function waits.descend(ids)
  local first, rest = ids:match("^(%d+) ?(.*)$")
  if not first then
    return "in"
  end
  local state = mtstates.state(tonumber(first))
  local ok, result = pcall(state.call, state, rest)
  return ok and result or outcome(ok, result)
end

-- Thread: goes some times through up to three of the states whose ids it gets,
-- in the order that they are in or in any order. Gives how often that ended
-- with "in" and with "deadlock", and how it ended otherwise.
function waits.wander(seed, rounds, in_order, ...)
  local ids, random = {...}, helpers.random(seed)
  local found = {["in"] = 0, deadlock = 0}
  local other
  for _ = 1, rounds do
    local path, last = {}, 0
    for i = 1, 3 do
      last = in_order and last + random(#ids - last - 3 + i) or random(#ids)
      path[i] = ("%d"):format(ids[last])
    end
    local ended = waits.descend(table.concat(path, " "))
    if found[ended] then
      found[ended] = found[ended] + 1
    else
      other = ended
    end
  end
  return found["in"], found.deadlock, other
end

return waits
