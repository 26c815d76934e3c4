-- LuaJIT loads ffi when it compiles a literal like 1LL.  Since the setup was
-- compiled before there was a package.loaded, ffi was not entered there, and
-- require "ffi" set the whole library up a second time.

local helpers = require "helpers"
local mtstates = require "mtstates"

local jit = rawget(_G, "jit")

describe("a setup with a literal of LuaJIT's FFI", function()
  if not jit or not pcall(require, "ffi") then
    return
  end
  local code = [[
    local one = 1LL
    local loaded = package.loaded.ffi
    local ffi = require "ffi"
    return function() end, type(loaded), loaded == ffi, tostring(one)
  ]]

  for _, libs in ipairs {true, false} do
    it("has ffi in package.loaded, libs = " .. tostring(libs), function()
      for _, setup in ipairs {code, helpers.compile(code)} do
        local state, kind, is_same, one =
          mtstates.newstate(nil, libs, setup)
        state:close()
        assert.equal("table", kind)
        assert.is_true(is_same)
        assert.equal("1LL", one)
      end
    end)
  end
end)
