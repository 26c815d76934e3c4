-- Lists the lines that were not reached: `make coverage`.
--
-- lua spec/coverage/list.lua FOLDER
--
-- FOLDER has the objects and what gcov knows of them. A line of a header is in
-- several objects, and reached if it was in one. What unreached.lua explains
-- is only counted.

local explained = dofile("spec/coverage/unreached.lua")

local lines = {} -- [file][number] = {reached, text}

-- Reads one line of gcov's text.
local function note(file, count, number, text)
  if file and count ~= "-" and not text:find("^%s*}$") then
    local known = lines[file]
    known[number] = known[number] or {false, text}
    known[number][1] = known[number][1] or not count:find("^[#=]")
  end
end

-- A line of gcov's text has how often, number, source. One that has a brace
-- only is not reached when the function never returns.
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

-- [number] = name of the function around that line
local function functions_of(file)
  local names, name = {}, nil
  for line in io.lines(file) do
    if line:find("^%l") then
      name = line:match("([%w_]+)%(") or name
    end
    names[#names + 1] = name or ""
  end
  return names
end

-- Whether the reason for that line is known.
local function is_explained(file, within, text)
  for _, entry in ipairs(explained) do
    if (not entry.file or file:find(entry.file, 1, true)) and
       (not entry.within or within == entry.within) and
       (not entry.text or text:find(entry.text, 1, true)) then
      return true
    end
  end
  return false
end

-- Gives how many lines there are, are listed, and are explained.
local function list(file)
  local numbers, listed, known = {}, 0, 0
  for number in pairs(lines[file]) do
    numbers[#numbers + 1] = number
  end
  table.sort(numbers)
  local within = functions_of(file)
  for _, number in ipairs(numbers) do
    local reached, text = lines[file][number][1], lines[file][number][2]
    if not reached and is_explained(file, within[number], text) then
      known = known + 1
    elseif not reached then
      print(("%s:%d: %s"):format(file, number, trim(text)))
      listed = listed + 1
    end
  end
  return #numbers, listed, known
end

local objects = assert(io.popen("find '" .. arg[1] .. "' -name '*.gcda'"))
for path in objects:lines() do
  read_object(path)
end
objects:close()

local all, listed, known = 0, 0, 0
for _, file in each_file() do
  local a, b, c = list(file)
  all, listed, known = all + a, listed + b, known + c
end
print(("%d lines: %d not reached are listed, %d are explained in %s"):format(
  all, listed, known, "spec/coverage/unreached.lua"))
os.exit(all > 0 and 0 or 1)
