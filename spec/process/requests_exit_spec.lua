-- How processes end whose workers run, and child processes, which have none.
-- Each program has a process of its own, whose exit status is checked.

local helpers = require "helpers"

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local host = require "host"
  local mtstates = require "mtstates"
  -- A state with a request that runs this code; then others that wait.
  local function begin(code, waiting)
    local s = mtstates.newstate({}, ([[
      local gates, mtstates = require "handoff", require "mtstates"
      return function()
        gates.add("entered")
        %s
      end
    ]]):format(code))
    local before = handoff.get("entered")
    s:send()
    handoff.wait("entered", before + 1)
    for i = 1, waiting or 0 do
      s:send()
    end
    return s
  end
]==]

local function lost(count)
  return ("mtstates: %d request%s lost at the end of the process; " ..
    "see mtstates.shutdown\n"):format(count, count == 1 and " was" or "s were")
end

local function run(program, expected, status)
  local output, ended = helpers.run_program(prelude .. program,
    "MTSTATES_WORKERS=2")
  assert.same({expected, status}, {output, ended})
end

local it_closes = helpers.it_needs_closing_exit()

-- Ways to end, and the exit status; those that close need os.exit to do that.
local ends = {
  {"without an end of its own", "", 0},
  {"by os.exit", "os.exit(3)", 3},
  {"by os.exit that closes", "os.exit(3, true)", 3, it_closes},
  {"by os.exit in a coroutine",
   "coroutine.wrap(function() os.exit(3, true) end)()", 3, it_closes},
  {"by os.exit in a call", [[
    mtstates.newstate("return function() os.exit(3, true) end"):call()
  ]], 3},
  {"by os.exit in a request", [[
    mtstates.newstate("return function() os.exit(3, true) end"):await()
  ]], 3},
  {"by os.exit without closing in a request", [[
    mtstates.newstate("return function() os.exit(3) end"):await()
  ]], 3},
  {"by os.exit in a coroutine of a request", [[
    mtstates.newstate([=[
      return function()
        coroutine.wrap(function() os.exit(3, true) end)()
      end
    ]=]):await()
  ]], 3},
  {"by os.exit in a finalizer that a request runs", [[
    mtstates.newstate([=[
      return function()
        require "on_collect"(function() os.exit(3, true) end)
        collectgarbage()
        collectgarbage()
      end
    ]=]):await()
  ]], 3},
}

describe("the end of a process", function()
  before_each(helpers.watch("exit with requests"))
  after_each(helpers.unwatch)

  for _, way in ipairs(ends) do
    local name, code, status = way[1], way[2], way[3]
    local it_ends = way[4] or it

    -- A request that makes the process end is no lost one, but some of those
    -- programs end before they can tell: the line may be there or not.  States
    -- that others still ask can be closed by then, which is told, too.
    local function run_end(program, is_lossy)
      local output, ended = helpers.run_program(prelude .. program .. code,
        "MTSTATES_WORKERS=2")
      assert.equals(status, ended, output)
      if output ~= "" then
        assert.truthy(output:find("mtstates: %d+ requests? w%l+ lost at " ..
          "the end of the process; see mtstates%.shutdown\n$"), output)
      end
      if is_lossy then
        assert.is_true(output ~= "" or code:find("exit(3)", 1, true) ~= nil)
      end
    end

    it_ends(name .. ", with parked workers", function()
      run_end([[
        local s = begin("", 20)
        s:await()
      ]])
    end)

    it_ends(name .. ", with requests that wait in C", function()
      run_end([[
        local a = begin("gates.wait('never', 1)", 3)
        local b = begin("gates.wait('never', 1)", 3)
        local c = begin("gates.wait('never', 1)", 3)
      ]], true)
    end)

    it_ends(name .. ", with requests that loop for ever", function()
      run_end([[
        local a = begin("while true do end", 3)
        local b = begin("while true do pcall(gates.get, 'x') end", 3)
        local c = begin("while true do pcall(error, {}) end", 3)
        local d = begin("coroutine.wrap(function() while true do end end)()")
      ]], true)
    end)

    it_ends(name .. ", with requests that wait for each other", function()
      run_end([[
        local held = mtstates.newstate("held", {}, function()
          local gates = require "handoff"
          return function()
            gates.enter("entered", "never", 1)
          end
        end)
        held:send()
        handoff.wait("entered", 1)
        local a = begin("mtstates.state('held'):await()", 3)
        local b = begin("mtstates.state('held'):call()", 3)
        local c = begin("mtstates.sleep(1000)", 3)
        local d = begin("mtstates.state('nobody', 1000)", 3)
        local hold = "require 'helpers'.hold(%s)"
        local e = begin(hold:format("function() " ..
          "mtstates.state('held'):await() end"), 3)
        local f = begin(hold:format("mtstates.sleep, 1000"), 3)
      ]], true)
    end)

    it_ends(name .. ", while foreign threads await", function()
      run_end([[
        local held = mtstates.newstate("held", {queue = 1}, function()
          local gates = require "handoff"
          return function()
            gates.enter("entered", "never", 1)
          end
        end)
        held:send()
        handoff.wait("entered", 1)
        for _, method in ipairs({"await", "send", "send", "async", "call"}) do
          host.start(([=[
            local gates = require "handoff"
            local s = require "mtstates".state("held")
            gates.put("waiter", gates.tid())
            pcall(s.%s, s)
            gates.wait("never", 1)
          ]=]):format(method))
        end
        for i = 1, 5 do
          handoff.wait_asleep(handoff.take("waiter"))
        end
      ]], true)
    end)

    it_ends(name .. ", while everybody sends", function()
      run_end([[
        busy = {}
        for i = 1, 4 do
          busy[i] = mtstates.newstate("busy " .. i, {queue = 8}, [=[
            local mtstates = require "mtstates"
            local n = 0
            return function(i)
              n = n + 1
              if n % 10 == 0 then
                require "handoff".add("busy")
              end
              mtstates.state("busy " .. i % 4 + 1):send(i % 4 + 1)
            end
          ]=])
        end
        busy[1]:send(1)
        for i = 5, 8 do
          busy[i] = mtstates.newstate("busy " .. i, {queue = 8}, [=[
            local mtstates = require "mtstates"
            local self
            local n = 0
            return function()
              n = n + 1
              require "handoff".add("busy")
              self = self or mtstates.state(mtstates.id())
              self:send()
            end
          ]=])
          busy[i]:send()
          host.start(([=[
            local s = require "mtstates".state("busy %d")
            require "handoff".add("found")
            repeat until not pcall(s.send, s)
            require "handoff".wait("never", 1)
          ]=]):format(i))
        end
        handoff.wait("found", 4)
        handoff.wait("busy", 1000)
      ]])
    end)
  end

  it("by an error has the status of an error", function()
    local output, status = helpers.run_program(prelude .. [[
      local a = begin("while true do end", 2)
      error("the end", 0)
    ]])
    assert.equals(1, status)
    assert.truthy(output:find("the end", 1, true), output)
    assert.truthy(output:find(lost(3), 1, true), output)
  end)

  it("tells how many requests are lost", function()
    run([[
      local a = begin("gates.wait('never', 1)", 3)
      local b = begin("", 10)
      b:await()
    ]], lost(4), 0)
    run([[
      local a = begin("while true do end", 2)
      local b = begin("gates.wait('never', 1)", 1)
    ]], lost(5), 0)
    run("local b = begin('', 10) b:await()", "", 0)
  end)

  -- What waits in the state whose code ends the process, what is suspended
  -- there, and the main program, whose request is one of them.
  for _, kind in ipairs {"newstate('exiting', {}", "pool('exiting', 1",
      "newstate('exiting', {own_thread = true}"} do
    it("tells of those of a state that ends it, too: " .. kind, function()
      run(([[
        local s = mtstates.%s, function()
          local mtstates, gates = require "mtstates", require "handoff"
          return function(what)
            if what == "suspend" then
              mtstates.sleep(1000)
            elseif what == "exit" then
              gates.add("entered")
              while mtstates.state("exiting"):stats().queue < 4 do
                gates.breathe()
              end
              os.exit(3, true)
            end
          end
        end)
        for _ = 1, 3 do
          s:send("suspend")
        end
        s:await()
        s:send("exit")
        handoff.wait("entered", 1)
        for _ = 1, 3 do
          s:send()
        end
        s:await()
      ]]):format(kind), lost(7), 3)
    end)
  end

  local makers = {
    ["a state"] = "newstate({},", ["a pool without owners"] = "pool(2,",
    ["an own thread"] = "newstate({own_thread = true},",
  }
  for of, maker in pairs(makers) do
    it("interrupts Lua code that runs in requests of " .. of, function()
      local expected = "mtstates.error.interrupted: the running code was " ..
        "stopped\n" .. lost(1)
      local program = prelude .. ([[
        local s = mtstates.%s [=[
          local gates = require "handoff"
          require "interruptible"
          return function()
            xpcall(function()
              gates.add("entered")
              while true do end
            end, print)
          end
        ]=])
        s:send()
        handoff.wait("entered", 1)
      ]]):format(maker)
      if of == "an own thread" then -- all workers are parked
        program = program .. [[
          repeat until mtstates.stats().idle == 2
          os.exit(0)
        ]]
      end
      local output, status
      local tries = 0
      repeat -- the process does not wait long for it
        output, status = helpers.run_program(program, "MTSTATES_WORKERS=2")
        tries = tries + 1
      until output == expected or tries == 20
      assert.same({expected, 0}, {output, status})
    end)
  end

  it("writes what the logger has not got", function()
    local output, status = helpers.run_program(prelude .. [[
      mtstates.logger(begin("gates.wait('never', 1)"))
      local s = mtstates.newstate({}, "return function() error'unseen' end")
      s:send()
      assert(not pcall(s.await, s))
    ]], "MTSTATES_WORKERS=2")
    assert.truthy(output:find("^mtstates: error: [^\n]*unseen"), output)
    assert.truthy(output:find(lost(1), 1, true), output)
    assert.equals(0, status)
  end)

  it("writes what is behind other requests of the logger", function()
    local output, status = helpers.run_program(prelude .. [[
      local logger = begin("gates.wait('never', 1)")
      mtstates.logger(logger)
      local s = mtstates.newstate({}, "return function() error'unseen' end")
      logger:send("return 1")
      for _ = 1, 2 do
        s:send()
        assert(not pcall(s.await, s))
        logger:send("return 1")
      end
    ]], "MTSTATES_WORKERS=2")
    local _, count = output:gsub("mtstates: error: [^\n]*unseen", "")
    assert.equals(2, count, output)
    assert.equals(0, status)
  end)

  it("lets no Lua code run in states that are closed", function()
    run([[
      local s = mtstates.newstate({}, [=[
        local mtstates = require "mtstates"
        guard = require "on_collect"(function() closed = true end)
        return function()
          require "handoff".add("entered")
          while not closed do end
          print("still running")
        end
      ]=])
      s:send()
      handoff.wait("entered", 1)
    ]], lost(1), 0)
  end)
end)
