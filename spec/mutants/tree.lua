-- A copy of the sources where mistakes are planted: files and commands.

local tree = {}

local BUILD = "make -s build-specs LUA_VERSION=5.4"

function tree.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function tree.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

function tree.say(...)
  io.stdout:write(...)
  io.stdout:flush()
end

-- Runs a command in the tree, in a session of its own: what it has started,
-- and what a check that hangs leaves behind, is ended by that.
-- Gives the exit status and all output.
function tree.run(path, command, seconds)
  local session = path .. "/../session"
  tree.write(path .. "/../command", command)
  local pipe = assert(io.popen(([[
    setsid -w sh -c 'echo $$ > "%s"; cd "%s" && exec timeout -k 1 %d sh %s' \
      < /dev/null 2>&1
    echo status $?
    pkill -KILL -s "$(cat "%s")"]]):format(session, path, seconds,
    "../command", session)))
  local output = pipe:read("*a")
  pipe:close()
  local text, status = output:match("^(.*)status (%d+)\n")
  return tonumber(status), text
end

-- Builds all that specs need. Gives whether that went well, and the output.
function tree.build(path)
  local status, output = tree.run(path, BUILD, 600)
  return status == 0, output
end

return tree
