-- States at the limit of their memory, where interpreters are easily hurt.

local helpers = require "helpers"
local mtstates = require "mtstates"

local SETUP = [[
  local load = rawget(_G, "loadstring") or load
  kept = {}
  return function(code, ...) return assert(load(code))(...) end]]

local has_limits = pcall(mtstates.newstate, {memory = math.huge},
  "return function() end")

describe("memory", function()
  before_each(helpers.watch("memory at its limit"))
  after_each(helpers.unwatch)

  -- Whoever asks for a block near the greatest number gets none.
  for _, options in ipairs({{}, has_limits and {memory = 1e6} or nil}) do
    it("is not given where sizes overflow, limit " ..
      tostring(options.memory), function()
        local s = mtstates.newstate(options, SETUP)
        for _, n in ipairs({-1, -5, -16, -17, -40, -50}) do
          local f = assert(io.open("README.md"))
          local ok = pcall(f.read, f, n) -- as elsewhere: mostly an error
          f:close()
          assert.equals(ok, (s:call([[
            local f = assert(io.open("README.md"))
            local ok = pcall(f.read, f, ...)
            f:close()
            return ok]], n)))
        end
        assert.equals(3, s:call("return 1 + 2"))
      end)
  end

  if not has_limits then
    return
  end

  it("may be too little for a state, however much it is", function()
    local opened = {}
    for limit = 1, 40000, 97 do
      local ok, s = pcall(mtstates.newstate, {memory = limit}, SETUP)
      if ok then
        opened[#opened + 1] = limit
        s:close()
      else
        assert.truthy(tostring(s):find("memory", 1, true), tostring(s))
      end
    end
    assert.truthy(#opened > 10 and opened[1] > 5000)
    assert.truthy(io.open("/dev/null")) -- stdin is open, so it is not number 0
    assert.equals("file", io.type(io.stdin))
    assert.truthy(io.stdout:write(""))
  end)

  it("may be out when states with tasks are closed", function()
    for limit = 30000, 90000, 2000 do
      local ok, s = pcall(mtstates.newstate, {memory = limit}, SETUP)
      if ok then
        local futures = {}
        for i = 1, 10 do
          futures[i] = select(2, pcall(s.async, s, [[
            require("mtstates").sleep(0.001)
            local t = {}
            while true do t[#t + 1] = #t end]]))
        end
        s:close(5)
        for i = 1, 10 do
          if mtstates.type(futures[i]) == "mtstates.future" then
            assert.is_false((pcall(futures[i].await, futures[i])))
          end
        end
      end
    end
  end)

  it("may be out when finalizers fail while a state is closed", function()
    for limit = 60000, 200000, 10000 do
      local s = mtstates.newstate({memory = limit}, SETUP)
      pcall(s.call, s, [[
        local function fail() error(("x"):rep(100)) end
        local newproxy = rawget(_G, "newproxy")
        for i = 1, 10000 do
          if newproxy then
            local p = newproxy(true)
            getmetatable(p).__gc = fail
            kept[i] = p
          else
            kept[i] = setmetatable({}, {__gc = fail})
          end
        end]])
      s:close()
    end
  end)

  it("is there again for code that leaves garbage with finalizers",
    function()
      local s = mtstates.newstate({memory = 300000}, SETUP)
      pcall(s.call, s, [[
        debug.sethook(function() end, "", 1000)
        local newproxy = rawget(_G, "newproxy")
        for i = 1, 20000 do
          if newproxy then
            getmetatable(newproxy(true)).__gc = function() end
          else
            setmetatable({}, {__gc = function() end})
          end
        end]])
      for _ = 1, 3 do
        assert.equals(1, s:call("return 1"))
      end
    end)

  -- How much garbage it is that does not fit beside a message differs.
  it("is there for senders when an idle state has garbage", function()
    local s = mtstates.newstate({memory = 400000}, SETUP)
    for garbage = 100000, 200000, 10000 do
      pcall(s.call, s, "kept[1] = ('x'):rep(...) kept[1] = nil", garbage)
      helpers.wait_until(function() -- a refused one has it collected
        return (pcall(s.await, s, "return", ("y"):rep(180000)))
      end)
    end
  end)

  it("is not kept by many tasks that have finished", function()
    local s = mtstates.newstate({memory = 120000}, SETUP)
    local function used()
      return s:call("collectgarbage() collectgarbage() " ..
        "return collectgarbage('count')")
    end
    s:await("require('mtstates').sleep(0)")
    local before = used()
    local futures = {}
    for i = 1, 50 do
      futures[i] = s:async("require('mtstates').sleep(0.01)")
    end
    for i = 1, 50 do
      pcall(futures[i].await, futures[i])
    end
    assert.truthy(used() < before + 15)
  end)
end)
