-- Compares what the module offers with library/mtstates.lua and with
-- docs/reference.md.  Prints a line for each function, method, field, option
-- or error name that is missing, or that only the library has.

local mtstates = require "mtstates"

-- Name in the library, with the class in front -> how the reference shows it.
local offered = {}

local function offer(class, members, shown)
  for name, value in pairs(members) do
    local call = type(value) == "function" and "(" or ""
    offered[class .. name] = shown:format(name) .. call
  end
end

local state = mtstates.newstate("name", "return function() end")
local e = mtstates.error(mtstates.error.deadlock)
local _, promise = mtstates.promise()
promise:set()
offer("mtstates.", mtstates, "mtstates.%s")
offer("mtstates.state:", getmetatable(state).__index, "state:%s")
offer("mtstates.future:", getmetatable(state:async()).__index, "future:%s")
offer("mtstates.promise:", getmetatable(promise).__index, "promise:%s")
offer("mtstates.statestats.", state:stats(), "%s")
offer("mtstates.statestats.", mtstates.newstate({}, function()
  local module = require "mtstates"
  return function()
    return module.state(module.id()):stats() -- of a busy state
  end
end):call(), "%s")
offer("mtstates.statestats.", mtstates.pool(1, "return print"):stats(), "%s")
offer("mtstates.modulestats.", mtstates.stats(), "%s")
offer("mtstates.errors.", mtstates.error, "| `%s` |")
offer("mtstates.error:", getmetatable(e).__index, "e:%s")
offered["mtstates.errors()"] = "mtstates.error("

-- The tables of options, row by row; only mtstates.thread has a name there,
-- and only mtstates.pool a number.
local classes = {name = "threadoptions", n = "pooloptions"}
for line in io.lines("src/lua/options.c") do
  local name = line:match('{"([%w_]+)", [A-Z]+%(')
  if name then
    local class = classes[name] or "options"
    offered[("mtstates.%s.%s"):format(class, name)] = name
  end
end

-- Fields and overloads belong to the class above them, functions to the class
-- of their local table.
local function read_library(path)
  local defined, class_of, class = {}, {}, nil
  for line in io.lines(path) do
    local variable = line:match("^local (%w+)")
    local field = line:match("^%-%-%-@field ([%w_]+)")
    local owner, name = line:match("^function (%w+)([.:][%w_]+)%(")
    class = line:match("^%-%-%-@class ([%w.]+)") or class
    if variable then
      class_of[variable], class = class, nil
    elseif field then
      defined[class .. "." .. field] = true
    elseif owner then
      defined[class_of[owner] .. name] = true
    elseif class and line:find("^%-%-%-@overload ") then
      defined[class .. "()"] = true
    end
  end
  return defined
end

-- What is in headings and backquotes, and the first column of tables.
local function read_reference(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  local documented = {}
  local function collect(code)
    for word in code:gmatch("[%w_.:]+%(?") do
      documented[word] = true
    end
  end
  text = text:gsub("\n```.-\n```", "")
  text:gsub("\n#+ ([^\n]+)", collect)
  text:gsub("`([^`]+)`", collect)
  for row in text:gmatch("\n(| `[^`]+` |)") do
    documented[row] = true
  end
  return documented
end

-- What is called, by the last part of its name.
local function read_scenario(path)
  local called = {}
  for line in io.lines(path) do
    for name in line:gmatch("[.:]([%w_]+)%(") do
      called[name] = true
    end
  end
  return called
end

local problems = {}

local function report(where, what)
  problems[#problems + 1] = where .. ": " .. what
end

local defined = read_library("library/mtstates.lua")
local documented = read_reference("docs/reference.md")
local swept = read_scenario("spec/sweep/scenario.lua")
for name, shown in pairs(offered) do
  if not defined[name] then
    report("library/mtstates.lua", "no " .. name)
  end
  if not documented[shown] then
    report("docs/reference.md", "no " .. shown)
  end
  if shown:find("%($") and not swept[shown:match("([%w_]+)%($")] then
    report("spec/sweep/scenario.lua", "no step calls " .. shown)
  end
end
for name in pairs(defined) do
  if not offered[name] then
    report("library/mtstates.lua", name .. " is not in the module")
  end
end
if #problems > 0 then
  table.sort(problems)
  print(table.concat(problems, "\n"))
  os.exit(1)
end
