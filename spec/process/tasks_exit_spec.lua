-- How processes end in which tasks are suspended, in states and in the main
-- program. Each program has a process of its own.

local assert = require "luassert"
local helpers = require "helpers"

local prelude = [==[
  io.stdout:setvbuf("line")
  local handoff = require "handoff"
  local mtstates = require "mtstates"
  -- Services in which this code runs `count` times, and waits then.
  local states = {}
  local function begin(count, code)
    local s = mtstates.newstate({own_thread = #states % 2 == 1}, ([[
      local mtstates, gates = require "mtstates", require "handoff"
      local kept = {}
      local function future() -- that may be answered later
        local future
        future, kept[#kept + 1] = mtstates.promise()
        return future
      end
      guard = {kept, future}
      return function(what)
        if what then
          %s
        end
      end
    ]]):format(code))
    for _ = 1, count do
      s:send(1)
    end
    pcall(s.await, s) -- may be closed already
    states[#states + 1] = s
    return s
  end
  -- Forks of the main program: suspended ones, and one that has not begun.
  local function fork()
    mtstates.fork(mtstates.sleep, 1000)
    local future, promise = mtstates.promise()
    kept = promise
    mtstates.fork(function() future:await() end)
    mtstates.fork(function()
      local s = mtstates.newstate({}, [[
        return require "mtstates".sleep
      ]])
      s:await(1000)
    end)
    mtstates.sleep(0.001)
    mtstates.fork(function()
      io.write("has begun\n") -- at once: the process may end beside it
    end)
  end
]==]

local LOST = "^mtstates: %d+ requests? w%l+ lost at the end of the " ..
  "process; see mtstates%.shutdown\n$"

local it_closes = helpers.it_needs_closing_exit()

-- Ways to end, and the exit status; those that close need os.exit to do that.
local ends = {
  {"without an end of its own", "", 0},
  {"by os.exit", "os.exit(3)", 3},
  {"by os.exit that closes", "os.exit(3, true)", 3, it_closes},
  {"by os.exit in a fork", [[
    mtstates.fork(function() os.exit(3, true) end)
    mtstates.sleep(60)
  ]], 3},
  {"by os.exit in a fork that has waited", [[
    mtstates.fork(function() mtstates.sleep(0.001) os.exit(3, true) end)
    mtstates.sleep(60)
  ]], 3},
  {"by os.exit in a task that has waited", [[
    begin(1, "mtstates.sleep(0.001) os.exit(3, true)")
    mtstates.sleep(60)
  ]], 3},
  {"by os.exit in a coroutine of a task that has waited", [[
    begin(1, "coroutine.wrap(function() mtstates.sleep(0.001) " ..
      "os.exit(3, true) end)()")
    mtstates.sleep(60)
  ]], 3},
  {"by os.exit in a fork of a state", [[
    begin(1, "mtstates.fork(function() mtstates.sleep(0.001) " ..
      "os.exit(3, true) end) mtstates.sleep(60)")
    mtstates.sleep(60)
  ]], 3},
}

describe("the end of a process", function()
  before_each(helpers.watch("exit with tasks"))
  after_each(helpers.unwatch)

  for _, way in ipairs(ends) do
    local name, code, status = way[1], way[2], way[3]
    local it_ends = way[4] or it

    -- Tasks are lost; some of these programs end before they can tell.
    local function run_end(program)
      local output, ended = helpers.run_program(prelude .. program .. code,
        "MTSTATES_WORKERS=2")
      assert.equals(status, ended, output)
      output = output:gsub("has begun\n", "")
        :gsub("mtstates: error: [^\n]*abandoned[^\n]*\n", "")
      assert.truthy(output == "" or output:find(LOST), output)
    end

    it_ends(name .. ", with tasks that are suspended", function()
      run_end([[
        begin(10, "mtstates.sleep(1000)")
        begin(10, "mtstates.sleep(math.huge)")
        begin(10, "future():await()")
        begin(10, "future():tawait(1000)")
      ]])
    end)

    it_ends(name .. ", with tasks that wait for others", function()
      run_end([[
        for i = 1, 4 do
          begin(10, ("mtstates.state(%.0f):await(1)"):format(
            begin(0, "mtstates.sleep(1000)"):id()))
        end
      ]])
    end)

    it_ends(name .. ", with tasks that go on all the time", function()
      run_end([[
        begin(10, "while true do mtstates.sleep(0) end")
        begin(10, "while true do mtstates.sleep(1e-5) end")
        begin(10, "while true do mtstates.state(mtstates.id()):await() end")
        begin(10, "while true do mtstates.fork(type):cancel() " ..
          "mtstates.fork(mtstates.now):await() end")
      ]])
    end)

    it_ends(name .. ", with forks of states", function()
      run_end([[
        begin(1, "for i = 1, 100 do mtstates.fork(mtstates.sleep, 1000) end")
        begin(1, "for i = 1, 100 do mtstates.fork(function() " ..
          "while true do mtstates.sleep(1e-5) end end) end")
      ]])
    end)

    it_ends(name .. ", with forks of the main program", function()
      run_end("fork()")
    end)

    it_ends(name .. ", with deferred replies", function()
      run_end([[
        begin(10, "return future()")
        begin(10, "return mtstates.fork(mtstates.sleep, 1000)")
      ]])
    end)
  end

  it("tells how many requests are lost, suspended ones, too", function()
    local output, ended = helpers.run_program(prelude .. [[
      begin(3, "mtstates.sleep(1000)")
      begin(4, "future():await()")
    ]], "MTSTATES_WORKERS=2")
    assert.equals(0, ended)
    assert.truthy(output:find(LOST), output)
    assert.equals("7", output:match("%d+"))
  end)

  it("tells of forks of states, and of answers that are to follow", function()
    local output, ended = helpers.run_program(prelude .. [[
      begin(3, "mtstates.fork(mtstates.sleep, 1000)")
      local s = begin(0, "return future()")
      futures = {s:async(1), s:async(1)}
      pcall(s.await, s)
      assert(mtstates.stats().requests == 5)
      os.exit(0)
    ]], "MTSTATES_WORKERS=2")
    assert.equals(0, ended)
    assert.truthy(output:find(LOST), output)
    assert.equals("5", output:match("%d+"))
  end)

  it("loses no fork that was cancelled before it began", function()
    local output, ended = helpers.run_program(prelude .. [[
      begin(2, "mtstates.fork(print, 'has begun'):cancel()")
      os.exit(0)
    ]], "MTSTATES_WORKERS=2")
    assert.same({"", 0}, {output, ended})
  end)

  it("counts no fork that was cancelled when its state quits", function()
    local output, ended = helpers.run_program(prelude .. [[
      local s = begin(0, "mtstates.fork(type):cancel() mtstates.quit()")
      s:await(1)
      local count
      for _ = 1, 2000 do
        count = mtstates.stats().requests
        if count == 0 and not pcall(s.stats, s) then
          break
        end
        mtstates.sleep(0.005)
      end
      print(count, pcall(s.stats, s))
    ]], "MTSTATES_WORKERS=2")
    assert.equals(0, ended)
    assert.equals(1, output:find("0%s+false%s"), output)
  end)

  it("by an error has the status of an error", function()
    local output, status = helpers.run_program(prelude .. [[
      fork()
      error("the end", 0)
    ]])
    assert.equals(1, status)
    assert.truthy(output:find("the end", 1, true), output)
  end)

  it("does not run what is suspended any more", function()
    local output
    local tries = 0
    repeat -- where the program is late, what sleeps goes on in the sleep(0)
      local status
      output, status = helpers.run_program(prelude .. [[
        for _ = 1, 10 do
          mtstates.fork(function()
            mtstates.sleep(0.001)
            print("goes on")
          end)
        end
        mtstates.sleep(0)
        local last = mtstates.fork(print, "begins")
      ]])
      assert.equals(0, status)
      output = output:gsub("mtstates: [^\n]*\n", "")
      tries = tries + 1
    until output == "" or tries == 20
    assert.equals("", output)
  end)

  it("lets forks of the main program be done before", function()
    local output, status = helpers.run_program(prelude .. [[
      local last
      for i = 1, 3 do
        last = mtstates.fork(function()
          mtstates.sleep(i / 1000)
          print(i)
        end)
      end
      last:await()
    ]])
    assert.same({"1\n2\n3\n", 0}, {output, status})
  end)
end)
