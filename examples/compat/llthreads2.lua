-- llthreads2.lua: lets programs for lua-llthreads2 run with mtstates alone.
--
-- Each thread is a state with a thread of its own, where one request runs the
-- code.  So what a thread is started with can have upvalues and any values
-- that cross.  Joins have timeouts, and nothing waits when a thread object is
-- collected.  At the end of the program attached threads are waited for, as
-- there.
--
-- With this folder in package.path, `require "llthreads2"` and
-- `require "llthreads2.ex"` find it, also in the threads.  A new program is
-- shorter without it: see docs/migration.md.

local mtstates = require "mtstates"

local NAME = ... or "llthreads2"
local FILE = debug.getinfo(1, "S").source:match("^@(.*)")

local compile = rawget(_G, "loadstring") or load

local llthreads = { ex = {}, _VERSION = "0.1.6-mtstates" }
llthreads.interrupted_error = mtstates.error.interrupted

function llthreads.version()
  return 0, 1, 6, "mtstates"
end

-- f gets the text of an error that ends this thread.
function llthreads.set_logger(f)
  llthreads.logger = f
end

-- Calls f when the program ends.  What keeps its result decides whether that
-- is earlier.
local function at_end(f)
  local newproxy = rawget(_G, "newproxy")
  if not newproxy then -- Lua 5.2 and later
    return setmetatable({}, { __gc = f })
  end
  local proxy = newproxy(true)
  getmetatable(proxy).__gc = f
  return proxy
end

-- Setup: the callback runs f, or code, with the arguments.  If the results are
-- kept, it gives true and these, or false and the error.
local function open(name, file, f, ...)
  if file and not package.preload[name] then
    package.preload[name] = function(...)
      return assert(loadfile(file))(...)
    end
  end
  f = type(f) == "function" and f or assert(compile(f))
  local unpack = rawget(_G, "unpack") or rawget(table, "unpack")
  local count, arguments = select("#", ...), { ... }

  local function log(err)
    local text = "Error from thread: " .. tostring(err)
    local logger = require(name).logger
    if logger then
      pcall(logger, text)
    else
      io.stderr:write(text, "\n")
    end
  end

  local function explain(err) -- where no interrupt hits
    if type(err) == "string" then
      err = debug.traceback(err, 2)
    end
    log(err)
    return err
  end

  local function finish(results_are_kept, ok, ...)
    if not results_are_kept then
      require("mtstates").quit()
      return true
    elseif ok or type((...)) == "string" then
      return ok, ...
    end
    error((...), 0) -- what cannot cross becomes text
  end

  return function(results_are_kept)
    return finish(results_are_kept, xpcall(function()
      return f(unpack(arguments, 1, count))
    end, explain))
  end
end

local Thread = {}
Thread.__index = Thread

-- skipped: arguments in front of those of the user.
function llthreads.create(skipped, f, ...)
  local options = { own_thread = true }
  local ok, state = pcall(mtstates.newstate, options, open, NAME, FILE, f, ...)
  if not ok then -- counted as the user does
    error(state:gsub("bad argument #(%d+) to '[^']*'", function(position)
      return ("bad argument #%d to 'new'"):format(position - 4 - skipped)
    end), 3)
  end
  return setmetatable({ state = state }, Thread)
end

-- Needs nothing of this file but the module, so that it can be passed to a
-- thread, as a C function can there.
function llthreads.new(code, ...)
  if type(code) == "string" then
    local f, message = compile(code)
    if not f then
      error(message, 0)
    end
  elseif type(code) ~= "function" then
    error(("bad argument #1 to 'new' (string expected, got %s)"):format(
      type(code)), 2)
  end
  return llthreads.create(0, code, ...)
end

-- For each attached thread, a guard that waits for it at the end.
local attached = {}

local function attach(future)
  for other in pairs(attached) do
    if other:ready() then
      attached[other] = nil
    end
  end
  -- The guard is younger than the future, so it is finalized first.
  attached[future] = at_end(function()
    pcall(future.await, future)
  end)
end

function Thread:start(is_detached, ...)
  if self.future then
    return nil, "Thread already started."
  end
  self.is_detached = is_detached and true or false
  self.is_joinable = not is_detached
  if select("#", ...) > 0 then
    self.is_joinable = (...) and true or false
  end
  self.future = self.state:async(self.is_joinable and not self.is_detached)
  if not self.is_detached then
    attach(self.future)
  end
  return self
end

-- What is raised here has stopped the thread outside of its own code, or is
-- about results that cannot cross.
local function describe(err)
  local e = mtstates.error(err)
  local cause = e and e:cause()
  if not e then
    return err
  end
  return (cause and cause .. ": " or "") .. e:text()
end

local function finish_join(thread, ok, is_there, ...)
  if ok and not is_there then
    return nil, "timeout"
  end
  thread.is_joined = true
  thread.state:close() -- finalizers there have run when join returns
  if not ok then
    return false, describe(is_there)
  end
  return ...
end

-- milliseconds: 0 does not wait; nil, and less than 0, as long as it takes.
function Thread:join(milliseconds)
  if not self.future then
    return nil, "Can't join a thread that hasn't be started."
  elseif self.is_detached and not self.is_joinable then
    return nil, "Can't join a thread that has been detached."
  elseif self.is_joined then
    return nil, "Can't join a thread that has already been joined."
  end
  local seconds = math.huge
  if milliseconds and milliseconds >= 0 then
    seconds = milliseconds / 1000
  end
  return finish_join(self, pcall(self.future.tawait, self.future, seconds))
end

function Thread:alive()
  if self.future then
    return not self.future:ready()
  end
end

function Thread:started()
  return self.future ~= nil
end

function Thread:detached()
  return self.is_detached or false
end

function Thread:joinable()
  return self.is_joinable or false
end

function Thread:interrupt(flag)
  pcall(self.state.interrupt, self.state, flag) -- it may have ended
end

-- What llthreads2.ex adds, in the thread: LUA_INIT, a prelude that can change
-- the arguments, files, and the global arg.
local function run(init, prelude, source, ...)
  local function load_source(code)
    if type(code) == "function" then
      return code, "=(loadstring)"
    elseif code:sub(1, 1) == "@" then
      return assert(loadfile(code:sub(2))), code:sub(2)
    end
    return assert(compile(code, "=(loadstring)")), "=(loadstring)"
  end
  local function pack(...)
    return { n = select("#", ...), ... }
  end

  if init and init ~= "" then
    load_source(init)()
  end
  local arguments = pack(...)
  if prelude and prelude ~= "" then
    arguments = pack(load_source(prelude)(...))
  end
  local f
  f, arguments[0] = load_source(source)
  rawset(_G, "arg", arguments)
  local unpack = rawget(_G, "unpack") or rawget(table, "unpack")
  return f(unpack(arguments, 1, arguments.n))
end

function llthreads.ex.new(source, ...)
  local options = type(source) == "table" and source or { source = source }
  local code = options.source or options[1]
  if type(code) ~= "string" and type(code) ~= "function" then
    error(("bad argument #1 to 'new' (source expected, got %s)"):format(
      type(source)), 2)
  end
  local init = options.lua_init
  if init == nil then
    local version = _VERSION:gsub("%D+", "_"):sub(2)
    init = os.getenv("LUA_INIT_" .. version) or os.getenv("LUA_INIT")
  end
  return llthreads.create(3, run, init, options.prelude, code, ...)
end

for name, value in pairs(llthreads) do
  llthreads.ex[name] = llthreads.ex[name] or name ~= "ex" and value or nil
end

return llthreads
