-- What queues add to the memory of a state, to the byte, as malloc counts it.
-- Of a state that never got a request: what it has beyond a bare Lua state
-- with the same libraries; the goal is what that was before there were
-- requests, and 32 bytes.  Of one with an empty queue: what it has beyond one
-- that was called as often.
--
-- Each kind is measured in a process of its own (this program, started with
-- `hold`), since memory that was freed before would blur it.

local harness = require "harness"

local STATES = 1000
local BEFORE = 1570 -- bytes; Lua 5.4, 64 bits

local function new_state()
  return require("mtstates").newstate(nil, false, "return function() end")
end

local openers = {
  bare = function()
    require("floor").open(false)
    return true
  end,
  unused = new_state,
  called = function()
    local state = new_state()
    state:call()
    return state
  end,
  awaited = function()
    local state = new_state()
    state:await()
    return state
  end,
}

local function bytes()
  collectgarbage()
  return require("floor").heap()
end

-- The first ones load modules, start threads and fill pools.
local function hold(kind)
  local open, states = openers[kind], {}
  for i = 1, 2 * STATES do states[i] = false end
  for i = 1, STATES do states[i] = open() end
  local before = bytes()
  for i = STATES + 1, 2 * STATES do states[i] = open() end
  print((bytes() - before) / (#states - STATES))
  os.exit() -- closing all would take time
end

if arg[1] == "hold" then hold(arg[2]) end

if not require("requests").are_there() then
  return print("this needs requests")
end

local function bytes_of(kind)
  local pipe = assert(io.popen(("%s '%s' hold %s"):format(
    harness.interpreter(), arg[0], kind)))
  local number = pipe:read("*n")
  pipe:close()
  return assert(number, "the process that holds the states has failed")
end

local function compare(kind, row)
  row.unit, row.at_most, row.work, row.base = "bytes", 1, {}, {}
  for round = 1, harness.LONG_ROUNDS do
    row.work[round] = bytes_of(kind)
    row.base[round] = bytes_of(row.kind)
  end
  row.kind = nil
  harness.report(row)
end

compare("unused", {
  name = "memory of a state without requests", kind = "bare",
  compared_with = "lua_State with the same libs", grace = BEFORE + 32,
})
compare("awaited", {
  name = "memory of a state with an empty queue", kind = "called",
  compared_with = "state that was called", grace = 256,
})
