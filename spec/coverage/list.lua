-- Lists the lines that were not reached: `make coverage`.
--
-- lua spec/coverage/list.lua FOLDER
--
-- FOLDER has the objects and what gcov knows of them. A line of a header is in
-- several objects, and reached if it was in one. Not listed is what
-- unreached.lua explains; what is explained there and was reached, or is
-- nowhere, is an error, as are lines that are listed.

local explained = dofile("spec/coverage/unreached.lua")

local lines = {} -- [file][number] = {reached, text}

-- Reads one line of gcov's text.
local function note(file, count, number, text)
  if file and count ~= "-" then
    local known = lines[file]
    known[number] = known[number] or {false, text}
    known[number][1] = known[number][1] or not count:find("^[#=]")
  end
end

-- A line of the text: how often, number, source.
local function read_object(path)
  local gcov = assert(io.popen("gcov -t '" .. path .. "' 2>/dev/null"))
  local file
  for line in gcov:lines() do
    local count, number, text = line:match("^%s*([^:]+):%s*(%d+):(.*)$")
    local source = number == "0" and text:match("^Source:(.*)$")
    if source then
      file = source:match("^src/.*")
      lines[file or 0] = lines[file or 0] or {}
    elseif number and number ~= "0" then
      note(file, count, tonumber(number), text)
    end
  end
  gcov:close()
end

local function each_file()
  local names = {}
  for name in pairs(lines) do
    if name ~= 0 then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return ipairs(names)
end

local function trim(text)
  return text:match("^%s*(.-)%s*$")
end

-- Whether the reason for that line is known.
local function is_explained(file, text)
  for _, entry in ipairs(explained) do
    if entry.file == file and trim(text):find(entry.text, 1, true) then
      entry.is_used = true
      return true
    end
  end
  return false
end

local function list(file)
  local numbers, missing = {}, 0
  for number in pairs(lines[file]) do
    numbers[#numbers + 1] = number
  end
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local reached, text = lines[file][number][1], lines[file][number][2]
    if not reached and not is_explained(file, text) then
      print(("%s:%d: %s"):format(file, number, trim(text)))
      missing = missing + 1
    end
  end
  return #numbers, missing
end

local objects = assert(io.popen("find '" .. arg[1] .. "' -name '*.gcda'"))
for path in objects:lines() do
  read_object(path)
end
objects:close()

local all, missing, stale = 0, 0, 0
for _, file in each_file() do
  local count, unreached = list(file)
  all, missing = all + count, missing + unreached
end
for _, entry in ipairs(explained) do
  if not entry.is_used then
    print(("%s: explained, but reached or gone: %s"):format(entry.file,
      entry.text))
    stale = stale + 1
  end
end
print(("%d lines, %d not reached, %d explained without need"):format(all,
  missing, stale))
os.exit(all > 0 and missing + stale == 0)
