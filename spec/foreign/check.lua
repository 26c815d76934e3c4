-- check.lua KIND - what has to hold in a Lua that was built in another way
--
-- A plain program: some of these Luas have few libraries, and specs need
-- modules that were not built for them. run.sh tells what the kinds are.

local kind = ...
local mtstates = rawget(_G, "mtstates") or require "mtstates"
local failures = 0

-- Runs f, which asserts, and tells what it is about.
local function check(what, f)
  local ok, err = pcall(f)
  print(("%-9s %s %s"):format(kind, ok and "ok    " or "FAILED", what))
  if not ok then
    failures = failures + 1
    print(err)
  end
end

local function equal(expected, actual)
  if expected ~= actual then
    error(("expected: %s\nfound:    %s"):format(tostring(expected),
      tostring(actual)))
  end
end

-- Calls f, which must raise an error with this text in it.
local function raises(text, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "nothing was raised")
  if type(err) ~= "string" or not err:find(text, 1, true) then
    error(("expected: %s\nraised:   %s"):format(text, tostring(err)))
  end
end

local function echo()
  return function(...) return ... end
end

local function raiser()
  return function(value) error(value, 0) end
end

-- Setup: the callback runs the code that it is given.
local function runner()
  local compile = rawget(_G, "loadstring") or load
  return function(code, ...) return assert(compile(code))(...) end
end

check("values cross", function()
  local s = mtstates.newstate(echo)
  local a, b, c, d, e = s:call(nil, true, 1, 2.5, "five")
  assert(a == nil and b == true and c == 1 and d == 2.5 and e == "five")
  equal(s:id(), mtstates.state(s:id()):id())
end)

-- All errors that pass through functions of the module.
check("errors are caught", function()
  local s = mtstates.newstate("errors", true, raiser)
  raises("invoking_state: state(name=\"errors\",id=", s.call, s, "boom")
  raises(": boom\n", s.call, s, "boom")
  raises("[string", mtstates.newstate, "return return")
  raises(": boom\n", mtstates.newstate, "error('boom', 0)")
  raises("state_result", mtstates.newstate, "return")
  raises("bad argument", mtstates.newstate, true, true)
  raises("bad argument", s.call, s, {})
  raises("bad argument", s.tcall, s, "soon")
  raises("bad argument", mtstates.singleton)
  raises("bad argument", mtstates.type)
  raises("state_result", function()
    mtstates.newstate("return function() return {} end"):call()
  end)
  raises("unknown_object", mtstates.state, "none of this name")
  s:interrupt()
  raises("interrupted", s.call, s)
  s:interrupt(true)
  raises("interrupted", s.call, s)
  s:close()
  raises("object_closed", s.call, s)
end)

check("errors of error values and finalizers are caught", function()
  local s = mtstates.newstate(runner)
  raises("invoking_state", s.call, s,
    "error(setmetatable({}, {__tostring = function() error('inner') end}))")
  s:call("setmetatable({}, {__gc = function() error('in __gc') end})")
  pcall(s.call, s, "collectgarbage()") -- before 5.4 they are raised
  s:call("guard = setmetatable({}, {__gc = function() error('late') end})")
  s:close()
end)

if coroutine then
  check("errors pass through coroutines", function()
    local s = mtstates.newstate(runner)
    raises("boom", s.call, s, "coroutine.wrap(function() error('boom') end)()")
    equal("boom", s:call([[
      local co = coroutine.create(function() error("boom", 0) end)
      return select(2, coroutine.resume(co))]]))
    raises("interrupted", s.call, s, [[
      local mtstates = require "mtstates"
      coroutine.wrap(function()
        mtstates.state(mtstates.id()):interrupt()
        while true do end
      end)()]])
  end)
end

if rawget(_G, "require") then
  check("errors pass through states of states", function()
    local s = mtstates.newstate(runner)
    raises("boom", s.call, s, [[
      local code = "return function() error('boom') end"
      return require "mtstates".newstate(code):call()]])
  end)

  -- What was left out here is missing there.
  check("require finds the same libraries in states", function()
    for _, name in ipairs({"string", "table", "math", "io", "os", "debug",
        "coroutine", "utf8", "bit32", "bit", "jit", "ffi"}) do
      local is_here, library = pcall(require, name)
      for _, libs in ipairs({"true", "false"}) do
        local s = mtstates.newstate(nil, libs == "true", runner)
        local is_there, type_there, is_rock = s:call([[
          local is_there, library = pcall(require, (...))
          local is_rock = type(library) == "table" and library.is_rock
          return is_there, type(library), is_rock]], name)
        local case = name .. ", libs " .. libs .. ": "
        equal(case .. tostring(is_here), case .. tostring(is_there))
        equal(case .. type(library), case .. type_there)
        equal(type(library) == "table" and library.is_rock, is_rock)
      end
    end
  end)
end

if pcall(require, "capidriver") then
  check("errors are caught in calls of native code", function()
    local driver = require "capidriver"
    local notifier = driver.notifier(mtstates.newstate(raiser))
    assert(notifier:notify() ~= 0)
    local code, message = notifier:start():join()
    assert(code ~= 0 and message:find("invoking_state", 1, true))
  end)
end

if kind == "32bits" then
  -- Numbers are floats of 24 bits there.
  check("ids are exact, also as floats", function()
    local states = {}
    for i = 1, 20 do
      states[i] = mtstates.newstate(echo)
    end
    for _, s in ipairs(states) do
      local id = s:id()
      equal("integer", rawget(math, "type")(id))
      equal(id, rawget(math, "tointeger")(id + 0.0))
      equal(id, mtstates.state(id):id())
      equal(id, mtstates.state(id + 0.0):id())
    end
    raises("unknown_object", mtstates.state, states[20]:id() + 1)
    raises("unknown_object", mtstates.state, states[20]:id() + 1.0)
  end)

  check("a number that stands for its neighbours, too, is no id", function()
    for _, number in ipairs({2.0 ^ 24, 2.0 ^ 24 + 2, 100000001.0, 2.0 ^ 30,
        2.0 ^ 31, -2.0 ^ 24, 1e30, 1.5, 1 / 0, 0 / 0}) do
      raises("bad argument #1", mtstates.state, number)
    end
  end)
end

if kind == "nocvtn2s" then
  -- Numbers in texts, where the API of Lua makes no strings of them.
  check("texts have the numbers in them", function()
    local s = mtstates.newstate("texts", true, raiser)
    local id = ("%d"):format(s:id())
    local description = 'state(name="texts",id=' .. id .. ")"
    assert(tostring(s):find(description, 1, true), tostring(s))
    raises(description .. ": boom", s.call, s, "boom")
    raises(description .. ": 42", s.call, s, 42)
    raises(description .. ": 4.5", s.call, s, 4.5)
    raises("id 12345:", mtstates.state, 12345)
    raises("bad argument #1", mtstates.state, 1.5)
    raises("bad argument #2", mtstates.newstate, nil, 42)
    raises("got number", mtstates.singleton, 42, "return")
    raises("argument #3", s.call, s, nil, {})
    local upvalue = 42
    raises("upvalue #1 'upvalue'", mtstates.newstate,
      function() return upvalue end)
    raises("not a function but number", mtstates.newstate, "return 42")
    local pair = mtstates.newstate("return function() return 1, {} end")
    raises("result #2 is a table", pair.call, pair)
    s:close()
    raises(description, s.call, s)
    local code = mtstates.newstate(runner)
    raises(": 42", code.call, code, [[
      error(setmetatable({}, {__tostring = function() return "42" end}))]])
    local err = mtstates.error(select(2, pcall(code.call, code, "error(42)")))
    assert(err:details():find("42", 1, true), err:details())
  end)
end

if kind == "nocompat" then
  check("a rock in the place of a library is found", function()
    local s = mtstates.newstate(nil, false, runner)
    equal(true, s:call("return require 'bit32'.is_rock"))
    equal(nil, s:call("return package.preload.bit32"))
  end)
end

if kind == "static" then
  check("states, and states of states, have this copy of the module",
    function()
      assert(not rawget(package, "searchpath")("mtstates", package.cpath))
      for _, libs in ipairs({true, false}) do
        local s = mtstates.newstate(nil, libs, runner)
        local code = [[
          local mtstates = require "mtstates"
          local code, libs, expected = ...
          local inner = mtstates.newstate(nil, libs, function()
            local mtstates = require "mtstates"
            return function(id) return mtstates.state(id):id() end
          end)
          return mtstates.id(), inner:call(expected)]]
        local own, found = s:call(code, nil, libs, s:id())
        equal(s:id(), own)
        equal(s:id(), found)
      end
    end)
end

if kind == "fewer" then
  check("states have what the host opens", function()
    local s = mtstates.newstate(runner)
    equal("table table nil nil", s:call(
      "return type(math)..' '..type(string)..' '..type(io)..' '..type(os)"))
    equal(package.path, s:call("return package.path"))
  end)
end

if kind == "fewest" then
  check("states have what there is", function()
    for _, libs in ipairs({true, false}) do
      local s = mtstates.newstate(nil, libs, runner)
      equal(libs and "table" or "nil", s:call("return type(string)"))
      equal("nil", s:call("return type(package)"))
      equal("nil", s:call("return type(coroutine)"))
    end
  end)
end

if kind == "noffi" then
  check("the compiler is there, C data are not", function()
    local s = mtstates.newstate(runner)
    equal("table", s:call("return type(jit)"))
    equal(false, s:call("return (pcall(require, 'ffi'))"))
  end)
end

assert(failures == 0, "not all is well")
