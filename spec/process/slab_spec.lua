-- Memory of Lua states: src/base/slab.c, driven at random, with a look at all
-- of its bytes; then the memory of states.

local helpers = require "helpers"
local slabs = require "slabs"

describe("a slab", function()
  before_each(slabs.open)

  -- Nothing of malloc's or of the system's is left, whatever the spec did.
  after_each(function()
    slabs.refuse(false)
    assert.same({0, 0}, {slabs.close()})
  end)

  -- Mostly small sizes, as Lua's, and some around each border.
  local borders = {1, 15, 16, 17, 496, 511, 512, 513, 640, 641, 1023, 1151,
                   1152, 1153, 1168, 1169, 4096, 70000}
  local function random_size()
    local kind = math.random(10)
    if kind <= 7 then
      return math.random(200)
    elseif kind == 8 then
      return math.random(2000)
    else
      return borders[math.random(#borders)]
    end
  end

  local function churn(steps, most, refusals)
    for step = 1, steps do
      local number = math.random(most)
      if math.random(3) == 1 then
        slabs.drop(number, number)
      else
        slabs.refuse(refusals and math.random(3) > 1)
        slabs.get(number, random_size())
      end
      if step % 1000 == 0 then
        slabs.check()
      end
    end
    return slabs.check()
  end

  it("keeps its blocks apart", function()
    churn(5000, 20)
    churn(20000, 3000)
    assert.True(churn(20000, 10000) > 100)
  end)

  it("keeps them apart when memory is refused at any moment", function()
    churn(5000, 20, true)
    churn(30000, 3000, true)
  end)

  it("makes each block smaller though memory is refused", function()
    for number, size in ipairs(borders) do
      assert.True(slabs.get(number, size))
    end
    slabs.refuse(true)
    for _ = 1, 40 do
      for number, size in ipairs(borders) do
        borders[number] = math.random(size)
        assert.True(slabs.get(number, borders[number]))
      end
      slabs.check()
    end
  end)

  it("says that there is no memory, and has some afterwards", function()
    slabs.refuse(true)
    slabs.fill(1, 10000, 1, 100)
    assert.False(slabs.get(20000, 100))
    assert.False(slabs.get(20000, 1000))
    assert.False(slabs.get(20000, 100000))
    slabs.check()
    slabs.drop(1, 1)
    assert.True(slabs.get(20000, 100))
    assert.False(slabs.get(20000, 1000))
    slabs.refuse(false)
    assert.True(slabs.get(20000, 1000))
  end)

  local MANY = 300000

  local function peak(size)
    slabs.fill(1, MANY, 1, size)
    return slabs.check()
  end

  it("gives pages back when most of them are free", function()
    local most = peak(64)
    assert.True(most > MANY * 64 / 4096)
    slabs.drop(1, MANY)
    assert.True(slabs.check() <= 64)
    assert.True(peak(64) <= most)
  end)

  it("gives pages back that have no blocks among those that have", function()
    local most = peak(64)
    slabs.drop(1001, MANY)
    slabs.drop(1, 999)
    local few = slabs.check()
    assert.True(few < most / 100)
    slabs.fill(2001, MANY, 100, 64) -- somewhere among the first ones
    assert.True(slabs.check() < most / 10)
  end)

  it("does not look for pages again and again where there are none", function()
    local most = peak(64)
    for first = 1, MANY - 32, 32 do
      slabs.drop(first, first + 30)
    end
    assert.True(slabs.check() > most / 2)
    slabs.drop(1, MANY)
    assert.True(slabs.check() <= 64)
  end)

  it("gives pages back only if it has had many", function()
    slabs.fill(1, 50000, 1, 64)
    local few = slabs.check()
    slabs.drop(1, 50000)
    assert.equals(few, slabs.check())
    slabs.fill(1, 90000, 1, 64)
    local many = slabs.check()
    assert.True(few < 1024 and many > 1024 and many < 2048)
    slabs.drop(1, 90000)
    assert.True(slabs.check() <= 64)
  end)

  it("keeps pages at last when it is as large again and again", function()
    local most = peak(64)
    for _ = 1, 4 do
      slabs.drop(1, MANY)
      peak(64)
    end
    slabs.drop(1, MANY)
    assert.equals(most, slabs.check())
  end)

  it("uses pages again for blocks of other sizes", function()
    local most = peak(64)
    slabs.drop(1, MANY * 0.6)
    for first = 1, MANY * 0.5, MANY / 10 do
      slabs.fill(first, first + MANY / 10 - 1, 1, 80)
    end
    assert.True(slabs.check() < most * 1.3)
  end)

  it("does not take large blocks for pages in use", function()
    slabs.fill(MANY + 1, MANY + 100, 1, 1000000)
    local most = peak(64)
    slabs.drop(1, MANY)
    assert.True(slabs.check() < most / 8)
    peak(64)
    slabs.drop(MANY + 1, MANY + 100)
    slabs.drop(1, MANY)
    assert.True(slabs.check() <= 64)
  end)

  it("gives pages back whatever large blocks there are since then", function()
    local most = peak(64)
    slabs.fill(MANY + 1, MANY + 100, 1, 1000000)
    slabs.drop(1, MANY)
    assert.True(slabs.check() < most / 8)
  end)

  it("gives back no more memory than it says", function()
    assert.equals("00111100", slabs.release())
  end)
end)

-- Where states have slabs: not in builds for tools that look at each block.
describe("the memory of a state #numbers", function()
  if rawget(_G, "jit") then
    return
  end

  it("goes back to the system after a peak", function()
    local output = helpers.run_program [[
      local state = require "mtstates".newstate(function()
        local kept
        local function resident()
          local file = io.open("/proc/self/statm")
          local _, pages = file:read("*n", "*n")
          file:close()
          return pages * 4
        end
        return function(count)
          for i = 1, count do kept = {kept} end
          if count == 0 then
            kept = nil
            collectgarbage()
            collectgarbage()
          end
          return resident()
        end
      end)
      local before = state:call(0)
      for round = 1, 2 do
        local peak = state:call(500000)
        local after = state:call(0)
        assert(peak - before > 30000, peak .. " KB")
        assert(after - before < 3000, after .. " KB, not " .. before)
      end
      print "done"]]
    assert.equal("done\n", output)
  end)
end)
