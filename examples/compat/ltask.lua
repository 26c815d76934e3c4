-- ltask.lua: lets services written for ltask run with mtstates.
--
-- A service is a state, its address is the id of the state, and what it forks
-- are tasks.  There is nothing to start: a program requires this file and
-- spawns services.  Times are never early, a full queue is no error but slows
-- its senders down, and errors say where they were raised.
--
-- With this folder in package.path, `require "ltask"` finds it, also in the
-- services.  A new program is shorter without it: see docs/migration.md.

local mtstates = require "mtstates"

local NAME = ... or "ltask"
local FILE = debug.getinfo(1, "S").source:match("^@(.*)")
local UNIQUE = "ltask.unique." -- in front of the names of unique services

-- Where the files of services are.  Services inherit it.
local ltask = { service_path = "./?.lua;service/?.lua" }

local unpack = rawget(_G, "unpack") or rawget(table, "unpack")

local function pack(...)
  return { n = select("#", ...), ... }
end

-- Waits are not called last in a function: before Lua 5.3 they would hold.
local function give(...)
  return ...
end

---------------------------------------------------------------------------
-- Log

local label = "main"

local function write_log(level, ...)
  local words = pack(...)
  for i = 1, words.n do
    words[i] = tostring(words[i])
  end
  io.write(("[%s][%-5s]( %s ) %s\n"):format(os.date("%Y-%m-%d %H:%M:%S"),
    level, label, table.concat(words, "\t")))
end

ltask.log = {}

function ltask.log.info(...)
  write_log("INFO", ...)
end

function ltask.log.error(...)
  write_log("ERROR", ...)
end

---------------------------------------------------------------------------
-- Messages

local function find(address)
  local ok, state = pcall(mtstates.state, address)
  if not ok then
    error(("${service:%s} is dead"):format(tostring(address)), 3)
  end
  return state
end

function ltask.call(address, ...)
  return give(find(address):await(...))
end

-- Gives false if there is no such service.
function ltask.send(address, ...)
  local ok, state = pcall(mtstates.state, address)
  if ok then
    state:send(...)
  end
  return ok
end

-- What each service can do: "quit" and "memory".
function ltask.syscall(address, ...)
  return give(find(address):await("ltask", ...))
end

local Async = {}
Async.__index = Async

function ltask.async()
  return setmetatable({ futures = {} }, Async)
end

function Async:request(address, ...)
  table.insert(self.futures, find(address):async(...))
end

-- Waits for all answers; errors among them are logged.
function Async:wait()
  local futures = self.futures
  self.futures = {}
  local next_one = mtstates.each(futures)
  repeat
    local future, ok, err = next_one()
    if future and not ok then
      ltask.log.error(err)
    end
  until not future
end

---------------------------------------------------------------------------
-- Tasks of a service

local function report(err)
  ltask.log.error(debug.traceback(tostring(err), 2))
end

-- Errors of forks are logged at once where a task can wait in xpcall, else
-- when their future is collected.
local function run(f, ...)
  xpcall(f, report, ...)
end

function ltask.fork(f, ...)
  if rawget(coroutine, "isyieldable") then
    mtstates.fork(run, f, ...)
  else
    mtstates.fork(f, ...)
  end
end

-- Times are in hundredths of a second.
function ltask.sleep(time)
  mtstates.sleep(time / 100)
end

function ltask.timeout(time, f)
  ltask.fork(function()
    mtstates.sleep(time / 100)
    f()
  end)
end

-- Lua 5.1 cannot wait in the iterator of a loop: there, all tasks end before
-- the loop begins.
local loops_can_wait = coroutine.resume(coroutine.create(function()
  for _ in coroutine.yield do
  end
end))

local function finish_first(next_one)
  local ended = {}
  repeat
    ended[#ended + 1] = pack(next_one())
  until ended[#ended].n < 2
  local i = 0
  return function()
    i = i + 1
    return unpack(ended[i], 1, ended[i].n)
  end
end

-- For each task {f, ...}, in the order in which they end: the task, and its
-- results or a table with the field error and the method rethrow.
function ltask.parallel(tasks)
  local futures, numbers, results = {}, {}, {}
  for i, task in ipairs(tasks) do
    futures[i] = mtstates.fork(function()
      results[i] = pack(task[1](unpack(task, 2)))
    end)
    numbers[futures[i]] = i
  end
  local next_one, _, _, closing = mtstates.each(futures)
  if not loops_can_wait then
    next_one = finish_first(next_one)
  end
  return function()
    local future, ok, err = next_one()
    local i = future and numbers[future]
    if not future then
      return nil
    elseif not ok then
      results[i] = { error = err, rethrow = function() error(err, 0) end }
    end
    return tasks[i], results[i]
  end, nil, nil, closing
end

-- Tasks that wait, by token.  The values of a wake-up stay in this state, so
-- they are passed as they are: the promise only says that they are there.
local waiting = {}

local function wait(token)
  local slot = {}
  local future, promise = mtstates.promise()
  slot.promise = promise
  waiting[token] = waiting[token] or {}
  table.insert(waiting[token], slot)
  future:await()
  if slot.is_interrupted then
    error(slot.err, 0)
  end
  return unpack(slot.values, 1, slot.values.n)
end

-- Gives true if anybody was waiting.
local function wake(token, slot_values)
  local slots = waiting[token]
  waiting[token] = nil
  for _, slot in ipairs(slots or {}) do
    for key, value in pairs(slot_values) do
      slot[key] = value
    end
    slot.promise:set()
  end
  return slots and true
end

-- Without a token it is the coroutine that waits (not in Lua 5.1).
function ltask.wait(token)
  token = token or coroutine.running()
  assert(not waiting[token], "somebody waits with this token")
  return give(wait(token))
end

function ltask.multi_wait(token)
  return give(wait(token or coroutine.running()))
end

function ltask.wakeup(token, ...)
  return wake(token, { values = pack(...) })
end

function ltask.interrupt(token, err)
  return wake(token, { is_interrupted = true, err = err })
end

ltask.multi_wakeup, ltask.multi_interrupt = ltask.wakeup, ltask.interrupt

---------------------------------------------------------------------------
-- Time and place

-- Seconds, and hundredths of a second, since the epoch.
local start = os.time() - mtstates.now()
function ltask.now()
  local now = start + mtstates.now()
  return math.floor(now), math.floor(now * 100)
end

-- Seconds.
ltask.counter = mtstates.now

ltask.self = mtstates.id

function ltask.label()
  return label
end

-- Workers have no numbers; a service that needs one thread has a worker_id in
-- spawn_service.
function ltask.worker_id()
  return 0
end

function ltask.worker_bind()
end

---------------------------------------------------------------------------
-- Services

-- What requests choose from, and what they find below "ltask".
local handlers, system = {}, {}

-- Keeps the service open until it quits.
local owner

function handlers.ltask(name, ...)
  return system[name](...)
end

-- Adds functions to those that requests choose from.
function ltask.dispatch(functions)
  for name, f in pairs(functions or {}) do
    if type(f) == "function" then
      assert(handlers[name] == nil, "there is such a function")
      handlers[name] = f
    end
  end
  return handlers
end

ltask.quit = mtstates.quit

local function load_service(name)
  local tried = ""
  for template in ltask.service_path:gmatch("[^;]+") do
    local path = template:gsub("%?", (name:gsub("%%", "%%%%")))
    local file = io.open(path)
    if file then
      file:close()
      return assert(loadfile(path))
    end
    tried = tried .. "\n\tno file '" .. path .. "'"
  end
  error(("service '%s' not found:%s"):format(name, tried), 0)
end

-- In a new state: answered when the service is there, or has failed.
local initialized, announce

-- Setup of a service.  Its second result is only for the creator.
local function open(name, file, path)
  if file and not package.preload[name] then
    package.preload[name] = function(...)
      return assert(loadfile(file))(...)
    end
  end
  return require(name).open(path), true
end

function ltask.open(path)
  ltask.service_path = path
  initialized, announce = mtstates.promise()
  return handlers
end

function system.ready()
  return initialized
end

-- Runs the code of the service in a task, so that it can wait and fork.
function system.init(t)
  label = t.label
  owner = owner or mtstates.state(mtstates.id()):own()
  local future = mtstates.fork(function()
    local f = t.f or load_service(t.label)
    local functions = f(unpack(t.args, 1, t.args.n))
    ltask.dispatch(functions)
    return functions ~= nil or next(handlers, next(handlers)) ~= nil
  end)
  mtstates.fork(function()
    local next_one = mtstates.each(future)
    local _, ok, result = next_one()
    if ok then
      announce:set()
    else
      announce:fail(result)
    end
    if not ok or not result then
      mtstates.quit()
    end
  end)
  return initialized
end

function system.quit()
  if handlers.quit then
    return handlers.quit()
  end
  mtstates.quit()
end

function system.memory()
  return collectgarbage("count") * 1024
end

-- A request whose answer is the end of the service: object_closed.
function system.ended()
  return mtstates.fork(mtstates.sleep, math.huge)
end

-- t: name, args; initfunc: a function instead of a file; unique, worker_id.
function ltask.spawn_service(t)
  local options = { own_thread = t.worker_id ~= nil, queue = math.huge }
  local state, is_new
  if t.unique then
    state, is_new = mtstates.singleton(UNIQUE .. t.name, options, open, NAME,
      FILE, ltask.service_path)
  else
    state, is_new = mtstates.newstate(t.name, options, open, NAME, FILE,
      ltask.service_path)
  end
  if is_new then
    state:await("ltask", "init",
      { label = t.name, f = t.initfunc, args = t.args or {} })
  else
    state:await("ltask", "ready")
  end
  return state:id()
end

-- name: of a file; or a function, whose results are those of a file.
function ltask.spawn(name, ...)
  local f
  if type(name) == "function" then
    name, f = "function", name
  end
  return give(ltask.spawn_service { name = name, initfunc = f,
                                    args = pack(...) })
end

function ltask.uniqueservice(name, ...)
  return give(ltask.spawn_service { name = name, args = pack(...),
                                    unique = true })
end

-- Waits until there is a unique service of that name.
function ltask.queryservice(name)
  local state = mtstates.state(UNIQUE .. name, math.huge)
  state:await("ltask", "ready")
  return state:id()
end

---------------------------------------------------------------------------
-- The main thread

-- Functions that wait for it, and what became of them.
local handed_over = {}

-- Runs f(...) of this service in the main thread, which has called
-- ltask.start or waits otherwise.
function ltask.mainthread_run(f, ...)
  local main = mtstates.state("ltask.main")
  local job = { f = f, arguments = pack(...) }
  table.insert(handed_over, job)
  main:await(mtstates.id())
  return unpack(job.results, 1, job.results.n)
end

-- The main thread is in here by `call`, so it runs the code of this state.
function system.mainthread()
  local job = table.remove(handed_over, 1)
  job.results = pack(job.f(unpack(job.arguments, 1, job.arguments.n)))
end

local function serve_main_thread()
  return mtstates.here("ltask.main", function(address)
    mtstates.state(address):call("ltask", "mainthread")
  end)
end

-- For main programs: spawns config.bootstrap, a list of what spawn_service
-- takes, and returns when those that are not unique have quit.
function ltask.start(config)
  ltask.service_path = config.service_path or ltask.service_path
  package.path = config.lua_path or package.path
  package.cpath = config.lua_cpath or package.cpath
  if config.worker then
    mtstates.workers(config.worker)
  end
  local main = serve_main_thread()
  local unique, others = {}, {}
  for _, t in ipairs(config.bootstrap or {}) do
    table.insert(t.unique and unique or others, ltask.spawn_service(t))
  end
  for _, address in ipairs(others) do
    pcall(ltask.syscall, address, "ended")
  end
  for i = #unique, 1, -1 do
    pcall(ltask.syscall, unique[i], "quit")
  end
  main:close()
  return mtstates.shutdown(1)
end

return ltask
