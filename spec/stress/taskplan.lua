-- What the tasks of the stress do: plans, which members and threads carry out.
--
-- A plan is a list of steps, a value, and how its request ends. Steps ask
-- members with a higher number only, so nobody ever waits in a circle, and a
-- `deadlock` is a mistake; steps that wait for forks of their own state are
-- only there where the state is left meanwhile.
--
-- What a plan gives is known beforehand, unless something that it asked was
-- cancelled, timed out or closed: then it says that it is not whole.

local handoff = require "handoff"
local mtstates = require "mtstates"

local plan = {}

-- Where code that waits in a task leaves its state, also in coroutines.
local LEAVES = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil
local LEAVES_COROUTINES = LEAVES and not rawget(_G, "jit")

local TIMEOUTS = {1e-4, 1e-3, 0.02}

function plan.name(index)
  return "task member " .. index
end

-- ------------------------------------------------------------- new plans --

-- How: `random`; `members`, how many there are; `cancels` and `timeouts`,
-- whether there may be such; `is_host`: the plan is for a main program, whose
-- coroutines hold the thread.
local new_steps

local function new_plan(how, index, depth, holds)
  local random = how.random
  local p = {value = random(1e6), depth = depth}
  if random(10) == 1 then
    p.boom = ("boom %d;"):format(random(1e6))
  end
  p.steps = new_steps(how, index, depth, holds)
  if not p.boom and depth > 0 and index < how.members and random(6) == 1 then
    p.defer_to = index + random(how.members - index)
    p.defer = new_plan(how, p.defer_to, depth - 1, not LEAVES)
  end
  return p
end

local function new_step(how, index, depth, holds)
  local random = how.random
  local kind = random(14)
  local to = index < how.members and depth > 0 and
             index + random(how.members - index)
  local function child(child_holds)
    local is_host = how.is_host
    how.is_host = false
    local p = new_plan(how, to, depth - 1, child_holds or not LEAVES)
    how.is_host = is_host
    return p
  end
  if kind <= 2 or not to and kind <= 9 then
    return {"sleep", ({0, 0, 1e-4, 1e-3, 3e-3})[random(5)]}
  elseif kind <= 4 then
    return {"await", to, child()}
  elseif kind == 5 then
    local timeout = how.timeouts and TIMEOUTS[random(#TIMEOUTS)] or 100
    return {"tawait", to, child(), timeout}
  elseif kind <= 7 then
    return {"async", to, child(), how.cancels and random(4) == 1}
  elseif kind == 8 then
    return {"send", to, child()}
  elseif kind == 9 then
    return {"call", to, child(true)}
  elseif kind == 10 then
    local joins = not holds and random(3) > 1
    local p = new_plan(how, index, math.max(depth - 1, 0), not LEAVES)
    p.defer, p.defer_to = nil, nil
    return {"fork", joins, p}
  elseif kind == 11 and not holds then
    return {"promise", random(1e6), random(2) == 1 and 1e-3 or 0}
  elseif kind == 12 then
    local inner = holds or how.is_host or not LEAVES_COROUTINES
    return {"coroutine", new_steps(how, index, depth - 1, inner)}
  elseif kind == 13 and random(3) == 1 then
    return {"sort", new_steps(how, index, depth - 1, true)}
  end
  return {"garbage", random(50)}
end

function new_steps(how, index, depth, holds)
  local steps = {}
  for i = 1, depth < 0 and 1 or how.random(4) do
    steps[i] = new_step(how, index, depth, holds)
  end
  return steps
end

plan.new = new_plan

-- What the request gives; nil if it raises.
function plan.total(p)
  if p.defer then
    return plan.total(p.defer)
  end
  return not p.boom and p.value or nil
end

-- What it raises; nil if it does not.
local function boom_of(p)
  return p.boom or p.defer and boom_of(p.defer)
end

-- -------------------------------------------------------------- outcomes --

-- The run says what may go wrong.
local ALLOWED = {"cancelled", "object_closed", "unknown_object"}

local function fail(...)
  handoff.put("faults", (...):format(select(2, ...)))
  handoff.add("fault")
end

local function is_allowed(err)
  for i = 1, #ALLOWED do
    local name = ALLOWED[i]
    if tostring(err):find("mtstates.error." .. name, 1, true) then
      return handoff.get("allowed " .. name) > 0
    end
  end
  return false
end

-- Looks at what has become of the request with that plan. Gives whether it
-- was whole.
local function look(p, ok, value, whole)
  local boom = boom_of(p)
  if not ok then
    if boom and tostring(value):find(boom, 1, true) then
      return true
    elseif not is_allowed(value) then
      fail("a request of plan %d raised %s", p.value, tostring(value))
    end
    return false
  elseif boom and whole then
    fail("plan %d gave %s and did not raise", p.value, tostring(value))
  elseif whole and value ~= plan.total(p) then
    fail("plan %d gave %s and not %s", p.value, tostring(value),
         tostring(plan.total(p)))
  end
  return whole
end

local function find(index)
  return mtstates.state(plan.name(index))
end

local function drop_true(in_time, ...)
  if in_time then
    return true, ...
  end
  return true, nil, false
end

local function pass(ok, ...)
  if ok then
    return drop_true(...)
  end
  return ok, ...
end

-- ----------------------------------------------------------------- steps --

local run_steps
local kinds = {}

function kinds.sleep(step)
  local start = mtstates.now()
  mtstates.sleep(step[2])
  if mtstates.now() < start + step[2] then
    fail("slept too short")
  end
  return true
end

local function ask(method, step, ...)
  local ok, s = pcall(find, step[2])
  if not ok then
    return look(step[3], false, s)
  end
  handoff.add("asked")
  return nil, s[method], s, ...
end

function kinds.await(step)
  local done, f, s = ask("await", step)
  if done == nil then
    return look(step[3], pcall(f, s, "work", step[3]))
  end
  return done
end

function kinds.tawait(step)
  local done, f, s = ask("tawait", step)
  if done == nil then
    return look(step[3], pass(pcall(f, s, step[4], "work", step[3])))
  end
  return done
end

function kinds.call(step)
  local done, f, s = ask("call", step)
  if done == nil then
    return look(step[3], pcall(f, s, "work", step[3]))
  end
  return done
end

function kinds.async(step)
  local done, f, s = ask("async", step)
  if done ~= nil then
    return done
  end
  local ok, future = pcall(f, s, "work", step[3])
  if not ok then
    return look(step[3], false, future)
  end
  if step[4] then
    mtstates.sleep(1e-4)
    future:cancel()
  end
  if step[3].value % 3 == 0 then
    repeat
      local in_time = future:ready() or select(2, pcall(future.tawait, future,
                                                        1e-3))
    until in_time
  end
  return look(step[3], pcall(future.await, future))
end

function kinds.send(step)
  local done, f, s = ask("send", step)
  if done == nil then
    local ok, err = pcall(f, s, "work", step[3])
    return ok or look(step[3], false, err)
  end
  return done
end

function kinds.fork(step)
  local future = mtstates.fork(plan.run, step[3], true)
  if plan.unjoined and not step[2] then
    plan.unjoined[#plan.unjoined + 1] = future
  end
  return not step[2] or look(step[3], pcall(future.await, future))
end

function kinds.promise(step)
  local future, promise = mtstates.promise()
  mtstates.fork(function()
    mtstates.sleep(step[3])
    promise:set(step[2])
  end)
  local ok, value = pcall(future.await, future)
  if ok and value ~= step[2] then
    fail("a promise gave %s and not %s", tostring(value), step[2])
  elseif not ok and not is_allowed(value) and
         not tostring(value):find("abandoned", 1, true) then
    fail("a promise raised %s", tostring(value))
  end
  return ok
end

function kinds.coroutine(step)
  local whole = true
  local co = coroutine.wrap(function()
    for i = 1, #step[2] do
      whole = run_steps({step[2][i]}) and whole
      coroutine.yield(i)
    end
    return "end"
  end)
  for i = 1, #step[2] do
    if co() ~= i then
      fail("a coroutine yielded something else")
    end
  end
  return whole and co() == "end"
end

function kinds.sort(step)
  local whole, done = true, false
  table.sort({1, 2}, function(a, b)
    if not done then
      done = true
      whole = run_steps(step[2])
    end
    return a < b
  end)
  return whole
end

function kinds.garbage(step)
  collectgarbage("step", step[2])
  return true
end

function run_steps(steps)
  local whole = true
  for i = 1, #steps do
    whole = kinds[steps[i][1]](steps[i]) and whole
  end
  return whole
end

-- Carries the plan out. Gives its value, and whether it is whole.
function plan.run(p, is_fork)
  handoff.add(is_fork and "forks" or "begun")
  local whole = run_steps(p.steps)
  handoff.add(is_fork and "forks ended" or "ended")
  if p.boom then
    error(p.boom, 0)
  elseif p.defer then
    handoff.add("asked")
    return find(p.defer_to):async("work", p.defer)
  end
  return p.value, whole
end

plan.fail = fail
plan.run_steps = run_steps
plan.new_steps = new_steps

return plan
