-- The services that serviceload.lua uses: what they do, and what they count.
-- Each piece of work has a token of its own, which no service may see twice.

local gates = require "handoff"
local mtstates = require "mtstates"

require "interruptible"

local member = {}

local begun, ended, notified, wrong = 0, 0, 0, 0
local seen, kept = {}, {}

-- Ways to work. The endless ones are cancelled.
local work = {quick = function() end, slow = gates.breathe}

function work.sleep()
  mtstates.sleep(0.0005)
end

function work.boom(token)
  error(("boom %d;"):format(token), 0)
end

function work.ask(token, id)
  assert(mtstates.state(id):await("work", token, "quick") == token)
end

function work.loop()
  while true do end
end

function work.wait()
  mtstates.sleep(1000)
end

local function name_of(err)
  return tostring(err):match("mtstates%.error%.%a+")
end

-- Goes on after it was cancelled, which must not happen again; but both can
-- happen, that it is cancelled and that its state is closed.
function work.careful()
  local has_slept, first = pcall(mtstates.sleep, 1000)
  local is_fine, second = pcall(gates.get, "x")
  if has_slept or not is_fine and name_of(first) == name_of(second) then
    wrong = wrong + 1
  end
end

local run = {}

function run.work(token, way, ...)
  wrong = seen[token] and wrong + 1 or wrong
  seen[token] = true
  begun = begun + 1
  work[way](token, ...)
  ended = ended + 1
  return token
end

-- Ways to treat a promise: what is neither kept nor passed on is dropped.
function run.promise(token, way, promise, id)
  if way == "set" then
    promise:set(token)
  elseif way == "fail" then
    promise:fail({token = token})
  elseif way == "pass" then
    mtstates.state(id):send("promise", token, "set", promise)
  elseif way == "keep" then
    kept.promise = promise
  end
end

function run.collect()
  collectgarbage()
  collectgarbage()
end

function run.cancel(future)
  return future:cancel()
end

function run.quit()
  mtstates.quit()
end

function run.account()
  local account = {begun = begun, ended = ended, notified = notified,
                   wrong = wrong, was_keeping = kept.promise ~= nil}
  kept.promise = nil
  return account
end

-- Setup of services that stay.
function member.base()
  return require("loadmember").callback
end

function member.callback(what, ...)
  if what == nil then
    notified = notified + 1
  else
    return run[what](...)
  end
end

-- Setup of services that are closed: the last task waits, and raises the text
-- that is given.
function member.short(boom)
  return require("loadmember").prepare_closing(boom)
end

function member.prepare_closing(boom)
  local has_ended = false
  gates.add("load opened")
  guard = require "on_collect"(function() -- luacheck: ignore
    gates.add(has_ended and "load closed" or "load closed too early")
  end)
  function run.__close()
    mtstates.sleep(0.0005)
    gates.put("load ended", mtstates.id(), ended, wrong)
    has_ended = true
    if boom then
      error(boom, 0)
    end
  end
  return run
end

-- What own threads run.
function member.thread(token, way, id)
  if way == "detach" then
    gates.add("load detached")
  end
  if work[way] then
    work[way](token, id)
  end
  return token
end

return member
