-- A wrong setup was blamed on an argument after it.

local mtstates = require "mtstates"

describe("a wrong setup", function()
  local function message(...)
    local _, err = pcall(function(...) mtstates.newstate(...) end, ...)
    return err:match("bad argument.*")
  end

  it("is reported before wrong arguments", function()
    local text = "bad argument #1 to 'newstate' (lua function expected)"
    assert.equal(text, message(0.5, {}))
    assert.equal(text, message(5, {}))
    assert.equal(text, message(print, {}))
  end)
end)
