-- Finding a state by id or name, however many there are, compared with making
-- an empty userdata: that much at least a new state object has to cost.  Both
-- have a metatable with a finalizer, which runs within the measured time.
--
-- The crowd lives in a state of its own, out of reach for the collector of
-- this one.

local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"

local crowd = mtstates.newstate([[
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

for _, size in ipairs { 10, 1000, 100000 } do
  for _, key in ipairs { "id", "name" } do
    local value
    harness.compare {
      name = ("state(%s), %d states"):format(key, size),
      compared_with = "empty userdata",
      at_most = 2,
      prepare = function()
        local id, name = crowd:call(size)
        value = key == "id" and id or name
      end,
      work = function(n) for _ = 1, n do mtstates.state(value) end end,
      base = function(n) for _ = 1, n do floor.object() end end,
    }
  end
end
