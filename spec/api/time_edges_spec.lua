local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

-- Code that was stopped and looks for ways to go on.
describe("the option time", function()
  before_each(helpers.watch("time"))
  after_each(helpers.unwatch)

  -- The callback runs the code that it gets, which finds these functions.
  local RUN = [[
    local gates, mtstates = require "handoff", require "mtstates"
    local compile = rawget(_G, "loadstring") or load
    function spin()
      while true do end
    end
    function later(f)
      return setmetatable({}, {__close = f})
    end
    return function(code, ...)
      local f = assert(compile("local gates, mtstates, box = ... " .. code))
      return f(gates, mtstates, ...)
    end
  ]]

  -- Also where the machine has other things to do meanwhile.
  local function once_in_time(f, ...)
    local ok, s
    for _ = 1, 100 do
      ok, s = pcall(f, ...)
      if ok then
        return s
      end
    end
    error(s)
  end

  local function new(time)
    return once_in_time(mtstates.newstate, {time = time}, RUN)
  end

  local function stopped(f, ...)
    local err = helpers.raises_error("invoking_state", f, ...)
    assert.equals(mtstates.error.interrupted, mtstates.error(err):cause())
  end

  local function it_closes(says, f)
    helpers.it_needs(_VERSION >= "Lua 5.4", "to-be-closed variables")(says, f)
  end

  it_closes("stops a fork for good whose clean-up waits", function()
    local s = new(0.05)
    local went_on = handoff.unique()
    stopped(s.call, s, [[
      local went_on = box
      return mtstates.fork(function()
        for _ = 1, 3 do
          pcall(function()
            local first <close> = later(function() mtstates.sleep(0.001) end)
            spin()
          end)
          gates.add(went_on, 1)
        end
      end)
    ]], went_on)
    assert.equals(0, handoff.get(went_on))
  end)

  it_closes("stops a task whose clean-up waits in a coroutine", function()
    local s = new(0.05)
    local went_on = handoff.unique()
    local future = s:async([[
      local co = coroutine.create(pcall)
      coroutine.resume(co, function()
        local first <close> = later(function() mtstates.sleep(0.001) end)
        spin()
      end)
      gates.add(box, 1)
    ]], went_on)
    stopped(future.await, future)
    assert.equals(0, handoff.get(went_on))
  end)

  it("stops a setup while it is asked for the last function", function()
    stopped(mtstates.newstate, {time = 0.02}, [[
      return setmetatable({f = type}, {__index = function()
        while true do end
      end})
    ]])
  end)

  helpers.it_needs(_VERSION >= "Lua 5.2", "finalizers of tables")(
    "does not count finalizers of a state that is closed", function()
    local s = new(0.2)
    assert.equals(1, once_in_time(s.call, s, [[
      local other = mtstates.newstate({}, function()
        local gates = require "handoff"
        local kept = setmetatable({}, {__gc = function()
          local over = gates.monotonic() + 0.3
          while gates.monotonic() < over do end
        end})
        return function() return kept end
      end)
      other:close()
      return 1
    ]]))
  end)

  it("does not show in tracebacks of handlers", function()
    local s = new(10)
    local text = s:call("return select(2, xpcall(spin2, debug.traceback))")
    assert.truthy(text:find("stack traceback", 1, true), text)
    assert.is_nil(text:find("function <mtstates:", 1, true), text)
  end)

  for what, libs in pairs({["a library"] = true, ["none at first"] = false}) do
    it("stops code whose finalizers take hooks away, with " .. what, function()
      local s = once_in_time(mtstates.newstate, {time = 0.05, libs = libs}, [[
        local on_collect, gates = require "on_collect", require "handoff"
        local set_hook = require "debug".sethook
        local function again()
          on_collect(again)
          set_hook()
        end
        collectgarbage("setpause", 0)
        collectgarbage("setstepmul", 100000)
        return function(went_on)
          local over = gates.monotonic() + 2
          local function f()
            while gates.monotonic() < over do
              local _ = {{}, {}}
            end
          end
          on_collect(again)
          repeat pcall(f) until gates.monotonic() >= over
          gates.add(went_on, 1)
        end
      ]])
      local went_on = handoff.unique()
      stopped(s.call, s, went_on)
      assert.equals(0, handoff.get(went_on))
    end)
  end

  helpers.it_needs(_VERSION >= "Lua 5.3", "a sort that asks metatables")(
    "stops code that takes hooks away all the time", function()
    local s = new(0.05)
    local went_on = handoff.unique()
    stopped(s.call, s, [[
      local nils = setmetatable({}, {__len = function() return 10000 end})
      local over = gates.monotonic() + 3
      repeat
        table.sort(nils, debug.sethook)
      until gates.monotonic() >= over
      gates.add(box, 1)
    ]], went_on)
    assert.equals(0, handoff.get(went_on))
  end)

  it("stops the calls of threads without signals one by one #race",
    function()
    local s = new(0.02)
    local ready, turn = handoff.unique(), handoff.unique()
    local function call(number)
      return threads.start(function(id, mine, waits, turns)
        local gates = require "handoff"
        local busy = require "mtstates".state(id)
        pcall(busy.call, busy, "") -- what it blocks later is not known
        require "signals".block(true)
        gates.add(waits, 1)
        gates.wait(turns, mine)
        local went_on, err = pcall(busy.call, busy, [[
          local over = gates.monotonic() + 3
          while gates.monotonic() < over do end
        ]])
        gates.add(turns, 1)
        return went_on, err
      end, s:id(), number, ready, turn)
    end
    local first, second = call(1), call(2)
    handoff.wait(ready, 2)
    handoff.set(turn, 1)
    for _, thread in ipairs({first, second}) do
      local went_on, err = thread:results()
      assert.is_false(went_on)
      assert.truthy(err:find("stopped after", 1, true), err)
    end
  end)
end)
