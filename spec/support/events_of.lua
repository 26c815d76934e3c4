-- What is in a trace: reads JSON strictly, and checks what holds for all
-- traces.

local events_of = {}

local read_value

local function fail(text, position, expected)
  error(("JSON, byte %d: %s expected, got %q"):format(position, expected,
    text:sub(position, position + 30)), 0)
end

local ESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b",
                  f = "\f", n = "\n", r = "\r", t = "\t" }

-- Returns the string behind the quote, and where it goes on.
local function read_string(text, position)
  local parts = {}
  while true do
    local plain, after = text:match('^([^"\\%c]*)()', position)
    local c = text:sub(after, after)
    parts[#parts + 1] = plain
    if c == '"' then
      return table.concat(parts), after + 1
    elseif c ~= "\\" then
      fail(text, after, "the end of a string")
    end
    local digits = text:match("^u(%x%x%x%x)", after + 1)
    local short = ESCAPES[text:sub(after + 1, after + 1)]
    if not digits and not short then fail(text, after, "an escape") end
    parts[#parts + 1] = digits and "<" .. digits .. ">" or short
    position = after + (digits and 6 or 2)
  end
end

local function skip(text, position)
  return text:match("^[ \t\r\n]*()", position)
end

-- Reads elements up to the closing character.
local function read_list(text, position, closing, read_element)
  position = skip(text, position)
  if text:sub(position, position) == closing then return position + 1 end
  while true do
    position = skip(text, read_element(skip(text, position)))
    local c = text:sub(position, position)
    position = position + 1
    if c == closing then
      return position
    elseif c ~= "," then
      fail(text, position - 1, ", or " .. closing)
    end
  end
end

local function read_array(text, position)
  local list = {}
  return list, read_list(text, position, "]", function(at)
    list[#list + 1], at = read_value(text, at)
    return at
  end)
end

local function read_object(text, position)
  local object = {}
  return object, read_list(text, position, "}", function(at)
    local key
    if text:sub(at, at) ~= '"' then fail(text, at, "a key") end
    key, at = read_string(text, at + 1)
    at = skip(text, at)
    if text:sub(at, at) ~= ":" then fail(text, at, ":") end
    object[key], at = read_value(text, skip(text, at + 1))
    return at
  end)
end

function read_value(text, position)
  local c = text:sub(position, position)
  if c == "[" then return read_array(text, position + 1) end
  if c == "{" then return read_object(text, position + 1) end
  if c == '"' then return read_string(text, position + 1) end
  local number, after = text:match("^(%-?%d+%.?%d*)()", position)
  if not number then fail(text, position, "a value") end
  return tonumber(number), after
end

-- The elements of a JSON array, which is all that there is in the text.
function events_of.read(text)
  local list, position = read_value(text, 1)
  if skip(text, position) ~= #text + 1 then fail(text, position, "the end") end
  return list
end

-- Fails if an event is before the one in front of it in its thread, by more
-- than sums of such numbers are exact to, or if what has begun does not end.
-- Adds to events how deep they are.
local function check_thread(thread, event)
  local last = thread.last or 0
  local ends = event.ts + (event.dur or 0)
  if event.ts < last - 1e-4 then error("a thread goes back in time", 0) end
  thread.last = ends
  if event.ph == "B" then
    thread.depth = thread.depth + 1
  elseif event.ph == "E" then
    thread.depth = thread.depth - 1
    if thread.depth < 0 then error("an end without a begin", 0) end
  end
  event.depth = thread.depth
end

-- The events of a trace that has ended, in the order of the file; each thread
-- is one by its name. Also a table of names, by number of thread.
function events_of.file(path)
  local file = assert(io.open(path, "rb"))
  local list = events_of.read(file:read("*a"))
  local threads, names = {}, {}
  file:close()
  for _, event in ipairs(list) do
    if event.ph == "M" and event.name == "thread_name" then
      names[event.tid] = event.args.name
      threads[event.tid] = { depth = 0 }
    elseif event.ph ~= "M" then
      check_thread(threads[event.tid], event)
      event.thread = names[event.tid]
    end
  end
  for _, thread in pairs(threads) do
    if thread.depth ~= 0 then error("a begin without an end", 0) end
  end
  return list, names
end

-- The events with all these fields.
function events_of.select(list, fields)
  local found = {}
  for _, event in ipairs(list) do
    local is_one = true
    for key, value in pairs(fields) do
      is_one = is_one and event[key] == value
    end
    if is_one then found[#found + 1] = event end
  end
  return found
end

-- How often these things were done: begun, if they have ended or not.
function events_of.count(list, cat, name)
  return #events_of.select(list, { ph = "X", cat = cat, name = name })
    + #events_of.select(list, { ph = "B", cat = cat, name = name })
end

return events_of
