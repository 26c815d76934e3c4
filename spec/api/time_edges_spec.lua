local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

-- Code that was stopped and looks for ways to go on.
describe("the option time", function()
  before_each(helpers.watch("time"))
  after_each(function()
    mtstates.logger(nil)
    helpers.unwatch()
  end)

  -- The callback runs the code that it gets, which finds these functions.
  local RUN = [[
    local gates, mtstates = require "handoff", require "mtstates"
    local compile = rawget(_G, "loadstring") or load
    function spin()
      while true do end
    end
    function later(f)
      return setmetatable({}, {__close = f})
    end
    return function(code, ...)
      local f = assert(compile("local gates, mtstates, box = ... " .. code))
      return f(gates, mtstates, ...)
    end
  ]]

  -- Also where the machine has other things to do during the setup.
  local function new(time)
    local ok, s
    for _ = 1, 100 do
      ok, s = pcall(mtstates.newstate, {time = time}, RUN)
      if ok then
        return s
      end
    end
    error(s)
  end

  local function it_closes(says, f)
    helpers.it_needs(_VERSION >= "Lua 5.4", "to-be-closed variables")(says, f)
  end

  it_closes("stops a fork for good whose clean-up waits", function()
    mtstates.logger(function() end)
    local s = new(0.05)
    local ended, went_on = handoff.unique(), handoff.unique()
    s:call([[
      local ended, went_on = select(3, ...)
      mtstates.fork(function()
        local last <close> = later(function() gates.add(ended, 1) end)
        for _ = 1, 3 do
          pcall(function()
            local first <close> = later(function() mtstates.sleep(0.001) end)
            spin()
          end)
          gates.add(went_on, 1)
        end
      end)
    ]], ended, went_on)
    handoff.wait(ended, 1)
    assert.equals(0, handoff.get(went_on))
  end)
end)
