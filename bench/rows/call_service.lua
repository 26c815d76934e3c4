-- Calls of a service with plain values, compared with the same calls of a
-- classic state: that tables could cross must cost nothing if none does.

local harness = require "harness"
local mtstates = require "mtstates"

local CODE = "return function(...) return ... end"
local service = mtstates.newstate({}, CODE)
local classic = mtstates.newstate(CODE)

harness.compare {
  name = "service: call()", compared_with = "classic state",
  at_most = 1.02, count_instructions = true,
  work = function(n) for _ = 1, n do service:call() end end,
  base = function(n) for _ = 1, n do classic:call() end end,
}

harness.compare {
  name = "service: call(1, 2.5, true)", compared_with = "classic state",
  at_most = 1.02, count_instructions = true,
  work = function(n) for _ = 1, n do service:call(1, 2.5, true) end end,
  base = function(n) for _ = 1, n do classic:call(1, 2.5, true) end end,
}
