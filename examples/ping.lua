-- ping.lua: the smallest service that waits.
--
-- Teaches fork and sleep: a request and the two tasks that it has forked wait
-- at the same time in one state, and none of them holds a thread.
--
-- Prints, within half a second:
--   User Start	Hello
--   1
--   2
--   PING	PONG

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"

local mtstates = require("mtstates")
local user = mtstates.newstate("user", {}, function(greeting)
  local mtstates = require("mtstates")
  print("User Start", greeting)
  local S = {}
  function S.ping(...)
    for i = 1, 2 do
      mtstates.fork(function() mtstates.sleep(i / 10) print(i) end)
    end
    mtstates.sleep(0.4)
    return "PING", ...
  end
  return S
end, "Hello")
print(user:await("ping", "PONG")) --> PING	PONG
