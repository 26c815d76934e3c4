-- Values that go into a service, compared with JSON in one state: encoded and
-- decoded by lua-cjson, which is written in C.  Here the call counts, since
-- with JSON, too, somebody has to hand over the text.

local cjson = require "cjson"
local deep = require "deep"
local harness = require "harness"

local service, collect = deep.sink()
local encode, decode = cjson.encode, cjson.decode

for _, name in ipairs {
  "array of 1,000 integers",
  "map of 100 short strings to integers",
  "1,000 records",
  "tree of 1,000 nodes, depth 10",
  "{x=1, y=2}",
  "100 strings of 1 KB",
} do
  local value = deep.value[name]
  harness.compare {
    name = name .. ", JSON", compared_with = "cjson, encode and decode",
    at_most = 1, collect = collect,
    work = function(n) for _ = 1, n do service:call(value) end end,
    base = function(n) for _ = 1, n do decode(encode(value)) end end,
  }
end
