-- A thread that does everything that services offer, at random, and keeps
-- accounts of it: services_stress_spec compares them with what the services
-- have counted, which are those of loadmember.lua.
--
-- There are base services, which stay until the end; stormy ones, which are
-- interrupted; short ones, which somebody closes while others use them; and
-- one that cancels. Services ask only base services before them, so there is
-- no deadlock, and nobody waits for an endless piece of work: its thread
-- cancels it at once.

local capidriver = require "capidriver"
local gates = require "handoff"
local helpers = require "helpers"
local book = require "loadbook"
local loadmember = require "loadmember"
local mtstates = require "mtstates"

local load = {}

local chance, draw, new_token = book.chance, book.draw, book.new_token
local is_boom, is_error, must = book.is_boom, book.is_error, book.must
local settle, settle_timed = book.settle, book.settle_timed

local random, canceller
local base, stormy, mine, pending, promised = {}, {}, {}, {}, {}
local booms, detached = 0, 0

local function new_work(target, ways)
  local entry = {target = target, token = new_token(), way = draw(ways)}
  if entry.way == "ask" and target.index == 1 then
    entry.way = "quick"
  elseif entry.way == "ask" then
    entry.asked = base[random(target.index - 1)]
  end
  return entry
end

-- Asks with that method; what stands before the arguments may be given.
local function ask(entry, method, ...)
  local s, arguments = entry.target.s, helpers.pack(...)
  for _, value in ipairs {"work", entry.token, entry.way,
                          entry.asked and entry.asked.id} do
    arguments[#arguments + 1] = value
  end
  return pcall(s[method], s, helpers.unpack(arguments))
end

local SHORT_WAYS = {"quick", "quick", "slow", "sleep", "ask", "ask"}
local LONG_WAYS = {"quick", "slow", "boom", "ask", "loop", "wait", "careful"}
local ENDLESS = {loop = true, wait = true, careful = true}
local TIMEOUTS = {0, 1e-5, 1e-3, 0.02}

local actions = {}

for _, method in ipairs {"await", "call"} do
  actions[method] = function(target)
    local entry = new_work(target, SHORT_WAYS)
    settle(entry, ask(entry, method))
  end
  local timed = "t" .. method
  actions[timed] = function(target)
    local entry = new_work(target, SHORT_WAYS)
    settle_timed(entry, ask(entry, timed, draw(TIMEOUTS)))
  end
end

-- Nobody hears of it.
function actions.send(target)
  if target.kind == "base" then
    local entry = new_work(target, {"quick", "quick", "boom"})
    must(ask(entry, "send"))
    if entry.way == "boom" then
      booms = booms + 1
    else
      book.add(target.id, "sure")
    end
  end
end

local function cancel(entry)
  local is_accepted
  entry.is_cancelled = true
  if chance(30) then
    is_accepted = canceller:await("cancel", entry.future)
  else
    is_accepted = entry.future:cancel()
  end
  if not is_accepted then
    must(entry.future:ready(), "cancelled in vain", entry.way)
    entry.is_cancelled = false
  end
end

local function settle_future(entry)
  settle(entry, pcall(entry.future.await, entry.future))
end

function actions.async(target)
  local entry = new_work(target, LONG_WAYS)
  local ok, future = ask(entry, "async")
  if not ok then
    return settle(entry, ok, future)
  end
  entry.future = future
  if ENDLESS[entry.way] or chance(30) then
    if chance(40) then
      gates.breathe()
    end
    cancel(entry)
  end
  local i = random(10)
  if pending[i] then
    settle_future(pending[i])
  end
  pending[i] = entry
end

-- ------------------------------------------------------------ promises --

local function settle_promise(entry)
  local s = entry.target.s
  if s and entry.way == "drop" then
    pcall(s.await, s, "collect")
  end
  local ok, result = pcall(entry.future.await, entry.future)
  local is_set = ok and result == entry.token
  local is_abandoned = not ok and is_error(result, "abandoned")
  local is_fine
  if entry.is_cancelled then
    is_fine = not ok and is_error(result, "cancelled")
  elseif entry.way == "fail" then
    is_fine = type(result) == "table" and result.token == entry.token
  elseif entry.way == "set" or entry.way == "pass" then
    is_fine = is_set
  else
    is_fine = is_abandoned
  end
  must(is_fine or is_abandoned and entry.target.kind == "short",
    "promise, " .. entry.way, result)
end

local function settle_promises()
  helpers.collect() -- the promises of this thread
  for _, entry in ipairs(promised) do
    settle_promise(entry)
  end
  promised = {}
end

function actions.promise(target)
  local entry = new_work(target, {"set", "fail", "pass", "keep", "drop"})
  local other = base[random(math.max(target.index - 1, 1))]
  if target.kind == "stormy" or target.index == 1 and entry.way == "pass" then
    return
  end
  local future, promise = mtstates.promise()
  entry.future = future
  pcall(target.s.send, target.s, "promise", entry.token, entry.way, promise,
    other.id)
  if entry.way == "keep" or chance(20) then
    entry.is_cancelled = future:cancel()
  end
  promised[#promised + 1] = entry
end

-- --------------------------------------------- threads, notifications --

local CODE = "return require('loadmember').thread(...)"

function actions.thread(target)
  local ways = {"quick", "sleep", "boom", "ask", "loop", "wait", "detach"}
  local way, token = draw(ways), new_token()
  local via = way == "ask" and base[random(#base)] or nil
  local future, s = mtstates.thread(CODE, token, way, via and via.id)
  if way == "detach" then
    detached = detached + 1
    return
  end
  local also = chance(30) and {target = {kind = "short"}, token = token + 0.5,
    future = select(2, pcall(s.async, s, loadmember.thread, token + 0.5))}
  local entry = {target = target, way = way, token = token, future = future}
  if ENDLESS[way] then
    cancel(entry)
  end
  local ok, result = pcall(future.await, future)
  if ok then
    must(result == token, "wrong answer of a thread", result)
    if via then
      book.add(via.id, "sure")
    end
  else
    must(way == "boom" and is_boom(result, token)
      or ENDLESS[way] and is_error(result, "cancelled"), "thread", result)
  end
  if also and mtstates.type(also.future) == "mtstates.future" then
    ok, result = pcall(also.future.await, also.future)
    must(ok and result == also.token or is_error(result, "object_closed"),
      "request of a thread", result)
  end
end

function actions.notify(target)
  if target.kind == "base" then
    local codes = capidriver.notifier(target.s):storm(2, 20)
    must(codes[0] == 40, "notifications were refused", codes[0])
    book.add(target.id, "notified", 40)
  end
end

function actions.interrupt()
  draw(stormy).s:interrupt()
end

-- ------------------------------------------------------- short services --

local closes = {
  function(s) s:close() end,
  function(s) s:close(draw(TIMEOUTS)) end,
  function(s) must(s:close(60), "not closed in time", s) end,
  function(s) s:send("quit") end,
  function(s) s:await("quit") end,
  function() end -- it is dropped
}

local function replace(i)
  local old, boom = mine[i], nil
  if chance(20) then
    boom, booms = ("boom %d;"):format(new_token()), booms + 1
  end
  local s = mtstates.newstate({queue = random(20), own_thread = chance(20)},
    loadmember.short, boom)
  mine[i] = {kind = "short", s = s, id = s:id(), index = #base + 1}
  gates.set(("load board %d"):format(random(8)), s:id())
  if old then
    local ok, err = pcall(draw(closes), old.s)
    must(ok or is_error(err, "concurrent_access")
      or is_error(err, "object_closed"), "closing", err)
    old.s = nil
    collectgarbage(chance(10) and "collect" or "step")
  end
end

-- A short service of any thread, or nil.
local function found()
  local ok, s = pcall(mtstates.state,
    gates.get(("load board %d"):format(random(8))))
  if ok then
    return {kind = "short", s = s, id = s:id(), index = #base + 1}
  end
  must(is_error(s, "unknown_object"), "looking up", s)
end

local function any_target()
  return chance(25) and (found() or draw(mine)) or chance(20) and draw(stormy)
    or draw(base)
end

local DRAW = {"await", "await", "tawait", "call", "tcall", "send", "send",
              "async", "async", "async", "async", "promise", "promise",
              "promise", "thread", "notify", "interrupt"}

local function find_all(kind, ids)
  local list = {}
  for i, id in ipairs(ids) do
    list[i] = {kind = kind, s = mtstates.state(id), id = id,
               index = kind == "base" and i or #base + 1}
  end
  return list
end

-- Body of a thread: the accounts by id, how many errors nobody hears of, how
-- many threads were detached, and how many things were done.
function load.run(seed, number, rounds, ids)
  book.open(seed, number)
  random = book.random
  base = find_all("base", ids.base)
  stormy = find_all("stormy", ids.stormy)
  canceller = mtstates.state(ids.canceller)
  replace(1)
  for _ = 1, rounds do
    if chance(6) then
      replace(random(math.min(#mine + 1, 4)))
    end
    actions[draw(DRAW)](any_target())
    if #promised == 20 then
      settle_promises()
    end
  end
  for _, entry in pairs(pending) do
    settle_future(entry)
  end
  settle_promises()
  return book.accounts, booms, detached, book.steps
end

return load
