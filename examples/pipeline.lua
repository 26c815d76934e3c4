-- pipeline.lua: 1 GB of text runs through three states in a few megabytes.
--
-- Teaches back-pressure.  The disk is slower than the filter, and that is
-- slower than what makes the text.  Each queue takes four blocks; then senders
-- wait, and so does whatever sends to them.  Nothing piles up, however fast
-- the source is.  The disk takes one block after the other (tasks = 1): tasks
-- that only sleep would hold their blocks, too.
--
-- Prints, after some seconds:
--   1024 MB, 1048576 lines, 65536 of them errors
--   never more than 4 blocks waited
--   the process took less than 100 MB

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local BLOCKS, QUEUE = 1024, 4

local disk = mtstates.newstate("disk", { queue = QUEUE, tasks = 1 }, function()
  local bytes, lines, errors = 0, 0, 0
  return {
    write = function(block, line_count, error_count)
      mtstates.sleep(0.002)
      bytes, lines = bytes + #block, lines + line_count
      errors = errors + error_count
    end,
    totals = function() return bytes / 2 ^ 20, lines, errors end }
end)

local filter = mtstates.newstate("filter", { queue = QUEUE }, function()
  return {
    examine = function(block)
      local lines, errors, from = 0, 0, 1
      while from <= #block do
        lines = lines + 1
        errors = errors + (block:find("^error:", from) and 1 or 0)
        from = block:find("\n", from, true) + 1
      end
      disk:send("write", block, lines, errors) -- waits if its queue is full
    end,
    finish = function() return disk:await("totals") end }
end)

-- 1 MB: 1024 lines of 1 KB, of which 64 are errors.
local text = (" %s\n"):format(("x"):rep(1016))
local block = (("fine: " .. text):rep(15) .. "error:" .. text):rep(64)
local most_waiting = 0
for i = 1, BLOCKS do
  filter:send("examine", i .. block:sub(#tostring(i) + 1))
  most_waiting = math.max(most_waiting, filter:stats().queue,
                          disk:stats().queue)
end
print(("%d MB, %d lines, %d of them errors"):format(filter:await("finish")))
assert(most_waiting <= QUEUE)
print(("never more than %d blocks waited"):format(QUEUE))
local status = io.open("/proc/self/status") -- Linux says what it took at most
local peak = status and status:read("*a"):match("VmHWM:%s*(%d+)") or 0
print("the process took " .. (peak / 1024 < 100 and "less" or "more")
      .. " than 100 MB")
