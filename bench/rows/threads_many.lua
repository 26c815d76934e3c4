-- Whether threads of the module leave anything behind: memory, descriptors and
-- threads of the process after 10,000 of them, one after the other, or 200 at
-- once; compared with what it had after two thousand before.  The floor is the
-- same with bare threads in C.
--
-- The garbage of each two hundred is collected, since all that the collector
-- of a Lua state knows of a future is its small object, and it would let very
-- many of them pile up in a program that makes nothing else.
--
-- Each kind has a process of its own (this program, started with `run`), since
-- memory that was freed before would blur it.

local harness = require "harness"

local THREADS, CROWD = 10000, 200

local function f() end

-- Each runs a crowd.
local sides = {
  bare = {
    row = function()
      for _ = 1, CROWD do require("bare").thread(f) end
    end,
    crowd = function() require("bare").crowd(f, CROWD) end,
  },
  mtstates = {
    row = function()
      for _ = 1, CROWD do require("mtstates").thread(f):await() end
    end,
    crowd = function()
      local mtstates = require "mtstates"
      local gate, promise = mtstates.promise()
      local futures = {}
      for i = 1, CROWD do
        futures[i] = mtstates.thread(function() gate:await() end)
      end
      promise:set()
      for i = 1, CROWD do futures[i]:await() end
    end,
  },
}

local function status(name)
  local file = assert(io.open("/proc/self/status"))
  local number = file:read("*a"):match(name .. ":%s*(%d+)")
  file:close()
  return tonumber(number)
end

local function descriptors()
  local pipe = assert(io.popen("ls /proc/$PPID/fd"))
  local _, count = pipe:read("*a"):gsub("\n", "")
  pipe:close()
  return count
end

-- A thread whose answer is there has its state to close.
local function settle()
  collectgarbage()
  local sleep = require("threads").sleep
  local number
  repeat
    number = status("Threads")
    sleep(0.1)
  until status("Threads") == number
end

local function measure()
  settle()
  return ("%d %d %d"):format(status("VmRSS"), descriptors(), status("Threads"))
end

local function run(side, kind)
  local function repeat_times(number)
    for _ = 1, number do
      sides[side][kind]()
      collectgarbage()
    end
    return measure()
  end
  local before = repeat_times(THREADS / CROWD / 5)
  print(before, repeat_times(THREADS / CROWD))
  os.exit() -- nothing else counts
end

if arg[1] == "run" then run(arg[2], arg[3]) end

if not require("mtstates").thread then
  return print("this needs own threads")
end

-- What there is before and after, as lists.
local function run_in_process(side, kind)
  local pipe = assert(io.popen(("%s '%s' run %s %s"):format(
    harness.interpreter(), arg[0], side, kind)))
  local before = { pipe:read("*n", "*n", "*n") }
  local after = { pipe:read("*n", "*n", "*n") }
  pipe:close()
  assert(#after == 3, "the process that runs the threads has failed")
  return before, after
end

-- In the order in which they are measured.
local THINGS = {
  { name = "memory", unit = "KB", at_most = 1.05 },
  { name = "descriptors", unit = "files", at_most = 1 },
  { name = "threads", unit = "threads", at_most = 1 },
}

local TITLES = {
  row = "10,000 threads, one after the other: ",
  crowd = "10,000 threads, 200 at once: ",
}

for _, kind in ipairs { "row", "crowd" } do
  local work, base, floor = { {}, {}, {} }, { {}, {}, {} }, { {}, {}, {} }
  for round = 1, harness.LONG_ROUNDS do
    local before, after = run_in_process("mtstates", kind)
    local bare_before, bare_after = run_in_process("bare", kind)
    for i = 1, #THINGS do
      work[i][round], base[i][round] = after[i], before[i]
      floor[i][round] = before[i] * bare_after[i] / bare_before[i]
    end
  end
  for i, thing in ipairs(THINGS) do
    harness.report {
      name = TITLES[kind] .. thing.name, compared_with = "before",
      unit = thing.unit, at_most = thing.at_most,
      work = work[i], base = base[i], floor = floor[i],
    }
  end
end
