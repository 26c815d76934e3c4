-- os.exit(code, true) in a callback closes the Lua state that runs it.  Who
-- interrupted or called that state before the process was gone used freed
-- memory.

local helpers = require "helpers"

describe("a state whose callback ends the process", function()
  before_each(helpers.watch("exit in a callback"))
  after_each(helpers.unwatch)

  -- What is run during exit() uses the state directly, or has a thread do so.
  local prelude = [[
    local handoff = require "handoff"
    local host = require "host"
    local mtstates = require "mtstates"
    local s = mtstates.newstate("exiting", function()
      return function(what)
        if what == "exit" then
          os.exit(3, true)
        end
      end
    end)
    local use = [=[
      local s = require "mtstates".state("exiting")
      pcall(s.interrupt, s)
      pcall(s.tcall, s, 0)
      pcall(s.interrupt, s, true)
      pcall(s.close, s)
      print("used")
      io.stdout:flush()
    ]=]
  ]]

  local function run(program)
    local output, status = helpers.run_program(prelude .. program)
    assert.same({"used\n", 3}, {output, status})
  end

  it("is not touched by its own thread any more", function()
    run([[
      host.at_exit(use)
      s:call("exit")
    ]])
  end)

  it("is not touched by other threads any more", function()
    run([[
      host.at_exit("local handoff = require 'handoff' " ..
        "handoff.set('exiting', 1) handoff.wait('used', 1)")
      host.start("require 'handoff'.wait('exiting', 1) " .. use ..
        "require 'handoff'.set('used', 1)")
      s:call("exit")
    ]])
  end)
end)
