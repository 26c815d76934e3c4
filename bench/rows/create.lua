-- Making and closing a state, compared with a bare Lua state in C that gets
-- the same libraries.  The number of states that are there already must not
-- matter; they live in a state of their own, out of reach for the collector
-- of this one.  A state has a setup, too: the floor is the bare Lua state that
-- compiles and runs the same one.

local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"

local CODE = "return function() end"

local crowd = mtstates.newstate([[
  local mtstates = require "mtstates"
  local states = {}
  return function(size)
    for i = #states + 1, size do
      states[i] = mtstates.newstate(i % 2 == 0 and "state " .. i or nil, false,
        "return function() end")
    end
  end]])

local function compare(libs, name, size)
  harness.compare {
    name = ("create, close; libs %s%s, %d states"):format(tostring(libs),
      name and ", name" or "", size),
    compared_with = "lua_State with the same libs",
    at_most = 1.1,
    prepare = function() crowd:call(size) end,
    work = function(n)
      for _ = 1, n do mtstates.newstate(name, libs, CODE):close() end
    end,
    base = function(n) for _ = 1, n do floor.open_and_close(libs) end end,
    floor = function(n)
      for _ = 1, n do floor.open_and_close(libs, CODE) end
    end,
  }
end

for _, size in ipairs { 0, 100000 } do
  compare(true, nil, size)
  compare(false, nil, size)
  compare(false, "one more", size)
end
