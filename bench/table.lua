-- table.lua - runs the programs in bench/rows and makes one table of them
--
--   lua table.lua FOLDER [NAME CPATH] -- PROGRAM...
--
-- prints the table and writes it to FOLDER as bench.json and bench.svg.  NAME
-- is an earlier revision of the module, found with this package.cpath.  Where
-- things lie in memory differs from process to process and has its effect on
-- time; so each program runs several times, with both modules in turn, and all
-- their rounds count.

local harness = require "harness"
local json = require "dkjson"

local PROCESSES = 3
local COUNTS = { 1000, 3000 } -- repetitions under callgrind

local folder = arg[1]
local modules = { { name = "now", cpath = os.getenv("LUA_CPATH") } }
local programs = {}

do -- the rest of the command line
  local i = 2
  if arg[i] ~= "--" then
    modules[2] = { name = arg[i], cpath = arg[i + 1] }
    i = i + 2
  end
  for k = i + 1, #arg do programs[#programs + 1] = arg[k] end
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Runs a shell command with a program in it; returns what that prints.
local function output_of(module, prefix, program, ...)
  local words = {
    "LUA_CPATH=" .. quote(module.cpath), prefix, harness.interpreter(),
  }
  for _, word in ipairs { program, ... } do
    words[#words + 1] = quote(word)
  end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

-- Rows ----------------------------------------------------------------------

-- In their order, and by name.  row.results[module's name] is a table with the
-- samples of all processes.
local rows, known_rows = {}, {}

local function add_samples(all, samples)
  for _, x in ipairs(samples or {}) do all[#all + 1] = x end
end

local function add_result(program, module, row)
  local known = known_rows[row.name]
  if not known then
    known = {
      name = row.name, program = program, unit = row.unit,
      compared_with = row.compared_with,
      at_most = row.at_most, at_least = row.at_least, grace = row.grace,
      count_instructions = row.count_instructions, results = {},
    }
    rows[#rows + 1], known_rows[row.name] = known, known
  end
  local result = known.results[module.name]
    or { work = {}, base = {}, floor = {} }
  known.results[module.name] = result
  for side, all in pairs(result) do add_samples(all, row[side]) end
end

local function run(program)
  for _ = 1, PROCESSES do
    for _, module in ipairs(modules) do
      local found = false
      for line in output_of(module, "", program, "json"):gmatch("{[^\n]*}") do
        found = true
        add_result(program, module, assert(json.decode(line)))
      end
      if not found then
        print(("(%s gives nothing with %s)"):format(program, module.name))
      end
    end
  end
end

-- Results -------------------------------------------------------------------

local function summary(numbers)
  local median, lowest, highest = harness.median(numbers)
  return { median = median, lowest = lowest, highest = highest }
end

local function ratios(works, bases)
  local list = {}
  for i, work in ipairs(works) do list[i] = work / bases[i] end
  return summary(list)
end

local function instructions(module, row, side)
  local totals = {}
  for i, n in ipairs(COUNTS) do
    local text = output_of(module, "2>&1 valgrind --tool=callgrind " ..
      "--callgrind-out-file=/dev/null", row.program, "count", row.name, side,
      tostring(n))
    totals[i] = tonumber(text:match("Collected : (%d+)"))
  end
  return totals[2]
    and math.floor((totals[2] - totals[1]) / (COUNTS[2] - COUNTS[1]) + 0.5)
end

-- What the goal is about: the ratio, or the work itself.
local function is_met(row, result)
  local x = (result.ratio or result.work).median
  if row.grace then
    x = (result.work.median - row.grace) / result.base.median
  end
  return not (row.at_most and x > row.at_most)
    and not (row.at_least and x < row.at_least)
end

-- Replaces the samples by what they say.
local function evaluate(module, row)
  local samples = row.results[module.name]
  if not samples then return end
  local result = { work = summary(samples.work) }
  if #samples.base > 0 then
    result.base = summary(samples.base)
    result.ratio = ratios(samples.work, samples.base)
  end
  if #samples.floor > 0 then
    result.floor = result.base and ratios(samples.floor, samples.base)
      or summary(samples.floor)
  end
  if row.at_most or row.at_least then result.is_met = is_met(row, result) end
  if row.count_instructions then
    result.instructions = {}
    for _, side in ipairs { "work", "base", "floor" } do
      result.instructions[side] = #samples[side] > 0
        and instructions(module, row, side) or nil
    end
  end
  row.results[module.name] = result
end

-- Output --------------------------------------------------------------------

local function first_match(path, pattern)
  local file = io.open(path)
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return text:match(pattern) or "unknown"
end

local function machine()
  local cpus = first_match("/proc/cpuinfo", "(.*)")
  local _, cores = cpus:gsub("processor%s*:", "")
  return ("%s, %d x %s, Linux %s"):format(
    rawget(_G, "jit") and require("jit").version or _VERSION, cores,
    cpus:match("model name%s*:%s*([^\n]+)") or "unknown",
    first_match("/proc/sys/kernel/osrelease", "[^\n]+"))
end

local function goal_of(row)
  local goal = row.at_most or row.at_least
  local unit = not row.compared_with and row.unit
  return goal and (row.at_most and "<= " or ">= ")
    .. goal .. (unit and " " .. unit or "")
    .. (row.grace and (" + %s %s"):format(row.grace, row.unit) or "")
    or ""
end

local function range(x)
  return ("(%.2f-%.2f)"):format(x.lowest, x.highest)
end

-- The floor as the goal: as a ratio, or by itself.
local function floor_of(row, result)
  if not result.floor then return "" end
  return result.base and ("%.2f"):format(result.floor.median)
    or harness.show(result.floor.median, row.unit)
end

local LAYOUT = "%-42s %10s  %-28s %10s %5s %-13s %-17s %-4s %8s  %s"

local function print_result(row, name, result)
  local count = result.instructions
  print((LAYOUT:format(name,
    harness.show(result.work.median, row.unit),
    row.compared_with or "",
    result.base and harness.show(result.base.median, row.unit) or "",
    result.ratio and ("%.2f"):format(result.ratio.median) or "",
    result.ratio and range(result.ratio) or "",
    goal_of(row),
    result.is_met == nil and "" or result.is_met and "yes" or "NO",
    floor_of(row, result),
    count and ("%s / %s / %s"):format(count.work or "-", count.base or "-",
      count.floor or "-") or "")
    :gsub("%s+$", "")))
end

local function print_row(row)
  for i, module in ipairs(modules) do
    local result = row.results[module.name]
    if result then
      print_result(row, i == 1 and row.name or "   " .. module.name, result)
    end
  end
end

local function write_json()
  local file = assert(io.open(folder .. "/bench.json", "w"))
  assert(file:write(json.encode({ machine = machine(), rows = rows },
    { indent = true }), "\n"))
  assert(file:close())
end

-- One line for each row with a goal: its name; then for each module how much
-- of the goal it needs: median, lowest and highest.
local function write_chart_data(path)
  local data = assert(io.open(path, "w"))
  for _, row in ipairs(rows) do
    local line = { ('"%s"'):format(row.name) }
    for _, module in ipairs(modules) do
      local result = row.results[module.name]
      local x = result and (result.ratio or result.work)
      for _, key in ipairs { "median", "lowest", "highest" } do
        line[#line + 1] = not x and "nan"
          or row.at_most and x[key] / row.at_most
          or row.at_least and row.at_least / x[key]
      end
    end
    if row.at_most or row.at_least then
      assert(data:write(table.concat(line, "\t"), "\n"))
    end
  end
  assert(data:close())
end

local function write_chart()
  local data = folder .. "/bench.dat"
  write_chart_data(data)
  local names = {}
  for i, module in ipairs(modules) do names[i] = module.name end
  os.execute(("gnuplot -e %s bench/chart.gp"):format(quote(
    ("data='%s'; output_file='%s/bench.svg'; modules='%s'; machine='%s'")
    :format(data, folder, table.concat(names, " "), machine()))))
end

print(machine())
print(("each row: %d processes, median (lowest-highest) of all their rounds")
  :format(PROCESSES))
print()
print(LAYOUT:format("mtstates", "", "compared with", "", "ratio", "", "goal",
  "met", "floor", "instructions / compared / floor"))
local printed = 0
for _, program in ipairs(programs) do
  run(program)
  for i = printed + 1, #rows do
    for _, module in ipairs(modules) do evaluate(module, rows[i]) end
    print_row(rows[i])
    io.stdout:flush()
  end
  printed = #rows
end
write_json()
write_chart()
