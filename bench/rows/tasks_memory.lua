-- What a suspended task takes of the memory of the process, as the system
-- counts it (malloc does not know that of states); compared with a coroutine
-- of bare Lua that has yielded in the same place of the same code.
--
-- Of 100,000 forks of one service that sleep, and of a million requests of
-- 1,000 services, which await one promise: requests by send, and by async with
-- a future each, which the main program has, and which all are answered.
--
-- Each kind is measured in a process of its own (this program, started with
-- `hold`), since memory that was freed before would blur it.

local harness = require "harness"

local SLEEPERS, TASKS, STATES = 100000, 1000000, 1000
local LONG = 1000 -- seconds

local function bytes()
  collectgarbage()
  return require("floor").resident()
end

-- A table that need not grow any more.
local function new_list(length)
  local list = {}
  for i = 1, length do list[i] = false end
  return list
end

-- Each of these returns how many bytes it takes for how many of its kind.

local function hold_coroutines(number)
  local list, yield = new_list(number), coroutine.yield
  local function wait(seconds) yield(seconds) end
  local before = bytes()
  for i = 1, number do
    list[i] = coroutine.create(wait)
    coroutine.resume(list[i], LONG)
  end
  return bytes() - before, number
end

local function hold_sleepers()
  local mtstates = require "mtstates"
  local service = mtstates.newstate({}, function()
    local fork, sleep = mtstates.fork, mtstates.sleep
    local function wait(seconds) sleep(seconds) end
    return {
      fork = function(number)
        for _ = 1, number do fork(wait, LONG) end
        sleep(0)
      end,
      count = function()
        collectgarbage()
        return mtstates.stats().timers
      end,
    }
  end)
  service:await("fork", 1) -- starts threads
  service:await("count")
  local before = bytes()
  service:await("fork", SLEEPERS)
  assert(service:await("count") == SLEEPERS + 1, "not all are asleep")
  local after = bytes()
  service:close()
  return after - before, SLEEPERS
end

-- Returns 1,000 services, the promise that all their tasks await, and the
-- number of tasks that are suspended.
local function new_waiters()
  local mtstates = require "mtstates"
  local gate, promise = mtstates.promise()
  local states = {}
  for i = 1, STATES do
    states[i] = mtstates.newstate({ libs = false }, function()
      return function(x)
        if not x then return collectgarbage() end
        gate:await()
        return x
      end
    end)
    states[i]:await() -- starts threads, fills pools
  end
  return states, promise
end

local function count_suspended(states)
  local count = 0
  for _, state in ipairs(states) do
    state:await()
    count = count + state:stats().tasks
  end
  return count
end

local function hold_requests()
  local states, promise = new_waiters()
  local before = bytes()
  for i = 1, TASKS do states[i % STATES + 1]:send(i) end
  assert(count_suspended(states) >= TASKS, "not all are suspended")
  local after = bytes()
  promise:set()
  for _, state in ipairs(states) do assert(state:close(600)) end
  return after - before, TASKS
end

local function hold_futures()
  local states, promise = new_waiters()
  local futures = new_list(TASKS)
  local before = bytes()
  for i = 1, TASKS do futures[i] = states[i % STATES + 1]:async(i) end
  assert(count_suspended(states) >= TASKS, "not all are suspended")
  local after = bytes()
  promise:set()
  for i = 1, TASKS do
    assert(futures[i]:await() == i, "an answer is wrong")
  end
  return after - before, TASKS
end

local kinds = {
  coroutines = function() return hold_coroutines(SLEEPERS) end,
  ["million coroutines"] = function() return hold_coroutines(TASKS) end,
  sleepers = hold_sleepers,
  requests = hold_requests,
  futures = hold_futures,
}

if arg[1] == "hold" then
  local all, number = kinds[arg[2]]()
  print(all / number)
  os.exit() -- closing all would take time
end

if not require("mtstates").fork then return print("this needs tasks") end

local function bytes_of(kind)
  local pipe = assert(io.popen(("%s '%s' hold '%s'"):format(
    harness.interpreter(), arg[0], kind)))
  local number = pipe:read("*n")
  pipe:close()
  return assert(number, "the process that holds the tasks has failed")
end

local function compare(name, kind, bare)
  local work, base = {}, {}
  for round = 1, harness.LONG_ROUNDS do
    work[round], base[round] = bytes_of(kind), bytes_of(bare)
  end
  harness.report {
    name = name, compared_with = "suspended coroutine",
    unit = "bytes", at_most = 1, grace = 250, work = work, base = base,
  }
end

compare("memory of a fork that sleeps", "sleepers", "coroutines")
compare("memory of 1 M tasks, of a send", "requests", "million coroutines")
compare("memory of 1 M tasks, of a future", "futures", "million coroutines")
