-- What specs about requests share. The setups run in both kinds of states.

local gates = require "handoff"
local mtstates = require "mtstates"

local requests = {}

-- Makes a state without a name of this kind: new(kind, setup, ...).
function requests.new(kind, ...)
  return mtstates.newstate(nil, kind == "service" and {} or true, ...)
end

requests.kinds = {"classic state", "service"}

-- Has a worker run s, whose setup is helpers.gated, until the function that
-- this gives is called; that gives what the request gave.
function requests.hold(s, ...)
  local entered, leave = gates.unique("entered"), gates.unique("leave")
  local future = s:async(entered, leave, ...)
  gates.wait(entered, 1)
  return function()
    gates.set(leave, 1)
    return future:await()
  end
end

-- Setup: the callback counts: count(n) must get 1, 2, 3 ...; count() gives
-- how many it got, and how many of them were not next in the order.
function requests.counter()
  local count, last, wrong = 0, 0, 0
  return function(n)
    if n then
      count, wrong = count + 1, n == last + 1 and wrong or wrong + 1
      last = n
    end
    return count, wrong
  end
end

-- Setup: the callback runs code: callback(code, ...).
function requests.runner()
  local compile = rawget(_G, "loadstring") or load
  return function(code, ...)
    return assert(compile(code))(...)
  end
end

-- Calls f, which must raise; gives what it raised, a text without traceback.
function requests.raised(f, ...)
  local ok, err = pcall(f, ...)
  if ok then
    error("nothing was raised", 2)
  elseif type(err) == "string" then
    return (err:gsub("\n?stack traceback:.*$", ""))
  end
  return err
end

-- Sets a logger that puts what it gets into a mailbox; take() gives the next
-- entry: kind, text, name or nil, id. Who logs calls reset at the end.
function requests.log_to_mailbox()
  local box = gates.unique("log")
  local logger = mtstates.newstate(nil, true, function(mailbox)
    local handoff = require "handoff"
    return function(...)
      handoff.put(mailbox, ...)
      handoff.add(mailbox)
    end
  end, box)
  mtstates.logger(logger)
  local log = {state = logger}
  function log.take()
    return gates.take(box)
  end
  -- How many entries there were once all that was logged before is there.
  function log.count()
    logger:await("mark")
    repeat until gates.take(box) == "mark"
    local count = gates.get(box) - 1
    gates.set(box, 0)
    return count
  end
  function log.reset()
    mtstates.logger(nil)
    logger:close()
  end
  return log
end

return requests
