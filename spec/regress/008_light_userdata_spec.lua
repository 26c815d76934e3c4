-- LuaJIT keeps the upper bits of light userdata in a small table.  When that
-- was full the error went from one state into the other, and the state that
-- was called stayed busy for all other threads.

local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("very many different light userdata", function()
  before_each(helpers.watch("light userdata"))
  after_each(helpers.unwatch)

  local function is_free(s)
    return threads.start(function(id)
      local r = require "mtstates".state(id)
      local ok, entered = pcall(r.tcall, r, 0, 1)
      return not ok or entered
    end, s:id()):results()
  end

  it("as arguments leave the state free", function()
    local s = mtstates.newstate(function()
      local make = require "handoff".lightuserdata
      for i = 1, 300 do
        pcall(make, i * 2^39)
      end
      return function(...) return ... end
    end)
    local caller = mtstates.newstate(function(id)
      local mt = require "mtstates"
      local make = require "handoff".lightuserdata
      return function(i)
        local ok, err = pcall(mt.state(id).call, mt.state(id), make(i * 2^39))
        return ok or type(err)
      end
    end, s:id())
    for i = 1000, 1010 do
      assert.not_equals("userdata", caller:call(i))
    end
    assert.is_true(is_free(s))
    assert.equals(1, s:call(1))
  end)

  it("as results leave the states free", function()
    local sources = {}
    for i = 1, 4 do
      sources[i] = mtstates.newstate(function()
        return require "handoff".lightuserdata
      end)
    end
    local caller = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(id, pointer)
        return type(mt.state(id):call(pointer))
      end
    end)
    for i = 1, 400 do
      local ok, err = pcall(caller.call, caller, sources[i % 4 + 1]:id(),
        i * 2^39)
      -- The caller's own error, and inside it that of the source.
      local _, errors = tostring(err):gsub("mtstates%.error%.", "")
      assert.is_true(ok or errors == 2, err)
    end
    for i = 1, 4 do
      assert.is_true(is_free(sources[i]))
    end
    assert.is_true(is_free(caller))
  end)

  it("as results of setup leave no state behind", function()
    local code = [[
      local i = ...
      return function() end, require "handoff".lightuserdata(i * 2^39)
    ]]
    local creator = mtstates.newstate(function(text)
      local mt = require "mtstates"
      return function(i)
        pcall(mt.singleton, "light", text, i)
        local ok, s = pcall(mt.state, "light")
        if ok then
          s:close()
        end
      end
    end, code)
    for i = 1, 300 do
      creator:call(i)
    end
    assert.is_true(threads.start(function()
      return (pcall(require "mtstates".singleton, "light",
        "return function() end"))
    end):results())
    helpers.collect()
    helpers.raises_error("unknown_object", mtstates.state, "light")
  end)
end)
