-- A call into another state, compared with a protected call of the same
-- function in one state: both return what they get, and survive errors.

local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"

local CODE = "return function(...) return ... end"
local state = mtstates.newstate(CODE)
local callee = floor.callee(CODE)
local function echo(...) return ... end

harness.compare {
  name = "call()", compared_with = "pcall(f)",
  at_most = 1.9, count_instructions = true,
  work = function(n) for _ = 1, n do state:call() end end,
  base = function(n) for _ = 1, n do pcall(echo) end end,
  floor = function(n) for _ = 1, n do callee:call() end end,
}

harness.compare {
  name = "call(1, 2.5, true)", compared_with = "pcall(f, 1, 2.5, true)",
  at_most = 2.9, count_instructions = true,
  work = function(n) for _ = 1, n do state:call(1, 2.5, true) end end,
  base = function(n) for _ = 1, n do pcall(echo, 1, 2.5, true) end end,
  floor = function(n) for _ = 1, n do callee:call(1, 2.5, true) end end,
}
