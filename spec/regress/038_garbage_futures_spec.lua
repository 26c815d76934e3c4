-- Garbage that was nothing but futures, promises or state objects piled up
-- without an end where collections are incremental: each cycle let the next
-- one begin later. The collector is told of these objects.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"

local MUCH = 600000 -- bytes; with the mend it is some 100,000

describe("garbage that is all", function()
  before_each(helpers.watch("garbage"))
  after_each(helpers.unwatch)

  -- How much memory is in use when that many objects were made and dropped.
  local function memory_after(count, setup)
    local s = mtstates.newstate({}, setup)
    s:call(count)
    local memory = s:stats().memory
    s:close()
    return memory
  end

  it("promises and their futures does not pile up", function()
    local memory = memory_after(100000, function()
      local inner = require "mtstates"
      return function(count)
        for _ = 1, count do
          local _, promise = inner.promise()
          promise:set()
        end
      end
    end)
    assert.is_true(memory < MUCH, memory)
  end)

  it("state objects does not pile up", function()
    local memory = memory_after(400000, function()
      local inner = require "mtstates"
      return function(count)
        local id = inner.id()
        for _ = 1, count do
          inner.state(id)
        end
      end
    end)
    assert.is_true(memory < MUCH, memory)
  end)

  it("promises that have arrived does not pile up", function()
    local s = mtstates.newstate({}, function()
      return function() end
    end)
    local _, promise = mtstates.promise()
    for _ = 1, 300000 do
      s:call(promise)
    end
    promise:set()
    local memory = s:stats().memory
    assert.is_true(memory < MUCH, memory)
  end)
end)
