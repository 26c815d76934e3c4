-- Promises that cross between states, and how the last one goes: wherever that
-- is, the future is answered then.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

local ABANDONED = "mtstates.error.abandoned: promise: " ..
  "nobody can answer the future any more"

-- Setup of a service: keeps a promise and uses it.
local KEEPER = [[
  local kept = ...
  return {
    keep = function(...) kept = {...} end,
    set = function(promise, ...) return promise:set(...) end,
    inside = function(t, ...) return t[1] == t.x.y, t.x.y:set(...) end,
    give = function() return kept[1], true end,
    answer = function(...) return kept[1]:set(...) end,
    drop = function()
      kept = nil
      collectgarbage()
      collectgarbage()
    end,
    give_away = function(...) return ..., true end,
    wait = function(entered, leave)
      require "handoff".add(entered)
      require "handoff".wait(leave, 1)
    end,
    fail = function() error("failed", 0) end,
    await = function(future) return future:await() end,
  }
]]

describe("a promise", function()
  local s, log

  before_each(helpers.watch("promises that cross"))
  before_each(function()
    log = requests.log_to_mailbox()
    s = requests.new("service", KEEPER)
  end)
  after_each(function()
    s:close()
    log.reset()
    helpers.unwatch()
  end)

  it("crosses as an argument, a result, and in tables", function()
    for _, ask in ipairs({"call", "await"}) do
      local future, promise = mtstates.promise()
      assert.is_true(s[ask](s, "set", promise, "argument", {1}))
      assert.same({"argument", {1}}, {future:await()})
      future, promise = mtstates.promise()
      assert.same({true, true},
        {s[ask](s, "inside", {promise, x = {y = promise}}, "inside")})
      assert.equals("inside", future:await())
      future, promise = mtstates.promise()
      s[ask](s, "keep", promise)
      local back = s[ask](s, "give")
      assert.is_true(back == promise)
      assert.is_true(back:set("back"))
      assert.is_false(s[ask](s, "answer", "too late"))
      assert.equals("back", future:await())
    end
    local future, promise = mtstates.promise()
    s:send("set", promise, "sent")
    assert.equals("sent", future:await())
  end)

  it("crosses with its future", function()
    local future, promise = mtstates.promise()
    local waiting = s:async("await", future)
    local other = requests.new("service", KEEPER)
    local same_future = other:await("give_away", future)
    local same_promise = other:await("give_away", promise)
    assert.is_true(same_future == future and same_promise == promise)
    same_promise:set("both")
    assert.equals("both", waiting:await())
    -- Made in a service, handed out from there.
    local maker = requests.new("service", [[
      local mt = require "mtstates"
      return function()
        local future, promise = mt.promise()
        return future, promise
      end
    ]])
    future, promise = maker:await()
    assert.is_false(future:ready())
    maker:close()
    assert.is_true(promise:set("outlives the state"))
    assert.equals("outlives the state", future:await())
  end)

  helpers.it_with_globals("crosses as an upvalue", function()
    local future, promise = mtstates.promise()
    local runner = requests.new("service", "return function(f) return f() end")
    assert.is_true(runner:await(function()
      return promise:set("upvalue")
    end))
    assert.equals("upvalue", future:await())
    future, promise = mtstates.promise()
    local made, result = mtstates.newstate({}, function()
      return function() return promise:set("of the setup") end, promise
    end)
    assert.is_true(result == promise)
    assert.is_true(made:call())
    assert.equals("of the setup", future:await())
  end)

  it("crosses as an argument and a result of a setup", function()
    local future, promise = mtstates.promise()
    local made, same = mtstates.newstate({}, [[
      local promise = ...
      return function() return promise:set("later") end, promise
    ]], promise)
    assert.is_true(same == promise)
    assert.is_true(made:await())
    assert.equals("later", future:await())
  end)

  it("is refused by classic states", function()
    local future, promise = mtstates.promise()
    local classic = requests.new("classic state", [[
      local mt = require "mtstates"
      return function()
        local future, promise = mt.promise()
        future:cancel()
        return promise, true
      end
    ]])
    local text = "cannot be transferred"
    helpers.bad_argument(1, "call", text, function()
      classic:call(promise)
    end)
    helpers.bad_argument(2, "send", text, function()
      classic:send(1, promise)
    end)
    helpers.bad_argument(3, "newstate", text, function()
      mtstates.newstate(nil, helpers.echo, promise)
    end)
    helpers.raises_error("state_result", classic.call, classic)
    helpers.raises_error("state_result", classic.await, classic)
    future:cancel()
  end)

  local function check_abandoned(future)
    for _ = 1, 2 do
      assert.equals(ABANDONED, helpers.raises(future.await, future))
    end
    assert.is_false(future:cancel())
  end

  -- Ways of the last promise; each gets one that nobody else has.
  local LAST = {
    ["collected at once"] = function() end,
    ["collected in a service"] = function(promise)
      s:await("keep", promise)
    end,
    ["collected in a service that got it in a table"] = function(promise)
      s:await("keep", {promise, {promise, [promise] = promise}})
    end,
    ["in a state that is closed"] = function(promise)
      local owner = mtstates.newstate({}, "kept = ... return type", promise)
      owner:close()
    end,
    ["in a state that is collected"] = function(promise)
      mtstates.newstate({}, "kept = ... return type", promise)
    end,
    ["in an unread message of a closed state"] = function(promise)
      local closed = requests.new("service", KEEPER)
      local entered, leave = handoff.unique(), handoff.unique()
      local running = closed:async("wait", entered, leave)
      handoff.wait(entered, 1)
      local failed = closed:async("keep", promise, {promise})
      closed:close()
      helpers.raises_error("object_closed", failed.await, failed)
      handoff.set(leave, 1)
      running:await()
    end,
    ["in a request that is cancelled"] = function(promise)
      local entered, leave = handoff.unique(), handoff.unique()
      local running = s:async("wait", entered, leave)
      handoff.wait(entered, 1)
      assert(s:async("keep", promise):cancel())
      handoff.set(leave, 1)
      running:await()
    end,
    ["in a request that has no time"] = function(promise)
      assert.is_false(s:tawait(0, "keep", promise))
    end,
    ["in a call that has no time"] = function(promise)
      local busy = requests.new("service", helpers.gated)
      local held = threads.hold(busy)
      assert.is_false(busy:tcall(0, nil, nil, promise))
      held:release()
    end,
    ["in an unread answer"] = function(promise)
      local unread = s:async("give_away", promise)
      helpers.wait_until(function() return unread:ready() end)
    end,
    ["in an answer that nobody waits for"] = function(promise)
      s:send("give_away", promise)
    end,
    ["in the answer of another promise"] = function(promise)
      local _, other = mtstates.promise()
      other:set(promise)
    end,
    ["in an error that is not read"] = function(promise)
      local future, other = mtstates.promise()
      other:fail({promise})
      pcall(future.await, future)
    end,
    ["in an argument of a setup that fails"] = function(promise)
      assert.is_false((pcall(mtstates.newstate, {}, "error()", promise)))
    end,
    ["in arguments that cannot cross"] = function(promise)
      assert.is_false((pcall(s.async, s, promise, handoff.userdata())))
    end,
    ["in a request that fails"] = function(promise)
      pcall(s.await, s, "fail", promise)
    end,
  }

  for name, lose in pairs(LAST) do
    it("that is the last abandons its future: " .. name, function()
      local future, promise = mtstates.promise()
      assert.is_false(future:ready())
      lose(promise)
      promise = nil -- luacheck: ignore
      helpers.collect()
      s:await("drop") -- what the service was asked with is garbage
      check_abandoned(future)
      assert.equals(0, log.count())
    end)
  end

  it("that is not the last leaves it as it is", function()
    local future, promise = mtstates.promise()
    local other = requests.new("service", KEEPER)
    s:await("keep", promise)
    other:await("keep", promise)
    promise = nil -- luacheck: ignore
    helpers.collect()
    s:await("drop")
    assert.is_false(future:ready())
    promise = other:await("give")
    other:close()
    assert.is_false(future:ready())
    assert.is_true(promise:set("the last one"))
    promise = nil -- luacheck: ignore
    helpers.collect()
    assert.equals("the last one", future:await())
  end)

  it("that is abandoned tells who waits", function()
    local future, promise = mtstates.promise()
    s:await("keep", promise)
    promise = nil -- luacheck: ignore
    helpers.collect()
    local reader, gate = requests.new("service", [[
      local future = ...
      return function() return pcall(future.await, future) end
    ]], future), handoff.unique()
    local waiter = threads.waiting(gate, function(g, id)
      require "handoff".add(g)
      return require "mtstates".state(id):call()
    end, gate, reader:id())
    s:close()
    assert.same({false, ABANDONED}, {waiter:results()})
  end)

  it("whose error nobody reads is logged, but not when cancelled", function()
    local cases = {
      function(promise) promise:fail("unread") end,
      function(promise) promise:fail({code = 404}) end,
      function() end,
    }
    for i, text in ipairs({"unread", "table", "abandoned"}) do
      local kept = {mtstates.promise()}
      cases[i](kept[2])
      kept[2] = nil
      helpers.collect()
      assert.equals(0, log.count())
      kept[1] = nil
      helpers.collect()
      local got = helpers.pack(log.take())
      assert.same({"error", nil, nil, n = 4},
        {got[1], got[3], got[4], n = got.n})
      assert.truthy(got[2]:find(text, 1, true), got[2])
      assert.equals(1, log.count())
    end
    mtstates.promise():cancel()
    helpers.collect()
    assert.equals(0, log.count())
  end)
end)
