-- rows.lua - what `make bench` measures
--
-- Each row compares one thing that mtstates does with the cheapest thing in
-- the same Lua state that does as much without crossing a border.

local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"

local rows = {}

local function add_row(row)
  rows[#rows + 1] = row
end

-- Calls --------------------------------------------------------------------

local function echo(...)
  return ...
end

local state = mtstates.newstate("return function(...) return ... end")

add_row {
  name = "s:call()", base_name = "pcall(f)",
  work = function(n) for _ = 1, n do state:call() end end,
  base = function(n) for _ = 1, n do pcall(echo) end end,
}

add_row {
  name = "s:call(1, 2.5, true)", base_name = "pcall(f, 1, 2.5, true)",
  work = function(n) for _ = 1, n do state:call(1, 2.5, true) end end,
  base = function(n) for _ = 1, n do pcall(echo, 1, 2.5, true) end end,
}

for _, length in ipairs { 20, 1000 } do
  local text = ("x"):rep(length)
  add_row {
    name = ("s:call(string of %d bytes)"):format(length),
    base_name = "pcall(f, string)",
    work = function(n) for _ = 1, n do state:call(text) end end,
    base = function(n) for _ = 1, n do pcall(echo, text) end end,
  }
end

-- Look-ups -----------------------------------------------------------------

-- The crowd lives in a state of its own, out of reach for the collector of
-- this one.  Returns id and name of one in the middle.
local crowd = mtstates.newstate("crowd", [[
  local mtstates = require "mtstates"
  local states = {}
  return function(size)
    for i = #states + 1, size do
      states[i] = mtstates.newstate("state " .. i, false,
        "return function() end")
    end
    local one = states[size / 2]
    return one:id(), one:name()
  end]])

-- When the collector would come by in the midst of it, and how often, is up
-- to chance; so it comes once, at the end.
local function with_collection(loop)
  return function(n)
    collectgarbage("stop")
    loop(n)
    collectgarbage("restart")
    collectgarbage()
  end
end

local create_objects = with_collection(function(n)
  for _ = 1, n do floor.object() end
end)

for _, size in ipairs { 10, 1000, 10000 } do
  local id, name
  local function prepare()
    id, name = crowd:call(size)
  end
  add_row {
    name = ("state(id), %d states"):format(size),
    base_name = "empty userdata",
    prepare = prepare,
    work = with_collection(function(n)
      for _ = 1, n do mtstates.state(id) end
    end),
    base = create_objects,
  }
  add_row {
    name = ("state(name), %d states"):format(size),
    base_name = "empty userdata",
    prepare = prepare,
    work = with_collection(function(n)
      for _ = 1, n do mtstates.state(name) end
    end),
    base = create_objects,
  }
end

-- Creation, with the crowd still there -------------------------------------

add_row {
  name = "newstate and close", base_name = "luaL_newstate, libs",
  work = function(n)
    for _ = 1, n do
      mtstates.newstate("return function() end"):close()
    end
  end,
  base = function(n) for _ = 1, n do floor.state() end end,
}

harness.run(rows)
