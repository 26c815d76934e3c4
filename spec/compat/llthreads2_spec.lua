-- examples/compat/llthreads2.lua: programs as users of lua-llthreads2 write
-- them, and every function and every error text.

local assert = require "luassert"
local gates = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local FOLDER = "examples/compat/?.lua;"

-- Code of a thread: at the gate `entered` it arrives, for `leave` it waits.
local HELD = [[
  local gates = require "handoff"
  local entered, leave = ...
  gates.enter(entered, leave, 1)
  return "left"
]]

-- Code of a thread: runs until it is interrupted.
local SPINNING = [[
  require "interruptible"
  require "handoff".add((...))
  while true do end
]]

describe("the adaptor for llthreads2", function()
  local path = package.path
  local ex, llthreads

  setup(function()
    package.path = FOLDER .. path
    llthreads, ex = require "llthreads2", require "llthreads2.ex"
  end)
  teardown(function()
    package.path = path
    package.loaded["llthreads2"], package.loaded["llthreads2.ex"] = nil, nil
  end)
  before_each(helpers.watch("llthreads2"))
  after_each(helpers.unwatch)

  -- Runs a program of its own, which can require the adaptor.
  local function run(program)
    return helpers.run_program("package.path = '" .. FOLDER .. "' .. "
      .. "package.path local llthreads = require 'llthreads2' " .. program)
  end

  local function joined(thread, ...)
    return helpers.pack(thread:join(...))
  end

  -- A thread that has begun to run HELD, or code, and the gate that ends it.
  local function hold(code, ...)
    local entered, leave = gates.unique("entered"), gates.unique("leave")
    local thread = llthreads.new(code or HELD, entered, leave)
    assert.equal(thread, thread:start(...))
    gates.wait(entered, 1)
    return thread, leave
  end

  describe("new", function()
    it("makes a thread that is not started", function()
      local gate = gates.unique()
      local thread = llthreads.new("require 'handoff'.add(...)", gate)
      assert.same({false, false, false}, {thread:started(), thread:detached(),
        thread:joinable()})
      assert.is_nil(thread:alive())
      assert.same({nil, "Can't join a thread that hasn't be started.", n = 2},
        joined(thread))
      assert.equal(0, gates.get(gate))
      thread:start()
      assert.same({true, n = 1}, joined(thread))
      assert.equal(1, gates.get(gate))
    end)

    it("copies arguments at once", function()
      local list = {1}
      local thread = llthreads.new("return (...)[1], select('#', ...), ...",
        list, nil, "x", nil)
      list[1] = 2
      assert.same({true, 1, 4, {1}, nil, "x", nil, n = 7},
        joined(thread:start()))
    end)

    it("raises a syntax error", function()
      local ok, message = pcall(llthreads.new, "return return")
      assert.is_false(ok)
      assert.matches('^%[string "return return"%]:1: .+', message)
    end)

    it("says which argument is wrong", function()
      helpers.bad_argument(1, "new", "string expected, got nil", llthreads.new)
      helpers.bad_argument(1, "new", "got table", llthreads.new, {})
      helpers.bad_argument(1, "new", "got nil", ex.new)
      helpers.bad_argument(1, "new", "got table", ex.new, {})
      local thread = coroutine.create(function() end)
      helpers.bad_argument(3, "new", "thread cannot be", llthreads.new, "", 1,
        thread)
      helpers.bad_argument(2, "new", "thread cannot be", ex.new, "", thread)
    end)

    helpers.it_with_globals("takes functions, with upvalues", function()
      local offset = 10
      local function add(n) return n + offset end
      assert.same({true, 11, n = 2}, joined(llthreads.new(add, 1):start()))
      assert.same({true, 12, n = 2}, joined(ex.new(add, 2):start()))
    end)

    it("takes code that was compiled", function()
      local f = helpers.compile("return ..., 'compiled'")
      assert.same({true, 1, "compiled", n = 3},
        joined(llthreads.new(string.dump(f), 1):start()))
    end)
  end)

  describe("start", function()
    it("works once", function()
      local thread = llthreads.new("return 1")
      assert.equal(thread, thread:start())
      assert.same({nil, "Thread already started."}, {thread:start()})
      assert.same({true, 1, n = 2}, joined(thread))
      assert.same({nil, "Thread already started."}, {thread:start()})
    end)

    -- What start gets; detached, joinable; what join gives.
    local detached = {nil, "Can't join a thread that has been detached.",
      n = 2}
    for name, case in pairs {
      ["nothing"] = {{}, false, true, {true, "left", n = 2}},
      ["false"] = {{false, n = 1}, false, true, {true, "left", n = 2}},
      ["false, true"] = {{false, true, n = 2}, false, true,
        {true, "left", n = 2}},
      ["false, false"] = {{false, false, n = 2}, false, false, {true, n = 1}},
      ["false, nil"] = {{false, nil, n = 2}, false, false, {true, n = 1}},
      ["true"] = {{true, n = 1}, true, false, detached},
      ["true, false"] = {{true, false, n = 2}, true, false, detached},
      ["true, true"] = {{true, true, n = 2}, true, true, {true, n = 1}},
    } do
      it("takes " .. name, function()
        local arguments = case[1]
        local thread, leave = hold(nil,
          helpers.unpack(arguments, 1, arguments.n))
        assert.same({true, case[2], case[3], true}, {thread:started(),
          thread:detached(), thread:joinable(), thread:alive()})
        gates.set(leave, 1)
        assert.same(case[4], joined(thread))
        helpers.wait_until(function() return not thread:alive() end)
        assert.is_false(thread:alive())
        assert.is_true(thread:started())
      end)
    end

    it("has each thread be one of its own", function()
      local code = "return require 'handoff'.tid()"
      local a = select(2, llthreads.new(code):start():join())
      local b = select(2, llthreads.new(code):start():join())
      assert.equal("number", type(a))
      assert.is_true(a ~= gates.tid() and b ~= gates.tid())
    end)

    it("has threads that give nothing close their state themselves", function()
      for _, is_detached in ipairs {true, false} do
        local closed = gates.unique("closed")
        local thread = llthreads.new([[
          local gate = ...
          guard = require "on_collect"(function()
            require "handoff".add(gate)
          end)
        ]], closed)
        thread:start(is_detached, false)
        gates.wait(closed, 1)
      end
    end)
  end)

  describe("join", function()
    it("gives results once, of any number", function()
      local thread = llthreads.new("return nil, {x = {1}}, nil"):start()
      assert.same({true, nil, {x = {1}}, nil, n = 4}, joined(thread))
      assert.same({nil, "Can't join a thread that has already been joined.",
        n = 2}, joined(thread))
    end)

    it("has a timeout", function()
      local thread, leave = hold()
      local start = mtstates.now()
      assert.same({nil, "timeout", n = 2}, joined(thread, 0))
      assert.same({nil, "timeout", n = 2}, joined(thread, 20)) -- milliseconds
      local seconds = mtstates.now() - start
      assert.is_true(seconds >= 0.02 and seconds < 15)
      assert.is_true(thread:alive())
      gates.set(leave, 1)
      assert.same({true, "left", n = 2}, joined(thread, 60000))
      thread, leave = hold()
      gates.set(leave, 1)
      assert.same({true, "left", n = 2}, joined(thread, -1))
    end)

    it("gives errors: text with a traceback, other values", function()
      local silent = "require 'llthreads2'.set_logger(function() end) "
      local results = joined(llthreads.new(silent
        .. "error('no luck', 0)"):start())
      assert.equal(2, results.n)
      assert.is_false(results[1])
      assert.matches("^no luck\nstack traceback:\n", results[2])
      assert.same({false, {code = 404}, n = 2},
        joined(llthreads.new(silent .. "error({code = 404})"):start()))
      assert.same({false, 7, n = 2},
        joined(llthreads.new(silent .. "error(7, 0)"):start()))
    end)

    it("says which result cannot cross", function()
      local results = joined(llthreads.new(
        "return 1, coroutine.create(function() end)"):start())
      assert.is_false(results[1])
      assert.matches("result #3 is a thread", results[2], 1, true)
    end)

    it("returns when finalizers of the thread have run", function()
      local closed = gates.unique("closed")
      llthreads.new([[
        local gate = ...
        guard = require "on_collect"(function()
          require "handoff".add(gate)
        end)
      ]], closed):start():join()
      assert.equal(1, gates.get(closed))
    end)
  end)

  it("waits for nothing when thread objects are collected", function()
    local leaves = {}
    local function start(...)
      local _, leave = hold(nil, ...)
      leaves[#leaves + 1] = leave
    end
    start()
    start(true)
    start(true, true)
    start(false, false)
    llthreads.new("")
    helpers.collect() -- joins nothing, or this spec would hang
    for _, leave in ipairs(leaves) do
      gates.set(leave, 1)
    end
  end)

  describe("interrupt", function()
    local silent = "require 'llthreads2'.set_logger(function() end) "

    it("stops code", function()
      local thread = hold(silent .. SPINNING)
      thread:interrupt()
      local results = joined(thread)
      assert.is_false(results[1])
      assert.matches(llthreads.interrupted_error, results[2])
      thread:interrupt() -- has no effect any more
    end)

    it("can be caught", function()
      local thread = hold([[
        require "interruptible"
        local gate = ...
        return pcall(function()
          require "handoff".add(gate)
          while true do end
        end)
      ]])
      thread:interrupt()
      local results = joined(thread)
      assert.same({true, false}, {results[1], results[2]})
      assert.matches(llthreads.interrupted_error, results[3])
    end)

    it("with true stops code that goes on", function()
      local thread = hold(silent .. [[
        require "interruptible"
        local gate = ...
        pcall(function()
          require "handoff".add(gate)
          while true do end
        end)
        while true do end
      ]])
      thread:interrupt(true)
      local results = joined(thread)
      assert.is_false(results[1])
      assert.matches(llthreads.interrupted_error, results[2])
    end)
  end)

  describe("the logger", function()
    it("gets the text of what ends the thread", function()
      local box = gates.unique("log")
      local code = [[
        local box, err = ...
        require "llthreads2".set_logger(function(text)
          require "handoff".put(box, text)
        end)
        error(err, 0)
      ]]
      llthreads.new(code, box, "no luck"):start(true)
      assert.matches("^Error from thread: no luck\nstack traceback:",
        gates.take(box))
      llthreads.new(code, box, {}):start():join()
      assert.matches("^Error from thread: table", gates.take(box))
    end)

    it("is stderr if there is none, and may fail", function()
      local output, status = run([[
        print(llthreads.new("error('no luck', 0)"):start():join() == false)
        print(llthreads.new("require 'llthreads2'.set_logger(error) error(1)")
          :start():join())
      ]])
      assert.matches("Error from thread: no luck\nstack", output, 1, true)
      assert.equal(1, helpers.count(output, "Error from thread"))
      -- 5.1 and 5.2 put the place of the error in front of numbers, too.
      assert.matches("true\nfalse\t[^\n]*1\n", output)
      assert.equal(0, status)
    end)
  end)

  describe("at the end of the program", function()
    local slow = "print(llthreads.new([[require 'handoff'.wait('go', 1) "
      .. "require 'mtstates'.sleep(0.3) print 'done']]):start(%s) ~= nil) "
      .. "require 'handoff'.set('go', 1)"

    it("waits for attached threads", function()
      for _, arguments in ipairs {"", "false, true", "false, false"} do
        local output, status = run(slow:format(arguments))
        assert.equal("true\ndone\n", output)
        assert.equal(0, status)
      end
    end)

    it("does not wait for others", function()
      local loop = "llthreads.new('while true do end'):start(%s) print 'end'"
      for _, arguments in ipairs {"true", "true, true"} do
        local output, status = run(loop:format(arguments))
        assert.matches("end\n", output, 1, true)
        assert.equal(0, status)
      end
    end)
  end)

  describe("ex", function()
    local file

    before_each(function()
      file = os.tmpname()
    end)
    after_each(function()
      os.remove(file)
    end)
    local function write(text)
      local handle = assert(io.open(file, "w"))
      assert(handle:write(text))
      handle:close()
    end

    it("runs files, and sets arg", function()
      write("return arg[0], arg.n, arg[2], ...")
      assert.same({true, file, 2, "x", nil, "x", n = 6},
        joined(ex.new("@" .. file, nil, "x"):start()))
      assert.same({true, "=(loadstring)", 1, n = 3},
        joined(ex.new("return arg[0], arg.n", 1):start()))
    end)

    it("has a prelude that can change the arguments", function()
      local source = "return select('#', ...), ..."
      for _, prelude in ipairs {
        "return 1, nil, ...", helpers.compile("return 1, nil, ...")
      } do
        assert.same({true, 3, 1, nil, "a", n = 5},
          joined(ex.new({source, prelude = prelude}, "a"):start()))
      end
      write("return ..., 'from a file'")
      assert.same({true, 2, "a", "from a file", n = 4}, joined(ex.new({
        source = source, prelude = "@" .. file}, "a"):start()))
    end)

    it("runs lua_init first", function()
      local options = {"return made", lua_init = "made = 1"}
      assert.same({true, 1, n = 2}, joined(ex.new(options):start()))
      options.lua_init = helpers.compile("made = 2")
      assert.same({true, 2, n = 2}, joined(ex.new(options):start()))
      options.lua_init = false
      assert.same({true, nil, n = 2}, joined(ex.new(options):start()))
    end)

    it("runs LUA_INIT of the environment without that", function()
      local program = "package.path = '" .. FOLDER .. "' .. package.path "
        .. "print(require 'llthreads2.ex'.new(%s):start():join())"
      for source, expected in pairs {
        ["'return made'"] = "true\t3\n",
        ["{'return made', lua_init = false}"] = "true\tnil\n",
      } do
        assert.equal(expected, (helpers.run_program(program:format(source),
          "LUA_INIT='made = 3'")))
      end
    end)

    it("tells of wrong code and missing files when it is joined", function()
      local silent = "require 'llthreads2'.set_logger(function() end)"
      for source, message in pairs {
        ["return return"] = "return", ["@" .. file .. "x"] = "x",
      } do
        local results = joined(ex.new({source, lua_init = silent}):start())
        assert.is_false(results[1])
        assert.matches(message, results[2], 1, true)
      end
    end)
  end)

  it("is there in threads, whatever package.path is", function()
    assert.same({true, true, 5, n = 3}, joined(llthreads.new([[
      package.path = ""
      local llthreads = require "llthreads2"
      return llthreads.new("return 5"):start():join()
    ]]):start()))
  end)

  it("can be handed to threads", function()
    assert.same({true, true, 5, n = 3}, joined(llthreads.new([[
      local new = ...
      return new("return ...", 5):start():join()
    ]], llthreads.new):start()))
  end)

  it("has a version", function()
    assert.equal(llthreads._VERSION,
      ("%d.%d.%d-%s"):format(llthreads.version()))
    assert.equal(llthreads._VERSION, ex._VERSION)
    assert.equal(mtstates.error.interrupted, llthreads.interrupted_error)
  end)

  it("runs many threads that start threads", function()
    local code = [[
      local count, code = ...
      local llthreads, threads = require "llthreads2", {}
      for i = 1, count do
        threads[i] = assert(llthreads.new(code, i, nil, true):start())
      end
      local sum = 0
      for i = 1, count do
        local _, n, none, yes = assert(threads[i]:join())
        sum = sum + n + (none == nil and yes and 0 or count)
      end
      return sum
    ]]
    assert.same({true, 5050, n = 2},
      joined(llthreads.new(code, 100, "return ..."):start()))
  end)
end)
