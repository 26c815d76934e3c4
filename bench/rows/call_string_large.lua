-- A string of 1 MB that goes into another state and comes back, compared with
-- two copies of it in C, into memory from malloc that is freed at once.  For
-- the copies in Lua the collectors of both states do that.
--
-- Where malloc takes blocks of this size from depends on what it has freed
-- before, and is most of the time.  So it is told, for both sides: always
-- fresh from the system, or never if it has any.

local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"

local state = mtstates.newstate("return function(...) return ... end")
local text = ("x"):rep(1024 * 1024)

local function compare(memory, at_most)
  harness.compare {
    name = ("call(string of 1 MB), %s memory"):format(memory),
    compared_with = "malloc, memcpy, free; twice",
    at_most = at_most,
    prepare = function() floor.keep_memory(memory == "used") end,
    work = function(n) for _ = 1, n do state:call(text) end end,
    base = function(n) for _ = 1, n do floor.copy_twice(text) end end,
  }
end

compare("fresh", 1.15)
compare("used", 1.15)
