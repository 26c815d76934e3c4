-- singleton_cache.lua: one cache for all threads of the process.
--
-- Teaches singleton: "give me the state with this name, and make it if there
-- is none yet".  However many threads say that at the same time, one makes
-- the state and the others wait for it and get the same.  No thread has to be
-- the first, and none has to be told an id.
--
-- Prints:
--   all 4 threads used the state of the main program: yes
--   12 squared is 144
--   asked 49 times, computed 12 times

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local function setup()
  local squares = {}
  local asked, computed = 0, 0
  return function(n)
    if not n then
      return asked, computed
    end
    asked = asked + 1
    if not squares[n] then
      computed = computed + 1
      squares[n] = n * n -- imagine something slow
    end
    return squares[n]
  end
end

-- singleton makes owners, and the state lives until the last owner is gone.
-- This one outlives the threads: without it, the cache could be closed and
-- begun anew when the threads happen to run one after the other.
local cache = mtstates.singleton("squares", setup)

local function use_cache()
  local squares = mtstates.singleton("squares", setup)
  for n = 1, 12 do
    assert(squares:call(n) == n * n)
  end
  return squares:id()
end

local running = {}
for i = 1, 4 do
  running[i] = mtstates.thread(use_cache)
end
local all_the_same = "yes"
for _, future in ipairs(running) do
  if future:await() ~= cache:id() then
    all_the_same = "no"
  end
end

-- Where the state is known to exist, no setup is needed.
local same = mtstates.singleton("squares")
print("all 4 threads used the state of the main program: " .. all_the_same)
print("12 squared is " .. same:call(12))
print(("asked %d times, computed %d times"):format(cache:call()))
