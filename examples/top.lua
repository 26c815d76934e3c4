-- top.lua: what the states and workers of a program do, live in the terminal.
--
-- Teaches how to look inside: mtstates.states, mtstates.stats and
-- state:traceback.  The program that is looked at serves pages with a pool,
-- sends mails, which takes long but holds no thread, and makes a report that
-- never ends.  What has been running for too long gets into red, with the line
-- where its code is, and is stopped then.
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
local PERIOD, PATIENCE = 0.1, 0.25 -- seconds

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

local function format_row(name, used, ...)
  local figures = { ... }
  local busy = table.remove(figures, 1)
  return ("%-12s %4.0f%% %6s %7d %6d %5d %5d %7d"):format(name, used,
    busy and ("%.2f"):format(busy) or "-",
    figures[1], figures[2], figures[3], figures[4], figures[5])
end

-- The innermost frame that is Lua code.
local function where(id)
  local ok, text = pcall(function()
    return mtstates.state(id):traceback()
  end)
  return ok and text and text:match("\n%s*([^\n]-:%d+:[^\n]*)") or "?"
end

local used_before, shown_at = {}, mtstates.now()

local function show()
  local module, now = mtstates.stats(), mtstates.now()
  local lines = {
    ("%d workers, %d idle, %d beyond; %d requests, %d of them in queues")
      :format(module.workers, module.idle, module.replacements,
              module.requests, module.messages),
    "STATE        USED   BUSY   CALLS ERRORS QUEUE TASKS WAITING",
  }
  for _, stats in ipairs(mtstates.states()) do
    local used = stats.time - (used_before[stats.id] or 0)
    local row = format_row(stats.name or stats.id,
      100 * used / (now - shown_at), stats.busy, stats.calls, stats.errors,
      stats.queue, stats.tasks, stats.waiting)
    used_before[stats.id] = stats.time
    if stats.busy and stats.busy > PATIENCE then
      row = (IS_PLAIN and "%s\n  %s" or "\27[31m%s\n  %s\27[0m")
        :format(row, where(stats.id))
      mtstates.state(stats.id):interrupt()
    end
    lines[#lines + 1] = row
  end
  shown_at = now
  if not IS_PLAIN then
    io.write("\27[H\27[J")
  end
  print(table.concat(lines, "\n") .. "\n")
end

visitors:send()
for frame = 1, FRAMES do
  if frame % 10 == 1 then
    mail:send(0.5)
    report:send(0.3)
  end
  mtstates.sleep(PERIOD)
  show()
end

report:interrupt()
visitors:close()
mtstates.shutdown(5)
