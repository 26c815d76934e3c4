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

  it("can be called by what they run", function()
    local s = mtstates.newstate(function()
      local entered = 0
      return function(text)
        entered = entered + 1
        local errors = {}
        local function try(f)
          if f then
            errors[#errors + 1] = select(2, pcall(f))
          end
        end
        for level = 2, 10 do
          local info = debug.getinfo(level, "f")
          try(info and info.func)
        end
        try(debug.getregistry()["mtstates.trampoline"])
        for _, err in ipairs(errors) do
          assert(tostring(err):find("there is nothing to be done", 1, true),
            err)
        end
        return text, #errors > 0, entered
      end
    end)
    for i = 1, 3 do
      local text, has_tried, entered = s:call("text")
      assert.same({"text", true, i}, {text, has_tried, entered})
    end
  end)

  it("run what they are for after a hook has made other calls", function()
    local other = mtstates.newstate(helpers.echo)
    local s = mtstates.newstate(function(id)
      local called = require "mtstates".state(id)
      local calls = 0
      return function(what, text)
        if what == "arm" then
          debug.sethook(function()
            calls = calls + #called:call("x")
          end, "c")
        else
          debug.sethook()
        end
        return text, calls
      end
    end, other:id())
    assert.same({"armed", 0}, {s:call("arm", "armed")})
    local text, calls = s:call("disarm", "disarmed")
    assert.equals("disarmed", text)
    assert.is_true(calls > 0)
  end)
end)
