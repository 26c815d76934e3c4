-- A wrong setup was blamed on an argument after it.

local mtstates = require "mtstates"

describe("a wrong setup", function()
  local function message(...)
    local _, err = pcall(function(...) mtstates.newstate(...) end, ...)
    return err:match("bad argument.*")
  end

  it("is reported before wrong arguments", function()
    local text = "bad argument #1 to 'newstate' (function or string expected, "
    assert.equal(text .. "got table)", message({}, {}))
    assert.equal(text .. "got number)", message(5, {}))
    assert.equal("bad argument #1 to 'newstate' (lua function expected)",
                 message(print, {}))
  end)
end)
