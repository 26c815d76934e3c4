-- The descriptor of a state of mtstates.here, in a loop of luv: it is readable
-- when run has something to do, and only then.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local luv = require "luv"
local mtstates = require "mtstates"
local threads = require "threads"

describe("the descriptor of here", function()
  local here, name, handles

  before_each(helpers.watch("descriptors of here"))
  before_each(function()
    name, handles = handoff.unique("here"), {}
  end)
  local function close_handles()
    for _, handle in ipairs(handles) do
      handle:close()
    end
    handles = {}
    luv.run("nowait")
  end

  after_each(close_handles)
  after_each(function()
    if here then
      here:close(60)
      here = nil
    end
  end)
  after_each(helpers.unwatch)

  local function open(...)
    here = mtstates.here(name, ...)
    return here
  end

  -- Calls f whenever the descriptor is readable.
  local function poll(f)
    local handle = luv.new_poll(here:fd())
    handles[#handles + 1] = handle
    handle:start("r", f)
  end

  -- Whether it is readable now.
  local function is_readable()
    local found = false
    close_handles() -- luv has one for each descriptor
    poll(function()
      found = true
    end)
    luv.run("nowait")
    close_handles()
    return found
  end

  it("is the same each time", function()
    open()
    local fd = here:fd()
    assert.equals("number", type(fd))
    assert.equals(fd, here:fd())
    assert.equals(fd, mtstates.here():fd())
    here:close()
    helpers.raises_error("object_closed", here.fd, here)
    here = nil
  end)

  -- Reads of it never block, even if somebody else has read from it; and
  -- programs that the process starts do not get it. Linux tells the flags.
  it("does not block, and is not handed on", function()
    open()
    local fd = here:fd()
    local file = io.open(("/proc/self/fdinfo/%d"):format(fd))
    if file then
      local flags = tonumber(file:read("*a"):match("flags:%s*(%d+)"), 8)
      file:close()
      local nonblock, close_on_exec = 4 * 8 ^ 3, 2 * 8 ^ 6
      assert.equals(1, math.floor(flags / nonblock) % 2)
      assert.equals(1, math.floor(flags / close_on_exec) % 2)
    end
  end)

  it("is closed with the state", function()
    helpers.collect() -- files that are garbage
    open()
    local fd = here:fd()
    for _ = 1, 5 do
      here:close()
      open()
      assert.equals(fd, here:fd()) -- the system gives the lowest one
    end
  end)

  it("is not readable inside of what run runs", function()
    local inside, count = 0, 0
    open(function()
      -- a loop in the loop, as in a dialog
      inside = inside + (is_readable() and 1 or 0)
    end)
    here:send()
    here:send()
    repeat -- the second one, too, if there is time
      assert.is_true(is_readable())
      count = count + here:run()
    until count >= 2
    assert.same({0, 2}, {inside, count})
    assert.is_false(is_readable())
  end)

  it("is readable as long as there is something to do", function()
    open(function(seconds)
      mtstates.sleep(seconds or 0)
    end)
    here:send()
    assert.is_true(is_readable()) -- it was asked for late
    assert.is_true(is_readable())
    assert.equals(1, here:run())
    assert.is_true(is_readable()) -- the task let others run
    assert.equals(1, here:run())
    assert.is_false(is_readable())
    assert.equals(0, here:run())
    local future = mtstates.fork(function() end)
    assert.is_true(is_readable())
    future:await() -- a wait does what run does
    assert.is_false(is_readable())
    for _ = 1, 3 do
      here:send()
    end
    here:await()
    helpers.wait_until(function()
      return here:run() == 0
    end)
    assert.is_false(is_readable())
    threads.start(function(id)
      require "mtstates".state(id):send()
    end, here:id()):results()
    assert.is_true(is_readable())
    assert.equals(1, here:run())
  end)

  it("gets readable by timers", function()
    open()
    local woken = 0
    for i = 1, 5 do
      mtstates.fork(function()
        mtstates.sleep(0.005 * i)
        woken = woken + 1
      end)
    end
    local empty = 0
    poll(function()
      if here:run() == 0 then
        empty = empty + 1
      end
    end)
    while woken < 5 do
      luv.run("once")
    end
    assert.equals(0, empty)
    assert.is_false(is_readable())
  end)

  it("lets a loop answer others while its own tasks wait", function()
    open(function(n)
      return n + 1
    end)
    local s = mtstates.newstate({}, function(of)
      local mt = require "mtstates"
      return function(count)
        local n = 0
        for _ = 1, count do
          n = mt.state(of):await(n)
        end
        return n
      end
    end, name)
    local sum, done, empty = 0, 0, 0
    for i = 1, 10 do
      mtstates.fork(function() -- does not block the loop
        local n = s:await(i)
        sum = sum + n
        done = done + 1
      end)
    end
    poll(function()
      if here:run() == 0 then
        empty = empty + 1
      end
    end)
    local timer = luv.new_timer()
    handles[#handles + 1] = timer
    local ticks = 0
    timer:start(0, 1, function() ticks = ticks + 1 end)
    while done < 10 or ticks < 3 do
      luv.run("once")
    end
    assert.equals(55, sum)
    assert.equals(0, empty)
  end)

  it("misses no request of a storm", function()
    local count = 0
    open(function()
      count = count + 1
    end)
    poll(function()
      here:run()
    end)
    local storm = {}
    for i = 1, 4 do
      storm[i] = threads.start(function(id)
        local s = require "mtstates".state(id)
        for n = 1, 500 do
          if n % 3 == 0 then
            s:send()
          else
            s:await()
          end
        end
      end, here:id())
    end
    while count < 2000 do
      luv.run("once")
    end
    for i = 1, 4 do
      storm[i]:results()
    end
    assert.equals(2000, count)
    assert.is_false(is_readable())
  end)

  it("gets readable when another thread closes the state", function()
    local ended = 0
    open({
      wait = function() mtstates.sleep(1000) end,
      __close = function() ended = ended + 1 end,
    })
    local future = here:async("wait")
    here:run()
    assert.is_false(is_readable())
    threads.start(function(id)
      require "mtstates".state(id):close()
    end, here:id()):results()
    helpers.raises_error("unknown_object", mtstates.state, name)
    helpers.raises_error("object_closed", here.await, here)
    assert.is_true(is_readable())
    assert.equals(0, ended)
    assert.equals(0, here:run())
    assert.equals(1, ended)
    helpers.raises_error("object_closed", here.run, here)
    helpers.raises_error("object_closed", future.await, future)
    here = nil
  end)
end)
