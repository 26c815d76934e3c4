-- Debug hooks of users, as debuggers and profilers set them, and tasks.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("a debug hook", function()
  before_each(helpers.watch("task hook"))
  after_each(helpers.unwatch)

  -- The callback computes or tells how often the hook has run.
  local function setup(where)
    require "interruptible"
    local hits = 0
    local function set()
      debug.sethook(function() hits = hits + 1 end, "", 100)
    end
    if where == "setup" then
      set()
    end
    return function(what)
      if what == "set" then
        set()
      elseif what == "work" then
        for _ = 1, 100000 do end
      end
      return hits
    end
  end

  it("that the setup sets sees requests, too", function()
    local s = mtstates.newstate({}, setup, "setup")
    local before = s:await("look")
    assert.is_true(s:await("work") > before + 100)
    s:close()
  end)

  it("that a call sets sees requests, too", function()
    local s = mtstates.newstate({}, setup)
    s:call("set")
    local before = s:await("look")
    assert.is_true(s:await("work") > before + 100)
    s:close()
  end)
end)
