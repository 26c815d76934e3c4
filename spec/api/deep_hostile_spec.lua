-- Code that does what nobody should while deep values are read or made.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

local it = helpers.it_with_globals

-- What states with finalizers start with: busy(mode) has the collector run all
-- the time, again(f) makes a finalizer that calls f and makes another one. In
-- Lua 5.1 one that calls the collector could be inside another one, without
-- end.
local prelude = [[
  local mt = require "mtstates"
  local on_collect = require "on_collect"
  local function busy(mode)
    if mode == "generational" then
      pcall(collectgarbage, "generational")
    else
      pcall(collectgarbage, "incremental")
      if not pcall(collectgarbage, "setpause", 1) then -- 5.5
        collectgarbage("param", "pause", 1)
        collectgarbage("param", "stepmul", 10000)
      else
        collectgarbage("setstepmul", 10000)
      end
    end
  end
  local function again(f)
    on_collect(function()
      f()
      again(f)
    end)
  end
]]

describe("deep values cross or fail cleanly #collector", function()
  before_each(helpers.watch("deep hostile"))
  after_each(helpers.unwatch)

  local function usable(s)
    assert.same({1, {2}}, s:call("echo", {1, {2}}))
  end

  -- The source is a state, too: finalizers of its target call it.
  it("when finalizers of the target change the source", function()
    for _, mode in ipairs({"incremental", "generational"}) do
      local target = mtstates.newstate({}, prelude .. [[
        local source
        busy(...)
        return function(what, t)
          if what == "source" then
            source = t
            again(function() pcall(source.call, source, "change") end)
            return
          elseif what == "check" then
            for i = 1, #t do
              assert(t[i].x == t[i].y and t[i][1] == t[i][2], "torn")
            end
            return #t, t
          end
          return t
        end
      ]], mode)
      local source = mtstates.newstate({}, prelude .. [[
        local target, t
        local changes = 0
        return function(what, x)
          if what == "target" then
            target = x
          elseif what == "change" then
            changes = changes + 1
            for i, entry in ipairs(t or {}) do
              entry.x, entry.y = {}, "torn"
              t[i] = nil
            end
            collectgarbage()
          elseif what == "run" then
            t = {}
            for i = 1, 300 do
              local shared = {i}
              t[i] = {x = shared, y = shared, shared, shared, ["k" .. i] = i}
            end
            local n, copy = target:call("check", t)
            assert(n == 300 and #copy == 300)
          end
          return changes
        end
      ]])
      target:call("source", source)
      source:call("target", target)
      local rounds = 0
      repeat
        rounds = rounds + 1
        local changes = source:call("run")
      until changes > 30 or rounds > 300
      assert.is_true(rounds <= 300)
      usable(target)
    end
  end)

  it("when finalizers of the source change what is read", function()
    for _, mode in ipairs({"incremental", "generational"}) do
      local target = mtstates.newstate({}, helpers.echo)
      local source = mtstates.newstate({}, prelude .. [[
        local mode, target = ...
        local t = {}
        local changes = 0
        busy(mode)
        again(function()
          changes = changes + 1
          for i = #t, 1, -1 do
            t[i].x, t[i].y = changes, changes
            t[i]["new" .. changes] = {}
            for key in next, t[i] do
              if key ~= "x" and key ~= "y" and key ~= "next" then
                t[i][key] = nil
              end
            end
          end
          pcall(target.call, target, {t[1]})
        end)
        return function(deep)
          t = {}
          local list
          for i = 1, 200 do
            local n = changes
            list = {x = n, y = n, next = list, [i] = {}, {}}
            t[i] = list
          end
          local f = function() return t, list end
          local copy, g = target:call(list, {f, [list] = list})
          while copy do
            assert(copy.x == copy.y, "torn")
            copy = copy.next
          end
          assert(g[1]() ~= t)
          return changes
        end
      ]], mode, target)
      local rounds = 0
      repeat
        rounds = rounds + 1
        local changes = source:call()
      until changes > 30 or rounds > 300
      assert.is_true(rounds <= 300)
      assert.same({{1}}, {target:call({1})})
    end
  end)

  it("when the source collects all the time while results are made", function()
    local source = mtstates.newstate({}, prelude .. [=[
      busy("incremental")
      again(function() return {{}} end)
      local target = ...
      return function()
        for i = 1, 50 do
          local t = {target:call("make", 200)}
          assert(#t == 2 and #t[1] == 200 and t[2][200] == t[1])
          assert(t[1][i].list[1] == i and t[1][i][t[1][i]] == "itself")
        end
      end
    ]=], mtstates.newstate({}, prelude .. [=[
      busy("incremental")
      again(function() return {{}} end)
      return function(_, n)
        local t, u = {}, {}
        for i = 1, n do
          t[i] = {list = {i}, text = "text " .. i}
          t[i][t[i]], u[i] = "itself", t
        end
        return t, u
      end
    ]=]))
    source:call()
  end)

  it("when another thread interrupts all the time", function()
    local s = mtstates.newstate({}, [[
      require "interruptible"
      return function(...) return ... end
    ]])
    local interrupter = threads.start(function(id)
      local handoff = require "handoff"
      local state = require "mtstates".state(id)
      local count = 0
      while handoff.get("deep stop") == 0 do
        state:interrupt()
        count = count + 1
        handoff.breathe()
      end
      return count
    end, s:id())
    local handoff = require "handoff"
    local t = {}
    for i = 1, 100 do
      t[i] = {i, {x = t}}
    end
    local interrupted, done = 0, 0
    while (interrupted < 20 or done < 20) and interrupted + done < 1000 do
      local ok, copy = pcall(s.call, s, t)
      if ok then
        done = done + 1
        assert(#copy == 100 and copy[100][2].x == copy)
      else
        interrupted = interrupted + 1
        assert(copy:find("mtstates.error.interrupted", 1, true), copy)
      end
    end
    handoff.set("deep stop", 1)
    interrupter:results()
    handoff.set("deep stop", 0)
    pcall(s.call, s) -- the last interrupt
    assert.same({1, {2}}, s:call({1, {2}}))
  end)

  -- Sets a hook that raises at its n-th event and runs f. True if it did.
  local function run_with_hook(f, mask, count, n)
    local is_armed, has_raised = false, false
    debug.sethook(function()
      n = n - 1
      if is_armed and n <= 0 then
        is_armed, has_raised = false, true
        error({"by the hook"}, 0)
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

  it("when hooks raise, wherever they do", function()
    local class = mtstates.class("deep.Hooked")
    class.__transfer = function(x) return {x.n, {x.n}} end
    class.__receive = function(t) return {t[1], t[2]} end
    local s = mtstates.newstate({}, [[
      local class = require "mtstates".class("deep.Hooked")
      class.__transfer = function(x) return {x.n, {x.n}} end
      class.__receive = function(t)
        return setmetatable({n = t[1]}, class)
      end
      return function(what, ...)
        if what == "raise" then
          error({...})
        elseif what == "thread" then
          return {coroutine.create(function() end)}
        end
        return ...
      end
    ]])
    local upvalue = {1}
    local x = setmetatable({n = 5}, class)
    local actions = {
      function() s:call("echo", {x, {x}, {1, k = {x}}}, x) end,
      function()
        s:tcall(0, "echo", {1, {2}}, function() return upvalue end)
      end,
      function() s:call("raise", {x}) end,
      function() s:call("thread", {x}) end,
      function() s:call({coroutine.create(function() end)}) end,
      function() mtstates.newstate({}, function(...)
        return function() return upvalue end, ...
      end, x):close() end
    }
    for _, mask in ipairs({"", "c", "r"}) do
      for _, action in ipairs(actions) do
        local n = 1
        while run_with_hook(action, mask, mask == "" and 1 or 0, n) do
          n = n + 1
          usable(s)
        end
        assert.is_true(n > 1)
      end
    end
    class.__transfer, class.__receive = nil, nil
  end)
end)
