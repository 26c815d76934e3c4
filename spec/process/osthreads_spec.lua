-- What the module has of the system for threads of its own.

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
      require("handoff").watchdog(60, "detached thread")
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
