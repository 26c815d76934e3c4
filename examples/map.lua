-- map.lua: a pool counts the lines of files: results in the order of the
-- files, progress, files that cannot be read, and Ctrl-C.
--
--   lua5.4 examples/map.lua FILE...

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

-- In each state of the pool: call(path) gives the number of lines, or nil and
-- a message. An error that is raised would be raised in the loop below.
local function setup()
  return function(path)
    local file, message = io.open(path, "rb")
    if not file then
      return nil, message
    end
    local text, read_message = file:read("*a")
    file:close()
    if not text then
      return nil, path .. ": " .. read_message
    end
    return select(2, text:gsub("\n", ""))
  end
end

local pool = mtstates.pool(setup)
local done, failed, total = 0, 0, 0

local function count_all(paths)
  for path, lines, message in pool:map(paths) do
    done = done + 1
    if lines then
      total = total + lines
      print(("%3.0f %%  %8d  %s"):format(100 * done / #paths, lines, path))
    else
      failed = failed + 1
      print(("%3.0f %%  failed    %s"):format(100 * done / #paths, message))
    end
  end
end

-- Ctrl-C raises an error where the program waits, here in the loop. What has
-- not begun by then never does.
local ok, err = pcall(count_all, arg)
print(("%d lines in %d files, %d failed"):format(total, done - failed, failed))
if not ok then
  io.stderr:write(("stopped after %d of %d files: %s\n"):format(done, #arg,
    tostring(err)))
end
os.exit(ok and failed == 0 and 0 or 1)
