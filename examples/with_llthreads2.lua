-- with_llthreads2.lua: threads of lua-llthreads2, with states of mtstates.
--
-- What one gains: such a thread gets arguments and leaves results.  A state is
-- shared while the threads run: this one says which job is next, and keeps
-- notes, for which nobody waits.
--
-- Prints:
--   3 threads have done 12 jobs, with the sum 78
--   there are 15 notes

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local has_llthreads, llthreads = pcall(require, "llthreads2.ex")
if not has_llthreads then
  io.stderr:write("This example needs lua-llthreads2: ",
                  "luarocks install lua-llthreads2\n")
  os.exit(1)
end

local jobs = mtstates.newstate("jobs", {}, function(count)
  local last, notes = 0, {}
  local functions = {}

  function functions.next()
    last = last + 1
    return last <= count and last or nil
  end

  function functions.note(text) notes[#notes + 1] = text end
  function functions.notes() return notes end
  return functions
end, 12)

-- A thread of this library knows neither the variables around its function nor
-- where modules are.  It finds states by their names.
local function work(path, cpath)
  package.path, package.cpath = path, cpath
  local state, sum = require("mtstates").state("jobs"), 0
  for job in function() return state:call("next") end do
    sum = sum + job
    state:send("note", "did job " .. job) -- a worker runs it
  end
  state:await("note", "no jobs left") -- what was sent before is done, too
  return sum
end

local threads, sum = {}, 0
for i = 1, 3 do
  threads[i] = llthreads.new(work, package.path, package.cpath)
  assert(threads[i]:start())
end
for i = 1, 3 do sum = sum + select(2, assert(threads[i]:join())) end
print(("3 threads have done 12 jobs, with the sum %d"):format(sum))
print(("there are %d notes"):format(#jobs:call("notes")))
