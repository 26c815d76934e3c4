-- with_luv.lua: threads and the event loop of luv, with states of mtstates.
--
-- What one gains: the threads share a state instead of copies of arguments,
-- and the loop does not stand still: what takes long it asks of a service, and
-- a timer looks whether the answer is there.
--
-- Prints:
--   the threads have counted 3000
--   the 25th Fibonacci number is 75025

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local has_luv, luv = pcall(require, "luv")
if not has_luv then
  io.stderr:write("This example needs luv: apt-get install lua-luv\n")
  os.exit(1)
end

local counter = mtstates.newstate("counter", {}, function()
  local sum = 0
  return function(n)
    sum = sum + n
    return sum
  end
end)

-- A thread of luv knows neither the variables around its function nor where
-- modules are.  It finds states by their names.
local function count(path, cpath)
  package.path, package.cpath = path, cpath
  local state = require("mtstates").state("counter")
  for _ = 1, 500 do state:call(1) end -- run by this thread
  for _ = 1, 500 do state:send(1) end -- run by a worker of mtstates
  state:await(0) -- what was sent before is done
end

local threads = {}
for i = 1, 3 do
  threads[i] = luv.new_thread(count, package.path, package.cpath)
end
for i = 1, 3 do threads[i]:join() end
print("the threads have counted " .. counter:call(0))

local fibonacci = mtstates.newstate({}, function()
  local function number(n)
    return n < 2 and n or number(n - 1) + number(n - 2)
  end
  return number
end)

local answer, timer = fibonacci:async(25), luv.new_timer()
timer:start(0, 5, function()
  if answer:ready() then
    timer:close()
    print(("the 25th Fibonacci number is %d"):format(answer:await()))
  end
end)
luv.run() -- serves everything else meanwhile
