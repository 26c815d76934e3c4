-- What the memory failure sweep runs: a list of steps that use everything
-- that mtstates offers. sweep.lua loads this in a Lua state of its own, and
-- has each allocation of each step fail.
--
-- A step runs with failures, its check afterwards without. The check raises
-- what the step raised because memory was out, and an error that begins with
-- "wrong" if a result is not exactly what it has to be. A step can be run
-- again after it failed. What only prepares is not swept: `prepare`. A step
-- `everywhere` is swept in the threads of the module, too, and what it logs is
-- examined.

local host = require "sweephost"
local carray = require "carray"

local load_string = rawget(_G, "loadstring") or load
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local open_module = package.loadlib(
  (package.cpath:match("[^;]+"):gsub("%?", "mtstates")), "luaopen_mtstates")

local mtstates
local steps = {}

local function step(name, run, check)
  steps[#steps + 1] = {name = name, run = run, check = check, is_swept = true}
end

local function prepare(run)
  steps[#steps + 1] = {name = "prepare " .. #steps, run = run,
                       check = function() end}
end

-- -------------------------------------------------------- expectations --

local function wrong(format, ...)
  error("wrong: " .. format:format(...), 0)
end

-- A check: these are the results, in this order and number, of that type.
local function gives(...)
  local expected = {n = select("#", ...), ...}
  return function(...)
    local count = select("#", ...)
    if count ~= expected.n then
      wrong("%d results instead of %d", count, expected.n)
    end
    for i = 1, count do
      local result = select(i, ...)
      if result ~= expected[i] or type(result) ~= type(expected[i])
          or tostring(result) ~= tostring(expected[i]) then
        wrong("result %d is %s", i, tostring(result))
      end
    end
  end
end

-- A check of what pcall gave: an error that has each of these texts, in their
-- order. Other errors are raised again: sweep.lua knows which are right.
local function raises(...)
  local texts = {...}
  return function(ok, err)
    if ok then
      wrong("nothing was raised")
    end
    local from = 1
    for i = 1, #texts do
      local _, last = tostring(err):find(texts[i], from, true)
      if not last then
        error(err, 0)
      end
      from = last + 1
    end
  end
end

-- What the last step everywhere has written to stderr: entries as
-- "error: text". Each has to be about memory, or to have the text `expected`.
local log, expected_log = {}, nil

local function take_log()
  local output = host.captured():gsub("mtstates: (%a+: )", "\1%1")
  log = {}
  for entry in output:gmatch("\1([^\1]+)") do
    log[#log + 1] = entry
    if not entry:find("not enough memory", 1, true)
        and not (expected_log and entry:find(expected_log, 1, true)) then
      wrong("it was logged: %s", entry)
    end
  end
end

local function everywhere(name, run, check, expected)
  step(name, function()
    expected_log = expected
    host.capture()
    return run()
  end, function(...)
    take_log()
    check(...)
  end)
  steps[#steps].everywhere = true
end

local NO_MEMORY = 6 -- a code of the Receiver C API

-- A check of what join gave: the thread has done what it had to.
local function is_done(code, text, code_again, calls)
  if code_again ~= 0 then
    wrong("without failures the code is %d", code_again)
  elseif code == NO_MEMORY and calls == 0 then
    error("not enough memory: no writer, or no room in it", 0)
  elseif code ~= 0 and calls ~= 1 then
    wrong("code %d, %d calls of the handler", code, calls)
  elseif code ~= 0 then
    error(text, 0)
  end
end

-- A check of that: the handler got an error with these texts.
local function has_failed(...)
  local check = raises(...)
  return function(code, text, _, calls)
    if calls ~= 1 then
      wrong("%d calls of the handler", calls)
    end
    check(code == 0, text)
  end
end

-- ------------------------------------------------------------- states --

local states = {} -- those that are open, by the name they have here
local by_name = {} -- those that can be found by their name

-- A check of newstate: keeps the state, compares the other results.
local function opens(key, name, ...)
  local check = gives(...)
  return function(s, ...)
    if mtstates.type(s) ~= "mtstates.state" then
      wrong("no state but a %s", mtstates.type(s))
    end
    states[key] = s
    if s:name() ~= name or not s:isowner() or tostring(s) == "" then
      wrong("this is not %s", key)
    end
    if name then
      by_name[name] = s
    end
    check(...)
  end
end

-- Calls it from this thread and, without waiting, from another: the lock is
-- free for all. Its callback has to be an echo.
local function check_echo(s)
  gives("probe", 1, true, nil)(s:call("probe", 1, true, nil))
  host.start(s, "probe")
  is_done(host.join())
end

local serves = false -- whether there have been requests

local names = {"first", "second", "single", "late", "common", "waited"}

-- All that has to be true whatever has failed before.
local function check_all()
  take_log()
  host.join() -- what a failed step has left
  if states["creator"] then
    states["creator"]:call("drop")
  end
  for i = 1, #names do
    local ok, found = pcall(mtstates.state, names[i])
    local state = by_name[names[i]]
    if ok and (not state or found:id() ~= state:id()) then
      wrong("%s is found", names[i])
    elseif not ok and state then
      error(found, 0)
    end
  end
  for key, s in pairs(states) do
    if key:find("echo", 1, true) then
      if serves then
        gives("probe", nil, 2)(s:await("probe", nil, 2))
      end
      check_echo(s)
    end
  end
end

local function close(key)
  local s = states[key]
  states[key] = nil
  for name, state in pairs(by_name) do
    if state == s then
      by_name[name] = nil
    end
  end
  s:close()
end

local ECHO = "return function(...) return ... end"
local text = ("text"):rep(100)

-- ----------------------------------------------------------- creation --

step("open the module", function()
  return open_module()
end, function(module)
  mtstates = module
  if mtstates.type(module) ~= "table" then
    wrong("no module")
  end
end)

-- The 65th open state makes the registry grow.
local crowd = {}

prepare(function()
  for i = 1, 64 do
    crowd[i] = mtstates.newstate(false, ECHO)
  end
end)

step("newstate when the registry grows", function()
  return mtstates.newstate(false, ECHO)
end, function(s)
  opens("crowd", nil)(s)
  check_echo(s)
  mtstates.newstate(false, ECHO):close() -- if it did not grow, it does now
  for i = 1, #crowd do
    gives(i)(crowd[i]:call(i))
  end
end)

prepare(function()
  close("crowd")
  for i = 1, #crowd do
    crowd[i]:close()
    crowd[i] = nil
  end
end)

prepare(function() -- these two take part in no step
  opens("bystander echo", nil)(mtstates.newstate(false, ECHO))
  opens("second echo", "second", "x")(
    mtstates.newstate("second", ECHO .. ", 'x'"))
end)

step("newstate, code", function()
  return mtstates.newstate("first", false, [[
    local text, number = ...
    return function(...) return ... end, number, text, nil, true
  ]], text, 17)
end, opens("first echo", "first", 17, text, nil, true))

step("newstate, function", function()
  return mtstates.newstate(false, function(pointer)
    return function(...)
      if ... == "load" then
        require "carray"
      end
      return ...
    end, pointer
  end, host.pointer())
end, opens("echo", nil, host.pointer()))

prepare(function()
  states["echo"]:call("load")
end)

step("newstate, all libraries", function()
  return mtstates.newstate(ECHO)
end, opens("echo with libraries", nil))

prepare(function()
  close("echo with libraries")
end)

step("newstate, options", function()
  return mtstates.newstate({libs = false, queue = 9}, ECHO .. ", ...",
    text)
end, opens("service echo", nil, text))

-- A state that meets its limit, and works again. LuaJIT cannot have a part of
-- the memory for a new state.
step("newstate, limit of memory", function()
  if rawget(_G, "jit") then
    return false, 8
  end
  local s = mtstates.newstate({libs = false, memory = 200000}, [[
    return function(n)
      local s = "x"
      for _ = 1, n do s = s .. s end
      return #s
    end]])
  local function finish(...)
    s:close()
    if not ... then
      error(select(2, ...), 0)
    end
    return select(2, ...)
  end
  return finish(pcall(function()
    local has_memory = pcall(s.call, s, 30)
    return has_memory, s:call(3)
  end))
end, gives(false, 8))

step("newstate, wrong option", function()
  return pcall(mtstates.newstate, {queue = -1.5}, ECHO)
end, raises("bad argument #1 to ",
  "option 'queue': positive number expected, got -1.5"))

step("newstate, unknown option", function()
  return pcall(mtstates.newstate, {[1.5] = true}, ECHO)
end, raises("bad argument #1 to ", "option [1.5] is unknown"))

step("newstate, table of functions", function()
  return mtstates.newstate({libs = false}, [[
    local function add(a, b)
      return a + b
    end
    return setmetatable({add = add}, {__index = {sum = add, echo = select}})
  ]])
end, opens("functions", nil))

step("call, chosen function", function()
  return states["functions"]:call("add", 1, 2)
end, gives(3))

step("call, unknown function", function()
  return pcall(states["functions"].call, states["functions"], "foo")
end, raises("mtstates.error.invoking_state: state(id=",
  "there is no function 'foo'; there are 'add', 'echo', 'sum'\n",
  "stack traceback:\n"))

step("newstate, setup of a service returns neither", function()
  return pcall(mtstates.newstate, "late", {libs = false}, "return 'text'")
end, raises("mtstates.error.state_result: state(name=\"late\",id=",
  "result #1 of the setup is not a function or table of functions but string"))

step("newstate, setup raises", function()
  return pcall(mtstates.newstate, "late", false, "local x = nil; x()")
end, raises("mtstates.error.invoking_state: state(name=\"late\",id=",
  "attempt to call", "\nstack traceback:\n", "main chunk"))

step("newstate, setup does not compile", function()
  return pcall(mtstates.newstate, "late", false, "x x")
end, raises("bad argument #3 to ", "near 'x'"))

step("newstate, setup returns no function", function()
  return pcall(mtstates.newstate, "late", false, "return 'text'")
end, raises("mtstates.error.state_result: state(name=\"late\",id=",
  "result #1 of the setup is not a function but string"))

step("newstate, setup returns a table", function()
  return pcall(mtstates.newstate, "late", false, ECHO .. ", {}")
end, raises("mtstates.error.state_result: state(name=\"late\",id=",
  "result #2 is a table, which cannot be transferred"))

step("newstate, setup has an upvalue", function()
  return pcall(mtstates.newstate, "late", false, function()
    return load_string
  end)
end, raises("bad argument #3 to ", "'load_string'"))

-- -------------------------------------------------------------- calls --

step("call, plain values", function()
  return states["echo"]:call(nil, true, false, 42, -0.5, 2 ^ 53, nil)
end, gives(nil, true, false, 42, -0.5, 2 ^ 53, nil))

step("call, light userdata", function()
  return states["echo"]:call(host.pointer())
end, gives(host.pointer()))

step("call, strings", function()
  return states["echo"]:call("", text, "\0\255", 1, "short")
end, gives("", text, "\0\255", 1, "short"))

local many = "1" .. (", 1"):rep(200)
local call_many = load_string("local s = ... return s:call(" .. many .. ")")
local call_strings =
  load_string("local s = ... return s:call('x', " .. many .. ")")

step("call, many values", function()
  return call_many(states["echo"])
end, load_string("return (...)(" .. many .. ")")(gives))

step("call, many strings", function()
  return call_strings(states["echo"])
end, load_string("return (...)('x', " .. many .. ")")(gives))

step("tcall", function()
  return states["echo"]:tcall(1, text, 1)
end, gives(true, text, 1))

local array_sent = carray.new("double", 3)
for i, element in ipairs {1, 2.5, 3} do
  array_sent:set(i, element)
end

step("call, arrays", function()
  return states["echo"]:call(array_sent, "text")
end, function(array, rest)
  gives("text")(rest)
  gives(1.0, 2.5, 3.0)(array:get(1), array:get(2), array:get(3))
end)

step("call, wrong argument", function()
  return pcall(function()
    states["echo"]:call(1, {}) -- no tail call, which has no name
  end)
end, raises("bad argument #2 to ", "table cannot be transferred"))

prepare(function()
  opens("worker", nil)(mtstates.newstate(function()
    local jobs = {}
    function jobs.table()
      return 1, "text", {}
    end
    function jobs.text()
      return ("result"):rep(100), 1
    end
    function jobs.raise(what)
      error(what)
    end
    function jobs.raise_object()
      error(setmetatable({}, {__tostring = function()
        return "an object"
      end}))
    end
    function jobs.raise_nothing()
      error()
    end
    function jobs.deep(n)
      if n == 0 then
        error("down here")
      end
      jobs.deep(n - 1)
      return n
    end
    return function(job, ...)
      return jobs[job](...)
    end
  end))
end)

local function work(...)
  return pcall(states["worker"].call, states["worker"], ...)
end

step("call, wrong result", function()
  return work("table")
end, raises("mtstates.error.state_result: state(id=",
  "result #3 is a table, which cannot be transferred"))

step("call, results only", function()
  return states["worker"]:call("text")
end, gives(("result"):rep(100), 1))

step("call, error", function()
  return work("raise", text)
end, raises("mtstates.error.invoking_state: state(id=", text,
  "\nstack traceback:\n\t", "in function "))

step("call, error object", function()
  return work("raise_object")
end, raises("mtstates.error.invoking_state: state(id=", "an object",
  "\nstack traceback:\n\t", "in function "))

step("call, error nil", function()
  return work("raise_nothing")
end, raises("mtstates.error.invoking_state: state(id=",
  "(error object is a nil value)", "\nstack traceback:\n\t", "in function "))

step("call, long traceback", function()
  return work("deep", 40)
end, raises("mtstates.error.invoking_state: state(id=", "down here",
  "\nstack traceback:\n\t", "\n\t...", "in function "))

-- What the error of the step before looks like, with one state around it.
local err_text = "mtstates.error.invoking_state: state(id=100000001): " ..
  "mtstates.error.interrupted: the text\nstack traceback:\n\t[C]: in ?"

step("error objects", function()
  local e = mtstates.error(err_text)
  return e:name(), e:details(), e:traceback(), tostring(e),
    e == mtstates.error(mtstates.error.invoking_state), mtstates.type(e),
    e:cause(), e:text(), e:message()
end, gives("mtstates.error.invoking_state",
  "state(id=100000001): mtstates.error.interrupted: the text",
  "stack traceback:\n\t[C]: in ?", err_text, true, "mtstates.error",
  "mtstates.error.interrupted", "the text", err_text))

-- --------------------------------------------------------- deep values --

local deep -- a service that gives back what it gets, and more
local Point, Box

prepare(function()
  opens("deep service echo", nil)(mtstates.newstate({}, [[
    local mt = require "mtstates"
    require "carray"
    local Pair = mt.class("Pair")
    Pair.__transfer = function(pair) return pair[1], {pair[2]} end
    Pair.__receive = function(a, b) return setmetatable({a, b[1]}, Pair) end
    mt.class("Point")
    return function(first, ...)
      if first == "raise" then
        error(..., 0)
      elseif first == "thread" then
        return {{coroutine.create(function() end)}}
      elseif first == "unknown" then
        return {setmetatable({}, mt.class("nowhere else"))}
      elseif first == "run" then
        local f = ...
        return f(select(2, ...))
      end
      return first, ...
    end
  ]]))
  deep = states["deep service echo"]
  Point = mtstates.class("Point")
  Box = mtstates.class("Pair")
  Box.__transfer = function(pair) return pair[1], {pair[2]} end
  Box.__receive = function(a, b) return setmetatable({a, b[1]}, Box) end
end)

step("deep, tables", function()
  local t = {1, 2.5, false, {x = text, y = "short"}, y = "short"}
  t.self, t[t[4]] = t, true
  local a, b = deep:call(t, {t})
  return #a, a[1], a[4].x, a.y, a[4].y, a[a[4]], a.self == a, b[1] == a
end, gives(4, 1, text, "short", "short", true, true, true))

step("deep, many tables", function()
  local t = {}
  for i = 1, 50 do
    t = {t, i, ("name %d"):format(i)}
  end
  local r, levels = deep:call("first", t), 0
  local _, list = deep:call("first", t)
  while list[1] do
    list, levels = list[1], levels + 1
  end
  return r, levels
end, gives("first", 50))

step("deep, functions", function()
  local n, twice = 1
  local function up(by) n = n + by; return n, text end
  function twice(f, by) f(by); return f(by) end
  local a, b = deep:call("run", twice, up, 2)
  local _, f, g = deep:call(0, up, function() return n end)
  f(7)
  return a, b, n, up(0) == 1 and (g() == 8 or g() == 1)
end, gives(5, text, 1, true))

-- Which one of the functions or upvalues needs memory depends on what was met
-- before them.
step("deep, many upvalues", function()
  local f, a, b, sum = function() return 0 end, 1, 2, 0
  for i = 1, 60 do
    local inner = f
    f = function() return i + inner() end
  end
  for _, run in ipairs({function(g) return g() end,
                        function(g) return g(a) end,
                        function(g) return g(a, b) end}) do
    sum = sum + deep:call("run", run, f)
  end
  return sum
end, gives(3 * 1830))

step("deep, modules", function()
  local _, s, f, g = deep:call(0, string, string.format, _G)
  return s == string, f == string.format, g == _G
end, gives(true, true, true))

step("deep, instances", function()
  local point = setmetatable({x = 1}, Point)
  local a, b = deep:call(point, {point})
  return getmetatable(a) == Point, a.x, b[1] == a
end, gives(true, 1, true))

step("deep, objects", function()
  local pair = setmetatable({text, 2}, Box)
  local a, b = deep:call(pair, {[pair] = setmetatable({1, pair}, Box)})
  return getmetatable(a) == Box, a[1], a[2], b[a][1], b[a][2] == a
end, gives(true, text, 2, 1, true))

step("deep, states and arrays", function()
  local list = {states["echo"], array_sent, array_sent, host.pointer()}
  local r = deep:call(list)
  return r[1] == states["echo"], r[1]:isowner(), r[1]:call(text),
    r[2] == r[3], r[2]:len(), r[4] == list[4]
end, gives(true, false, text, true, 3, true))

step("deep, a misfit", function()
  return pcall(deep.call, deep, {cfg = {{coroutine.create(function() end)}}})
end, raises("bad argument #", "field 'cfg[1][1]': thread cannot"))

step("deep, a misfit among results", function()
  return pcall(deep.call, deep, "thread")
end, raises("mtstates.error.state_result: state(id=",
  "result #1[1][1] is a thread, which"))

step("deep, an unknown class", function()
  return pcall(deep.call, deep, {{setmetatable({}, mtstates.class("mine"))}})
end, raises("mtstates.error.unknown_class: state(id=",
  "argument #1, field '[1][1]': class 'mine' is not known there"))

step("deep, an unknown class among results", function()
  return pcall(deep.call, deep, "unknown")
end, raises("mtstates.error.unknown_class: state(id=",
  "result #1[1]: class 'nowhere else' is not known here"))

step("deep, an error value", function()
  local ok, e = pcall(deep.call, deep, "raise", {code = {404, text}})
  if type(e) ~= "table" then
    error(e, 0)
  end
  return ok, e.code[1], e.code[2]
end, gives(false, 404, text))

step("deep, an error value that cannot cross", function()
  return pcall(deep.call, deep, "run", function()
    error(coroutine.create(function() end))
  end)
end, raises("mtstates.error.invoking_state: state(id=",
  "(error object is a thread value)", "\nstack traceback:\n\t"))

step("deep, setup", function()
  local base = {10, text}
  return mtstates.newstate({libs = false}, function(...)
    return {sum = function(n) return base[1] + n end}, base, ...
  end, base, {x = text})
end, function(s, a, b, c)
  opens("deep setup", nil)(s)
  gives(text, true, text, 12)(a[2], a == b, c.x, s:call("sum", 2))
end)

-- ------------------------------------------------------------- nesting --

prepare(function()
  local function setup(path, cpath)
    package.path, package.cpath = path, cpath
    local mt = require "mtstates"
    local target
    return function(job, id, ...)
      if job == "aim" then
        target = mt.state(id)
        collectgarbage()
      elseif job == "forward" then
        return target:call(id, ...)
      elseif job == "coroutine" then
        return coroutine.wrap(function(...)
          return target:call(...)
        end)(id, ...)
      else
        return job, id, ...
      end
    end
  end
  opens("outer echo", nil)(
    mtstates.newstate(setup, package.path, package.cpath))
  opens("inner echo", nil)(
    mtstates.newstate(setup, package.path, package.cpath))
  states["outer echo"]:call("aim", states["inner echo"]:id())
  states["inner echo"]:call("aim", states["outer echo"]:id())
end)

step("nested call", function()
  return states["outer echo"]:call("forward", "forward", text, "x")
end, gives(text, "x"))

step("nested call from a coroutine", function()
  return states["outer echo"]:call("coroutine", "coroutine", text, "x")
end, gives(text, "x"))

step("nested call, four levels", function()
  return states["outer echo"]:call("forward", "coroutine", "forward",
    "coroutine", "back", text, 3)
end, gives("back", text, 3))

prepare(function()
  states["outer echo"]:call("aim", states["outer echo"]:id())
end)

step("nested call, self", function()
  return states["outer echo"]:call("forward", "coroutine", text, 3)
end, gives(text, 3))

prepare(function()
  states["outer echo"]:call("aim", states["worker"]:id())
  states["inner echo"]:call("aim", states["outer echo"]:id())
end)

step("nested call, error", function()
  return pcall(states["inner echo"].call, states["inner echo"], "forward",
    "coroutine", "raise", text)
end, raises("mtstates.error.invoking_state: state(id=",
  "mtstates.error.invoking_state: state(id=",
  "mtstates.error.invoking_state: state(id=", text, "\nstack traceback:\n\t"))

step("own", function()
  local owner = mtstates.state(states["echo"]:id()):own()
  return owner:isowner(), owner:call(text)
end, gives(true, text))

-- ------------------------------------------------------------- look-up --

step("state, id", function()
  local s = mtstates.state(states["echo"]:id())
  return s:id(), s:isowner(), s:call(text)
end, function(...)
  gives(states["echo"]:id(), false, text)(...)
end)

step("state, name", function()
  local s = mtstates.state("first")
  return s:name(), s:isowner(), s:call(text)
end, gives("first", false, text))

step("state, unknown id", function()
  return pcall(mtstates.state, 5)
end, raises("mtstates.error.unknown_object: id 5"))

step("state, nobody in time", function()
  return pcall(mtstates.state, "nobody", 0.001)
end, raises("mtstates.error.unknown_object: name \"nobody\": "))

step("state, unknown name", function()
  return pcall(mtstates.state, "nobody\n")
end, raises("mtstates.error.unknown_object: name \"nobody"))

local twins

prepare(function()
  twins = {mtstates.newstate("twin", false, ECHO),
           mtstates.newstate("twin", false, ECHO)}
end)

step("state, ambiguous name", function()
  return pcall(mtstates.state, "twin")
end, raises("mtstates.error.ambiguous_name: name \"twin\""))

step("singleton, ambiguous name", function()
  return pcall(mtstates.singleton, "twin", false, ECHO)
end, raises("mtstates.error.ambiguous_name: name \"twin\""))

prepare(function()
  twins[1]:close()
  twins[2]:close()
end)

step("properties", function()
  local s = states["first echo"]
  return s:id() > 100000000, s:name(), s:isowner(), mtstates.id(),
    tostring(s):match("^mtstates%.state: %S+ (.*),"), mtstates.type(s),
    mtstates.type(1), s == mtstates.state("first")
end, gives(true, "first", true, nil, "state(name=\"first\"",
  "mtstates.state", "number", true))

local new_class, given = 0, {}

-- Each time another class; the registry grows now and then.
step("class", function()
  new_class = new_class + 1
  local name = "class " .. new_class
  local mt = mtstates.class(name)
  return mt == mtstates.class(name), mt.__name == name,
    mtstates.class("given", given) == given
end, gives(true, true, true))

step("class, another metatable", function()
  return pcall(mtstates.class, "given", {})
end, raises("bad argument #2 to ", "class 'given' has another metatable"))

-- ----------------------------------------------------------- singleton --

step("singleton, created", function()
  return mtstates.singleton("single", false, ECHO .. ", ...", text)
end, opens("single echo", "single", text))

step("singleton, found", function()
  return mtstates.singleton("single")
end, function(s)
  gives(states["single echo"]:id(), true)(s:id(), s:isowner())
  gives(text)(s:call(text))
end)

step("singleton, setup raises", function()
  return pcall(mtstates.singleton, "late", false, "error('no', 0)")
end, raises("mtstates.error.invoking_state: state(name=\"late\",id=", "no",
  "\nstack traceback:\n"))

step("singleton, setup wants itself", function()
  return pcall(mtstates.singleton, "late", [[
    local is_loaded, mt = pcall(require, "mtstates")
    if not is_loaded then -- Lua says that there is no such module
      error("not enough memory to load it")
    end
    return mt.singleton("late", "return print")
  ]])
end, raises("mtstates.error.invoking_state: state(name=\"late\",id=",
  "mtstates.error.deadlock: name \"late\"", "\nstack traceback:\n"))

-- Another thread creates it, while this one waits.
prepare(function()
  opens("creator", nil)(mtstates.newstate(function()
    local mt = require "mtstates"
    local single
    return function(job)
      if job then
        single = nil
        collectgarbage()
        collectgarbage()
        return single
      end
      single = mt.singleton("waited", function()
        local is_loaded, h = pcall(require, "sweephost")
        if not is_loaded then
          error("not enough memory to load it")
        end
        h.hold()
        return function(...)
          return ...
        end
      end)
    end
  end))
end)

local function wait_for_singleton(is_armed)
  host.start(states["creator"], "notify", is_armed)
  host.wait_entered()
  local ok, s = pcall(mtstates.singleton, "waited", false, ECHO)
  if not ok then
    host.join()
    error(s, 0)
  end
  return s, host.join()
end

local function check_waited(s, ...)
  gives("waited", true, text)(s:name(), s:isowner(), s:call(text))
  s:close()
  states["creator"]:call("drop")
  is_done(...)
end

prepare(function()
  package.loaded.mtstates = mtstates
end)

step("singleton, waiting thread fails", function()
  return wait_for_singleton(false)
end, check_waited)

step("singleton, creating thread fails", function()
  return wait_for_singleton(true)
end, check_waited)

-- ---------------------------------------------------- native threads --

prepare(function()
  opens("receiver", nil)(mtstates.newstate(function()
    require "carray"
    local count = 0
    return function(...)
      if select("#", ...) == 0 then
        return ("a result that nobody wants"):rep(20)
      elseif ... == "count" then
        local before = count
        count = 0
        return before
      end
      local flag, integer, number, string, byte1, byte2, array, more = ...
      if flag ~= true or integer ~= 42 or number ~= 0.5
          or string ~= ("s"):rep(300) or byte1 ~= 1 or byte2 ~= 255
          or array:get(1) ~= 1 or array:get(2) ~= 2.5 or array:get(3) ~= 3
          or more ~= nil then
        error("wrong values")
      end
      count = count + 1
    end
  end))
  opens("failing", nil)(mtstates.newstate(false, function()
    require "carray"
    return function()
      error("failing")
    end
  end))
end)

step("notify", function()
  host.start(states["receiver"], "notify", true)
  return host.join()
end, is_done)

step("notify, error", function()
  host.start(states["failing"], "notify", true)
  return host.join()
end, has_failed("mtstates.error.invoking_state: state(id=", "failing",
  "\nstack traceback:\n\t", "in function "))

-- Without the callback's pcall each level would add to the error.
prepare(function()
  opens("recursive", nil)(mtstates.newstate(function()
    local mt = require "mtstates"
    local s
    return function(depth)
      s = s or mt.state(mt.id())
      local ok, err = pcall(s.call, s, (depth or 1) + 1)
      if not ok and not err:find("too many nested calls", 1, true) then
        error(err, 0)
      end
      return depth
    end
  end))
end)

step("notify, as deep as a small C stack allows", function()
  host.start(states["recursive"], "notify", true, 65536)
  return host.join()
end, is_done)

step("receiver", function()
  host.start(states["receiver"], "send", true)
  return host.join()
end, function(code, message, code_again, calls)
  local received = states["receiver"]:call("count")
  if received ~= 1 then
    wrong("received %d times, code %d: %s", received, code, message)
  end
  if code ~= 0 and code ~= NO_MEMORY and message:find("out_of_memory") then
    wrong("code %d: %s", code, message)
  end
  is_done(code, message, code_again, calls)
end)

step("receiver, error", function()
  host.start(states["failing"], "send", true)
  return host.join()
end, has_failed("mtstates.error.invoking_state: state(id=", "failing",
  "\nstack traceback:\n\t", "in function "))

step("notify, closed", function()
  local s = states["failing"]
  s:close()
  host.start(s, "notify", true)
  return host.join()
end, gives(1, "", 0, 0))

-- ------------------------------------------------------------- waiting --

prepare(function()
  states["failing"] = nil
  opens("held echo", nil)(mtstates.newstate(function()
    local h = require "sweephost"
    local is_holding
    return function(...)
      if ... == "hold" then
        is_holding = true
      elseif is_holding then
        is_holding = false
        h.hold()
      end
      return ...
    end
  end))
end)

local function wait_for_held(method, ...)
  local s = states["held echo"]
  s:call("hold")
  host.start(s, "notify")
  host.wait_entered()
  local ok, a, b, c = pcall(s[method], s, ...)
  host.join()
  if not ok then
    error(a, 0)
  end
  return a, b, c
end

step("call has to wait", function()
  return wait_for_held("call", text, 1, 2)
end, gives(text, 1, 2))

step("tcall has to wait", function()
  return wait_for_held("tcall", 20, text, 1)
end, gives(true, text, 1))

step("tcall does not wait", function()
  return wait_for_held("tcall", 0, text)
end, gives(false, nil, nil))

step("close while another thread is in", function()
  return pcall(wait_for_held, "close")
end, raises("mtstates.error.concurrent_access: state(id="))

-- ----------------------------------------------------------- interrupt --

prepare(function()
  opens("looping", nil)(mtstates.newstate(function()
    require "interruptible"
    local h = require "sweephost"
    return function(job)
      local function loop()
        h.hold()
        while true do
          job = job
        end
      end
      if job == "coroutine" then
        coroutine.wrap(loop)()
      elseif job == "echo" then
        return job
      end
      loop()
    end
  end))
end)

local INTERRUPTED = {"mtstates.error.invoking_state: state(id=",
  "mtstates.error.interrupted: ", "\nstack traceback:\n\t"}

-- The same check, when the state is interrupted no longer and works.
local function after_interrupt(check)
  return function(...)
    states["looping"]:interrupt(false)
    gives("echo")(states["looping"]:call("echo"))
    check(...)
  end
end

step("interrupt, pending", function()
  local s = states["looping"]
  s:interrupt()
  return pcall(s.call, s)
end, after_interrupt(raises(unpack(INTERRUPTED))))

step("interrupt, in a coroutine", function()
  local s = states["looping"]
  s:interrupt(true)
  return pcall(s.call, s, "coroutine")
end, after_interrupt(raises(unpack(INTERRUPTED))))

step("interrupt, another thread", function()
  host.start(states["looping"], "notify", true)
  host.wait_entered()
  states["looping"]:interrupt()
  return host.join()
end, after_interrupt(has_failed(unpack(INTERRUPTED))))

-- --------------------------------------------------------------- close --

local function open_chain()
  return mtstates.newstate(function()
    local mt = require "mtstates"
    local collect = require "on_collect"
    local owned = mt.newstate(function()
      local is_owned = require "on_collect"(function()
        return ("x"):rep(1000) .. require "mtstates".id()
      end)
      return function(...)
        return is_owned and ...
      end
    end)
    local guard = collect(function()
      return owned:call("y") .. mt.id()
    end)
    return function(job)
      return job and guard and owned:id()
    end
  end)
end

local chain, owned_id

prepare(function()
  chain = open_chain()
  owned_id = chain:call("id")
end)

step("close, with finalizers", function()
  local s = chain
  return s and s:close()
end, function()
  raises("mtstates.error.object_closed: state(id=")(pcall(chain.call, chain))
  collectgarbage()
  raises("mtstates.error.unknown_object: id ")(pcall(mtstates.state, owned_id))
end)

step("call when it is closed", function()
  return pcall(chain.call, chain, text)
end, raises("mtstates.error.object_closed: state(id=", "closed"))

prepare(function()
  opens("keeper", nil)(mtstates.newstate(function()
    local mt = require "mtstates"
    local h = require "sweephost"
    local owned
    return function(job)
      if job == "open" then
        owned = mt.newstate(function()
          local m = require "mtstates"
          local back
          return function(id)
            if back then
              back:call("drop")
            end
            back = back or m.state(id)
          end
        end)
        owned:call(mt.id())
        return owned:id()
      elseif job == "drop" then
        owned = nil
        h.collect()
      else
        local s = owned
        return s and mt.state(s:id())
      end
      return owned
    end
  end))
  owned_id = states["keeper"]:call("open")
end)

-- The call ends, then the state is closed.
step("owner is collected in a call", function()
  local ok, s = pcall(mtstates.state, owned_id)
  if ok then
    return s:call()
  elseif not s:find("unknown_object", 1, true) then
    error(s, 0)
  end
end, function()
  raises("mtstates.error.unknown_object: id ")(
    pcall(mtstates.state, owned_id))
end)

local close_variable = load_string [[
  local s <close> = ...
  return s:call(s:id())
]]

if close_variable then
  step("end of the scope", function()
    return close_variable(mtstates.newstate(false, ECHO))
  end, function(id)
    raises("mtstates.error.unknown_object: id ")(pcall(mtstates.state, id))
  end)
end

-- ------------------------------------------------------------ requests --

-- A service for what requests do. Where it waits the task is suspended, or, in
-- a function that gsub calls, holds its thread.
local function relay_setup()
  local h, mt = require "sweephost", require "mtstates"
  local unpack_all = rawget(table, "unpack") or rawget(_G, "unpack")
  local function holding(method, ...)
    local arguments, results = {...}, nil
    string.gsub("x", "x", function()
      results = {arguments[1][method](unpack_all(arguments))}
    end)
    return unpack_all(results)
  end
  return function(job, ...)
    local target = ...
    if job == "hold" then
      h.pass()
    elseif job == "await" then
      return target:await(select(2, ...))
    elseif job == "send" then
      target:send(select(2, ...))
    elseif job == "fork" then
      return mt.fork(function(...)
        mt.sleep(0.001)
        return ...
      end, ...):await()
    elseif job == "find" then
      return mt.state(target, 60):id()
    elseif job == "defer" then
      return mt.fork(function(...)
        return ...
      end, ...)
    elseif job == "await, holding" then
      return holding("await", ...)
    elseif job == "send, holding" then
      holding("send", ...)
    else
      return job, ...
    end
  end
end

-- Counts what it gets, and says how much that was, once.
local function counter_setup()
  local count = 0
  return function(job)
    if job == "count" then
      local before = count
      count = 0
      return before
    end
    count = count + 1
  end
end

local relay, echo

prepare(function()
  opens("relay echo", nil)(mtstates.newstate({}, relay_setup))
  opens("second relay echo", nil)(mtstates.newstate({}, relay_setup))
  opens("counter", nil)(mtstates.newstate({}, counter_setup))
  opens("logger", nil)(mtstates.newstate({}, counter_setup))
  relay, echo = states["relay echo"], states["echo"]
  mtstates.workers(1)
end)

-- Has a worker run s until the gate is opened, or the request has failed.
local function hold(s)
  host.shut()
  local future = s:async("hold")
  repeat until host.has_visitor() or future:ready()
  return future
end

-- If there is no thread for it, a request is served as soon as there is one.
local function await_in_time(future)
  if not future:tawait(0.3) then
    host.relent()
    if not future:tawait(30) then
      return "nobody serves it"
    end
  end
  return future:await()
end

-- From here on there are workers, which a fork does not copy.
everywhere("first requests, one of them stuck", function()
  local held = hold(relay)
  local result = await_in_time(echo:async("first"))
  host.open()
  held:await()
  return result
end, function(...)
  serves = true
  gives("first")(...)
end)
steps[#steps].starts_threads = true

everywhere("await in a request", function()
  return relay:await("await", echo, text, 1)
end, gives(text, 1))

everywhere("await in a request that is awaited", function()
  return relay:await("await", states["second relay echo"], "await", echo, text)
end, gives(text))

everywhere("await in a request that holds", function()
  return relay:await("await, holding", echo, text, 1)
end, gives(text, 1))

everywhere("await in a request that is awaited, holding", function()
  return relay:await("await, holding", states["second relay echo"], "await",
    echo, text)
end, gives(text))

everywhere("fork in a request", function()
  return relay:await("fork", text, 1)
end, gives(text, 1))

everywhere("state that is made later, in a request", function()
  local future = relay:async("find", "late")
  mtstates.sleep(0.001) -- most times it waits by then
  local late = mtstates.newstate("late", false, ECHO)
  local ok, id = future:tawait(30)
  local is_found = ok and id == late:id()
  late:close()
  return is_found
end, gives(true))

everywhere("traceback of a request that waits", function()
  local future = relay:async("find", "later")
  local where, late
  repeat
    where = relay:traceback(60)
  until where or future:ready()
  if not where then
    return future:await()
  end
  late = mtstates.newstate("later", false, ECHO)
  future:tawait(30)
  late:close()
  return where:match("stack traceback:")
end, gives("stack traceback:"))

everywhere("deferred reply", function()
  return relay:await("defer", text, {1})
end, function(...)
  gives(text)((...))
end)

everywhere("fork", function()
  return mtstates.fork(function(...)
    mtstates.sleep(0.001)
    return ...
  end, text, 1):await()
end, gives(text, 1))

local here -- the state of this Lua state

everywhere("here", function()
  here = mtstates.here(text .. "here", {queue = 9}, {
    echo = function(...) return ... end,
  })
end, function(...)
  here:close()
  here = nil
  gives()(...)
end)

everywhere("here, fork before that", function()
  local future = mtstates.fork(function(...) return ... end, text)
  here = mtstates.here(function() end)
  return future
end, function(future)
  gives(text)(future:await())
  here:close()
end)

prepare(function()
  here = mtstates.here(function(...)
    mtstates.sleep(0)
    return ...
  end)
end)

everywhere("here, requests of its own", function()
  local future = here:async(text, {1})
  while here:run() > 0 do end
  local a, b = future:await()
  return a, b[1]
end, gives(text, 1))

everywhere("here, requests of others", function()
  return relay:await("await", here, text, 1)
end, gives(text, 1))

everywhere("here, call", function()
  return here:call(text, 1)
end, gives(text, 1))

step("here, descriptor", function()
  return type(here:fd())
end, gives("number"))

prepare(function()
  here:close()
end)

everywhere("workers, more", function()
  mtstates.workers(3)
  local a, b = relay:async(1, text), echo:async(text)
  return a:await(), b:await()
end, function(...)
  mtstates.workers(1)
  gives(1, text)(...)
end)

-- A request that follows another one begins when that has ended.
local function settle(s)
  gives("settled")(s:await("settled"))
end

-- A check: what was sent to the counter has got there, or a failure was
-- logged, once.
local function is_sent(ok, err)
  local received = states["counter"]:call("count")
  local sum = received + #log
  if sum > 1 or ok and sum == 0 then
    wrong("it was received %d times and logged %d times", received, #log)
  elseif not ok then
    error(err, 0)
  end
end

everywhere("send", function()
  return pcall(states["counter"].send, states["counter"], 1, text, nil, "x")
end, is_sent)

everywhere("tsend", function()
  return states["echo"]:tsend(1, text)
end, function(...)
  gives(true)(...)
  settle(states["echo"])
end)

everywhere("send, deep values", function()
  return pcall(states["counter"].send, states["counter"], {text, {1}})
end, is_sent)

everywhere("send in a request", function()
  return pcall(relay.await, relay, "send", states["counter"], text)
end, is_sent)

local narrow -- has room for one request

prepare(function()
  opens("narrow echo", nil)(mtstates.newstate({queue = 1}, relay_setup))
  narrow = states["narrow echo"]
end)

everywhere("send in a request waits for room", function()
  local held = hold(narrow)
  local first = narrow:async(1)
  local future = relay:async("send", narrow, text)
  mtstates.sleep(0.002)
  host.open()
  held:await()
  return first:await(), future:await()
end, function(...)
  settle(narrow)
  gives(1)(...)
end)

everywhere("send in a request waits for room, holding", function()
  local held = hold(narrow)
  local first = narrow:async(1)
  local future = relay:async("send, holding", narrow, text)
  mtstates.sleep(0.002)
  host.open()
  held:await()
  return first:await(), future:await()
end, function(...)
  settle(narrow)
  gives(1)(...)
end)

everywhere("send, error, stderr", function()
  return pcall(states["worker"].send, states["worker"], "raise", text)
end, is_sent, text)

prepare(function()
  mtstates.logger(states["logger"])
end)

-- What the logger does not get goes to stderr.
everywhere("send, error, logger state", function()
  return pcall(states["worker"].send, states["worker"], "raise", text)
end, function(ok, err)
  local received = states["logger"]:call("count")
  local sum = received + #log
  if sum ~= (ok and 1 or 0) then
    wrong("logged %d times, %d times to stderr", received, #log)
  elseif not ok then
    error(err, 0)
  end
end, text)

prepare(function()
  mtstates.logger(nil)
  states["logger"]:call("count")
end)

everywhere("await, plain values", function()
  return states["echo"]:await(1, text, nil, 2.5)
end, gives(1, text, nil, 2.5))

everywhere("await, deep values", function()
  local a, b = deep:await({text, {1}}, setmetatable({1, "x"}, Box))
  return a[1], a[2][1], b[1], b[2]
end, gives(text, 1, 1, "x"))

everywhere("tawait", function()
  return states["echo"]:tawait(100, text)
end, gives(true, text))

everywhere("tawait, it has begun", function()
  host.shut()
  local in_time = relay:tawait(0.02, "hold")
  host.open()
  return in_time, relay:await(text)
end, gives(false, text))

everywhere("tawait, it has not begun", function()
  local held = hold(relay)
  local in_time = relay:tawait(0.002, text)
  host.open()
  held:await()
  return in_time
end, gives(false))

-- The results of an await that may fail because the state was closed.
local function is_closed(ok, err)
  if not ok and not tostring(err):find("object_closed", 1, true) then
    error(err, 0)
  end
  return not ok
end

everywhere("close, requests wait", function()
  local s = host.spare(mtstates.newstate, {}, relay_setup)
  local held = hold(s)
  local first = s:async(1)
  s:send(2)
  local last = s:async(text)
  s:close()
  host.open()
  local ok, err = pcall(held.await, held)
  local first_ok, first_err = pcall(first.await, first)
  return ok, err, first_ok, first_err, pcall(last.await, last)
end, function(ok, err, first_ok, first_err, last_ok, last_err)
  local first_closed = is_closed(first_ok, first_err)
  local last_closed = is_closed(last_ok, last_err)
  -- Without memory for the task of `held` the next one may have begun.
  if not ok then
    error(err, 0)
  elseif not first_closed or not last_closed or #log ~= 1
      or not log[1]:find("was closed: 3 requests failed", 1, true) then
    wrong("%s, %s, logged %d times", first_err, last_err, #log)
  end
end, "was closed: ")

everywhere("last owner goes, requests wait", function()
  local s = host.spare(mtstates.newstate, {}, relay_setup)
  local id = s:id()
  local held = hold(s)
  local future = s:async(text)
  s = nil
  host.collect()
  host.open()
  held:await()
  return s, id, future:await()
end, function(_, id, ...)
  gives(text)(...)
  raises("mtstates.error.unknown_object: id ")(pcall(mtstates.state, id))
end)

-- ------------------------------------- cancel, promises, own threads --

-- The results of an await of a request that was cancelled.
local function is_cancelled(was_cancelled, ok, err)
  if not ok and not tostring(err):find("error.cancelled", 1, true) then
    error(err, 0)
  end
  if ok or not was_cancelled then
    wrong("cancelled: %s, %s", tostring(was_cancelled), tostring(err))
  end
end

everywhere("cancel, not begun", function()
  local held = hold(relay)
  local future = relay:async(text)
  local was_cancelled = future:cancel()
  host.open()
  held:await()
  return was_cancelled, pcall(future.await, future)
end, is_cancelled)

everywhere("cancel, running", function()
  local future = hold(relay)
  local was_cancelled = future:cancel()
  host.open()
  return was_cancelled, pcall(future.await, future)
end, is_cancelled)

everywhere("cancel, holding", function()
  local held = hold(relay)
  local future = states["second relay echo"]:async("await, holding", relay,
    text)
  mtstates.sleep(0.002)
  local was_cancelled = future:cancel()
  host.open()
  held:await()
  return was_cancelled, pcall(future.await, future)
end, function(...)
  settle(relay)
  is_cancelled(...)
end)

everywhere("cancel, waiting", function()
  local held = hold(relay)
  local future = states["second relay echo"]:async("await", relay, text)
  mtstates.sleep(0.002)
  local was_cancelled = future:cancel()
  host.open()
  held:await()
  return was_cancelled, pcall(future.await, future)
end, function(...)
  settle(relay)
  is_cancelled(...)
end)

-- After a failure promise and future can be garbage, and the answer unread.
-- (That a promise is abandoned is no step: a finalizer that fails for want of
-- memory is lost, and what it would release.)
local function promising(name, run, check)
  local function finish(ok, ...)
    host.collect()
    if not ok then
      error((...), 0)
    end
    return ...
  end
  everywhere(name, function()
    return finish(pcall(run))
  end, check, "error")
end

promising("promise", function()
  local future, promise = mtstates.promise()
  local same = deep:await({promise})[1]
  return same == promise, same:set({text}, 1), promise:set(2),
    future:await()[1], select("#", future:await())
end, gives(true, true, false, text, 2))

promising("promise, error", function()
  local future, promise = mtstates.promise()
  local is_first = promise:fail({text})
  local ok, err = pcall(future.await, future)
  if type(err) ~= "table" then
    error(err, 0)
  end
  return is_first, ok, err[1]
end, gives(true, false, text))

promising("map", function()
  local next_item, _, _, closing = deep:map({{text}, {text}})
  local first, copy = next_item()
  local second, other = next_item()
  local is_over = next_item() == nil
  getmetatable(closing).__gc(closing)
  return copy[1], other[1], first ~= second, is_over
end, gives(text, text, true, true))

promising("each", function()
  local future, promise = mtstates.promise()
  local asked = deep:async({text})
  promise:fail(text)
  local got = {}
  local next_future, _, _, closing = mtstates.each({asked, future})
  for i = 1, 2 do
    local f, ok, result = next_future()
    if ok ~= (f == asked) or not ok and result ~= text then
      error(result, 0)
    end
    got[i] = ok and result[1] or "failed"
  end
  local is_over = next_future() == nil
  getmetatable(closing).__gc(closing)
  return (got[1] == text) ~= (got[2] == text), is_over
end, gives(true, true))

-- The pool is closed when it has done what it was sent.
local function with_pool(use, ...)
  local pool = mtstates.pool(...)
  local function finish(ok, ...)
    pool:close(10)
    if not ok then
      error((...), 0)
    end
    return ...
  end
  return finish(pcall(use, pool))
end

step("pool", function()
  return with_pool(function(pool)
    return #pool:stats().members, pool:name(), pool:interrupt(false)
  end, "swept pool", {n = 2, libs = false, queue = 10}, ECHO)
end, gives(2, "swept pool"))

step("pool, setup fails", function()
  return pcall(mtstates.pool, {n = 2, libs = false}, "local s, id = ... " ..
    "if require 'mtstates'.id() > id + 2 then error(s, 0) end return print",
    text, mtstates.newstate(false, ECHO):id())
end, raises("mtstates.error.invoking_state: state(", text))

step("pool called", function()
  return with_pool(function(pool)
    return pool:call(text), pool:tcall(10, 1)
  end, {n = 2, libs = false}, ECHO)
end, gives(text, true, 1))

everywhere("pool asked", function()
  return with_pool(function(pool)
    local future = pool:async(text)
    local sum = 0
    pool:send(text)
    for _, n in pool:map({1, 2, 3}) do
      sum = sum + n
    end
    return future:await(), pool:await(text), sum
  end, {n = 2, libs = false}, ECHO)
end, gives(text, text, 6))

everywhere("thread", function()
  local future, s = mtstates.thread({libs = false, name = "swept"},
    function(...) return ... end, text, 1)
  local result = future:await()
  return result, s:close(10)
end, gives(text, true))

step("thread, error", function()
  local future, s = mtstates.thread({libs = false}, "error(..., 0)", text)
  local ok, err = pcall(future.await, future)
  s:close(10)
  return ok, err
end, raises("mtstates.error.invoking_state: state(", text))

everywhere("send, beyond a limit of memory", function()
  if rawget(_G, "jit") then
    return false, 5
  end
  local options = {libs = false, memory = 200000}
  local s = host.spare(mtstates.newstate, options, ECHO)
  local has_room = pcall(s.send, s, ("x"):rep(200000))
  local result = s:await(5)
  s:close()
  return has_room, result
end, gives(false, 5))

everywhere("time", function()
  local options = {libs = false, time = 1000}
  local s = host.spare(mtstates.newstate, options, ECHO)
  local a, b = s:call(text), s:await(1)
  s:close()
  return a, b
end, gives(text, 1))

everywhere("thread of a state", function()
  local options = {libs = false, own_thread = true}
  local s = host.spare(mtstates.newstate, options, ECHO)
  local a, b, c = s:call(text), s:await(1), s:tcall(10, 2)
  s:close()
  return a, b, c
end, gives(text, 1, true))

everywhere("close, last function", function()
  local s = host.spare(mtstates.newstate, {libs = false}, function()
    return {f = function(...) return ... end, __close = function() end}
  end)
  local result = s:call("f", text)
  s:close()
  return result
end, gives(text))

everywhere("close, last function raises", function()
  local s = host.spare(mtstates.newstate, {libs = false}, function(message)
    return {__close = function() error(message, 0) end}
  end, text)
  s:close()
end, function(...)
  gives()(...)
  if #log ~= 1 then
    wrong("it was logged %d times", #log)
  end
end, text)

everywhere("last owner goes, last function", function()
  local s = host.spare(mtstates.newstate, {libs = false}, function()
    return {__close = function() end}
  end)
  local id = s:id()
  s = nil -- luacheck: ignore
  host.collect()
  return id
end, function(id)
  local ends = mtstates.now() + 30
  repeat until not pcall(mtstates.state, id) or mtstates.now() > ends
  raises("mtstates.error.unknown_object: id ")(pcall(mtstates.state, id))
end)

everywhere("close, in time", function()
  local s = host.spare(mtstates.newstate, {}, relay_setup)
  local future = s:async(text)
  return s:close(10), future:await()
end, gives(true, text))

everywhere("quit", function()
  local s = host.spare(mtstates.newstate, {}, function()
    local mt = require "mtstates"
    return function(...)
      mt.quit()
      return ...
    end
  end)
  return s:await(text), pcall(s.call, s)
end, function(result, ok, err)
  gives(text)(result)
  raises("mtstates.error.object_closed: state(")(ok, err)
end)

step("quit, nowhere", function()
  return pcall(mtstates.quit)
end, raises("mtstates: no state of the module runs this code"))

step("tawait, nothing begins", function()
  return states["echo"]:tawait(0, text)
end, gives(false))

step("await, wrong argument", function()
  return pcall(function()
    states["echo"]:await(1, {}) -- no tail call, which has no name
  end)
end, raises("bad argument #2 to ", "table cannot be transferred"))

everywhere("await, unknown class", function()
  return pcall(deep.await, deep, "unknown")
end, raises("mtstates.error.unknown_class: state(", "'nowhere else'"))

everywhere("await, error", function()
  return pcall(states["worker"].await, states["worker"], "raise", text)
end, raises("mtstates.error.invoking_state: state(id=", text,
  "\nstack traceback:\n\t", "in function "))

everywhere("await, error value", function()
  local ok, err = pcall(deep.await, deep, "raise", {code = text})
  if type(err) ~= "table" then
    return ok, err
  end
  return ok, err.code
end, function(ok, code)
  if code ~= text then
    error(code, 0)
  end
  gives(false)(ok)
end)

everywhere("async", function()
  local future = states["echo"]:async(1, text)
  local a, b = future:await()
  return a, b, select("#", future:tawait(1)), future:ready(),
    tostring(future) ~= "", future == future
end, gives(1, text, 3, true, true, true))

everywhere("future that crosses", function()
  local future = deep:async({1, text})
  local same = deep:await({future})[1]
  return same == future, same:await()[2]
end, gives(true, text))

step("stats of a state", function()
  local stats = states["first echo"]:stats()
  return stats.id == states["first echo"]:id(), stats.name, stats.owners,
    stats.queue, stats.tasks
end, gives(true, "first", 1, 0, 0))

step("all states", function()
  local found = 0
  for _, stats in ipairs(mtstates.states()) do
    found = found + (stats.name == "first" and stats.errors >= 0 and 1 or 0)
  end
  return found
end, gives(1))

-- Workers would keep what they need for the events of the trace that follows:
-- they are to have none.
step("stats of the module", function()
  return mtstates.stats().workers, mtstates.workers(1)
end, function(...)
  local stats
  gives(1, 1)(...)
  repeat
    mtstates.sleep(0.0005)
    stats = mtstates.stats()
  until stats.idle >= stats.workers + stats.replacements
end)

-- Events and names that there is no memory for are left out.
local trace_path
step("trace", function()
  trace_path = os.tmpname()
  mtstates.trace(trace_path)
  local result = states["first echo"]:call(2)
  mtstates.trace(nil)
  return result
end, function(...)
  gives(2)(...)
  local file = assert(io.open(trace_path))
  if not file:read("*a"):find("^%[\n.*\n%]\n$") then
    wrong("the trace is not whole")
  end
  file:close()
  os.remove(trace_path)
end)

step("time", function()
  local before = mtstates.now()
  mtstates.sleep(0.0001)
  return mtstates.now() > before
end, gives(true))

step("logger, function", function()
  return mtstates.logger(function() end)
end, function(...)
  gives()(...)
  mtstates.logger(nil)
end)

-- ---------------------------------------------------------- the driver --

local scenario = {}

-- A line for each step: + if it is swept, - if not, * if it starts threads
-- that stay, ! if it is swept in all threads; and its name.
function scenario.names()
  local lines = {}
  for i = 1, #steps do
    lines[i] = (steps[i].is_swept and "+" or "-")
      .. (steps[i].starts_threads and "*" or "")
      .. (steps[i].everywhere and "!" or "") .. " " .. steps[i].name
  end
  return table.concat(lines, "\n")
end

function scenario.run(i)
  return steps[i].run()
end

function scenario.check(i, ...)
  return steps[i].check(...)
end

-- After a step has failed.
function scenario.verify()
  if mtstates then
    check_all()
  end
end

-- Interrupts code that is in a C function, so that the watcher is started: its
-- thread stays, and what that takes shall always be among what is left.
local function start_watcher()
  host.start(states["looping"], "notify")
  host.wait_entered()
  states["looping"]:interrupt()
  host.join()
end

-- Closes all.
function scenario.finish()
  if not mtstates then
    return
  end
  check_all()
  if states["looping"] then
    start_watcher()
  end
  gives(true)(mtstates.shutdown(10))
  for _, s in pairs(states) do
    s:close()
  end
end

-- After the last step: no state may be left.
function scenario.verify_end()
  local last = mtstates.newstate(false, ECHO)
  last:close()
  for id = 100000001, last:id() do
    if pcall(mtstates.state, id) then
      wrong("%s is open", tostring(mtstates.state(id)))
    end
  end
end

return scenario
