-- What requests raise: errors of the callback as call raises them, at whoever
-- waits; bad arguments and closed states at once.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

local METHODS = {"send", "tsend", "async", "await", "tawait"}

-- Calls of the methods, by name so that errors name them, and no tail calls,
-- for the same reason; with the arguments, and a timeout if they take one.
local calls = {}
for _, method in ipairs(METHODS) do
  calls[method] = helpers.compile(
    ("local s = ... s:%s(%sselect(2, ...))"):format(method,
      method:sub(1, 1) == "t" and "30, " or ""))
end

local function ask(s, method, ...)
  calls[method](s, ...)
end

for _, kind in ipairs(requests.kinds) do
  describe("an error of a request of a " .. kind, function()
    local log

    before_each(helpers.watch("errors of requests"))
    before_each(function()
      log = requests.log_to_mailbox()
    end)
    after_each(function()
      log.reset()
      helpers.unwatch()
    end)

    local function new(...)
      return requests.new(kind, ...)
    end

    it("is raised as call raises it", function()
      local s = new(requests.runner)
      for _, code in ipairs({
        "error('text')", "error('text', 0)", "error('')", "error()",
        "error(nil, 0)", "error({code = 404})", "error(42)", "error(true)",
        "error(print)", "error(coroutine.create(function() end))",
        "return nowhere.x",
        "error(setmetatable({}, {__tostring = function() return 'T' end}))",
        "return coroutine.create(function() end)",
        "return 1, {coroutine.create(function() end)}",
        "coroutine.wrap(function() error('inside') end)()", "syntax error",
        "local mt = require 'mtstates' mt.state(0)",
        "require 'mtstates'.newstate('inner', {queue = 'x'}, '')",
      }) do
        local expected = requests.raised(s.call, s, code)
        assert.same(expected, requests.raised(s.await, s, code))
        assert.same(expected, requests.raised(s.tawait, s, 30, code))
        local future = s:async(code)
        assert.same(expected, requests.raised(future.await, future))
        assert.same(expected, requests.raised(future.await, future))
        assert.same(expected, requests.raised(future.tawait, future, 30))
      end
      assert.equals(1, s:await("return 1"))
      assert.equals(0, log.count())
    end)

    it("shows the traceback of the state", function()
      local s = new(function()
        local function innermost_function()
          error("the inner message")
        end
        return function() innermost_function() end
      end)
      local err = helpers.raises_error("invoking_state", s.await, s)
      assert.truthy(err:find("the inner message", 1, true), err)
      assert.truthy(err:find("stack traceback:", 1, true), err)
      assert.truthy(err:find("innermost_function", 1, true), err)
    end)

    it("of an awaited one inside shows each state", function()
      local inner = new("return function() error('innermost') end")
      local outer = new([[
        local inner = require "mtstates".state(...)
        return function() return inner:await() end
      ]], inner:id())
      local err = requests.raised(outer.await, outer)
      assert.equals(2,
        helpers.count(err, mtstates.error.invoking_state), err)
      assert.truthy(err:find("innermost", 1, true), err)
      assert.equals(requests.raised(outer.call, outer), err)
    end)

    it("in values that cannot cross is an argument error", function()
      local s = new(helpers.echo)
      local thread = coroutine.create(function() end)
      for _, method in ipairs(METHODS) do
        local first = method:sub(1, 1) == "t" and 2 or 1
        helpers.bad_argument(first, method, "thread", ask, s, method, thread)
        helpers.bad_argument(first + 2, method, "thread", ask, s, method, 1,
          nil, thread)
        if kind == "classic state" then
          helpers.bad_argument(first + 1, method, "table", ask, s, method, 1,
            {})
          helpers.bad_argument(first, method, "function", ask, s, method,
            print)
        else
          helpers.bad_argument(first, method,
            "(field 'a[2]': thread cannot be transferred", ask, s, method,
            {a = {1, thread}})
        end
        helpers.bad_self("?", s[method])
        helpers.bad_self("?", s[method], 1)
        helpers.bad_self("?", s[method], io.stdout)
      end
      assert.equals(7, s:await(7))
    end)

    -- In memory that others have used, an object would not be empty by luck.
    it("in values that cannot cross leaves no future", function()
      local s = new(helpers.echo)
      local co = coroutine.create(function() end)
      for round = 1, 3 do
        local used = {}
        for i = 1, 5000 do
          used[i] = {("\255"):rep(i % 60) .. i, function() return used end}
        end
        used = nil -- luacheck: ignore
        helpers.collect()
        local messages = {}
        for i = 1, 500 do
          messages[i] = select(2, pcall(s.async, s, co))
        end
        helpers.collect()
        assert.equals(500, #messages)
        assert.truthy(messages[round]:find("thread", 1, true))
      end
      s:close()
    end)

    it("of a closed state is raised at once", function()
      local s = new(helpers.echo)
      s:await()
      local fresh = new(helpers.echo)
      local reference = mtstates.state(s:id())
      s:close()
      fresh:close()
      for _, method in ipairs(METHODS) do
        for _, object in ipairs({s, fresh, reference}) do
          helpers.raises_error("object_closed", ask, object, method, 1)
          if method:sub(1, 1) == "t" then
            helpers.raises_error("object_closed", object[method], object, 0)
          end
        end
      end
    end)

    it("of a finalized object is raised at once", function()
      local owner = new(helpers.echo)
      local s = mtstates.state(owner:id())
      getmetatable(s).__gc(s)
      for _, method in ipairs(METHODS) do
        assert.is_false(pcall(ask, s, method, 1))
      end
      assert.equals(1, owner:await(1))
    end)

    it("in the state that closes fails those that have not begun", function()
      local s = new(helpers.gated)
      local entered, leave = handoff.unique(), handoff.unique()
      local running = s:async(entered, leave, "running")
      handoff.wait(entered, 1)
      local futures = {}
      for i = 1, 5 do
        futures[i] = s:async(nil, nil, i)
      end
      local waiter = threads.start(function(id)
        local r = require "mtstates".state(id)
        require "handoff".put("awaits " .. id, 1)
        return pcall(r.await, r, nil, nil, 6)
      end, s:id())
      handoff.take("awaits " .. s:id())
      waiter:wait_asleep()
      s:close()
      for i = 1, 5 do
        assert.is_true(futures[i]:ready())
        helpers.raises_error("object_closed", futures[i].await, futures[i])
      end
      local ok, err = waiter:results()
      assert.is_false(ok)
      assert.equals(1, err:find(mtstates.error.object_closed, 1, true), err)
      helpers.raises_error("object_closed", s.send, s)
      assert.is_false((pcall(mtstates.state, s:id())))
      handoff.set(leave, 1)
      assert.equals("running", running:await())
    end)

    it("of what await would never get is a deadlock in a call", function()
      local s = new([[
        local mt = require "mtstates"
        return function(again)
          return again and mt.state(mt.id()):await() or "not nested"
        end
      ]])
      local err = requests.raised(s.call, s, true)
      assert.truthy(tostring(err):find(mtstates.error.deadlock, 1, true), err)
      assert.equals("not nested", s:await())
    end)
  end)
end

describe("values of a request of a service", function()
  before_each(helpers.watch("deep requests"))
  after_each(helpers.unwatch)

  helpers.it_with_globals("are deep", function()
    local s = mtstates.newstate({}, helpers.echo)
    local shared = {1, 2}
    local t = {a = shared, b = shared, [shared] = "key"}
    t.itself = t
    local copy, again = s:await(t, shared)
    assert.is_true(copy.itself == copy and copy.a == copy.b)
    assert.is_true(copy.a == again and copy[again] == "key")
    local n = 5
    assert.equals(12, s:async(function(m) return n + m end):await()(7))
    assert.equals(print, s:await(print))
    assert.equals(string, s:await({string})[1])
    local state = s:await(s)
    assert.is_true(state == s and not state:isowner())
  end)

  it("are read when the request is made", function()
    local s = mtstates.newstate({}, helpers.gated)
    local release = requests.hold(s)
    local t = {1, {2}}
    local future = s:async(nil, nil, t)
    t[1], t[2][1] = "changed", "changed"
    release()
    assert.same({1, {2}}, future:await())
  end)

  it("choose a function of a table", function()
    local s = mtstates.newstate({}, [[
      return {add = function(a, b) return a + b end}
    ]])
    assert.equals(3, s:await("add", 1, 2))
    assert.equals(3, s:async("add", 1, 2):await())
    assert.equals(requests.raised(s.call, s, "sub", 1),
      requests.raised(s.await, s, "sub", 1))
  end)

  it("whose __receive fails raise that on the waiting side", function()
    local class = mtstates.class("requests.Received")
    class.__receive = function(how)
      if how == "fail" then
        error("by __receive")
      end
      return {how}
    end
    local s = mtstates.newstate({}, [[
      local class = require "mtstates".class("requests.Received")
      class.__transfer = function(x) return x.how end
      return function(how) return {setmetatable({how = how}, class)} end
    ]])
    assert.same({{"well"}}, s:await("well"))
    local expected = requests.raised(s.call, s, "fail")
    assert.truthy(expected:find("by __receive", 1, true))
    assert.equals(expected, requests.raised(s.await, s, "fail"))
    local future = s:async("fail")
    assert.equals(expected, requests.raised(future.await, future))
    class.__receive = function() return "mended" end
    assert.same({"mended"}, future:await()) -- each time a new copy
    class.__receive = nil
    helpers.raises_error("unknown_class", s.await, s, "well")
  end)

  it("whose arguments are not known there raise what call raises", function()
    local class = mtstates.class("requests.Sent")
    class.__transfer = function(x) return x.how end
    local s = mtstates.newstate({}, [[
      local mtstates = require "mtstates"
      return function(what)
        if what == "learn" then
          mtstates.class("requests.Sent").__receive = function(how)
            if how == "text" then error("by __receive") end
            if how == "value" then error({code = 7}) end
            return how
          end
        end
        return what
      end
    ]])
    local sent = setmetatable({how = "well"}, class)
    local function check(name)
      local expected = requests.raised(s.call, s, sent)
      helpers.raises_error(name, s.call, s, sent)
      assert.equals(expected, requests.raised(s.await, s, sent))
      local future = s:async(sent)
      assert.equals(expected, requests.raised(future.await, future))
      s:send()
      assert.equals("on", s:await("on"))
    end
    check("unknown_class")
    s:await("learn")
    assert.equals("well", s:await(sent))
    sent.how = "text"
    local err = requests.raised(s.await, s, sent)
    assert.truthy(err:find("invoking_state", 1, true), err)
    assert.truthy(err:find("by __receive", 1, true), err)
    sent.how = "value"
    for _, method in ipairs({"call", "await"}) do
      assert.same({false, {code = 7}}, {pcall(s[method], s, sent)})
    end
    assert.equals("on", s:await("on"))
  end)
end)
