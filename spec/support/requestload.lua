-- A thread that makes random requests and keeps accounts of them, and the
-- states that it asks, which count. requests_stress_spec compares the two.
--
-- Each request has a token of its own: the number of the thread and a step.
-- An account says of a state how many requests were surely done there, the sum
-- of their steps, and how many were perhaps done. What was refused, or failed
-- before it began, must not have been done and is in no account.
--
-- There are three kinds of states: base states are there until the end,
-- dropped ones lose their last owner and do what was sent before, closed ones
-- are closed while others use them.

local gates = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local load = {}

local unpack = helpers.unpack

-- Setup of the states.
--
--   callback(action, thread, step)       counts, does the action, gives step
--   callback("pass", id, method, ...)    counts nothing, asks another state
--   callback("account")                  what it counted
function load.member()
  local handoff = require "handoff"
  local mt = require "mtstates"
  local count, sum, wrong = 0, 0, 0
  local seen, last = {}, {}
  handoff.add("load opened")
  guard = require "on_collect"(function() -- luacheck: ignore
    handoff.put("load ended", mt.id(), count, sum, wrong)
    handoff.add("load closed")
  end)
  return function(action, thread, step, ...)
    if action == "account" then
      return count, sum, wrong
    elseif action == "pass" then
      local s = mt.state(thread)
      return s[step](s, ...)
    end
    local token = ("%d %d"):format(thread, step)
    wrong = seen[token] and wrong + 1 or wrong
    seen[token] = true
    if action:sub(1, 5) ~= "call " then -- calls may overtake
      wrong = step < (last[thread] or 0) and wrong + 1 or wrong
      last[thread] = step
    end
    count, sum = count + 1, sum + step
    if action:find("slow", 1, true) then
      handoff.breathe()
    elseif action:find("boom", 1, true) then
      error("boom " .. token .. ";", 0)
    end
    return step
  end
end

local thread, random
local base, mine, futures = {}, {}, {}
local accounts = {}
local step, booms, done = 0, 0, 0

local function chance(percent)
  return random(100) <= percent
end

local function book(target, is_sure, token)
  local account = accounts[target.id] or {0, 0, 0}
  accounts[target.id] = account
  if is_sure then
    account[1], account[2] = account[1] + 1, account[2] + token
    done = done + 1
  else
    account[3] = account[3] + 1
  end
end

-- What nobody hears of is done unless the state is closed before.
local function book_unheard(target, token, is_boom)
  book(target, target.kind ~= "closed", token)
  booms = booms + (is_boom and 1 or 0)
end

-- Books what pcall gave for one whose answer was waited for.
local function settle(target, token, is_boom, ok, result)
  if ok then
    if is_boom or result ~= token then
      error("wrong answer: " .. tostring(result), 0)
    end
    book(target, true, token)
  elseif is_boom and result:find(("boom %d %d;"):format(thread, token), 1,
                                 true) then
    book(target, true, token)
  elseif target.kind == "base"
         or not result:find(mtstates.error.object_closed, 1, true) then
    error("this should not be raised here: " .. result, 0)
  end
end

-- The same for what may be refused or late: true or false first.
local function settle_timed(target, token, is_boom, unsure, ok, in_time, ...)
  if not ok then
    settle(target, token, is_boom, ok, in_time)
  elseif in_time then
    settle(target, token, is_boom, ok, ...)
  elseif unsure then
    book(target, false)
  end
end

local TIMEOUTS = {0, 1e-5, 1e-3, 0.02, math.huge}

local methods = {}

function methods.send(target, token, is_boom, action)
  local ok, err = pcall(target.s.send, target.s, action, thread, token)
  if ok then
    book_unheard(target, token, is_boom)
  else
    settle(target, token, false, ok, err)
  end
end

function methods.tsend(target, token, is_boom, action)
  local ok, result = pcall(target.s.tsend, target.s,
    TIMEOUTS[random(#TIMEOUTS)], action, thread, token)
  if ok and result then
    book_unheard(target, token, is_boom)
  elseif not ok then
    settle(target, token, false, ok, result)
  end
end

local function settle_future(entry)
  settle(entry.target, entry.token, entry.is_boom,
    pcall(entry.future.await, entry.future))
end

-- The future in its place is read or dropped.
function methods.async(target, token, is_boom, action)
  local ok, future = pcall(target.s.async, target.s, action, thread, token)
  if not ok then
    return settle(target, token, false, ok, future)
  end
  local i = random(20)
  local old = futures[i]
  futures[i] = {target = target, token = token, is_boom = is_boom,
                future = future}
  if old and chance(70) then
    settle_future(old)
  elseif old then
    book_unheard(old.target, old.token, old.is_boom)
  end
end

function methods.await(target, token, is_boom, action)
  settle(target, token, is_boom,
    pcall(target.s.await, target.s, action, thread, token))
end

function methods.tawait(target, token, is_boom, action)
  local timeout = is_boom and math.huge or TIMEOUTS[random(#TIMEOUTS)]
  settle_timed(target, token, is_boom, true,
    pcall(target.s.tawait, target.s, timeout, action, thread, token))
end

function methods.call(target, token, is_boom, action)
  settle(target, token, is_boom,
    pcall(target.s.call, target.s, "call " .. action, thread, token))
end

function methods.tcall(target, token, is_boom, action)
  settle_timed(target, token, is_boom, false,
    pcall(target.s.tcall, target.s, TIMEOUTS[random(#TIMEOUTS)],
      "call " .. action, thread, token))
end

-- By way of a base state that is before the target, so that there is no cycle.
-- There another order of senders is possible, as between calls.
function methods.pass(target, token, is_boom, action)
  local via = base[random(target.index - 1)]
  settle(target, token, is_boom, pcall(via.s.await, via.s, "pass", target.id,
    "await", "call " .. action, thread, token))
end

function methods.pass_on(target, token, is_boom, action)
  local via = base[random(target.index - 1)]
  via.s:send("pass", target.id, "send", "call " .. action, thread, token)
  book_unheard(target, token, is_boom)
end

local draw = {"send", "send", "send", "tsend", "tsend", "async", "async",
              "async", "await", "await", "tawait", "call", "tcall", "pass",
              "pass_on"}

-- A state of this thread that is gone later.
local function new_state(kind)
  local options = chance(60) and {queue = random(20)} or true
  local s = mtstates.newstate(nil, options, load.member)
  gates.set(("load board %s %d"):format(kind, random(8)), s:id())
  return {kind = kind, s = s, id = s:id(), index = 1}
end

-- One of any thread, or nil.
local function found_state(kind)
  local id = gates.get(("load board %s %d"):format(kind, random(8)))
  local ok, s = pcall(mtstates.state, id)
  if ok then
    return {kind = kind, s = s, id = s:id(), index = 1}
  elseif not s:find(mtstates.error.unknown_object, 1, true) then
    error(s, 0)
  end
end

local function replace(i)
  local old = mine[i]
  mine[i] = new_state(chance(50) and "closed" or "dropped")
  if old and old.kind == "closed" then
    local ok, err = pcall(old.s.close, old.s)
    if not ok and not err:find(mtstates.error.concurrent_access, 1, true) then
      error(err, 0)
    end
  elseif old then
    old.s = nil -- what futures keep is no owner
    collectgarbage(chance(10) and "collect" or "step")
  end
end

local function any_target()
  local target
  if #mine > 0 and chance(40) then
    target = mine[random(#mine)]
  elseif chance(40) then
    target = found_state(chance(50) and "closed" or "dropped")
  end
  return target or base[random(#base)]
end

local function work(rounds)
  for _ = 1, rounds do
    if chance(5) then
      replace(random(math.min(#mine + 1, 6)))
    end
    local target, method = any_target(), draw[random(#draw)]
    if target.index > 1 or method:sub(1, 4) ~= "pass" then
      step = step + 1
      local is_boom = target.kind ~= "closed" and chance(10)
      local action = is_boom and "boom" or chance(5) and "slow" or "quick"
      methods[method](target, step, is_boom, action)
    end
  end
  for _, entry in pairs(futures) do
    settle_future(entry)
  end
end

-- Body of a thread. The mailbox "load accounts" gets true, how many booms
-- nobody hears of, how many requests were surely done and how many accounts
-- there are, and then those; or false and the error.
function load.run(seed, number, rounds, base_ids)
  thread, random = number, helpers.random(seed * 7919 + number * 104729)
  for id in base_ids:gmatch("%d+") do
    local s = mtstates.state(tonumber(id))
    base[#base + 1] = {kind = "base", s = s, id = s:id(), index = #base + 1}
  end
  local ok, err = xpcall(function() work(rounds) end, debug.traceback)
  if not ok then
    return gates.put("load accounts", false, err)
  end
  local list = {}
  for id, account in pairs(accounts) do
    list[#list + 1] = {id, unpack(account)}
  end
  gates.put("load accounts", true, booms, done, #list)
  for _, account in ipairs(list) do
    gates.put("load account", unpack(account))
  end
end

return load
