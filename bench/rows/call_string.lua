-- A string that goes into another state and comes back, compared with a
-- protected call that gets and returns it in one state.  There it is the same
-- string all the time; here it is copied twice, and the collectors of both
-- states have to remove the copies.

local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"

local CODE = "return function(...) return ... end"
local state = mtstates.newstate(CODE)
local callee = floor.callee(CODE)
local function echo(...) return ... end

for _, length in ipairs { 20, 1000 } do
  local text = ("x"):rep(length)
  harness.compare {
    name = ("call(string of %d bytes)"):format(length),
    compared_with = "pcall(f, string)",
    at_most = length == 20 and 3.9 or 7, count_instructions = true,
    work = function(n) for _ = 1, n do state:call(text) end end,
    base = function(n) for _ = 1, n do pcall(echo, text) end end,
    floor = function(n) for _ = 1, n do callee:call(text) end end,
  }
end
