-- How processes end that have own threads, promises and states with something
-- to do at their end. Each program has a process of its own; EXITS=16 in the
-- environment runs each of them 16 times, 2,080 processes in all.

local helpers = require "helpers"

local ROUNDS = tonumber(os.getenv("EXITS")) or 1

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local host = require "host"
  local mtstates = require "mtstates"
  kept = {}
  -- A thread that runs this code, when it has begun.
  local function begin(code, options)
    local before = handoff.get("entered")
    local future, state = mtstates.thread(options or {}, ([[
      local gates, mtstates = require "handoff", require "mtstates"
      gates.add("entered")
      %s
    ]]):format(code))
    handoff.wait("entered", before + 1)
    return future, state
  end
  local function keep(...)
    kept[#kept + 1] = {begin(...)}
  end
  -- A state whose last task is this code.
  local function with_close(code)
    local s = mtstates.newstate({}, ([[
      local gates, mtstates = require "handoff", require "mtstates"
      return {
        call = function(...) return ... end,
        __close = function() %s end
      }
    ]]):format(code))
    kept[#kept + 1] = s
    return s
  end
]==]

local it_closes = helpers.it_needs_closing_exit()

local function own(method, code)
  return ([[
    local s = mtstates.newstate({own_thread = true},
      "return function() %s end")
    s:%s()
  ]]):format(code, method)
end

-- Ways to end, and the exit status; those that close need os.exit to do that.
local ends = {
  {"without an end of its own", "", 0},
  {"by an error", "error('the end', 0)", 1},
  {"by os.exit", "os.exit(3)", 3},
  {"by os.exit that closes", "os.exit(3, true)", 3, it_closes},
  {"by os.exit in a thread", "mtstates.thread('os.exit(3)'):await()", 3},
  {"by os.exit that closes in a thread",
   "mtstates.thread('os.exit(3, true)'):await()", 3},
  {"by os.exit in a detached thread",
   "mtstates.thread('os.exit(3, true)') mtstates.sleep(1000)", 3},
  {"by os.exit in a call of an own thread", own("call", "os.exit(3, true)"),
   3},
  {"by os.exit in a request of an own thread", own("await", "os.exit(3)"), 3},
  {"by os.exit in a request", [[
    mtstates.newstate({}, "return function() os.exit(3, true) end"):await()
  ]], 3},
  {"by os.exit in a last task", "with_close('os.exit(3, true)'):close()", 3},
  {"by os.exit in a cancelled task", [[
    local future = begin("pcall(function() gates.add('in pcall') " ..
      "gates.wait('leave', 1) gates.get('x') end) os.exit(3, true)")
    handoff.wait("in pcall", 1)
    future:cancel()
    handoff.set("leave", 1)
    future:await()
  ]], 3},
  {"after shutdown", "mtstates.shutdown(0.02)", 0}
}

-- What there is at the end.
local scenes = {
  {"threads that run", [[
    keep("while true do end")
    keep("while true do pcall(gates.get, 'x') end")
    keep("coroutine.wrap(function() while true do end end)()")
    keep("while true do pcall(error, {}) end", {name = "named"})
  ]]},
  {"threads that wait", [[
    local held = mtstates.newstate("held", {own_thread = true}, [=[
      local gates = require "handoff"
      return function()
        gates.enter("held", "never", 1)
      end
    ]=])
    held:send()
    handoff.wait("held", 1)
    keep("mtstates.sleep(1000)")
    keep("mtstates.state('held'):await()")
    keep("mtstates.state('held'):call()")
    keep("mtstates.state('nobody', 1000)")
    keep("local f, p = mtstates.promise() f:await()")
    for _, wait in ipairs({"mtstates.sleep(1000)",
        "mtstates.state('held'):await()",
        "local f, p = mtstates.promise() f:await()"}) do
      keep("require 'helpers'.hold(function() " .. wait .. " end)")
    end
    kept[#kept + 1] = {held}
  ]]},
  {"threads that are blocked in C", [[
    keep("gates.wait('never', 1)")
    keep("require 'on_collect'(gates.get) gates.wait('never', 1)")
  ]]},
  {"threads that are detached", [[
    begin("while true do end")
    begin("mtstates.sleep(1000)")
    begin("require 'helpers'.hold(mtstates.sleep, 1000)")
    begin("gates.wait('never', 1)")
    begin("")
    collectgarbage()
    collectgarbage()
  ]]},
  {"threads that start threads", [[
    for i = 1, 2 do
      keep("while true do mtstates.thread('return 1') end")
      keep("while true do pcall(function() mtstates.thread('return 1')" ..
        ":await() end) end")
    end
  ]]},
  {"promises", [[
    local future, promise = mtstates.promise()
    local s = mtstates.newstate({}, function()
      return function(future, promise)
        require "handoff".add("following")
        future:await()
      end
    end)
    s:send(future, promise)
    mtstates.thread(function(future, promise)
      require "handoff".add("following")
      future:await()
    end, mtstates.promise())
    mtstates.thread(function(future, promise)
      require "handoff".add("following")
      require "helpers".hold(future.await, future)
    end, mtstates.promise())
    handoff.wait("following", 3)
    kept[#kept + 1] = {s, future, promise, mtstates.promise()}
  ]]},
  {"last tasks", [[
    for i = 1, 5 do
      with_close("gates.add('closed')")
      with_close("gates.add('closed') mtstates.sleep(0)")
    end
  ]]},
  {"endless last tasks", [[
    with_close("while true do end")
    with_close("while true do pcall(gates.get, 'x') end")
    with_close("mtstates.sleep(1000)")
    with_close("gates.wait('never', 1)")
    with_close("mtstates.thread('while true do end'):await()")
  ]]},
  {"endless last tasks that have begun", [[
    for i, code in ipairs({"while true do end", "mtstates.sleep(1000)",
                           "gates.wait('never', 1)"}) do
      with_close("gates.add('closing') " .. code)
      kept[#kept] = nil
    end
    collectgarbage()
    collectgarbage()
    handoff.wait("closing", 3)
  ]]},
  {"cancelled requests", [[
    for i = 1, 4 do
      local future = begin(
        "while true do pcall(function() while true do end end) end")
      future:cancel()
      kept[i] = future
    end
  ]]}
}

-- Lines that may be written at the end: what is lost, and errors of requests
-- that nobody has waited for.
local function is_expected(line, code)
  return line:find("^mtstates: %d+ requests? w%l+ lost at the end of the " ..
                   "process; see mtstates%.shutdown$")
    or line:find("^mtstates: error: .*abandoned: promise")
    or line:find("^mtstates: error: .*object_closed:")
    or line:find("^mtstates: warning: .* was closed: 1 request failed$")
    or line:find("^mtstates: error: .*interrupted:")
    or line == "stack traceback:" or line:find("^\t")
    or code:find("the end", 1, true) and line:find("the end$")
end

describe("the end of a process", function()
  before_each(helpers.watch("exit with services", 120 * ROUNDS))
  after_each(helpers.unwatch)

  local function run_end(scene, code, status)
    local output, ended = helpers.run_program(prelude .. scene .. code,
      "MTSTATES_WORKERS=2")
    assert.equals(status, ended, output)
    for line in output:gmatch("[^\n]+") do
      assert.truthy(is_expected(line, code), output)
    end
  end

  for _, way in ipairs(ends) do
    local name, code, status, it_ends = helpers.unpack(way, 1, 4)
    for _, scene in ipairs(scenes) do
      (it_ends or it)(("%s, with %s"):format(name, scene[1]), function()
        for _ = 1, ROUNDS do
          run_end(scene[2], code, status)
        end
      end)
    end
  end

  local function run(program, expected, status)
    local output, ended = helpers.run_program(prelude .. program,
      "MTSTATES_WORKERS=2")
    assert.same({expected, status}, {output, ended})
  end

  -- The same of one that does not wait long at its end: where the machine has
  -- other things to do it is run again.
  local function run_in_time(program, expected, status)
    local output, ended
    local tries = 0
    repeat
      output, ended = helpers.run_program(prelude .. program,
        "MTSTATES_WORKERS=2")
      tries = tries + 1
    until output == expected or tries == 20
    assert.same({expected, status}, {output, ended})
  end

  local function lost(count)
    return ("mtstates: %d request%s lost at the end of the process; " ..
      "see mtstates.shutdown\n"):format(count, count == 1 and " was"
      or "s were")
  end

  it("tells how many threads had not ended", function()
    run("keep('while true do end')", lost(1), 0)
    run("keep('gates.wait([[never]], 1)') keep('while true do end')", lost(2),
      0)
    run("keep('') kept[1][1]:await()", "", 0)
  end)

  it("loses nothing after shutdown", function()
    run_in_time([[
      keep("require 'interruptible' while true do end")
      keep("mtstates.sleep(1000)")
      keep("require 'helpers'.hold(mtstates.sleep, 1000)")
      with_close("print('closed')")
      while not mtstates.shutdown() do end -- it does not wait long
      print(true)
      for i = 1, 3 do -- those that wait are ended by closing, too
        local ok, err = pcall(kept[i][1].await, kept[i][1])
        print(ok, err:find(mtstates.error.interrupted, 1, true) ~= nil
          or err:find(mtstates.error.object_closed, 1, true) ~= nil and i > 1)
      end
    ]], "closed\ntrue\n" .. ("false\ttrue\n"):rep(3), 0)
  end)

  it("runs last tasks that are short", function()
    run_in_time("with_close([=[print('closed')]=])", "closed\n", 0)
    run_in_time([[
      for i = 1, 10 do
        with_close("io.write('closed\\n')")
      end
    ]], ("closed\n"):rep(10), 0)
    run("with_close([=[print('closed')]=]) os.exit(3)", "", 3)
  end)

  it("lets last tasks end that have begun, and ask others", function()
    run_in_time([[
      local echo = "return function(...) return ... end"
      local other = mtstates.newstate({}, echo)
      local s = mtstates.newstate({}, [=[
        local gates, mtstates = require "handoff", require "mtstates"
        local other = ...
        return {
          call = function()
            gates.add("entered")
            gates.wait("go", 1)
          end,
          __close = function()
            gates.add("closing")
            local begun = mtstates.now()
            while mtstates.now() < begun + 0.05 do end
            print(other:await("closed"))
          end
        }
      ]=], other)
      local future = s:async("call")
      handoff.wait("entered", 1)
      s:close() -- by the worker that is inside
      handoff.set("go", 1)
      future:await()
      handoff.wait("closing", 1)
      os.exit(0)
    ]], "closed\n", 0)
  end)

  it("runs last tasks that wait until another worker is there", function()
    local output, ended
    local tries = 0
    repeat
      output, ended = helpers.run_program(prelude .. [[
        keep("gates.wait([=[never]=], 1)")
        local s = mtstates.newstate({}, function()
          require "handoff".add("entered")
          return function() require "handoff".wait("never", 1) end
        end)
        s:send()
        handoff.wait("entered", 2)
        with_close("print([=[closed]=])")
      ]], "MTSTATES_WORKERS=1")
      tries = tries + 1
    until output == "closed\n" .. lost(2) or tries == 20
    assert.same({"closed\n" .. lost(2), 0}, {output, ended})
  end)

  it_closes("runs them when os.exit closes", function()
    run_in_time("with_close([=[print('closed')]=]) os.exit(3, true)",
      "closed\n", 3)
  end)
end)
