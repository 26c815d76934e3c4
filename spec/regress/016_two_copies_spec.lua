-- Two copies of the module (installed twice, or replaced while the process
-- runs) that were loaded in one Lua state took each other's state objects for
-- their own: the process crashed when one was collected.

local helpers = require "helpers"

-- Loads a second copy by its path, as require would.
local PRELUDE = [[
  local function find_module()
    for pattern in package.cpath:gmatch "[^;]+" do
      local file = io.open((pattern:gsub("?", "mtstates")), "rb")
      if file then
        return file
      end
    end
  end

  local function make_copy()
    local path = os.tmpname()
    local from, to = find_module(), io.open(path, "wb")
    to:write(from:read "*a")
    from:close()
    to:close()
    return path
  end

  local copy = make_copy()
  local mtstates = require "mtstates"
]]

local function run(program)
  return (helpers.run_program(PRELUDE .. program .. " os.remove(copy)"))
end

local REFUSED = "another copy of mtstates is used in this Lua state"

describe("another copy of the module", function()
  it("is refused in a Lua state that uses one", function()
    assert.equals(REFUSED .. "\nstill used\n", run [[
      local s = mtstates.newstate("return function(x) return x end")
      print(select(2, pcall(package.loadlib(copy, "luaopen_mtstates"))))
      print(s:call("still used"))
      s = nil
      collectgarbage()
    ]])
  end)

  it("is refused in a state that the first one has made", function()
    assert.equals(REFUSED .. "\nstill used\n", run [[
      local s = mtstates.newstate(function(path)
        local open = package.loadlib(path, "luaopen_mtstates")
        local ok, err = pcall(open)
        return function(x)
          return err, x
        end
      end, copy)
      local err, x = s:call("still used")
      print(err)
      print(x)
    ]])
  end)

  it("can be used in another Lua state", function()
    assert.equals("crossed\n", run [[
      local host = require "host"
      local n = host.open()
      print(select(2, host.run(n, ([=[
        local mtstates = package.loadlib(%q, "luaopen_mtstates")()
        local s = mtstates.newstate("return function(x) return x end")
        error(s:call("crossed"), 0)
      ]=]):format(copy))))
      host.close(n)
    ]])
  end)
end)
