-- Rings of waits: each member holds something, says so, and then waits, still
-- holding it, for what the next one holds. Main programs close them with
-- rings.close; the rest runs inside of states and threads.

local gates = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local rings = {}

local BOARD = "rings board"

-- A word for how a wait has ended.
local function outcome(ok, result)
  if ok then
    return result == false and "late" or "in"
  end
  return tostring(result):match("^mtstates%.error%.([%a_]+)") or result
end

-- Ways to wait: for a state, by its id; for a singleton, by its name; for a
-- future that is on the board, by its name there.
local waits = {}

local function found(id)
  return mtstates.state(tonumber(id))
end

for _, name in ipairs {"call", "await", "send", "async"} do
  waits[name] = function(id)
    local s = found(id)
    s[name](s)
  end
  waits["t" .. name] = function(id, timeout)
    local s = found(id)
    return s["t" .. name](s, timeout)
  end
end

function waits.future(id)
  found(id):async():await()
end

function waits.tfuture(id, timeout)
  return found(id):async():tawait(timeout)
end

function waits.singleton(name)
  mtstates.singleton(name, {}, rings.member)
end

function waits.handed(name)
  mtstates.state(BOARD):call("get", name):await()
end

local function go(gate, way, target, timeout)
  gates.add(gate .. " going")
  return waits[way](target, timeout)
end

-- Says at the gate that it holds something, and who it is; when it is its
-- turn, waits in that way for the target. Gives how that ended.
function rings.meet(gate, turn, way, target, timeout)
  gates.put(gate .. " tid", turn, gates.tid())
  gates.enter(gate, gate .. " go", turn)
  return outcome(helpers.hold(pcall, go, gate, way, target, timeout))
end

-- Setup: the callback does that, or without arguments nothing.
function rings.member()
  local inner = require "rings"
  return function(gate, ...)
    return gate and inner.meet(gate, ...)
  end
end

-- Setup: futures by their names.
local function board()
  local futures = {}
  return function(what, name, future)
    if what == "put" then
      futures[name] = future
    end
    return futures[name], true
  end
end

-- What a member is, and the ways to wait for it. A thread calls its state, or
-- one with an own thread; workers and own threads run a request; a singleton
-- is being set up by a thread.
local WAYS = {"call", "await", "future", "send", "async"}
local WAYS_WITH_FUTURE = {"call", "await", "future", "send", "async", "handed"}
rings.ways = {
  thread = WAYS, caller = WAYS,
  worker = WAYS_WITH_FUTURE, own = WAYS_WITH_FUTURE,
  singleton = {"singleton"}
}

local function needs_room(way)
  return way:find("send", 1, true) or way == "async"
end

local function start_thread(link, ...)
  local threads = require "threads"
  local thread = threads.start(link.id and function(id, ...)
    return require "mtstates".state(tonumber(id)):call(...)
  end or function(name, ...)
    return require "mtstates".singleton(name, {}, function(...)
      local ended = require "rings".meet(...)
      return function() return ended end
    end, ...):call()
  end, link.id or link.name, ...)
  return function() return (thread:results()) end
end

local function open_member(link, previous)
  link.name = gates.unique("ring")
  if link.is == "singleton" then
    link.target = link.name
    return
  end
  link.state = mtstates.newstate({
    queue = needs_room(previous.way) and 1 or nil,
    own_thread = link.is == "own" or link.is == "caller"
  }, rings.member)
  link.id = ("%d"):format(link.state:id())
  link.target = link.id
end

local function start_member(link, next_link, gate, turn)
  local target = link.elsewhere
    or link.way == "handed" and next_link.name or next_link.target
  local arguments = {gate, turn, link.way, target, link.timeout}
  if link.is == "worker" or link.is == "own" then
    link.future = link.state:async(helpers.unpack(arguments))
    mtstates.state(BOARD):call("put", link.name, link.future)
    link.result = function() return (link.future:await()) end
  else
    link.result = start_thread(link, helpers.unpack(arguments))
  end
end

-- Starts the members, each of which is, and waits in the way, that its entry
-- says; one waits for a state elsewhere, of which the entry has the id. They
-- hold what they hold, and their queues are full where the member before waits
-- for room. They begin to wait when they get their turns.
function rings.open(links)
  local gate = gates.unique("ring")
  local size = #links
  links.gate = gate
  links.board = mtstates.singleton(BOARD, {}, board)
  for i, link in ipairs(links) do
    open_member(link, links[(i - 2) % size + 1])
  end
  for i, link in ipairs(links) do
    start_member(link, links[i % size + 1], gate, i)
  end
  gates.wait(gate, size)
  links.tids = {}
  for _ = 1, size do
    local turn, tid = gates.take(gate .. " tid")
    links.tids[turn] = tid
  end
  for i, link in ipairs(links) do
    if needs_room(link.way) and not link.elsewhere then
      links[i % size + 1].state:send()
    end
  end
end

-- Has all wait at once, or one after the other.
function rings.go(links, in_turn)
  for i = in_turn and 1 or #links, #links do
    gates.set(links.gate .. " go", i)
    if i < #links then
      gates.wait(links.gate .. " going", i)
      gates.wait_asleep(links.tids[i])
    end
  end
end

-- How the waits have ended, in the order of the members; all work then.
function rings.finish(links)
  local ended = {}
  for i, link in ipairs(links) do
    ended[i] = link.result()
  end
  for _, link in ipairs(links) do
    if link.state then
      link.state:await()
      link.state:close()
    end
  end
  gates.set(links.gate, 0)
  gates.set(links.gate .. " go", 0)
  gates.set(links.gate .. " going", 0)
  return ended
end

-- All of that; gives the outcomes.
function rings.close(links, in_turn)
  rings.open(links)
  rings.go(links, in_turn)
  return rings.finish(links)
end

return rings
