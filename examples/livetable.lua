-- livetable.lua: a table of what the states and workers of the program do,
-- which a terminal shows in one place.  top.lua and the demo load it.
--
-- local live = require("livetable").new(IS_PLAIN)
-- local lines, slow = live.read()  what to show now, and the ids of states
--                                  that have been running for too long
-- live.draw(lines)                 shows that; in the place of the last one,
--                                  unless IS_PLAIN (then without colours, too)

local mtstates = require "mtstates"

local PATIENCE = 0.25 -- seconds until that is too long

local livetable = {}

-- The innermost frame that is Lua code.
local function where(id)
  local ok, text = pcall(function()
    return mtstates.state(id):traceback(1)
  end)
  return ok and text and text:match("\n%s*([^\n]-:%d+:[^\n]*)") or "?"
end

local function format_row(stats, used)
  return ("%-12s %4.0f%% %6s %7d %6d %5d %5d %7d"):format(
    stats.name or stats.id, 100 * used,
    stats.busy and ("%.2f"):format(stats.busy) or "-", stats.calls,
    stats.errors, stats.queue, stats.tasks, stats.waiting)
end

function livetable.new(is_plain)
  local used_before, read_at = {}, mtstates.now()
  local height = 0 -- of what was drawn last
  local live = {}

  function live.read()
    local module, now, slow = mtstates.stats(), mtstates.now(), {}
    local lines = {
      ("%d workers, %d idle, %d beyond; %d requests, %d of them in queues")
        :format(module.workers, module.idle, module.replacements,
                module.requests, module.messages),
      "STATE        USED   BUSY   CALLS ERRORS QUEUE TASKS WAITING",
    }
    for _, stats in ipairs(mtstates.states()) do
      local used = stats.time - (used_before[stats.id] or stats.time)
      local row = format_row(stats, used / (now - read_at))
      used_before[stats.id] = stats.time
      if stats.busy and stats.busy > PATIENCE then
        slow[#slow + 1] = stats.id
        local colour = is_plain and "%s" or "\27[31m%s\27[0m"
        lines[#lines + 1] = colour:format(row)
        row = colour:format("  " .. where(stats.id))
      end
      lines[#lines + 1] = row
    end
    read_at = now
    return lines, slow
  end

  function live.draw(lines)
    if height > 0 and not is_plain then
      io.write(("\27[%dA\27[J"):format(height)) -- up, and clear what is below
    end
    print(table.concat(lines, "\n"))
    io.flush()
    height = #lines
  end

  return live
end

return livetable
