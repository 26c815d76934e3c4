-- The memory failure sweep: has each single allocation of each step of
-- scenario.lua fail, in each mode, and looks at what comes of it.
--
--   LD_PRELOAD=failmalloc.so lua spec/sweep/sweep.lua [STEP [MODE [N]]]
--
-- The n-th allocation of a step fails, for n = 1, 2, 3 ... until the step
-- passes untouched. The modes: in "one" only that allocation fails; in "two"
-- the next one, too (Lua collects garbage and tries again); in "all" so does
-- every later one, until the step has ended; in "threads" no thread can be
-- started from the n-th on, while there is memory.
--
-- The allocations are those of the thread that runs the step; of some steps
-- also those of the threads that the module has started, in the order in which
-- they are made. As threads run at the same time, n is not always the same one
-- there.
--
-- STEP is the name of one, or "everywhere" for all those.
--
-- Each n has a process of its own, forked when all steps before have been run;
-- but before the step that starts workers, which a fork does not copy: steps
-- after that are run in the process itself.
-- There the step runs; what it raises has to be an error for memory. Then,
-- with memory, all other states have to work, and the step has to pass when it
-- is run again; for each 16th n so do all steps after it (of all n: WHOLE=1).
-- In the end all is closed, and no more blocks of memory may be left than when
-- nothing fails.
--
-- LuaJIT does not allocate by malloc: there only what the module itself takes
-- fails.

local host = require "sweephost"

local ONLY_STEP, ONLY_MODE, ONLY_N = arg[1], arg[2], tonumber(arg[3])
local JOBS = tonumber(os.getenv("JOBS")) or 4 -- they wait half of the time
local EVERY = (os.getenv("WHOLE") or ONLY_N) and 1 or 16
local TIME_LIMIT = 100 -- seconds for one process
local MANY = 4 -- failures of a step in a mode, then it is given up

local modes = {{name = "one", count = 1}, {name = "two", count = 2},
               {name = "all", count = 1000000000},
               {name = "threads", kind = "threads", count = 1000000000}}

-- What can come of a step with a failure: what a process ends with.
local kinds = {"untouched", "absorbed", "out_of_memory", "invoking_state",
               "state_result", "not enough memory"}
local FAILED = 100

local function index_of(kind)
  for i = 1, #kinds do
    if kinds[i] == kind then
      return i
    end
  end
end

-- Which kind of error this is; nil: none that may come when memory is out.
local function kind_of(err)
  local name, rest = err:match("^mtstates%.error%.([%w_]+): (.*)")
  if not err:find("not enough memory", 1, true) then
    return nil
  elseif name == "out_of_memory" then
    return name
  elseif name == "invoking_state" and (rest:find("^state%(") or
    rest:find("^host program: ")) then
    return name
  elseif name == "state_result" and rest:find("carray: ", 1, true) then
    return name
  elseif err:find("^not enough memory") or err:find("^carray: ") then
    return "not enough memory"
  end
end

local scenario = host.load("spec/sweep/scenario.lua")
local steps = {}
for flags, name in scenario:call("names"):gmatch("(%S+) ([^\n]+)") do
  steps[#steps + 1] = {name = name, is_swept = flags:find("+", 1, true),
                       starts_threads = flags:find("*", 1, true),
                       everywhere = flags:find("!", 1, true), kinds = {}}
end

local done = 0 -- steps that this process has run, and those forked from it

local function run_untouched(i)
  local ok, err = scenario:run(i, steps[i].everywhere)
  if not ok then
    error(("step '%s' without failures: %s"):format(steps[i].name, err), 0)
  end
end

local function run_all(first, last)
  for i = first, last do
    run_untouched(i)
  end
end

-- Gives how many blocks are left when all is closed, after that step.
local function finish(last, expected)
  scenario:call("finish")
  if last == #steps then
    scenario:call("verify_end")
  end
  return scenario:close(expected)
end

-- Runs f in a process of its own; gives its number.
local function spawn(f)
  local pid = host.fork(TIME_LIMIT)
  if pid == 0 then
    local ok, result = pcall(f)
    if not ok then
      host.complain(tostring(result))
    end
    host.exit(ok and result or FAILED)
  end
  return pid
end

-- How many blocks are left when the steps up to that one are run, and nothing
-- fails.
local function blocks_left(last)
  spawn(function()
    run_all(done + 1, last)
    return finish(last)
  end)
  local _, left = host.wait()
  if left < 0 or left >= FAILED then
    io.stderr:write("the scenario does not pass without failures\n")
    os.exit(1)
  end
  return left
end

local left_after_all = blocks_left(#steps)

-- In a process of its own: what becomes of the step, an index of kinds.
local function attempt(i, mode, n)
  run_all(done + 1, i - 1)
  local ok, err, failed =
    scenario:run(i, steps[i].everywhere, mode.kind, n, mode.count)
  local kind = failed == 0 and "untouched" or "absorbed"
  if not ok then
    kind = failed > 0 and kind_of(err)
    if not kind then
      error("it raised: " .. err, 0)
    end
  end
  scenario:call("verify")
  if not ok then
    run_untouched(i)
    scenario:call("verify")
  end
  local last, expected = i, steps[i].left
  if n % EVERY == 0 then
    last, expected = #steps, left_after_all
    run_all(i + 1, last)
  end
  local left = finish(last, expected)
  if left > expected then
    host.list()
    error(("%d blocks are left, and not %d: see above; " ..
      "the step gave: %s"):format(left, expected, err or kind), 0)
  end
  return index_of(kind)
end

local function report_failure(step, mode, n, code)
  local what = code == FAILED and "failed, see above"
    or code < 0 and ("ended by signal %d%s"):format(
      -code, code == -14 and ", it took too long" or "")
    or ("ended with code %d"):format(code)
  io.stderr:write(("FAILED: step '%s', mode %s, n = %d: %s\n" ..
    "  repeat with: make sweep STEP='%s' MODE=%s N=%d\n"):format(
    step.name, mode.name, n, what, step.name, mode.name, n))
end

-- Several processes at a time; gives how many failed.
local function sweep_step(i, mode)
  local step = steps[i]
  local running, count, failures = {}, 0, 0
  local n = ONLY_N and ONLY_N - 1 or 0
  local is_over = false
  step.left = step.left or blocks_left(i)
  repeat
    while count < JOBS and not is_over do
      n = n + 1
      local number = n
      running[spawn(function()
        return attempt(i, mode, number)
      end)] = number
      count = count + 1
      is_over = ONLY_N ~= nil
    end
    local pid, code = host.wait()
    local kind = kinds[code]
    if kind then
      step.kinds[kind] = (step.kinds[kind] or 0) + 1
    else
      report_failure(step, mode, running[pid], code)
      failures = failures + 1
    end
    step.last = running[pid]
    is_over = is_over or kind == "untouched" or failures == MANY
    count = count - 1
  until is_over and count == 0
  return failures
end

local function summary(step)
  local parts = {}
  for i = 2, #kinds do
    if step.kinds[kinds[i]] then
      parts[#parts + 1] = step.kinds[kinds[i]] .. " " .. kinds[i]
    end
  end
  return table.concat(parts, ", ")
end

local total, failures = 0, 0
local started = os.time()
for i = 1, #steps do
  local step = steps[i]
  if step.is_swept and (not ONLY_STEP or ONLY_STEP == step.name
      or ONLY_STEP == "everywhere" and step.everywhere) then
    for _, mode in ipairs(modes) do
      if ONLY_MODE == mode.name
          or not ONLY_MODE and (step.everywhere or not mode.kind) then
        failures = failures + sweep_step(i, mode)
      end
    end
    for k = 2, #kinds do
      total = total + (step.kinds[kinds[k]] or 0)
    end
    print(("%-36s %s"):format(step.name, summary(step)))
    io.stdout:flush()
  end
  if done == i - 1 and not step.starts_threads then
    run_untouched(i)
    done = i
  end
end
print(("%d failing allocations, %d findings, %d blocks left each time, %d s")
  :format(total, failures, left_after_all, os.time() - started))
os.exit(failures == 0 and total > 0 and 0 or 1)
