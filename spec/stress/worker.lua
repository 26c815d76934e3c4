-- A thread of the stress: does random things with states and keeps accounts.
--
-- For each state that it called there is an account: how many calls surely
-- ran there, how many perhaps did (those that were interrupted), and the sum
-- of the steps that the sure ones counted. Every other outcome of a call has
-- to be one that tells that it did not run, and that the call can have.
--
-- What a round does is drawn from the seed, the thread and the round alone,
-- whatever happened in the rounds before.

local capidriver = require "capidriver"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local SETUP = 'return require "stress.member"'
local FAILING_SETUPS = {
  {'require "stress.member" error("boom")', "boom"},
  {'require "stress.member" return 1', "mtstates.error.state_result"},
  {"return return", "bad argument #"},
}
local MINE = 24       -- states that a thread has objects of
local NAMES = 20      -- for states of all threads, and for singletons
local SINGLETONS = 4
local BOARD = 16      -- gates that hold ids, for all threads to find
local MEETING = 20    -- rounds between two meetings of all threads
local RUSH = 1500     -- calls in a burst

local ACTIONS = {"echo", "echo", "echo", "count", "slow", "spin", "boom",
                 "bad", "collect"}
local TIMEOUTS = {0, -1, 1e-5, 2e-4, 1e-3, 0.02, math.huge}
local TARGETS = 4     -- states of all threads: each interrupt of them must hit
local TARGET_ACTIONS = {"echo", "count", "slow", "spin", "spin"}
local ECHOES = {"", ("x"):rep(100), ("\0y"):rep(5000), 17, -0.5, true}

local unpack = helpers.unpack
local worker = {}
local base = {}     -- objects of states that nobody closes or interrupts
local targets = {}  -- objects of states that nobody closes
local mine = {}     -- objects of states that come and go
local accounts = {} -- of the id of a state: {sure, perhaps, sum}
local tally = {calls = 0, timeouts = 0, errors = 0, interrupted = 0}

-- ---------------------------------------------------------------- chance --

local random

local function set_seed(seed, thread, round)
  random = helpers.random(
    (seed * 7919 + thread * 104729 + round * 611953) % 2147483646 + 1)
  for _ = 1, 5 do
    random(1)
  end
end

local function chance(percent)
  return random(100) <= percent
end

local function any(list)
  return list[random(#list)]
end

-- -------------------------------------------------------------- accounts --

local function book(id, sure, perhaps, sum)
  local account = accounts[id] or {0, 0, 0}
  account[1] = account[1] + sure
  account[2] = account[2] + perhaps
  account[3] = account[3] + sum
  accounts[id] = account
  tally.calls = tally.calls + sure
end

local function contains(err, text)
  return tostring(err):find(text, 1, true)
end

-- The error must be one of those with these names.
local function check(err, names)
  for name in names:gmatch("%S+") do
    if contains(err, "mtstates.error." .. name) then
      tally.errors = tally.errors + 1
      return
    end
  end
  error("this should not be raised here: " .. tostring(err), 0)
end

-- An order is a call of the state with this id that counts, and the errors
-- that can keep it from running.
local function new_order(id, errors, action)
  action = action or any(ACTIONS)
  local order = {id = id, errors = errors, step = random(1000)}
  order.args = {action, order.step, n = 3}
  if action == "echo" then
    order.args[3] = any(ECHOES)
    order.echo = order.args[3]
  elseif action == "spin" then
    order.args[3] = random(2000)
  elseif action == "slow" then
    order.args[3] = any {1, 1, 1, 5}
  elseif action == "child" then
    order.args[3] = any {1, 1, 1, 12}
  elseif action == "boom" then
    order.proof = ("boom %d;"):format(order.step)
    order.args[3] = order.proof .. (chance(30) and ("x"):rep(20000) or "")
    order.args[4], order.args.n = chance(30), 4
  elseif action == "bad" then
    order.proof = "mtstates.error.state_result"
  end
  return order
end

-- Books what has become of an order: what pcall gave, but false for a call
-- that did not get in within its timeout.
local function settle(order, ok, result, echo)
  if ok and result == false and order.is_timed then
    tally.timeouts = tally.timeouts + 1
  elseif ok then
    if result ~= order.id then
      error("the call went to the wrong state")
    elseif order.proof or echo ~= order.echo then
      error("the call gave something else")
    end
    book(order.id, 1, 0, order.step)
  elseif order.proof and contains(result, order.proof) then
    book(order.id, 1, 0, order.step)
  else
    check(result, order.errors)
    if contains(result, "mtstates.error.interrupted") then
      tally.interrupted = tally.interrupted + 1
      book(order.id, 0, 1, 0)
    end
  end
end

local function drop_true(ok, in_time, ...)
  if ok and in_time == true then
    return true, ...
  end
  return ok, in_time
end

local function call(s, timeout, args)
  if timeout then
    return drop_true(pcall(s.tcall, s, timeout, unpack(args, 1, args.n)))
  end
  return pcall(s.call, s, unpack(args, 1, args.n))
end

local function random_timeout(order)
  local timeout = chance(30) and any(TIMEOUTS)
  order.is_timed = order.is_timed or timeout
  return timeout
end

local function carry_out(order, s)
  settle(order, call(s, random_timeout(order), order.args))
end

-- Has the order passed on by further states.
local function carry_out_through(order, vias)
  local id, args = order.id, order.args
  for _, via in ipairs(vias) do
    local n = args.n
    args = {"pass", id, random_timeout(order), unpack(args, 1, n)}
    args.n, id = n + 3, via:id()
  end
  local ok, s = pcall(mtstates.state, id)
  if ok then
    settle(order, call(s, random_timeout(order), args))
  else
    check(s, order.errors)
  end
end

-- ---------------------------------------------------------------- states --

-- Some are used much more often than others.
local function any_base()
  local i = random(any {#base, 4})
  return chance(10) and mtstates.state("base " .. i) or base[i]
end

-- Keeps an object; the one in its place is dropped without being closed.
local function keep(s)
  mine[random(MINE)] = s
  if chance(70) then
    handoff.set("board " .. random(BOARD), s:id())
  end
end

-- A state that comes and goes, perhaps gone; or nil.
local function anyone()
  local how = random(6)
  local key, errors
  if how <= 2 then
    return mine[random(MINE)]
  elseif how <= 4 then
    key, errors = handoff.get("board " .. random(BOARD)), "unknown_object"
  elseif how == 5 then
    key, errors = "singleton " .. random(SINGLETONS), "unknown_object"
  else
    key, errors = "name " .. random(NAMES), "unknown_object ambiguous_name"
  end
  local ok, s = pcall(mtstates.state, key)
  if ok then
    return s
  end
  check(s, errors)
end

-- The same through an object that is no owner.
local function anyone_not_owned()
  local s = anyone()
  local ok, reference = pcall(mtstates.state, s and s:id() or 0)
  return ok and reference or nil
end

local COMES_AND_GOES = "object_closed interrupted"

-- --------------------------------------------------------------- actions --

local actions = {}

function actions.call_base()
  for _ = 1, random(5) do
    local s = any_base()
    carry_out(new_order(s:id(), ""), s)
  end
end

function actions.call()
  local s = anyone()
  if s then
    carry_out(new_order(s:id(), COMES_AND_GOES), s)
  end
end

function actions.call_base_through_others()
  local vias = {}
  for i = 1, random(4) do
    vias[i] = any_base()
  end
  carry_out_through(new_order(any_base():id(), "deadlock"), vias)
end

function actions.call_through_others()
  local s = anyone()
  if s then
    local order = new_order(s:id(), COMES_AND_GOES ..
                            " deadlock unknown_object")
    local vias = {}
    for _ = 1, random(4) do
      vias[#vias + 1] = chance(50) and any_base() or anyone()
    end
    carry_out_through(order, vias)
  end
end

-- The state creates one that it owns and drops the one before, or interrupts
-- itself.
function actions.call_for_trouble()
  local s, errors, action = any_base(), "", "child"
  if chance(70) then
    s, errors, action = anyone(), COMES_AND_GOES, any {"child", "stop"}
  end
  if s then
    carry_out(new_order(s:id(), errors, action), s)
  end
end

function actions.create()
  local name = chance(50) and "name " .. random(NAMES) or nil
  keep((mtstates.newstate(name, chance(30), SETUP)))
end

function actions.create_singleton()
  local name = "singleton " .. random(SINGLETONS)
  keep((mtstates.singleton(name, chance(30), SETUP)))
end

-- While others look its name up.
function actions.create_and_drop()
  mtstates.newstate("name " .. random(NAMES), false, SETUP)
  collectgarbage()
end

-- A singleton can be there already, with a setup that is good.
function actions.create_in_vain()
  local failing = any(FAILING_SETUPS)
  local create, name = mtstates.newstate, "name " .. random(NAMES)
  if chance(50) then
    create, name = mtstates.singleton, "singleton " .. random(SINGLETONS)
  end
  local ok, s = pcall(create, name, failing[1])
  if ok and create == mtstates.singleton then
    keep(s)
  elseif ok or not contains(s, failing[2]) then
    error("a bad setup gave: " .. tostring(s))
  end
end

function actions.close(s)
  s = s or anyone()
  if s then
    local ok, err = pcall(s.close, s)
    if not ok then
      check(err, "concurrent_access")
    elseif pcall(mtstates.state, s:id()) or pcall(s.call, s, "own", 0)
           or not tostring(s):find(("id=%d"):format(s:id()), 1, true) then
      error("this is no closed state: " .. tostring(s))
    end
  end
end

-- What the end of the scope of a to-be-closed variable does.
function actions.leave_scope()
  local s = anyone()
  if s then
    getmetatable(s).__close(s)
    if s:isowner() and pcall(s.call, s, "own", 0) then
      error("this owner's state is not closed: " .. tostring(s))
    end
  end
end

-- Drops some objects, and those of the state with this id.
function actions.drop(id)
  for i = 1, MINE do
    if chance(10) or id and mine[i] and mine[i]:id() == id then
      mine[i] = nil
    end
  end
  if id or chance(30) then
    collectgarbage()
  else
    collectgarbage("step", random(50))
  end
end

local function interrupt(s, flag)
  local ok, err = pcall(s.interrupt, s, flag)
  if not ok then
    check(err, "object_closed")
  end
end

function actions.interrupt(s)
  s = s or anyone()
  if s then
    interrupt(s)
  end
end

function actions.interrupt_for_a_while(s)
  s = s or anyone()
  if s then
    interrupt(s, true)
    for _ = 1, random(3) do
      carry_out(new_order(s:id(), COMES_AND_GOES), s)
    end
    interrupt(s, false)
  end
end

-- Calls target i, and has it known if the call was hit.
local function call_target(i)
  local order = new_order(targets[i]:id(), "interrupted", any(TARGET_ACTIONS))
  local before = tally.interrupted
  carry_out(order, targets[i])
  if tally.interrupted > before then
    handoff.add("hits " .. i)
  end
end

function actions.call_target()
  call_target(random(TARGETS))
end

-- One interrupt at a time, so that each has to hit one call, and only one.
function actions.interrupt_target()
  local i = random(TARGETS)
  if handoff.add("aims " .. i) == 1 then
    local strikes = handoff.add("strikes " .. i)
    targets[i]:interrupt()
    if handoff.get("hits " .. i) < strikes then
      call_target(i)
    end
    handoff.wait("hits " .. i, strikes)
    handoff.set("aims " .. i, 0)
  end
end

-- Native threads, all at once.
function actions.storm()
  local s = any_base()
  local threads, times = random(3), random(3)
  local n, codes = threads * times
  if chance(50) then
    codes = capidriver.notifier(s):storm(threads, times)
    book(s:id(), n, 0, n)
  else
    codes = capidriver.receiver(s):storm(threads, times)
    book(s:id(), n, 0, threads * times * (times - 1) / 2)
  end
  if codes[0] ~= n then
    error("a storm's calls did not all succeed")
  end
end

local function start_native(s, order, nonblock)
  if order.args[1] == "bad" then -- results are dropped
    order.proof = nil
  end
  if chance(30) then
    order.step, order.echo, order.proof = 1, nil, nil
    return capidriver.notifier(s):start()
  end
  local r = capidriver.receiver(s)
  local writer = r:writer(random(100), 2)
  for i = 1, order.args.n do
    local value = order.args[i]
    if type(value) == "string" then
      writer:string(value)
    elseif type(value) == "number" then
      writer:number(value)
    else
      writer:boolean(value)
    end
  end
  return r:start(writer, nonblock)
end

local function settle_native(order, nonblock, code, message)
  if code == 0 then
    settle(order, true, order.id, order.echo)
  elseif code == 3 and nonblock then
    tally.timeouts = tally.timeouts + 1
  elseif code ~= 1 then
    settle(order, false, message)
  end
end

-- Native threads call, while this one does something with the state.
function actions.call_from_native_threads()
  local s = anyone_not_owned()
  if s then
    local id, jobs, orders, nonblock = s:id(), {}, {}, chance(20)
    for i = 1, random(4) do
      orders[i] = new_order(id, COMES_AND_GOES, i == 1 and "slow" or nil)
      jobs[i] = start_native(s, orders[i], nonblock)
    end
    if chance(50) then
      handoff.breathe() -- so that they are in the state or in its queue
    end
    local action = any {"close", "interrupt", "interrupt_for_a_while", "drop"}
    actions[action](action == "drop" and id or s)
    for i = 1, #jobs do
      settle_native(orders[i], nonblock, jobs[i]:join())
    end
  end
end

local weights = {
  call_base = 10, call = 10, call_base_through_others = 8,
  call_through_others = 8, call_for_trouble = 3, call_from_native_threads = 5,
  storm = 1, create = 8, create_singleton = 3, create_in_vain = 1,
  create_and_drop = 2, call_target = 6, interrupt_target = 2, close = 3,
  leave_scope = 1, drop = 4, interrupt = 4, interrupt_for_a_while = 3,
}

-- In an order that is the same each time.
local draw = {}
for name, weight in pairs(weights) do
  for _ = 1, weight do
    draw[#draw + 1] = name
  end
end
table.sort(draw)

-- ------------------------------------------------------------------ life --

-- After the last meeting nobody interrupts: what is left must work.
local function finish()
  for i = 1, MINE do
    local s = mine[i]
    if s then
      interrupt(s, false)
      carry_out(new_order(s:id(), "object_closed"), s)
      if chance(50) then
        mine[i] = nil
      end
    end
  end
  collectgarbage()
end

local meetings = 0

local function gather(threads)
  meetings = meetings + 1
  handoff.enter("met", "met", threads * meetings)
end

-- All threads meet, so that one that was forgotten in a queue is not saved by
-- the next who passes. Then all want the same new singleton.
local function meet(threads, round)
  gather(threads)
  keep((mtstates.singleton("meeting " .. round, SETUP)))
end

-- All call one state: two threads in a burst, the others while that lasts,
-- three of them without patience. Then all fall silent until the next meeting.
local function rush(thread, round)
  local s = base[round / MEETING]
  local function count(timeout)
    local order = new_order(s:id(), "", "count")
    order.is_timed = timeout
    settle(order, call(s, timeout, order.args))
  end
  if thread <= 2 then
    for _ = 1, RUSH do
      count()
    end
    handoff.add("rush")
  else
    repeat
      count(thread <= 5 and random(400) * 1e-6 or nil)
    until handoff.get("rush") == 2 * round / MEETING
  end
end

local function work(seed, thread, rounds, threads)
  for round = 1, rounds do
    set_seed(seed, thread, round)
    actions[any(draw)]()
    if round % MEETING == 0 then
      meet(threads, round)
      rush(thread, round)
      gather(threads)
    end
  end
  finish()
end

-- Hands in the accounts; then the mailbox "finished" gets true, how many
-- they are and the tally, or false and the error.
function worker.run(base_ids, ...)
  for id in base_ids:gmatch("%d+") do
    base[#base + 1] = mtstates.state(tonumber(id))
  end
  for i = 1, TARGETS do
    targets[i] = mtstates.state("target " .. i)
  end
  local args = helpers.pack(...)
  local ok, err = xpcall(function()
    work(unpack(args, 1, args.n))
  end, debug.traceback)
  local count = 0
  for id, account in pairs(accounts) do
    handoff.put("accounts", id, unpack(account))
    count = count + 1
  end
  handoff.put("finished", ok, ok and count or err, tally.calls,
              tally.timeouts, tally.errors, tally.interrupted)
end

return worker
