-- A thread of its own for a function that does nothing, and its answer;
-- compared with a bare thread in C that makes a Lua state with the same
-- libraries, loads the same function, runs it, closes the state and is joined.
-- The floor is a thread that does nothing.
--
-- All threads are on one core: whatever any of them does counts, also what a
-- thread does after its answer is there.  The wall clock tells the time.

local floor = require "floor"
floor.pin() -- threads inherit it

local bare = require "bare"
local harness = require "harness"
local mtstates = require "mtstates"
local threads = require "threads"

if not mtstates.thread then return print("this needs own threads") end

local function f() end

harness.compare {
  name = "thread(f):await()",
  compared_with = "bare thread and lua_State",
  at_most = 1.1, clock = threads.clock,
  work = function(n) for _ = 1, n do mtstates.thread(f):await() end end,
  base = function(n) for _ = 1, n do bare.thread(f) end end,
  floor = function(n) for _ = 1, n do bare.empty_thread() end end,
}
