-- Values that go into a service and that plain Lua cannot copy within one
-- state: its stack ends before a list of 100,000 tables does, and functions
-- have no copies.  The goal is a time.  The time of the list is for one table
-- of it.

local deep = require "deep"
local harness = require "harness"

local service, collect = deep.sink()

local function measure(name, row)
  local value = deep.value[name]
  row.collect = collect
  row.work = function(n) for _ = 1, n do service:call(value) end end
  harness.compare(row)
end

measure("list of 100,000 tables", {
  name = "list of 100,000 tables, each", parts = 100000, at_most = 500,
})
measure("function with 3 upvalues", {
  name = "function with 3 upvalues", at_most = 1600,
})
