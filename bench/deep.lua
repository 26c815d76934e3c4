-- deep.lua - what the programs with deep values have in common

local harness = require "harness"

local deep = {}

harness.compile()

-- The values, by name.  Each is made when it is asked for: whatever there is
-- makes the collector slower.
local builders = {}

deep.value = setmetatable({}, {
  __index = function(_, name) return builders[name]() end,
})

builders["array of 1,000 integers"] = function()
  local array = {}
  for i = 1, 1000 do array[i] = i end
  return array
end

builders["map of 100 short strings to integers"] = function()
  local map = {}
  for i = 1, 100 do map["key" .. i] = i end
  return map
end

builders["1,000 records"] = function()
  local records = {}
  for i = 1, 1000 do records[i] = { id = i, name = "x", ok = true } end
  return records
end

builders["tree of 1,000 nodes, depth 10"] = function()
  local nodes = {}
  for i = 1000, 1, -1 do
    nodes[i] = { value = i, left = nodes[2 * i], right = nodes[2 * i + 1] }
  end
  return nodes[1]
end

builders["{x=1, y=2}"] = function() return { x = 1, y = 2 } end

builders["100 strings of 1 KB"] = function()
  local strings = {}
  for i = 1, 100 do strings[i] = ("%04d"):format(i) .. ("x"):rep(1020) end
  return strings
end

builders["list of 100,000 tables"] = function()
  local list
  for i = 100000, 1, -1 do list = { value = i, next = list } end
  return list
end

builders["function with 3 upvalues"] = function()
  local a, b, c = 1, 2.5, "three"
  return function() return a, b, c end
end

-- A deep copy that keeps identity, all in Lua.
local function copy_known(value, known)
  if type(value) ~= "table" then return value end
  local copy = known[value]
  if copy then return copy end
  copy = {}
  known[value] = copy
  for k, v in next, value do
    copy[copy_known(k, known)] = copy_known(v, known)
  end
  return copy
end

function deep.copy(value)
  return copy_known(value, {})
end

-- A service that takes anything and returns nothing, and what collects the
-- garbage of both states.
function deep.sink()
  local service = require("mtstates").newstate({}, [[
    return function(value)
      if value == "collect" then collectgarbage() end
    end]])
  return service, function()
    collectgarbage()
    service:call("collect")
  end
end

return deep
