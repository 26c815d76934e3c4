-- plugins.lua: scripts of users, which cannot stop the program that runs them.
--
-- Teaches how a program survives the mistakes of its plugins: each is a state
-- of its own, one that does not end is cancelled while others go on, and a new
-- version takes the place of the old one, which others find by its name.  From
-- malice a state protects nobody: see docs/safety.md.
--
-- Prints:
--   welcome: hello Ann, welcome
--   broken: no such thing
--   loop: the request was cancelled
--   greet answered 100 times meanwhile
--   welcome: good evening Ann, welcome

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local SCRIPTS = {
  greet = "return function(name) return 'hello ' .. name end",
  welcome = [[local mtstates = require "mtstates"
    return function(name) -- asks the one that is there now
      return mtstates.state("greet", 10):await(name) .. ", welcome"
    end]],
  broken = "return function() error('no such thing', 0) end",
  loop = "return function() while true do end end",
}

local function open(code)
  local jit, loadstring = rawget(_G, "jit"), rawget(_G, "loadstring")
  if jit then jit.off() end -- nothing stops a loop that LuaJIT has compiled
  return assert((loadstring or load)(code))()
end

local plugins = {}
local function load_plugin(name, code)
  if plugins[name] then plugins[name]:close(10) end -- it answers before
  plugins[name] = mtstates.newstate(name, {}, open, code)
end

local function show(name, future)
  local ok, answer = pcall(future.await, future)
  print(name .. ": " .. (ok and answer or mtstates.error(answer):text()))
end

for name, code in pairs(SCRIPTS) do load_plugin(name, code) end
for _, name in ipairs { "welcome", "broken" } do
  show(name, plugins[name]:async("Ann"))
end

local runaway = plugins.loop:async()
for _ = 1, 100 do plugins.greet:await("Ben") end
if not runaway:tawait(0.2) then runaway:cancel() end -- it had its time
show("loop", runaway)
print("greet answered 100 times meanwhile")

load_plugin("greet", SCRIPTS.greet:gsub("hello", "good evening"))
show("welcome", plugins.welcome:async("Ann"))
