-- Two states that send to each other without end kept all others from having
-- a turn, if there was one worker: when its slot had been preferred often
-- enough, the worker took the queue that was there all the same.

local helpers = require "helpers"

describe("regression 033", function()
  before_each(helpers.watch("regression 033"))
  after_each(helpers.unwatch)

  it("states that send to each other leave turns to others", function()
    local output, status = helpers.run_program([[
      local mtstates = require "mtstates"
      local handoff = require "handoff"
      local setup = [=[
        local handoff = require "handoff"
        local mtstates = require "mtstates"
        local next_name = ...
        local next_one
        return function()
          next_one = next_one or mtstates.state(next_name)
          handoff.add("turns")
          next_one:send()
        end
      ]=]
      local a = mtstates.newstate("a", {}, setup, "b")
      local b = mtstates.newstate("b", {}, setup, "a")
      local other = mtstates.newstate({}, "return function(x) return x end")
      a:send()
      handoff.wait("turns", 100)
      for i = 1, 20 do
        assert(other:await(i) == i)
      end
      io.write("fine\n")
      io.stdout:flush()
      os.exit(0)
    ]], "MTSTATES_WORKERS=1")
    assert.equals("fine", output:match("^[^\n]*"))
    assert.equals(0, status)
  end)
end)
