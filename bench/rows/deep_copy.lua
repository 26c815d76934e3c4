-- Values that go into a service, compared with a deep copy of them in Lua,
-- within one state, that keeps identity, too.  Each side pays for its copies:
-- those in the service are collected there, within the measured time.  Of the
-- smallest value the call around it is left out, as the copy has none.
--
-- Nobody copies strings within one state, so there a service can only lose.

local deep = require "deep"
local harness = require "harness"

local service, collect = deep.sink()

local function compare(name, at_most, around)
  local value = deep.value[name]
  harness.compare {
    name = name .. (around and ", without call()" or ""),
    compared_with = "deep copy in Lua, one state",
    at_most = at_most, collect = collect, around = around,
    work = function(n) for _ = 1, n do service:call(value) end end,
    base = function(n) for _ = 1, n do deep.copy(value) end end,
  }
end

compare("array of 1,000 integers", 0.27)
compare("map of 100 short strings to integers", 0.42)
compare("1,000 records", 0.33)
compare("tree of 1,000 nodes, depth 10", 0.38)
compare("{x=1, y=2}", 0.45, function(n)
  for _ = 1, n do service:call() end
end)
compare("100 strings of 1 KB", 1.9)
