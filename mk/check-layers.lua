-- Checks what the C files include: only files of their own layer or of one
-- below, no cycles; and the public headers only those of Lua and of C.  Prints
-- what it finds.

-- By folder below src, from bottom to top.  The files at the top of src have
-- their layer by name.
local LAYER = {
  base = 1, util = 1, async_util = 1,
  luaapi = 2,
  value = 3,
  core = 4, error = 4, state = 4,
  sched = 5,
  lua = 6, capi = 6,
  main = 7,
}

-- What public headers may include, as <...>.
local STANDARD = {}
for name in ("assert ctype errno float inttypes limits locale math setjmp " ..
             "signal stdarg stdbool stddef stdint stdio stdlib string time " ..
             "lua lauxlib lualib luaconf"):gmatch("%S+") do
  STANDARD[name .. ".h"] = true
end

local problems = 0

local function report(path, line, text)
  problems = problems + 1
  print(("%s:%d: %s"):format(path, line, text))
end

-- In the order of lines: { name, line, is_quoted }.
local function includes_of(path)
  local found, line = {}, 0
  for text in io.lines(path) do
    line = line + 1
    local mark, name = text:match('^%s*#%s*include%s+(["<])([^">]+)')
    if mark then
      found[#found + 1] = { name = name, line = line, is_quoted = mark == '"' }
    end
  end
  return found
end

local function layer_of(name)
  local layer = LAYER[name:match("^([%w_]+)")]
  return layer or error("no layer is known for " .. name)
end

-- Paths as they are included -> what they include.
local files, order = {}, {}
for path in io.popen("find src include -name '*.[ch]' | LC_ALL=C sort"):lines()
do
  local name = path:gsub("^%w+/", "")
  files[name] = includes_of(path)
  files[name].path = path
  order[#order + 1] = name
end

local function check_public(file)
  for _, include in ipairs(file) do
    if include.is_quoted or not STANDARD[include.name] then
      report(file.path, include.line, include.name ..
        " is no header of Lua or C")
    end
  end
end

local function check_layer(name, file)
  local layer = layer_of(name)
  for _, include in ipairs(file) do
    if include.is_quoted then
      local included = files[include.name]
      if not included then
        report(file.path, include.line, include.name ..
          " is not below src or include")
      elseif included.path:find("^src/")
             and layer_of(include.name) > layer then
        report(file.path, include.line, include.name ..
          " is of a layer above")
      end
    end
  end
end

-- Follows the includes from a file; reports those that lead back to one that
-- is being followed.
local function check_cycles(name, state)
  state[name] = "open"
  for _, include in ipairs(files[name]) do
    if state[include.name] == "open" then
      report(files[name].path, include.line, include.name ..
        " closes a cycle")
    elseif files[include.name] and not state[include.name] then
      check_cycles(include.name, state)
    end
  end
  state[name] = "done"
end

local state = {}
for _, name in ipairs(order) do
  local file = files[name]
  if file.path:find("^include/") then
    check_public(file)
  else
    check_layer(name, file)
  end
  if not state[name] then
    check_cycles(name, state)
  end
end
os.exit(problems == 0 and 0 or 1)
