local helpers = require "helpers"

-- mtstates.here in a loop of cqueues, which polls the descriptor.

describe("a cqueues loop", function()
  it("runs requests and forks of its program, and is not held up", function()
    local output, status = helpers.run_program([[
      local cqueues = require "cqueues"
      local mtstates = require "mtstates"
      local ticks, is_over = 0, false

      local here = mtstates.here(function(n)
        local before = ticks
        repeat mtstates.sleep(0.001) until ticks > before
        return n + 1
      end)
      local asker = mtstates.newstate({}, function(program)
        return function(n)
          local sum = 0
          for i = 1, n do
            sum = sum + program:await(i)
          end
          return sum
        end
      end, here)
      local answer
      mtstates.fork(function()
        answer = asker:await(20)
        is_over = true
      end)

      local loop = cqueues.new()
      loop:wrap(function()
        local source = {pollfd = here:fd(), events = "r"}
        here:run() -- what was there before
        while not is_over do
          cqueues.poll(source)
          here:run()
        end
      end)
      loop:wrap(function()
        while not is_over do
          cqueues.sleep(0.001)
          ticks = ticks + 1
        end
      end)
      assert(loop:loop())
      print(answer, ticks >= 20)
    ]])
    assert.equal("230\ttrue\n", output)
    assert.equal(0, status)
  end)

  it("gets calls of other threads in line", function()
    local output, status = helpers.run_program([[
      local cqueues = require "cqueues"
      local mtstates = require "mtstates"
      local called = 0
      local here = mtstates.here("loop", function()
        called = called + 1
        return called
      end)
      local caller = mtstates.thread(function()
        local loop = require "mtstates".state("loop")
        return loop:call(), loop:call()
      end)
      local loop = cqueues.new()
      loop:wrap(function()
        repeat
          cqueues.poll({pollfd = here:fd(), events = "r"})
          here:run()
        until called == 2
      end)
      assert(loop:loop())
      print(caller:await())
    ]])
    assert.equal("1\t2\n", output)
    assert.equal(0, status)
  end)
end)
