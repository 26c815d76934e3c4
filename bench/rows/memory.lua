-- What a state needs of the machine's memory while nothing happens in it,
-- compared with a bare Lua state with the same libraries.  Each kind is
-- measured in a process of its own (this program, started with `hold`), since
-- memory that was freed before would blur it.

local harness = require "harness"

local STATES = 10000

local function resident_kb()
  local file = assert(io.open("/proc/self/status"))
  local kb = file:read("*a"):match("VmRSS:%s*(%d+)")
  file:close()
  return tonumber(kb)
end

local openers = {
  bare = function(libs)
    require("floor").open(libs)
    return true
  end,
  mtstates = function(libs)
    return require("mtstates").newstate(nil, libs, "return function() end")
  end,
}

local function hold(kind, libs)
  local open, states = openers[kind], {}
  open(libs) -- loads the module
  local before = resident_kb()
  for i = 1, STATES do states[i] = open(libs) end
  print((resident_kb() - before) / #states)
  os.exit() -- closing all would take time
end

if arg[1] == "hold" then hold(arg[2], arg[3] == "true") end

local function kb_of(kind, libs)
  local pipe = assert(io.popen(("%s '%s' hold %s %s"):format(
    harness.interpreter(), arg[0], kind, tostring(libs))))
  local kb = pipe:read("*n")
  pipe:close()
  return assert(kb, "the process that holds the states has failed")
end

for _, libs in ipairs { true, false } do
  local work, base = {}, {}
  for round = 1, harness.LONG_ROUNDS do
    work[round], base[round] = kb_of("mtstates", libs), kb_of("bare", libs)
  end
  harness.report {
    name = ("memory of a state, libs %s"):format(tostring(libs)),
    compared_with = "lua_State with the same libs",
    unit = "KB", at_most = 1.05, grace = 1, work = work, base = base,
  }
end
