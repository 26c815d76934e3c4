-- Promises: what answers a future by hand. Where they go, and how the last one
-- goes, is in promise_crossing_spec.lua.

local assert = require "luassert"
local carray = require "carray"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

local it_closes = helpers.it_needs(helpers.compile("local x <close> = nil"),
                                   "to-be-closed variables")

local CANCELLED = "mtstates.error.cancelled: promise: " ..
  "the request was cancelled"

describe("a promise", function()
  local log, made

  before_each(helpers.watch("promises"))
  before_each(function()
    log, made = requests.log_to_mailbox(), {}
  end)
  after_each(function()
    for _, future in ipairs(made) do
      future:cancel() -- so that it is not abandoned, which would be logged
    end
    log.reset()
    helpers.unwatch()
  end)

  local function new()
    local pair = helpers.pack(mtstates.promise())
    assert.equals(2, pair.n)
    made[#made + 1] = pair[1]
    return pair[1], pair[2]
  end

  it("is made with its future", function()
    local future, promise = new()
    assert.equals("mtstates.future", mtstates.type(future))
    assert.equals("mtstates.promise", mtstates.type(promise))
    assert.equals("userdata", type(promise))
    for object, name in pairs({[future] = "future", [promise] = "promise"}) do
      local pattern = "^mtstates%." .. name .. ": 0?x?%x+ %(not answered%)$"
      assert.truthy(tostring(object):find(pattern), tostring(object))
    end
    assert.is_false(future:ready())
    assert.is_true(promise:set())
    assert.is_true(future:ready())
    for object, name in pairs({[future] = "future", [promise] = "promise"}) do
      local pattern = "^mtstates%." .. name .. ": 0?x?%x+ %(answered%)$"
      assert.truthy(tostring(object):find(pattern), tostring(object))
    end
    assert.is_nil(mtstates.error(promise))
  end)

  it("is equal to the same promise only", function()
    local future, promise = new()
    local _, other = new()
    local s = mtstates.newstate({}, helpers.true_echo)
    local _, copy = s:call(promise)
    assert.is_false(rawequal(copy, promise))
    assert.is_true(copy == promise)
    assert.is_true(promise == promise)
    assert.is_false(promise == other)
    assert.is_false(promise == future)
    assert.is_true(select(2, s:call(future)) == future)
  end)

  it("that was finalized is equal to itself only", function()
    local _, promise = new()
    local _, other = new()
    local finalize = getmetatable(promise).__gc
    local equal = getmetatable(promise).__eq
    finalize(promise)
    assert.is_true(promise == promise) -- luacheck: ignore
    assert.is_false(promise == other or other == promise)
    finalize(other)
    assert.is_false(promise == other)
    assert.is_false(equal(promise, promise))
  end)

  it("gives its future what set gets, each time a new copy", function()
    local function echo(...)
      local future, promise = new()
      assert(promise:set(...) == true)
      return helpers.pack(future:await()), future
    end
    assert.same({n = 0}, echo())
    assert.same({n = 1}, echo(nil))
    assert.same({n = 4, nil, false, "x\0", nil}, echo(nil, false, "x\0", nil))
    local array = carray.new("int", 1)
    array:set(1, 7)
    local shared = {1, {2}}
    local got, future = echo(shared, array, shared, {[shared] = shared})
    for _ = 1, 3 do
      assert.equals(4, got.n)
      assert.same({1, {2}}, got[1])
      assert.is_false(rawequal(shared, got[1]))
      assert.is_true(rawequal(got[1], got[3]))
      assert.is_true(rawequal(got[1], got[4][got[1]]))
      assert.equals(7, got[2]:get(1))
      got[1][1] = "changed"
      local again = helpers.pack(future:await())
      assert.is_false(rawequal(again[1], got[1]))
      got = again
    end
    local many = {}
    for i = 1, 200 do
      many[i] = i
    end
    many.n = 200
    assert.same(many, (echo(helpers.unpack(many, 1, 200))))
  end)

  it("takes cycles, its future, and itself", function()
    local future, promise = new()
    local t = {future = future, promise = promise}
    t.t = t
    assert.is_true(promise:set(t, future, promise))
    for _ = 1, 2 do
      local got, own_future, own_promise = future:await()
      assert.is_true(rawequal(got.t, got))
      assert.is_true(got.future == future and own_future == future)
      assert.is_true(got.promise == promise and own_promise == promise)
      assert.is_true(rawequal(got.future, own_future))
      assert.is_false(own_promise:set(1))
    end
  end)

  it("is abandoned though it was given what cannot cross", function()
    for _, how in ipairs({"set", "fail"}) do
      local future, promise = mtstates.promise()
      local misfit = {coroutine.create(function() end)}
      assert.is_false((pcall(promise[how], promise, misfit)))
      assert.is_false(future:ready())
      promise = nil -- luacheck: ignore
      helpers.collect()
      helpers.raises_error("abandoned", future.tawait, future, 20)
    end
  end)

  it("keeps what else is in an answer with its own future", function()
    for _, how in ipairs({"set", "fail"}) do
      local future, promise = new()
      local inner, inner_promise = new()
      local s = mtstates.newstate({}, helpers.echo)
      inner_promise:set("inner")
      assert.is_true(promise[how](promise, {future, s, inner}))
      s, inner, inner_promise, promise = nil, nil, nil, nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      local _, t = pcall(future.await, future)
      assert.is_true(t[1] == future)
      assert.equals("still open", t[2]:call("still open"))
      assert.equals("inner", t[3]:await())
    end
  end)

  it("is answered once", function()
    local future, promise = new()
    assert.same({true, n = 1}, helpers.pack(promise:set("first")))
    assert.same({false, n = 1}, helpers.pack(promise:set("second")))
    assert.same({false, n = 1}, helpers.pack(promise:fail("third")))
    assert.is_false(future:cancel())
    assert.equals("first", future:await())
    future, promise = new()
    assert.same({true, n = 1}, helpers.pack(promise:fail("first")))
    assert.is_false(promise:set("second"))
    assert.is_false(promise:fail("third"))
    assert.is_false(future:cancel())
    assert.equals("first", helpers.raises(future.await, future))
    assert.equals(0, log.count())
  end)

  it("raises what fail gets, as it is", function()
    for _, value in ipairs({"text", "", "x\0y", 42, 1.5, true, false,
                            "mtstates.error.cancelled: mine"}) do
      local future, promise = new()
      assert.is_true(promise:fail(value))
      for _ = 1, 2 do
        assert.equals(value, helpers.raises(future.await, future))
        assert.equals(value, helpers.raises(future.tawait, future, 0))
      end
    end
    local future, promise = new()
    assert.is_true(promise:fail({code = 404, {1}}))
    local err = helpers.raises(future.await, future)
    assert.same({code = 404, {1}}, err)
    assert.is_false(rawequal(err, helpers.raises(future.await, future)))
    future, promise = new()
    assert.is_true(promise:fail(nil))
    assert.same(helpers.pack(pcall(error, nil)), -- text from 5.5 on
      helpers.pack(pcall(future.await, future)))
    assert.equals(0, log.count())
  end)

  it("refuses what cannot cross, and stays unanswered", function()
    local future, promise = new()
    local thread = coroutine.create(function() end)
    helpers.bad_argument(1, "set", "thread cannot be transferred", function()
      promise:set(thread)
    end)
    helpers.bad_argument(3, "set", "(field 'a[2]': thread cannot be",
      function() promise:set(1, nil, {a = {1, thread}}) end)
    helpers.bad_argument(1, "fail", "thread cannot be transferred", function()
      promise:fail(thread)
    end)
    helpers.bad_argument(1, "fail", "(field 'cause': userdata cannot be",
      function() promise:fail({cause = handoff.userdata()}) end)
    helpers.bad_argument(1, "fail", "value expected", function()
      promise:fail()
    end)
    assert.is_false(future:ready())
    assert.is_true(promise:set("answer"))
    assert.equals("answer", future:await())
    helpers.bad_argument(1, "set", "thread cannot be transferred", function()
      promise:set(thread)
    end)
  end)

  it("is what its methods are called with", function()
    local future, promise = new()
    for _, method in ipairs({"set", "fail"}) do
      for _, wrong in ipairs({1, "x", future, io.stdout}) do
        local ok, err = pcall(promise[method], wrong, 1)
        assert.is_false(ok)
        assert.truthy(err:find("mtstates.promise expected", 1, true), err)
      end
      assert.is_false((pcall(promise[method])))
    end
    assert.is_false((pcall(future.await, promise)))
    local is_equal, complaint = pcall(getmetatable(promise).__eq, 1, 2)
    assert.is_false(is_equal)
    assert.truthy(complaint:find("mtstates.promise expected", 1, true))
    getmetatable(promise).__gc(promise)
    assert.is_false((pcall(promise.set, promise, 1)))
    assert.is_false((pcall(promise.fail, promise, 1)))
    assert.equals("string", type(tostring(promise)))
    helpers.raises_error("abandoned", future.await, future)
  end)

  it("is awaited by many threads", function()
    for _, way in ipairs({"set", "fail"}) do
      local future, promise = new()
      local gate, natives, answers = handoff.unique(), {}, {}
      for i = 1, 6 do
        local reader = requests.new("service", [[
          local future = ...
          return function(gate)
            require "handoff".add(gate)
            return pcall(future.await, future)
          end
        ]], future)
        if i <= 3 then
          answers[i] = reader:async(gate)
        else
          natives[i] = threads.waiting(gate, function(id, g)
            return select(2, require "mtstates".state(id):call(g))
          end, reader:id(), gate)
        end
      end
      handoff.wait(gate, 6)
      assert.is_true(promise[way](promise, "all"))
      for i = 1, 3 do
        assert.same({way == "set", "all"}, {answers[i]:await()})
        assert.equals("all", natives[i + 3]:results())
      end
    end
  end)

  it("is awaited with a timeout", function()
    local future, promise = new()
    for _, timeout in ipairs({0, -1, -math.huge, 0.01}) do
      local before = mtstates.now()
      assert.same({false, n = 1}, helpers.pack(future:tawait(timeout)))
      assert.is_true(mtstates.now() - before >= timeout)
    end
    assert.is_true(promise:set(1, 2))
    for _, timeout in ipairs({0, -1, 1, 1e300, math.huge}) do
      assert.same({true, 1, 2}, {future:tawait(timeout)})
    end
  end)

  it("is not answered any more when its future was cancelled", function()
    local future, promise = new()
    assert.is_true(future:cancel())
    assert.is_false(future:cancel())
    assert.is_true(future:ready())
    assert.is_false(promise:set(1))
    assert.is_false(promise:fail(1))
    for _ = 1, 2 do
      assert.equals(CANCELLED, helpers.raises(future.await, future))
    end
    future, made = nil, {} -- luacheck: ignore
    helpers.collect()
    assert.equals(0, log.count())
  end)

  it_closes("is cancelled at the end of its future's scope", function()
    local future, promise = new()
    helpers.compile("local scoped <close> = ...")(future)
    assert.equals(CANCELLED, helpers.raises(future.await, future))
    assert.is_false(promise:set(1))
    future, promise = new()
    promise:set("answer")
    helpers.compile("local scoped <close> = ...")(future)
    assert.equals("answer", future:await())
  end)

  it("ends the wait of a task, also when it is cancelled", function()
    local s = requests.new("service", tasks.setup)
    for _, way in ipairs({"set", "fail", "cancel"}) do
      local future, promise = new()
      local waiting = tasks.begin_waiting(s, [[
        enter()
        local future = ...
        return pcall(future.await, future)
      ]], future)
      if way == "cancel" then
        assert.is_true(future:cancel())
        assert.same({false, CANCELLED}, {waiting:await()})
      else
        assert.is_true(promise[way](promise, "told"))
        assert.same({way == "set", "told"}, {waiting:await()})
      end
    end
  end)
end)
