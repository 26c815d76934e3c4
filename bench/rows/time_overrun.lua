-- By how much code goes beyond its time: what the caller waits, from the call
-- of a runaway until it has the error, less the limit.  All runaways together:
-- the median, 99 in 100, and the longest; started by hand, this program prints
-- these of each kind, too.
--
-- Meanwhile as many threads as there are cores work in a hundred other states,
-- and one more, which takes no signals, runs a runaway, too.  So there are
-- always threads that wait for a core, and some milliseconds are the kernel's.
-- Clean-up is stopped twice, and is late twice.  A recursion up to the end of
-- the stack is left out: to set a hook in 200,000 frames, and to leave them,
-- takes Lua 5.4 some milliseconds more.  The wall clock tells the time.

local harness = require "harness"
local mtstates = require "mtstates"
local threads = require "threads"

if not pcall(mtstates.newstate, { time = 1 }, "return print") then
  return print("this needs the option time")
end

local LIMIT, SAMPLES, STATES = 0.02, 20, 100

-- What a callback does, and how many times the limit it may take, if not once.
local KINDS = {
  { "loop", "while true do end" },
  { "pcall", "while true do pcall(function() while true do end end) end" },
  { "short pcalls", "while true do pcall(error) end" },
  { "coroutine", [[
    while true do
      coroutine.wrap(function() pcall(function() while true do end end) end)()
    end]] },
  { "short coroutines", [[
    while true do
      local co = coroutine.create(function() coroutine.yield() end)
      coroutine.resume(co) coroutine.resume(co)
    end]] },
  { "C functions", [[
    local text = ("x"):rep(1000)
    while true do text:gsub("x", function() end) end]] },
  { "handler", [[
    while true do xpcall(error, function() for _ = 1, 1e3 do end end) end]] },
  { "reader", "while true do load(function() while true do end end) end" },
  { "hooks", "while true do debug.sethook() pcall(debug.sethook) end" },
  { "garbage", [[
    while true do
      local list = {}
      for i = 1, 1e4 do list[i] = {} end
    end]] },
  { "finalizers", [[
    while true do
      for _ = 1, 100 do
        setmetatable({}, {__gc = function() for _ = 1, 1e3 do end end})
      end
      collectgarbage()
    end]] },
  { "recursion", [[
    local function f(n) return n > 0 and 1 + f(n - 1) or 0 end
    while true do f(1000) end]] },
  _VERSION >= "Lua 5.4" and { "clean-up", [[
    local last <close> = setmetatable({}, {__close = function()
      while true do pcall(function() while true do end end) end
    end})
    while true do end]], 2 } or nil,
}

-- What works meanwhile, each in a thread of its own.

local function work(number)
  local module = require "mtstates"
  while true do
    for i = 1, number do
      module.state("worker " .. i):call()
    end
  end
end

local function block(state)
  require("threads").block_signals()
  while true do
    pcall(state.call, state)
  end
end

local function new(code, name)
  return mtstates.newstate(name or "runaway", { time = LIMIT },
    "return function() " .. code .. "\nend")
end

local kept = { new("while true do end", "blocked") }
local others = { (mtstates.thread(block, kept[1])) }
for i = 1, STATES do
  kept[#kept + 1] = mtstates.newstate("worker " .. i, {}, function()
    return function()
      local sum = 0
      for n = 1, 2e4 do sum = sum + n end
      return sum
    end
  end)
end
for _ = 1, #threads.cores() do
  others[#others + 1] = (mtstates.thread(work, STATES))
end

-- Measures.

-- Milliseconds.
local function overrun(limit, f, ...)
  local start = threads.clock()
  local ok, err = pcall(f, ...)
  local seconds = threads.clock() - start
  assert(not ok and err:find("interrupted", 1, true), err)
  return 1e3 * (seconds - limit)
end

local function spread(list)
  table.sort(list)
  return list[math.ceil(#list / 2)], list[math.ceil(#list * 0.99)],
    list[#list]
end

local function show(name, list)
  if arg[1] == nil then
    print(("%-20s median %6.2f   99 %% %6.2f   longest %6.2f ms"):format(name,
      spread(list)))
  end
end

local function measure(all, name, f)
  local list = {}
  for i = 1, SAMPLES do
    list[i] = f()
    all[#all + 1] = list[i]
  end
  show(name, list)
end

local function measure_all()
  local all = {}
  for _, kind in ipairs(KINDS) do
    local name, code, times = kind[1], kind[2], kind[3] or 1
    local state = new(code)
    measure(all, name, function()
      return overrun(times * LIMIT, state.call, state)
    end)
    state:close()
  end
  local state = new("while true do end")
  measure(all, "request", function()
    return overrun(LIMIT, state.await, state)
  end)
  state:close()
  measure(all, "setup", function()
    return overrun(LIMIT, mtstates.newstate, { time = LIMIT },
      "while true do end")
  end)
  return all
end

local medians, most, longest = {}, {}, {}
for round = 1, harness.LONG_ROUNDS do
  medians[round], most[round], longest[round] = spread(measure_all())
end
for _, other in ipairs(others) do
  other:cancel()
  pcall(other.await, other)
end

local function report(name, samples)
  harness.report {
    name = "code beyond its time: " .. name, unit = "ms", at_most = 20,
    work = samples,
  }
end

report("median", medians)
report("99 in 100", most)
report("longest", longest)
