-- plugins.lua: scripts of users, which cannot stop the program that runs them.
--
-- Teaches how a program survives the mistakes of its plugins: each is a state
-- of its own with limits of memory and time; one that hangs tells where, and
-- is stopped while others go on; and a new version takes the place of the old
-- one, which others find by its name.  From malice a state protects nobody:
-- see docs/safety.md.
--
-- Prints:
--   welcome: hello Ann, welcome
--   broken: no such thing
--   greedy: not enough memory
--   loop hangs in line 1
--   loop: mtstates.error.interrupted
--   greet answered 100 times meanwhile
--   welcome: good evening Ann, welcome

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

-- What each may take.  (LuaJIT has `memory` on x86-64 only.)
local LIMITS = { memory = 1e6, time = 1 }

local SCRIPTS = {
  greet = "return function(name) return 'hello ' .. name end",
  welcome = [[local mtstates = require "mtstates"
    return function(name) -- asks the one that is there now
      return mtstates.state("greet", 10):await(name) .. ", welcome"
    end]],
  broken = "return function() error('no such thing', 0) end",
  greedy = "return function() local t = {} while true do t = {t} end end",
  loop = "return function() while true do end end",
}

local function open(code)
  return assert((rawget(_G, "loadstring") or load)(code))()
end

local plugins = {}
local function load_plugin(name, code)
  if plugins[name] then plugins[name]:close(10) end -- it answers before
  plugins[name] = mtstates.newstate(name, LIMITS, open, code)
end

local function show(name, future)
  local ok, answer = pcall(future.await, future)
  local err = not ok and mtstates.error(answer)
  print(name .. ": " .. (ok and answer or err:cause() or err:text()))
end

for name, code in pairs(SCRIPTS) do load_plugin(name, code) end
for _, name in ipairs { "welcome", "broken", "greedy" } do
  show(name, plugins[name]:async("Ann"))
end

local runaway = plugins.loop:async()
local place
repeat place = plugins.loop:traceback() until place or runaway:ready()
print("loop hangs in line " .. place:match(":(%d+):"))
for _ = 1, 100 do plugins.greet:await("Ben") end
show("loop", runaway) -- its time ends
print("greet answered 100 times meanwhile")

load_plugin("greet", SCRIPTS.greet:gsub("hello", "good evening"))
show("welcome", plugins.welcome:async("Ann"))
