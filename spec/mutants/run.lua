-- Plants mistakes and looks whether the specs find them: `make mutants`.
--
-- lua spec/mutants/run.lua TREE [NAME ...]
--
-- TREE is a copy of the sources, where each mistake of list.lua, or those with
-- these names, is made, built, checked and taken back. A check has to pass
-- before there is a mistake.

local BUILD = "make -s build-specs LUA_VERSION=5.4"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function say(...)
  io.stdout:write(...)
  io.stdout:flush()
end

-- Runs a command in the tree, in a session of its own: what it has started,
-- and what a check that hangs leaves behind, is ended by that.
-- Gives the exit status and all output.
local function run(tree, command, seconds)
  local session = tree .. "/../session"
  write(tree .. "/../command", command)
  local pipe = assert(io.popen(([[
    setsid -w sh -c 'echo $$ > "%s"; cd "%s" && exec timeout -k 1 %d sh %s' \
      < /dev/null 2>&1
    echo status $?
    pkill -KILL -s "$(cat "%s")"]]):format(session, tree, seconds,
    "../command", session)))
  local output = pipe:read("*a")
  pipe:close()
  local text, status = output:match("^(.*)status (%d+)\n")
  return tonumber(status), text
end

-- The text with the mistake; or nil, and why it cannot be made.
local function plant(text, mutant)
  local first, last = text:find(mutant.old, 1, true)
  if not first or text:find(mutant.old, first + 1, true) then
    return nil, "no longer applies"
  end
  return text:sub(1, first - 1) .. mutant.new .. text:sub(last + 1)
end

-- Gives whether the mistake was found, and what there is to say.
local function try(tree, mutant)
  local path = tree .. "/" .. mutant.file
  local text = read(path)
  local planted, reason = plant(text, mutant)
  if not planted then
    return false, reason
  end
  write(path, planted)
  local status, output = run(tree, BUILD, 600)
  local start = os.time()
  if status == 0 then
    status = run(tree, mutant.check, mutant.seconds)
    reason = status ~= 0 and
      ("found in %d s"):format(os.time() - start) or "survived"
  else
    reason = "does not build\n" .. output
  end
  write(path, text)
  return reason:find("^found") ~= nil, reason
end

local passing = {}

-- Gives whether the check passes in time where there is no mistake.
local function passes(tree, mutant)
  local check = mutant.check
  if passing[check] == nil then
    assert(run(tree, BUILD, 600) == 0, "the tree does not build")
    local status, output = run(tree, check, mutant.seconds)
    passing[check] = status == 0
    if status ~= 0 then
      say(output)
    end
  end
  return passing[check]
end

local function is_chosen(mutant, names)
  if #names == 0 then
    return true
  end
  for _, name in ipairs(names) do
    if name == mutant.name then
      return true
    end
  end
  return false
end

local function main(tree, ...)
  local names = {...}
  local count, found = 0, 0
  for _, mutant in ipairs(dofile("spec/mutants/list.lua")) do
    if is_chosen(mutant, names) then
      count = count + 1
      say(mutant.name, ": ")
      local is_found, text = false, "the check fails without it"
      if passes(tree, mutant) then
        is_found, text = try(tree, mutant)
      end
      found = found + (is_found and 1 or 0)
      say(text, "\n")
      if not is_found then
        say("  ", mutant.says, "\n")
      end
    end
  end
  say(("%d mutants, %d found, %d survived\n"):format(count, found,
    count - found))
  return count > 0 and found == count
end

os.exit(main(...) and 0 or 1)
