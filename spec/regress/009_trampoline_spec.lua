-- The function that runs C code in protected mode could be called by code that
-- got it from a hook (or before Lua 5.2 from the registry): it crashed.

local helpers = require "helpers"
local mtstates = require "mtstates"

describe("functions that a hook sees while values are copied", function()
  it("can be called at other times", function()
    local s = mtstates.newstate(function()
      return function(text) return text .. "!" end
    end)
    local seen = {}
    debug.sethook(function()
      seen[debug.getinfo(2, "f").func] = true
    end, "c")
    local result = s:call("text")
    debug.sethook()
    seen[s.call] = nil
    seen[debug.sethook] = nil
    for f in pairs(seen) do
      pcall(f)
    end
    assert.equals("text!", result)
    assert.equals("more!", s:call("more"))
  end)

  it("can be called from the registry", function()
    for key, value in pairs(debug.getregistry()) do
      if type(key) == "string" and key:find("mtstates", 1, true)
         and type(value) == "function" then
        local ok = pcall(value) -- message handlers take anything
        assert.equals(key == "mtstates.handler", ok)
      end
    end
    assert.equals(1, mtstates.newstate(helpers.echo):call(1))
  end)
end)
