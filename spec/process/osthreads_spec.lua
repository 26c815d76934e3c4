-- What the module has of the system for threads of its own, and for the end
-- of the process.

local helpers = require "helpers"
local osthreads = require "osthreads"

describe("a thread of the module", function()
  it("has a name, blocks all signals, and can be joined", function()
    local name, blocks_signals, stack, is_blocked_here = osthreads.join()
    assert.equals("spec/thread", name)
    assert.is_true(blocks_signals)
    assert.equals(1, stack)
    assert.is_false(is_blocked_here)
  end)

  it("runs detached #unjoined", function()
    assert.equals("1\n", (helpers.run_program([[
      local osthreads = require "osthreads"
      require("handoff").watchdog(150, "detached thread")
      assert(osthreads.detach())
      while osthreads.runs() == 0 do end
      print(("%d"):format(osthreads.runs()))
    ]])))
  end)
end)

describe("the number of processors", function()
  it("is what the process may use", function()
    local pipe = assert(io.popen("nproc"))
    assert.equals(pipe:read("*n"), osthreads.processors())
    pipe:close()
  end)

  it("is 1 where the process is kept on one", function()
    local status = assert(io.open("/proc/self/status"))
    local first = status:read("*a"):match("Cpus_allowed_list:%s*(%d+)")
    status:close()
    assert.equals("1\n", (helpers.run_program([[
      print(("%d"):format(require("osthreads").processors()))
    ]], "taskset --cpu-list " .. first)))
  end)
end)

describe("the processor time of a thread", function()
  before_each(helpers.watch("processor time"))
  after_each(helpers.unwatch)

  it("grows while the thread computes, not while it sleeps", function()
    local computing, sleeping = osthreads.thread_seconds()
    assert.is_true(computing > 0)
    assert.equals(0, sleeping)
  end)
end)

describe("a wait of a thread", function()
  before_each(helpers.watch("waits of threads", 60))
  after_each(helpers.unwatch)

  for _, way in ipairs({"wait", "until", "join"}) do
    it("goes on when the thread is cancelled: " .. way, function()
      for _ = 1, 20 do
        assert.is_true(osthreads.cancel(way))
      end
    end)
  end

  it("with a deadline sleeps until then, by the clock of that", function()
    assert.is_true(osthreads.wakeups(0.02) < 100)
    assert.equals(0, osthreads.wakeups(-1))
  end)
end)

describe("whether a thread is ready", function()
  before_each(helpers.watch("ready threads"))
  after_each(helpers.unwatch)

  it("is known while it computes and when it sleeps", function()
    assert.same({true, false}, {osthreads.ready(10)})
  end)

  it("can be asked as often as one likes", function()
    local function open_files()
      local list = io.popen("ls /proc/$PPID/fd")
      local _, lines = list:read("*a"):gsub("\n", "")
      list:close()
      return lines
    end
    local before = open_files()
    assert.is_true((osthreads.ready(100)))
    assert.is_true(open_files() < before + 50)
  end)
end)

describe("the end of the process", function()
  for how, code in pairs({exit = "os.exit(3)", ["end"] = "error('end', 0)"}) do
    it("is noticed: " .. how, function()
      local output = helpers.run_program([[
        require("osthreads").on_exit()
        print("still running")
        ]] .. code)
      assert.truthy(output:find("still running\n.*exit\n$"), output)
    end)
  end
end)

describe("a shared object", function()
  -- Opens one, pins it or not, and closes it: whether it is still there.
  local function is_kept(is_pinned)
    local output = helpers.run_program(([[
      local path = os.getenv("MTSTATES_BUILD") .. "/support/cresume.so"
      print(require("osthreads").pin(path, "luaopen_cresume", %s))
    ]]):format(is_pinned))
    return output
  end

  local it_unloads =
    helpers.it_needs(is_kept("false") == "false\n", "dlclose that unloads")

  it_unloads("that is pinned stays in memory", function()
    assert.equals("true\n", is_kept("true"))
  end)
end)
