-- top.lua: what the states and workers of a program do, live in the terminal.
--
-- Teaches how to look inside: mtstates.states, mtstates.stats and
-- state:traceback; the table itself is in livetable.lua.  The program that is
-- looked at serves pages with a pool, sends mails, which takes long but holds
-- no thread, and makes a report that never ends.  What has been running for
-- too long gets into red, with the line where its code is, and is stopped.
--
-- lua top.lua [FRAMES] [plain]
--   FRAMES: how many (50)    plain: one below the other, without colours
--
-- Prints in each frame, as in
--   2 workers, 1 idle, 0 beyond; 3 requests, 1 of them in queues
--   STATE        USED   BUSY   CALLS ERRORS QUEUE TASKS WAITING
--   pages         31%   0.00      62      0     1     1       0
--   mail           0%      -       3      0     0     3       0
--   report       100%   0.31       1      0     0     1       0
--     top.lua:61: in upvalue 'add_up'

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local FRAMES = tonumber(arg[1]) or 50
local IS_PLAIN = arg[2] == "plain"
local PERIOD = 0.1 -- seconds

-- The program that is looked at.  Errors are only counted.

mtstates.logger(mtstates.newstate("log", {}, "return function() end"))

local pages = mtstates.pool("pages", 2, function()
  return function(size)
    local text = {}
    for i = 1, size do
      text[i] = ("<li>%d</li>"):format(i)
    end
    return #table.concat(text)
  end
end)

local mail = mtstates.newstate("mail", {}, function()
  local module = require "mtstates"
  return function(seconds)
    local done = module.sleep(seconds)
    return done
  end
end)

local report = mtstates.newstate("report", {}, function()
  local jit = rawget(_G, "jit")
  if jit then
    jit.off() -- compiled code is not reached
  end
  local function add_up(step)
    local sum, i = 0, 0
    while i ~= 10 do -- 0.3, 0.6 ... are not exact: it passes by
      i = i + step
      sum = sum + i
    end
    return sum
  end
  return function(step)
    local sum = add_up(step)
    return sum
  end
end)

local visitors = mtstates.newstate("visitors", {}, function(site)
  local module = require "mtstates"
  return function()
    while true do
      site:async(200)
      module.sleep(0.002)
    end
  end
end, pages)

-- How it is looked at.

local live = require("livetable").new(IS_PLAIN)

visitors:send()
for frame = 1, FRAMES do
  if frame % 10 == 1 then
    mail:send(0.5)
    report:send(0.3)
  end
  mtstates.sleep(PERIOD)
  local lines, slow = live.read()
  if IS_PLAIN then
    lines[#lines + 1] = ""
  end
  live.draw(lines)
  for _, id in ipairs(slow) do
    mtstates.state(id):interrupt()
  end
end

report:interrupt()
visitors:close()
mtstates.shutdown(5)
