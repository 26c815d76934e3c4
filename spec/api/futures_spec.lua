-- Futures: awaited several times and by several, and as values that cross.

local assert = require "luassert"
local carray = require "carray"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

local it_closes = helpers.it_needs(helpers.compile("local x <close> = nil"),
                                   "to-be-closed variables")

describe("a future", function()
  before_each(helpers.watch("futures"))
  after_each(helpers.unwatch)

  local function service(...)
    return requests.new("service", ...)
  end

  it("is an object of its own type", function()
    local s = service(helpers.gated)
    local entered, leave = handoff.unique(), handoff.unique()
    local future = s:async(entered, leave)
    assert.equals("mtstates.future", mtstates.type(future))
    assert.equals("userdata", type(future))
    handoff.wait(entered, 1)
    local pattern = "^mtstates%.future: 0?x?%x+ %(not answered%)$"
    assert.truthy(tostring(future):find(pattern), tostring(future))
    assert.is_false(future:ready())
    handoff.set(leave, 1)
    future:await()
    pattern = "^mtstates%.future: 0?x?%x+ %(answered%)$"
    assert.truthy(tostring(future):find(pattern), tostring(future))
    assert.is_true(future:ready())
    assert.is_nil(mtstates.error(future))
  end)

  it("is what its methods are called with", function()
    local s = service(helpers.echo)
    local future = s:async()
    for _, method in ipairs({"await", "tawait", "ready"}) do
      for _, wrong in ipairs({1, "x", s, io.stdout}) do
        local ok, err = pcall(future[method], wrong, 1)
        assert.is_false(ok)
        assert.truthy(err:find("mtstates.future expected", 1, true), err)
      end
      assert.is_false((pcall(future[method])))
    end
    assert.is_false((pcall(s.await, future)))
    getmetatable(future).__gc(future)
    for _, method in ipairs({"await", "tawait", "ready"}) do
      assert.is_false((pcall(future[method], future, 0)))
    end
    assert.equals("string", type(tostring(future)))
  end)

  it("keeps no arguments of a request that never begins", function()
    local s, name = service(helpers.gated), handoff.unique("argument")
    local release = requests.hold(s)
    local argument = mtstates.newstate(name, {}, helpers.echo)
    local future = s:async(nil, nil, argument)
    argument = nil -- luacheck: ignore
    helpers.collect()
    assert.equals(name, mtstates.state(name):name()) -- a message names it
    helpers.collect()
    assert.is_true(future:cancel())
    helpers.raises_error("unknown_object", mtstates.state, name)
    helpers.raises_error("cancelled", future.await, future)
    release()
    s:close()
  end)

  it("is equal to the same future only", function()
    local s = service(helpers.true_echo)
    local a, b = s:async(1), s:async(1)
    assert.is_true(a == a)
    assert.is_false(a == b)
    assert.is_false(a == s)
    local _, copy = s:await(a)
    assert.is_false(rawequal(a, copy))
    assert.is_true(a == copy)
    assert.is_false(b == copy)
    local equal = getmetatable(a).__eq
    assert.is_false(equal(1, a))
    assert.is_false((pcall(equal, 1, 2)))
  end)

  -- More than are woken at once.
  it("is awaited by any number of threads", function()
    local keeper = service(function()
      local kept
      return function(future)
        kept = future or kept
        return true, kept
      end
    end)
    local future, promise = mtstates.promise()
    keeper:call(future)
    local gate, waiting = handoff.unique(), {}
    for i = 1, 40 do
      waiting[i] = threads.waiting(gate, function(g, id)
        local _, awaited = require "mtstates".state(id):call()
        require "handoff".add(g)
        return awaited:await()
      end, gate, keeper:id())
    end
    promise:set("answer")
    for i = 1, #waiting do
      assert.equals("answer", (waiting[i]:results()))
    end
  end)

  it("is awaited by those that are behind one that gave up", function()
    local keeper = service(function()
      local kept
      return function(future)
        kept = future or kept
        return true, kept
      end
    end)
    for before = 0, 1 do
      local future, promise = mtstates.promise()
      keeper:call(future)
      local gate, waiting = handoff.unique(), {}
      local function wait()
        waiting[#waiting + 1] = threads.waiting(gate, function(g, id)
          local _, awaited = require "mtstates".state(id):call()
          require "handoff".add(g)
          return awaited:await()
        end, gate, keeper:id())
      end
      if before == 1 then
        wait()
      end
      assert.is_false(future:tawait(0.05))
      wait()
      promise:set("answer")
      for i = 1, #waiting do
        assert.equals("answer", (waiting[i]:results()))
      end
    end
  end)

  it("gives a new copy each time", function()
    local s = service([[
      local carray = require "carray"
      return function(t)
        local array = carray.new("int", 1)
        array:set(1, 7)
        return t, array, "text", t
      end
    ]])
    local future = s:async({1, {2}})
    for i = 1, 5 do
      local t, array, text, same = future:await()
      assert.same({1, {2}}, t)
      assert.equals(7, array:get(1))
      assert.equals("text", text)
      assert.equals(t, same)
      t[2][1] = "changed"
      array:set(1, i)
      local in_time, other = future:tawait(0)
      assert.is_true(in_time)
      assert.is_false(rawequal(t, other))
    end
    assert.equals("userdata", type(carray.new("int", 1)))
  end)

  it("gives any number of values, however small the stack is", function()
    local s = service("return function(...) return ... end")
    local values = {}
    for i = 1, 5000 do
      values[i] = i
    end
    local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
    for _ = 1, 20 do
      local future = s:async(unpack(values))
      local found = coroutine.wrap(function()
        return {future:await()}
      end)()
      assert.same(values, found)
    end
  end)

  it("raises its error each time", function()
    local s = service("return function(e) error(e) end")
    local future = s:async({code = 5})
    for _ = 1, 3 do
      assert.same({code = 5}, requests.raised(future.await, future))
      assert.same({code = 5}, requests.raised(future.tawait, future, 0))
    end
    future = s:async("text")
    local expected = requests.raised(s.call, s, "text")
    for _ = 1, 3 do
      assert.equals(expected, requests.raised(future.await, future))
    end
  end)

  it("crosses to services and stays the same", function()
    local answerer, s = service(helpers.gated), service([[
      kept = {}
      local mt = require "mtstates"
      return {
        await = function(f) return f:await() end,
        type = function(f) return mt.type(f) end,
        keep = function(f) kept[1] = f end,
        kept = function(f) return kept[1] == f, kept[1] end,
        ask = function(id, ...) return mt.state(id):async(...), true end,
        inside = function(t) return t[1] == t.x, t[1]:await(), t end,
      }
    ]])
    local entered, leave = handoff.unique(), handoff.unique()
    local future = answerer:async(entered, leave, "answer", 2)
    handoff.wait(entered, 1)
    assert.equals("mtstates.future", s:call("type", future))
    s:send("keep", future)
    local both = s:async("inside", {future, x = future})
    local direct = s:async("await", future)
    assert.is_false(both:ready())
    assert.is_false(direct:ready())
    handoff.set(leave, 1)
    assert.same({"answer", 2}, {direct:await()})
    local same, answer, t = both:await()
    assert.is_true(same)
    assert.equals("answer", answer)
    assert.is_true(t[1] == future and t.x == future)
    local is_kept, kept = s:await("kept", future)
    assert.is_true(is_kept and kept == future)
    assert.same({"answer", 2}, {kept:await()})
    local made = s:await("ask", answerer:id(), nil, nil, "made there")
    assert.equals("made there", made:await())
    local _, handed = answerer:await(nil, nil, true, made)
    assert.equals("made there", handed:await())
    -- One that is alone is awaited for the answer.
    assert.equals("made there", answerer:await(nil, nil, made))
  end)

  helpers.it_with_globals("crosses as an upvalue", function()
    local s = service(requests.runner)
    local future = s:async("return ...", "answer")
    assert.equals("answer", s:await("return (...)()", function()
      return future:await()
    end))
    local made, result = mtstates.newstate({}, function()
      return function() return future:await() end, future
    end)
    assert.equals("answer", made:call())
    assert.is_true(result == future)
  end)

  it("is refused by classic states", function()
    local classic = requests.new("classic state", [[
      local mt = require "mtstates"
      return function(id, ...) return mt.state(id):async(), true end
    ]])
    local s = service(helpers.echo)
    local future = s:async()
    local text = "cannot be transferred"
    helpers.bad_argument(2, "call", text, function()
      classic:call(0, future)
    end)
    helpers.bad_argument(2, "send", text, function()
      classic:send(0, future)
    end)
    helpers.bad_argument(3, "newstate", text, function()
      mtstates.newstate(nil, helpers.echo, future)
    end)
    helpers.raises_error("state_result", classic.call, classic, s:id())
    helpers.raises_error("state_result", classic.await, classic, s:id())
  end)

  it("is awaited by many at once", function()
    local s = service(helpers.gated)
    local entered, leave = handoff.unique(), handoff.unique()
    local future = s:async(entered, leave, {"answer"})
    handoff.wait(entered, 1)
    local readers, answers, natives = {}, {}, {}
    local gate = handoff.unique()
    for i = 1, 8 do
      readers[i] = service([[
        local gates = require "handoff"
        local kept
        return function(gate, future)
          kept = future or kept
          gates.add(gate)
          return kept:await()[1]
        end
      ]])
      answers[i] = readers[i]:async(gate, future)
    end
    handoff.wait(gate, 8)
    for i = 9, 16 do
      readers[i] = service([[
        local kept = ...
        local gates = require "handoff"
        return function(gate)
          gates.add(gate)
          return kept:await()[1]
        end
      ]], future)
      natives[i] = threads.waiting(gate, function(id, g)
        return require "mtstates".state(id):call(g)
      end, readers[i]:id(), gate)
    end
    handoff.set(leave, 1)
    for i = 1, 8 do
      assert.equals("answer", answers[i]:await())
    end
    for i = 9, 16 do
      assert.equals("answer", natives[i]:results())
    end
    assert.same({"answer"}, future:await())
  end)

  it("outlives its state", function()
    for _, kind in ipairs(requests.kinds) do
      local future = requests.new(kind, helpers.echo):async(1, "two")
      helpers.collect() -- the state's last owner goes
      assert.same({1, "two"}, {future:await()})
      assert.same({1, "two"}, {future:await()})
      local s = requests.new(kind, helpers.echo)
      future = s:async("before")
      assert.equals("before", future:await())
      s:close()
      assert.equals("before", future:await())
    end
  end)

  it("of a Lua state that ends lets the request be done", function()
    local s, gate = service(helpers.gated), handoff.unique()
    local release = requests.hold(s)
    threads.start(function(id, g)
      local r = require "mtstates".state(id)
      for _ = 1, 100 do
        r:async(g)
      end
    end, s:id(), gate):results()
    assert.equals(0, handoff.get(gate))
    release()
    handoff.wait(gate, 100)
  end)

  it_closes("in a to-be-closed variable is cancelled", function()
    local s, gate = service(helpers.gated), handoff.unique()
    local code = [[
      local s, args, first = ...
      local kept
      do
        local future <close> = s:async((table.unpack or unpack)(args, 1, 3))
        kept = future
        if first then first(future) end
      end
      return kept
    ]]
    local scope = helpers.compile(code)
    local release = requests.hold(s)
    local kept = scope(s, {gate})
    assert.is_true(kept:ready())
    helpers.raises_error("cancelled", kept.await, kept)
    helpers.raises_error("cancelled", kept.tawait, kept, 0)
    release()
    s:await()
    assert.equals(0, handoff.get(gate)) -- it never began
    local entered, leave = handoff.unique(), handoff.unique()
    kept = scope(s, {entered, leave}, function() handoff.wait(entered, 1) end)
    local after = s:async(gate)
    assert.is_false(kept:ready() or after:ready())
    handoff.set(leave, 1) -- the running one is in a C function until then
    pcall(kept.await, kept)
    after:await()
    assert.equals(1, handoff.get(gate))
    kept = scope(s, {nil, nil, "answer"}, function(f) f:await() end)
    assert.equals("answer", kept:await())
  end)
end)
