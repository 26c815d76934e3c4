-- luv ends the process when an error leaves one of its callbacks. What
-- docs/faq.md says about interrupts and luv loops is true.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("an interrupt and a luv loop", function()
  before_each(helpers.watch("luv"))
  after_each(helpers.unwatch)

  it("end the process, pcall or not #unjoined", function()
    local output, status = helpers.run_program([[
      local mtstates = require "mtstates"
      local threads = require "threads"
      local server = mtstates.newstate(function()
        require "interruptible"
        local gates = require "handoff"
        local luv = require "luv"
        return function()
          luv.new_timer():start(0, 1, function()
            pcall(gates.add, "running")
          end)
          luv.run()
        end
      end)
      threads.start(function(id)
        require("handoff").wait("running", 1)
        require("mtstates").state(id):interrupt(true)
      end, server:id())
      server:call()
    ]])
    assert.equal(255, status)
    assert.equal(1, output:find("Uncaught Error: mtstates.error.interrupted",
                                1, true), output)
  end)

  it("do not if the callback calls another state that is hit", function()
    local count, started = 10, handoff.unique("started")
    local worker = mtstates.newstate(function(gate)
      require "interruptible"
      local gates = require "handoff"
      return function()
        gates.add(gate)
        while true do end
      end
    end, started)
    local server = mtstates.newstate(function(worker_id, rounds)
      local luv = require "luv"
      local inner = require "mtstates"
      local state = inner.state(worker_id)
      return function()
        local hits = 0
        local timer = luv.new_timer()
        timer:start(0, 1, function()
          local ok, err = pcall(state.call, state)
          if not ok and err:match(inner.error.interrupted) then
            hits = hits + 1
          end
          if hits == rounds then
            timer:close()
          end
        end)
        luv.run()
        return hits
      end
    end, worker:id(), count)
    local thread = threads.start(function(id, gate, rounds)
      local gates = require "handoff"
      local state = require("mtstates").state(id)
      for i = 1, rounds do
        gates.wait(gate, i)
        state:interrupt()
      end
    end, worker:id(), started, count)
    assert.equal(count, server:call())
    thread:results()
  end)
end)
