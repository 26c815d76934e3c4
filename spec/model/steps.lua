-- Holds the models and the code together: `make check-steps`, part of lint.
--
-- lua spec/model/steps.lua                  checks
-- lua spec/model/steps.lua renew [NAME ...] notes what is there now
--
-- Before a step of a model stands the line
--
--   /* C: function ... */
--
-- with the functions that it stands for. The file `steps` has, of each of
-- them, the model, a fingerprint of its text without comments and white space,
-- and the day when the two were compared last. It is an error if a function is
-- gone, has another text, or is noted without need. Who has looked whether the
-- model has to change renews the notes of models and functions with that NAME,
-- or all.

local NOTES = "spec/model/steps"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do
    lines[#lines + 1] = line
  end
  pipe:close()
  return lines
end

-- Where the function's text ends that begins with this line; nil for one that
-- is only declared.
local function end_of_function(text, from)
  local brace = text:find("{", from, true)
  local semicolon = text:find(";", from, true)
  if brace and (not semicolon or brace < semicolon) then
    return select(2, text:find("\n}", brace, true))
  end
end

-- The texts of all functions of the sources: [name] = text. Where there are
-- several, one for each system, all of them.
local function read_functions()
  local functions = {}
  for _, path in ipairs(lines_of("find src -name '*.[ch]' | LC_ALL=C sort")) do
    local text = "\n" .. read(path):gsub("/%*.-%*/", " ")
    local from = 1
    while true do
      local first, _, line = text:find("\n(%l[^\n]-[%w_]+%([^\n]*)", from)
      if not first then
        break
      end
      local last = end_of_function(text, first + 1)
      if last then
        local name = line:match("([%w_]+)%(")
        functions[name] = (functions[name] or "") .. text:sub(first, last)
      end
      from = last or first + 1
    end
  end
  return functions
end

local function fingerprint(text)
  local sum = 0
  for byte in text:gsub("%s+", ""):gmatch(".") do
    sum = (sum * 16807 + byte:byte() + 1) % 2147483647
  end
  return ("%08x"):format(sum)
end

-- What the models name: a list of {model, function}.
local function read_models()
  local steps, known = {}, {}
  for _, path in ipairs(lines_of("ls spec/model/*.pml")) do
    local model = path:match("(%w+)%.pml$")
    for names in read(path):gmatch("\n/%* C: ([^\n]-) %*/") do
      for name in names:gmatch("%S+") do
        if not known[model .. name] then
          known[model .. name] = true
          steps[#steps + 1] = {model, name}
        end
      end
    end
  end
  table.sort(steps, function(a, b)
    return a[1] .. " " .. a[2] < b[1] .. " " .. b[2]
  end)
  return steps
end

-- [model .. " " .. function] = {fingerprint, day}
local function read_notes()
  local notes = {}
  local file = io.open(NOTES)
  for line in file and file:lines() or function() end do
    local key, sum, day = line:match("^(%S+ %S+) (%S+) (%S+)$")
    notes[key] = {sum, day}
  end
  if file then
    file:close()
  end
  return notes
end

local function check(steps, functions, notes)
  local errors = 0
  local function complain(...)
    io.stderr:write(NOTES, ": ", (...):format(select(2, ...)), "\n")
    errors = errors + 1
  end
  for _, step in ipairs(steps) do
    local model, name = step[1], step[2]
    local key = model .. " " .. name
    local note, text = notes[key], functions[name]
    notes[key] = nil
    if not text then
      complain("%s.pml stands for %s, which is gone", model, name)
    elseif not note then
      complain("%s.pml stands for %s: not noted", model, name)
    elseif note[1] ~= fingerprint(text) then
      complain("%s has changed since %s; does %s.pml have to change? " ..
               "`make renew-steps STEPS=%s` notes that you have looked",
               name, note[2], model, name)
    end
  end
  for key in pairs(notes) do
    complain("no model names %s", key)
  end
  return errors == 0
end

local function renew(steps, functions, notes)
  local is_chosen = {}
  for i = 2, #arg do
    is_chosen[arg[i]] = true
  end
  local file = assert(io.open(NOTES, "w"))
  for _, step in ipairs(steps) do
    local model, name = step[1], step[2]
    local note, text = notes[model .. " " .. name], functions[name]
    if text and (#arg == 1 or is_chosen[model] or is_chosen[name]) then
      local sum = fingerprint(text)
      if not note or note[1] ~= sum then
        note = {sum, os.date("%Y-%m-%d")}
      end
    end
    if note then
      file:write(("%s %s %s %s\n"):format(model, name, note[1], note[2]))
    end
  end
  file:close()
end

local steps, functions, notes = read_models(), read_functions(), read_notes()
if arg[1] == "renew" then
  renew(steps, functions, notes)
else
  os.exit(check(steps, functions, notes) and 0 or 1)
end
