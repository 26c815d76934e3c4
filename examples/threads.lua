-- threads.lua: the one way in which the examples start OS threads.
--
--   local thread = threads.start(fn, ...)   runs fn(...) in a new OS thread
--   local ok, ... = thread:join()           true and the results of fn,
--                                           or false and the error message
--   threads.seconds()                       wall clock, for measuring
--
-- These are threads that call states themselves; for those that the module
-- brings see requests.lua.  This adapter takes them from lua-llthreads2 if
-- that is installed and otherwise from luv.  Each OS thread gets a Lua state
-- of its own from these libraries, so fn must not have upvalues, and each
-- thread has to be joined before the program ends.
--
-- The two libraries differ in what they can hand to a thread and back.  Here
-- that is done by a state of mtstates, the mailbox: it takes the function and
-- its arguments to the thread and the results back to join.
--
-- Load this file before mtstates; see built.lua.

require "built"
local mtstates = require "mtstates"

local has_llthreads, llthreads = pcall(require, "llthreads2.ex")
local has_luv, luv = pcall(require, "luv")

if not has_llthreads and not has_luv then
  io.stderr:write([[
The examples need a library that starts threads, and none is installed.
Install one of these two:
  luv              make deps, or: apt-get install lua-luv
  lua-llthreads2   luarocks install lua-llthreads2
]])
  os.exit(1)
end

-- Setup of the mailbox: each call leaves its arguments there and takes away
-- what the call before (or the setup) has left.
local function mailbox_setup(...)
  local unpack = table.unpack or unpack -- luacheck: ignore
  local function pack(...)
    return { n = select("#", ...), ... }
  end
  local content = pack(...)
  return function(...)
    local taken = content
    content = pack(...)
    return unpack(taken, 1, taken.n)
  end
end

-- What every OS thread runs.  An error must not leave this function: luv
-- would end the whole process.
local function thread_main(path, cpath, mailbox_id)
  package.path, package.cpath = path, cpath
  local mailbox = require("mtstates").state(mailbox_id)

  local function run(code, ...)
    local load = loadstring or load -- luacheck: ignore
    return pcall(load(code), ...)
  end
  local function deliver(ok, ...)
    if not ok then
      return mailbox:call(false, tostring((...)))
    end
    local delivered, message = pcall(mailbox.call, mailbox, true, ...)
    if not delivered then -- a result that can't cross, a table for example
      mailbox:call(false, message)
    end
  end

  deliver(run(mailbox:call()))
end

local Thread = {}
Thread.__index = Thread

local running = {} -- keeps threads alive until they are joined

function Thread:join()
  if not running[self] then
    error("thread is already joined", 2)
  end
  running[self] = nil
  local ok, message = self.handle:join()
  if not ok then
    return false, message
  end
  return self.mailbox:call()
end

local threads = {}

function threads.start(fn, ...)
  local upvalue = debug.getupvalue(fn, 1)
  if upvalue == "_ENV" then
    upvalue = debug.getupvalue(fn, 2)
  end
  if upvalue then
    error("the thread function uses '" .. upvalue .. "' from outside", 2)
  end

  local mailbox = mtstates.newstate(mailbox_setup, string.dump(fn), ...)
  local start = has_llthreads and llthreads.new or luv.new_thread
  local handle = assert(start(thread_main, package.path, package.cpath,
                              mailbox:id()))
  if has_llthreads then
    assert(handle:start())
  end
  local thread = setmetatable({ handle = handle, mailbox = mailbox }, Thread)
  running[thread] = true
  return thread
end

function threads.seconds()
  if has_luv then
    return luv.hrtime() / 1e9
  end
  local pipe = assert(io.popen("date +%s.%N")) -- not every date knows %N
  local line = pipe:read("*l")
  pipe:close()
  return tonumber(line) or os.time()
end

return threads
