-- server.lua: a TCP server in a loop of luv, which slow handlers never stall.
--
-- Teaches mtstates.here.  What takes long the loop asks of services, in forks,
-- which wait while the loop goes on; a descriptor tells it when an answer is
-- there.  Ten clients, here in the same loop, send 1000 requests.
--
-- Prints, with a number of your machine:
--   1000 requests answered
--   longest stall of the loop: N ms

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"
local has_luv, luv = pcall(require, "luv")
if not has_luv then
  io.stderr:write("This example needs luv: apt-get install lua-luv\n")
  os.exit(1)
end

local function setup()
  return function(x) -- computes for a millisecond or so
    for n = 1, 1e5 do x = (x * 31 + n) % 1009 end
    return x
  end
end
local slow = { mtstates.newstate({}, setup), mtstates.newstate({}, setup) }

local here, server = mtstates.here(), luv.new_tcp()
luv.new_poll(here:fd()):start("r", function() here:run() end)
server:bind("127.0.0.1", 0)
server:listen(10, function()
  local connection = luv.new_tcp()
  server:accept(connection)
  connection:read_start(function(_, text)
    mtstates.fork(function()
      local x = tonumber(text)
      connection:write(slow[x % #slow + 1]:await(x) .. "\n")
    end)
  end)
end)

local answered, began, longest = 0, luv.hrtime(), 0
luv.new_check():start(function() began = luv.hrtime() end) -- it has waited
luv.new_prepare():start(function() -- and is going to wait
  longest = math.max(longest, luv.hrtime() - began)
end)
for _ = 1, 10 do
  local client = luv.new_tcp()
  client:connect("127.0.0.1", server:getsockname().port, function()
    client:write("0\n")
    client:read_start(function()
      answered = answered + 1
      if answered == 1000 then luv.stop() end
      if answered <= 990 then client:write(answered .. "\n") end
    end)
  end)
end
luv.run()
print(answered .. " requests answered")
print(("longest stall of the loop: %.1f ms"):format(longest / 1e6))
