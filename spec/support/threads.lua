-- Real OS threads (luv) whose body is a Lua function without upvalues. Values
-- travel through handoff and not through luv, which turns integers into
-- floats; a body that raises ends its thread, not the process.

local handoff = require "handoff"
local helpers = require "helpers"
local luv = require "luv"

local threads = {}

local Thread = {}
Thread.__index = Thread

local entry = [[
  local key = ...
  local handoff = require "handoff"
  local function run(code, ...)
    return assert((loadstring or load)(code, "=thread"))(...)
  end
  local function finish(ok, ...)
    if not pcall(handoff.put, key .. " done", ok, ...) then
      handoff.put(key .. " done", false, "thread: " .. tostring((...)))
    end
  end
  handoff.put(key .. " tid", handoff.tid())
  finish(pcall(run, handoff.take(key .. " body")))
]]

-- Handles stay until their thread is joined.
threads.running = {}

local function check_upvalues(body)
  local i = 1
  while true do
    local name = debug.getupvalue(body, i)
    if not name then
      return
    end
    if name ~= "_ENV" then
      error("a thread's body has the upvalue " .. name, 3)
    end
    i = i + 1
  end
end

-- threads.start(body, ...): body(...) runs on a new thread.
function threads.start(body, ...)
  check_upvalues(body)
  local key = handoff.unique("thread")
  handoff.put(key .. " body", string.dump(body), ...)
  local thread = setmetatable({key = key}, Thread)
  thread.handle = luv.new_thread(entry, key)
  threads.running[thread] = true
  return thread
end

-- The kernel's number of the thread.
function Thread:tid()
  if not self.number then
    self.number = handoff.take(self.key .. " tid")
  end
  return self.number
end

-- Waits until the thread sleeps in the kernel.
function Thread:wait_asleep()
  handoff.wait_asleep(self:tid())
end

-- Waits for the thread's end: true and the body's results, or false, error.
function Thread:join()
  self:tid() -- so that nothing is left of it in handoff
  local outcome = helpers.pack(handoff.take(self.key .. " done"))
  luv.thread_join(self.handle)
  threads.running[self] = nil
  return helpers.unpack(outcome, 1, outcome.n)
end

-- Waits for the thread's end: the body's results, or raises its error.
function Thread:results()
  local outcome = helpers.pack(self:join())
  if not outcome[1] then
    error(outcome[2], 0)
  end
  return helpers.unpack(outcome, 2, outcome.n)
end

local function hold_body(id, entered, leave, ...)
  return require "mtstates".state(id):call(entered, leave, ...)
end

-- threads.hold(s, ...): makes s, whose setup is helpers.gated, busy on
-- another thread. release() lets it go and gives the call's results.
function threads.hold(s, ...)
  local entered, leave = handoff.unique("entered"), handoff.unique("leave")
  local thread = threads.start(hold_body, s:id(), entered, leave, ...)
  handoff.wait(entered, 1)
  function thread.release(self)
    handoff.set(leave, 1)
    return self:results()
  end
  return thread
end

-- threads.waiting(gate, body, gate, ...): starts a thread that adds to the
-- gate directly before it does what it must wait in; it waits on return.
function threads.waiting(gate, body, ...)
  local before = handoff.get(gate)
  local thread = threads.start(body, ...)
  handoff.wait(gate, before + 1)
  thread:wait_asleep()
  return thread
end

return threads
