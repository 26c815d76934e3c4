-- What specs about the C APIs of services share.

local capidriver = require "capidriver"
local gates = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local natives = {}

natives.kinds = {
  {"a service", false},
  {"a service with an own thread", true}
}

-- Setup: the callback counts its calls and arguments, but for those that say
-- what else to do: "take" gives how many there were, and how many came out of
-- the order of a storm; "threads" on how many OS threads; "boom" raises.
function natives.counter()
  local handoff = require "handoff"
  local calls, arguments, wrong, last, tids = 0, 0, 0, {}, {}
  local run = {}
  function run.hold(entered, leave)
    handoff.enter(entered, leave, 1)
  end
  function run.take()
    return calls, arguments, wrong
  end
  function run.threads()
    local count = 0
    for _ in pairs(tids) do
      count = count + 1
    end
    return count
  end
  function run.boom(text)
    error("boom " .. text, 0)
  end
  return function(...)
    local what, round = ...
    if run[what] then
      return run[what](select(2, ...))
    end
    calls, arguments = calls + 1, arguments + select("#", ...)
    tids[handoff.tid()] = true
    if type(what) == "number" then -- of a storm: its thread, and the round
      wrong = round == (last[what] or -1) + 1 and wrong or wrong + 1
      last[what] = round
    end
  end
end

-- A service, a receiver and a notifier; the setup may be left out.
function natives.open(own_thread, queue, setup, ...)
  local s = mtstates.newstate({own_thread = own_thread, queue = queue},
    setup or natives.counter, ...)
  return s, capidriver.receiver(s), capidriver.notifier(s)
end

-- Has a request keep s, a counter, busy until the function that this gives is
-- called.
function natives.hold(s)
  local entered, leave = gates.unique("entered"), gates.unique("leave")
  local future = s:async("hold", entered, leave)
  gates.wait(entered, 1)
  return function()
    gates.set(leave, 1)
    future:await()
  end
end

-- Until the state is closed of which only the id is left.
function natives.wait_closed(id)
  helpers.wait_until(function()
    helpers.collect()
    return not pcall(mtstates.state, id)
  end)
end

return natives
