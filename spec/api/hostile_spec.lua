-- Code that does what nobody should, where it could leave a state unusable.

local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("a state is as usable as before after", function()
  before_each(helpers.watch("hostile"))
  after_each(helpers.unwatch)

  -- Sets a hook that raises at its n-th event and runs f. True if it did.
  local function run_with_hook(f, mask, count, n)
    local is_armed, has_raised = false, false
    debug.sethook(function()
      n = n - 1
      if is_armed and n <= 0 then
        is_armed, has_raised = false, true
        error("by the hook", 0)
      end
    end, mask, count)
    pcall(function()
      is_armed = true
      pcall(f)
      is_armed = false
    end)
    debug.sethook()
    return has_raised
  end

  local function fragile()
    return function(what, ...)
      if what == "raise" then
        error("by the callback")
      elseif what == "table" then
        return {}
      end
      return what, ...
    end
  end

  it("hooks of its caller that raise, wherever they do", function()
    local s = mtstates.newstate(fragile)
    local actions = {
      function() s:call("some " .. tostring({}), ("x"):rep(100), 1, nil) end,
      function() s:tcall(0, 1, 2, true) end,
      function() s:call("raise") end,
      function() s:call("table") end,
      function() s:call({}) end,
      function() mtstates.newstate("hostile new", fragile):close() end,
      function() mtstates.newstate("error()") end,
      function() mtstates.newstate("no Lua") end,
      function() mtstates.singleton("hostile new", fragile):close() end,
      function() mtstates.state(s:id()):name() end
    }
    for _, mask in ipairs {"", "c", "r"} do
      for _, action in ipairs(actions) do
        local n = 1
        while run_with_hook(action, mask, mask == "" and 1 or 0, n) do
          n = n + 1
          assert.same({true, "text", n}, {s:tcall(0, "text", n)})
          -- The lost owner can be collected meanwhile, this one cannot.
          local is_open, new = pcall(mtstates.singleton, "hostile new")
          if is_open then
            assert.same({true, "text"}, {new:tcall(0, "text")})
            new:close()
          end
        end
        assert.is_true(n > 1)
      end
    end
    s:close() -- not in use
  end)

  it("hooks of its own that raise, wherever they do", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      local left
      local function raise()
        left = left - 1
        if left == 0 then
          error("by the hook", 0)
        end
      end
      return function(what, n, mask)
        if what == "hook" then
          left = n
          debug.sethook(raise, mask, mask == "" and 1 or 0)
        elseif what == "unhook" then
          debug.sethook()
          return left > 0
        elseif what == "table" then
          return {}
        elseif what == "itself" then
          return mt.state(mt.id()):call("text", n)
        end
        return what, n, ("x"):rep(100)
      end
    end)
    for _, mask in ipairs {"", "c", "r"} do
      for _, what in ipairs {"text", "table", "itself"} do
        local n, is_done = 1, false
        while not is_done do
          pcall(s.call, s, "hook", n, mask)
          pcall(s.call, s, what, "argument")
          local ok
          repeat -- the hook can still raise here
            ok, is_done = pcall(s.call, s, "unhook")
          until ok
          n = n + 1
          assert.same({"text", n, ("x"):rep(100)}, {s:call("text", n)})
        end
        assert.is_true(n > 2)
      end
    end
    s:close()
  end)

  it("finalizers that raise and call the state", function()
    local function setup()
      local mt = require "mtstates"
      local on_collect = require "on_collect"
      local s, count = nil, 0
      local function again()
        on_collect(function()
          count = count + 1
          again()
          s:call("text " .. count, count)
          pcall(s.call, s, {})
          error(count % 2 == 0 and {} or "by the finalizer")
        end)
      end
      return function(...)
        if not s then
          s = mt.state(mt.id())
          again()
        end
        collectgarbage("step")
        return count, ...
      end
    end
    local s = mtstates.newstate(setup)
    local calls = 0
    repeat
      calls = calls + 1
      local text = "call " .. calls
      local ok, count, echo = pcall(s.call, s, text)
      assert.is_true(not ok or echo == text)
    until ok and count > 100
    s:close()
  end)

  it("names of any bytes and any length", function()
    for _, name in ipairs {
      "", "\0", "%s%n%d", "\r\n\"\\", "\255\128", ("n"):rep(2 ^ 20)
    } do
      local s = mtstates.newstate(name, fragile)
      assert.equals(name, s:name())
      assert.equals(s:id(), mtstates.state(name):id())
      local err = helpers.raises_error("invoking_state", s.call, s, "raise")
      assert.is_true(#err < 1000)
      assert.is_true(#tostring(s) < 1000)
      assert.equals("text", s:call("text"))
      s:close()
      helpers.raises_error("object_closed", s.call, s)
      helpers.raises_error("unknown_object", mtstates.state, name)
    end
  end)

  it("timeouts of any size", function()
    local s = mtstates.newstate(helpers.gated)
    local busy = threads.hold(s)
    for _, timeout in ipairs {
      0, -0.0, -1, -math.huge, -1e308, 5e-324, 1e-320, 1e-9
    } do
      assert.same({false}, {s:tcall(timeout)})
    end
    busy:release()
    for _, timeout in ipairs {-math.huge, 5e-324, 2 ^ 63, 1e308} do
      assert.same({true, "text"}, {s:tcall(timeout, nil, nil, "text")})
    end
  end)
end)
