-- state:map: the results of a state for many items, in their order.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

for _, kind in ipairs(requests.kinds) do
  describe("map of a " .. kind, function()
    local s

    before_each(helpers.watch("map"))
    after_each(helpers.unwatch)
    after_each(function()
      s:close()
    end)

    it("gives the items of a list and their results, in order", function()
      s = requests.new(kind, "return function(x) return x * 2, 'x' end")
      local list, count = {}, 0
      for i = 1, 1000 do
        list[i] = i
      end
      for item, double, x in s:map(list) do
        count = count + 1
        assert.same({count, 2 * count, "x"}, {item, double, x})
      end
      assert.equals(1000, count)
      for _ in s:map({}) do
        error("there is no item")
      end
    end)

    it("gives the first value of an iterator, and asks with all", function()
      s = requests.new(kind, "return function(...) " ..
        "return select('#', ...), ... end")
      local got = {}
      for i, n, first, second in s:map(ipairs({"a", "b"})) do
        got[#got + 1] = table.concat({i, n, first, second}, " ")
      end
      for word, n, same in s:map(("some words"):gmatch("%a+")) do
        got[#got + 1] = table.concat({word, n, same}, " ")
      end
      assert.same({"1 2 1 a", "2 2 2 b", "some 1 some", "words 1 words"}, got)
    end)

    it("takes a name in front", function()
      s = requests.new(kind, "return function(name, ...) " ..
        "return name, ... end")
      for i, name, same, value in s:map("f", ipairs({"a"})) do
        assert.same({1, "f", 1, "a"}, {i, name, same, value})
      end
      for i, name, same in s:map("f", {7}) do
        assert.same({7, "f", 7}, {i, name, same})
      end
    end)

    it("takes false as an item, and what can be called", function()
      s = requests.new(kind, helpers.echo)
      local left = {false, true}
      local got = {}
      local class = getmetatable(io.stdout)
      class.__call = function()
        return table.remove(left, 1)
      end
      local ok, err = pcall(function()
        for item, same in s:map(io.stdout) do
          assert.equals(item, same)
          got[#got + 1] = item
        end
      end)
      class.__call = nil
      assert.is_true(ok, err)
      assert.same({false, true}, got)
    end)

    it("calls a table that can be called, and reads any other", function()
      s = requests.new(kind, helpers.echo)
      local function check(expected, ...)
        local got = {}
        for item in s:map(...) do
          got[#got + 1] = item
        end
        assert.same(expected, got)
      end
      local class = {__index = {"by index"}}
      check({"by index"}, setmetatable({}, class))
      class.__call = function(self, last, i)
        return i < last and self.step + i or nil
      end
      check({2, 4, 6}, setmetatable({"unread", step = 2}, class), 6, 0)
    end)

    it("raises an error at its item, and goes on behind it", function()
      s = requests.new(kind, "return function(x) " ..
        "if x == 3 then error('three') end return x end")
      local next_item = s:map({1, 2, 3, 4})
      assert.equals(1, (next_item()))
      assert.equals(2, (next_item()))
      local err = helpers.raises_error("invoking_state", next_item)
      assert.truthy(err:find("three", 1, true), err)
      assert.equals(4, (next_item()))
      assert.is_nil((next_item()))
      assert.is_nil((next_item()))
    end)

    it("raises the error of its iterator", function()
      s = requests.new(kind, helpers.echo)
      local next_item = s:map(function() error({code = 4}) end)
      assert.same({code = 4}, requests.raised(next_item))
      assert.same({code = 4}, requests.raised(next_item))
    end)

    it("looks ahead, but not without bound", function()
      s = requests.new(kind, helpers.gated)
      local leave = handoff.unique("leave")
      local asked = 0
      local next_item = s:map(function()
        asked = asked + 1
        if asked == 100 then
          handoff.set(leave, 1)
        end
        return handoff.unique("entered"), leave
      end)
      assert.truthy((next_item()))
      assert.is_true(asked >= 100 and asked <= 128, asked)
      local before = asked
      assert.truthy((next_item()))
      assert.is_true(asked > before)
    end)

    it("refuses other arguments", function()
      s = requests.new(kind, helpers.echo)
      local bad = helpers.bad_argument
      bad(1, "map", "table or function expected, got no value",
          function() s:map() end)
      bad(1, "map", "table or function expected, got number",
          function() s:map(7) end)
      bad(2, "map", "table or function expected, got no value",
          function() s:map("f") end)
      helpers.bad_self("map", function() s.map({}) end)
    end)

    it("tells which item cannot cross, and where the loop is", function()
      s = requests.new(kind, helpers.echo)
      local thread = coroutine.create(function() end)
      local function check(argument, where, ...)
        local line = debug.getinfo(1, "l").currentline + 3
        local err = helpers.bad_argument(argument, "map", where ..
          ": thread cannot be transferred", function(...)
            for _ in s:map(...) do end
          end, ...)
        assert.truthy(err:find("map_spec.lua:" .. line .. ": bad", 1, true),
          err)
      end
      check(1, "item 2", {1, thread})
      check(2, "item 2", "f", {1, thread})
      check(1, "item 2, value 2", ipairs({1, thread}))
      check(2, "item 2, value 2", "f", ipairs({1, thread}))
    end)

    it("is object_closed when the state is", function()
      s = requests.new(kind, helpers.echo)
      local next_item = s:map({1, 2})
      s:close()
      helpers.raises_error("object_closed", next_item)
    end)

    -- Begins a loop whose first item is held; `left` leaves it.
    local function check_cancels(left)
      local entered, leave = handoff.unique(), handoff.unique()
      local never = handoff.unique("never")
      s = requests.new(kind, helpers.gated)
      local hold = requests.hold(s)
      local i = 0
      local function items()
        i = i + 1
        if i <= 10 then
          return i == 1 and entered or never, leave, i
        end
      end
      local loop = {s:map(items)}
      local fork = mtstates.fork(function()
        helpers.wait_until(function()
          return s:stats().queue == 10
        end)
        hold()
        handoff.wait(entered, 1)
        left(loop)
        handoff.set(leave, 1)
      end)
      pcall(loop[1])
      fork:await()
      s:await()
      assert.equals(0, handoff.get(never))
      assert.is_nil((loop[1]()))
    end

    it("cancels what has not begun when it is left", function()
      check_cancels(function(loop)
        getmetatable(loop[4]).__close(loop[4])
      end)
    end)
  end)
end

describe("map", function()
  before_each(helpers.watch("map"))
  after_each(helpers.unwatch)

  it("asks for nothing more when it was left", function()
    local s = requests.new("service", helpers.echo)
    for _, leave in ipairs({"__close", "__gc"}) do
      local count = 0
      local next_item, _, _, loop = s:map(function()
        count = count + 1
        return count
      end)
      for i = 1, 3 do
        assert.equals(i, (next_item()))
      end
      getmetatable(loop)[leave](loop)
      local before = count
      assert.is_nil((next_item()))
      assert.equals(before, count)
    end
    s:close()
  end)

  it("keeps no item that it has given", function()
    local s = requests.new("service", helpers.echo)
    local items, seen = {}, setmetatable({}, {__mode = "v"})
    for i = 1, 5 do
      items[i] = {i}
    end
    local next_item, _, _, loop = s:map(items)
    for i = 1, 4 do
      seen[i] = next_item()
      items[i] = nil
    end
    helpers.collect()
    assert.is_nil(next(seen))
    assert.equals(5, next_item()[1])
    assert.equals("userdata", type(loop))
    s:close()
  end)

  it("cancels what has not begun when it is collected", function()
    local s = requests.new("service", "return function(i, gate) " ..
      "local gates = require 'handoff' gates.add(gate) " ..
      "if i == 2 then gates.wait(gate .. 'leave', 1) end return i end")
    local gate = handoff.unique("gate")
    local function leave_early()
      local i = 0
      local next_item = s:map(function()
        i = i + 1
        return i, gate
      end)
      assert.equals(1, (next_item()))
    end
    leave_early()
    helpers.collect()
    handoff.set(gate .. "leave", 1)
    s:await(0, gate)
    assert.is_true(handoff.get(gate) <= 3, handoff.get(gate))
    s:close()
  end)

  it("keeps its state open", function()
    local sum = 0
    local function items()
      return mtstates.newstate({}, helpers.echo):map({1, 2, 3})
    end
    for item, same in items() do
      helpers.collect()
      assert.equals(item, same)
      sum = sum + item
    end
    assert.equals(6, sum)
  end)

  it("suspends tasks, also in its iterator, and chains", function()
    local twice = mtstates.newstate({}, "return function(x) return 2 * x end")
    local s = requests.new("service", tasks.setup)
    assert.same({2, 8, 4, 16, 6, 24}, (s:await([[
      local twice = ...
      local i, got = 0, {}
      local next = twice:map(function()
        mt.sleep(0.0001)
        i = i + 1
        if i <= 3 then
          return i
        end
      end)
      local function doubles()
        local item, double = next()
        return double
      end
      local next_double = twice:map(doubles)
      local item, double = next_double()
      while item do
        local fourfold = twice:await(double)
        got[#got + 1] = item
        got[#got + 1] = fourfold
        item, double = next_double()
      end
      return got
    ]], nil, twice)))
    twice:close()
    s:close()
  end)

  it("suspends a task that waits for an item", function()
    local keeper = suspended.keeper()
    local s = requests.new("service", tasks.setup)
    local future = suspended.begin(s, 1, [[
      local keeper = ...
      local next = keeper:map({"get"})
      enter()
      local item, answer = next()
      return item, answer
    ]], keeper.state)
    assert.equals("asked", s:await("return 'asked'"))
    keeper.open("answer")
    assert.same({"get", "answer"}, {future:await()})
    s:close()
    suspended.open_keepers()
  end)

  it("suspends a task that waits for room", function()
    local gate = handoff.unique("gate")
    local slow = mtstates.newstate({queue = 1}, function()
      local gates = require "handoff"
      return function(item)
        gates.wait(gate, 1)
        return item
      end
    end)
    local s = requests.new("service", tasks.setup)
    local future = suspended.begin(s, 1, [[
      local slow = ...
      local got = {}
      local next_item = slow:map({1, 2, 3, 4, 5})
      enter()
      for _ = 1, 5 do
        got[#got + 1] = next_item()
      end
      return table.concat(got, " ")
    ]], slow)
    handoff.set(gate, 1)
    assert.equals("1 2 3 4 5", future:await())
    slow:close()
    s:close()
  end)

  suspended.it_has_closing("closes what its iterator has to close", function()
    local s = mtstates.newstate({}, helpers.echo)
    local log = helpers.compile([[
      local s = ...
      local log = {}
      local closing = setmetatable({}, {__close = function(_, err)
        log[#log + 1] = err or "no error"
      end})
      local function items(_, i)
        return i < 300 and i + 1 or nil
      end
      for i in s:map(items, nil, 0, closing) do
        log[#log + 1] = i
        if i == 2 then break end
      end
      for _ in s:map(items, nil, 8, closing) do end
      pcall(function()
        for _ in s:map(items, nil, 8, closing) do error("e", 0) end
      end)
      local loop <close> = select(4, s:map(items, nil, 8, closing))
      getmetatable(loop).__close(loop, "twice")
      return log
    ]])(s)
    assert.same({1, 2, "no error", "no error", "e", "twice"}, log)
    s:close()
  end)

  -- The iterator yields at each item, so coroutines meet in it.
  describe("of an iterator that yields", function()
    local s, gate, next_item, count

    before_each(helpers.watch("map"))
    after_each(helpers.unwatch)
    before_each(function()
      gate = handoff.unique("gate")
      s = mtstates.newstate({}, function()
        local gates = require "handoff"
        return function(item)
          gates.wait(gate, 1)
          return item
        end
      end)
      count = 0
      next_item = s:map(function()
        coroutine.yield("asked")
        count = count and count + 1
        return count
      end)
    end)
    after_each(function()
      s:close()
    end)

    it("refuses more coroutines than items that it can keep", function()
      local asking = {}
      for i = 1, 129 do
        asking[i] = coroutine.create(next_item)
        assert.same({true, "asked"}, {coroutine.resume(asking[i])})
      end
      for i = 1, 127 do
        assert.same({true, "asked"}, {coroutine.resume(asking[i])})
      end
      local future = mtstates.fork(function() -- while the next one waits
        local ok, err = coroutine.resume(asking[129])
        handoff.set(gate, 1)
        return ok, err
      end)
      assert.same({true, 1, 1}, {coroutine.resume(asking[128])})
      local ok, err = future:await()
      assert.is_false(ok)
      assert.truthy(err:find("too many coroutines ask for items at once", 1,
        true), err)
      assert.equals(129, count)
    end)

    it("drops an item that is there when the loop has ended", function()
      local late = coroutine.create(next_item)
      local last = coroutine.create(next_item)
      coroutine.resume(late)
      coroutine.resume(last)
      handoff.set(gate, 1)
      count = nil
      assert.same({true, nil}, {coroutine.resume(last)})
      count = 7
      assert.same({true, nil}, {coroutine.resume(late)})
      assert.equals(8, count)
      assert.is_nil(next_item())
    end)
  end)
end)
