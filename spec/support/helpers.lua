-- What nearly every spec needs: expectations about errors, in one place, and
-- the differences between Lua versions. States with all libraries can require
-- it, too.

local handoff = require "handoff"

local helpers = {}

helpers.unpack = rawget(table, "unpack") or rawget(_G, "unpack")

function helpers.pack(...)
  return {n = select("#", ...), ...}
end

-- load or loadstring: compiles a string of Lua code.
helpers.compile = rawget(_G, "loadstring") or load

-- Lua 5.3 and later: "integer", "float" or nil.
helpers.math_type = rawget(math, "type")

-- it_needs(has_feature, feature): busted's `it` for specs that need a feature
-- of Lua. Without it they are pending, and report.lua counts them with the
-- feature as the reason, which it finds in the place of the spec's body.
function helpers.it_needs(has_feature, feature)
  local busted = require "busted"
  if has_feature then
    return busted.it
  end
  return function(name)
    busted.pending(name, feature)
  end
end

-- Gives f with the globals as environment, for itself and for the functions
-- that it makes. Those of a spec have one of busted's, whose metatable cannot
-- cross.
function helpers.with_globals(f)
  local setfenv = rawget(_G, "setfenv")
  if setfenv then
    return setfenv(f, _G)
  end
  local i = 1
  while true do
    local name = debug.getupvalue(f, i)
    if name == "_ENV" then
      rawget(debug, "upvaluejoin")(f, i, helpers.with_globals, 1)
      return f
    elseif not name then
      return f
    end
    i = i + 1
  end
end

-- busted's `it` for a body whose functions cross.
function helpers.it_with_globals(name, body)
  helpers.with_globals(body)
  require "busted".it(name, function() body() end)
end

-- A busted before_each that ends the process when a spec hangs. Who runs the
-- specs with a slower Lua says so in the environment.
function helpers.watch(topic, seconds)
  local factor = tonumber(os.getenv("SLOWNESS")) or 1
  return function()
    handoff.watchdog((seconds or 240) * factor, topic)
  end
end

function helpers.unwatch()
  handoff.watchdog(0)
end

function helpers.collect()
  collectgarbage()
  collectgarbage()
end

-- Polls a condition that becomes true by itself.
function helpers.wait_until(condition)
  local tries = 0
  while not condition() do
    tries = tries + 1
    if tries > 30000 then
      error("the condition never came true", 2)
    end
    handoff.breathe()
  end
end

-- Numbers from 1 to n, the same for the same seed in every Lua: x * 16807 is
-- exact in a double.
function helpers.random(seed)
  local x = seed
  return function(n)
    x = x * 16807 % 2147483647
    return x % n + 1
  end
end

-- Calls f where no Lua can yield, so that its waits hold their thread; gives
-- its results.
function helpers.hold(f, ...)
  local arguments, results = helpers.pack(...), nil
  string.gsub("x", "x", function()
    results = helpers.pack(f(helpers.unpack(arguments, 1, arguments.n)))
  end)
  return helpers.unpack(results, 1, results.n)
end

-- Calls f, which must raise; gives what it raised.
function helpers.raises(f, ...)
  local ok, err = pcall(f, ...)
  if ok then
    error("nothing was raised", 2)
  end
  return err
end

-- Calls f, which must raise the mtstates error of this name.
function helpers.raises_error(name, f, ...)
  local ok, err = pcall(f, ...)
  local prefix = "mtstates.error." .. name
  if ok then
    error("nothing was raised instead of " .. name, 2)
  elseif type(err) ~= "string" then
    error("a " .. type(err) .. " was raised instead of " .. name, 2)
  end
  local next_character = err:sub(#prefix + 1, #prefix + 1)
  if err:sub(1, #prefix) ~= prefix or next_character:match("[%w_]") then
    error("expected " .. name .. ", raised was: " .. err, 2)
  end
  return err
end

-- Calls f, which must raise Lua's usual argument error: position, name of the
-- function, and what is to be found in the text behind it.
function helpers.bad_argument(position, fname, expected, f, ...)
  local ok, err = pcall(f, ...)
  local head = ("bad argument #%d to '%s' ("):format(position, fname)
  if ok then
    error("nothing was raised instead of: " .. head .. expected, 2)
  end
  local _, last = tostring(err):find(head, 1, true)
  if not last or not tostring(err):find(expected, last, true) then
    error("expected: " .. head .. expected .. "\nraised:   " ..
          tostring(err), 2)
  end
  return err
end

-- Calls f, which must raise an error about the object in front of the colon.
function helpers.bad_self(fname, f, ...)
  local ok, err = pcall(f, ...)
  if ok then
    error("nothing was raised by a bad self", 2)
  end
  local text = tostring(err)
  local names_function = text:find("#1 to '" .. fname .. "'", 1, true)
    or text:find("calling '" .. fname .. "' on bad self", 1, true)
  if not names_function
     or not text:find("mtstates.state expected", 1, true) then
    error("expected a bad self of '" .. fname .. "', raised: " .. text, 2)
  end
  return err
end

-- How often a plain text occurs.
function helpers.count(text, part)
  local count, from = 0, 1
  while true do
    local first, last = text:find(part, from, true)
    if not first then
      return count
    end
    count, from = count + 1, last + 1
  end
end

-- Setup: the callback gives its arguments back.
function helpers.echo()
  return function(...)
    return ...
  end
end

-- Setup: the callback gives its arguments back behind true. A future alone
-- would be awaited for the answer.
function helpers.true_echo()
  return function(...)
    return true, ...
  end
end

-- Setup: the state's finalizer moves the gate, the callback is an echo.
function helpers.moves_gate(gate)
  local gates = require "handoff"
  local guard = require "on_collect"(function() gates.add(gate) end)
  return function(...)
    return guard and ...
  end
end

-- Setup: the callback reports its arrival at the gate `entered`, waits for
-- the gate `leave` and gives the rest of its arguments back.
function helpers.gated()
  local gates = require "handoff"
  return function(entered, leave, ...)
    if entered and leave then
      gates.enter(entered, leave, 1)
    elseif entered then
      gates.add(entered)
    elseif leave then
      gates.wait(leave, 1)
    end
    return ...
  end
end

-- The program that runs the specs: the first word of its command.
function helpers.interpreter()
  local i = 0
  while arg[i - 1] do
    i = i - 1
  end
  return arg[i]
end

-- Runs Lua code as a program of its own: what it prints, errors included, and
-- its exit status: 124 if it took too long, more than 128 after a crash.
-- setting: in the environment ("NAME=value") of that program only, or nil.
-- seconds: what is too long (200).
function helpers.run_program(code, setting, seconds)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  assert(file:write(code))
  file:close()
  local command = ("%s timeout %d %s %s 2>&1; echo status $?"):format(
    setting or "", seconds or 200, helpers.interpreter(), path)
  local pipe = assert(io.popen(command))
  local output, status = pipe:read("*a"):match("^(.*)status (%d+)\n$")
  pipe:close()
  os.remove(path)
  return output, tonumber(status)
end

-- busted's `it` for specs that need os.exit to close the Lua state.
function helpers.it_needs_closing_exit()
  local output = helpers.run_program([[
    guard = require "on_collect"(function() print("closed") end)
    os.exit(0, true)
  ]])
  return helpers.it_needs(output == "closed\n", "os.exit that closes")
end

return helpers
