local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local on_collect = require "on_collect"
local threads = require "threads"

describe("ownership", function()
  before_each(helpers.watch("ownership"))
  after_each(helpers.unwatch)

  local function is_open(id)
    local ok, err = pcall(mtstates.state, id)
    if not ok then
      assert.equals(1, (err:find(mtstates.error.unknown_object, 1, true)))
    end
    return ok
  end

  it("ends with the last owner's collection: the state is closed",
    function()
      local gate = handoff.unique()
      local s = mtstates.newstate("owner gc", helpers.moves_gate, gate)
      local id = s:id()
      helpers.collect()
      assert.is_true(is_open(id))
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.is_false(is_open(id))
      assert.is_false(is_open("owner gc"))
      assert.equals(1, handoff.get(gate))
    end)

  it("is not held by plain references", function()
    local s = mtstates.newstate(helpers.echo)
    local r = mtstates.state(s:id())
    s = nil -- luacheck: ignore
    helpers.collect()
    helpers.raises_error("object_closed", function() r:call() end)
    assert.is_false(is_open(r:id()))
  end)

  it("does not end when plain references are collected", function()
    local s = mtstates.newstate(helpers.echo)
    for _ = 1, 50 do
      mtstates.state(s:id()):call()
    end
    helpers.collect()
    assert.equals(1, s:call(1))
  end)

  it("is shared by all owners", function()
    local a = mtstates.newstate("owner shared", helpers.echo)
    local b = mtstates.singleton("owner shared")
    local id = a:id()
    a = nil -- luacheck: ignore
    helpers.collect()
    assert.is_true(is_open(id))
    assert.equals(1, b:call(1))
    b = nil -- luacheck: ignore
    helpers.collect()
    assert.is_false(is_open(id))
  end)

  it("can lie in another state, and ends with that state", function()
    local s = mtstates.newstate(function()
      local mt = require "mtstates"
      local owned = mt.newstate("return function(x) return x end")
      return function() return owned:id() end
    end)
    local id = s:call()
    assert.equals("x", mtstates.state(id):call("x"))
    s:close()
    assert.is_false(is_open(id))
  end)

  it("can lie in another thread, and ends with its Lua state", function()
    local leave, box = handoff.unique(), handoff.unique()
    local owner = threads.start(function(l, b)
      local gates = require "handoff"
      local s = require "mtstates".newstate(
        "return function(x) return x end")
      gates.put(b, s:id())
      gates.wait(l, 1)
      return s:isowner()
    end, leave, box)
    local id = handoff.take(box)
    local r = mtstates.state(id)
    assert.equals("x", r:call("x"))
    handoff.set(leave, 1)
    assert.is_true(owner:results())
    helpers.raises_error("object_closed", function() r:call() end)
    assert.is_false(is_open(id))
  end)

  it("that ends while a call runs elsewhere closes after that call",
    function()
      local gate = handoff.unique()
      local s = mtstates.newstate(nil, [[
        local on_collect = require "on_collect"
        local gate = ...
        local gates = require "handoff"
        guard = on_collect(function() gates.add(gate) end)
        return function(entered, leave, ...)
          gates.enter(entered, leave, 1)
          return ...
        end
      ]], gate)
      local id = s:id()
      local r = mtstates.state(id)
      local busy = threads.hold(s, "result", 2)
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals(0, handoff.get(gate))
      assert.same({"result", 2}, {busy:release()})
      assert.equals(1, handoff.get(gate))
      helpers.raises_error("object_closed", function() r:call() end)
      assert.is_false(is_open(id))
    end)

  it("that ends while a call runs gives its waiters object_closed",
    function()
      local s = mtstates.newstate(helpers.gated)
      local id, gate = s:id(), handoff.unique()
      local busy = threads.hold(s, "result")
      local function wait_for(g, number, timeout)
        local r = require "mtstates".state(number)
        require "handoff".add(g)
        if timeout then
          return pcall(r.tcall, r, timeout)
        end
        return pcall(r.call, r)
      end
      local waiters = {
        threads.waiting(gate, wait_for, gate, id),
        threads.waiting(gate, wait_for, gate, id, 28),
        threads.waiting(gate, wait_for, gate, id, math.huge),
        threads.waiting(gate, wait_for, gate, id)
      }
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals("result", busy:release())
      for _, waiter in ipairs(waiters) do
        local ok, err = waiter:results()
        assert.is_false(ok)
        assert.equals(1, (err:find(mtstates.error.object_closed, 1, true)))
      end
    end)

  it("that ends while an error is under way closes after it", function()
    local s = mtstates.newstate(function()
      local gates = require "handoff"
      return function(entered, leave)
        gates.enter(entered, leave, 1)
        error("last words")
      end
    end)
    local id = s:id()
    local busy = threads.hold(s)
    s = nil -- luacheck: ignore
    helpers.collect()
    local err = helpers.raises_error("invoking_state", function()
      busy:release()
    end)
    assert.truthy(err:find("last words", 1, true))
    assert.is_false(is_open(id))
  end)

  it("that ends inside the state's own call closes after it", function()
    local owner = mtstates.newstate(function()
      local mt = require "mtstates"
      local owned
      return function(what, code)
        if what == "create" then
          owned = mt.newstate(code)
          return owned:id()
        elseif what == "drop" then
          owned = nil
          collectgarbage()
          collectgarbage()
        end
      end
    end)
    local id = owner:call("create", [[
      local mt = require "mtstates"
      return function(owner)
        mt.state(owner):call("drop")
        return "still here", mt.id()
      end
    ]])
    local r = mtstates.state(id)
    assert.same({"still here", id}, {r:call(owner:id())})
    helpers.raises_error("object_closed", function() r:call() end)
    assert.is_false(is_open(id))
  end)

  it("that ends in a nested call of the state closes after the outer one",
    function()
      local owner = mtstates.newstate(function()
        local mt = require "mtstates"
        local owned
        return function(what, code)
          if what == "create" then
            owned = mt.newstate(code)
            return owned:id()
          end
          owned = nil
          collectgarbage()
          collectgarbage()
        end
      end)
      local id = owner:call("create", [[
        local mt = require "mtstates"
        local own
        return function(owner, depth)
          own = own or mt.state(mt.id())
          if depth == 0 then
            mt.state(owner):call("drop")
            return "bottom"
          end
          local result = own:call(owner, depth - 1)
          return result .. depth
        end
      ]])
      local r = mtstates.state(id)
      assert.equals("bottom123", r:call(owner:id(), 3))
      assert.is_false(is_open(id))
    end)

  it("of a state by itself ends when it is closed", function()
    local s = mtstates.newstate("owner circle", function()
      local mt = require "mtstates"
      local own
      return function()
        own = mt.singleton("owner circle")
        return own:isowner()
      end
    end)
    assert.is_true(s:call())
    local id = s:id()
    s:close()
    assert.is_false(is_open(id))
  end)

  it("of two states by one another ends when one is closed", function()
    local function setup(name)
      local mt = require "mtstates"
      local kept
      return function(other)
        kept = mt.singleton(other)
        return name, kept:isowner()
      end
    end
    local a = mtstates.newstate("owner a", setup, "a")
    local b = mtstates.newstate("owner b", setup, "b")
    local id = b:id()
    a:call("owner b")
    b:call("owner a")
    b = nil -- luacheck: ignore
    helpers.collect()
    assert.is_true(is_open(id))
    a:close()
    assert.is_false(is_open(id))
  end)

  it("in a long chain of states ends for all of them", function()
    local code = [[
      local mt = require "mtstates"
      local owned
      return function(code)
        owned = mt.newstate(false, code)
        return owned:id()
      end
    ]]
    local first = mtstates.newstate(false, code)
    local ids = {first:id()}
    for i = 2, 400 do
      ids[i] = mtstates.state(ids[i - 1]):call(code)
    end
    assert.is_true(is_open(ids[400]))
    first:close()
    for i = 1, 400 do
      assert.is_false(is_open(ids[i]))
    end
  end)

  it("survives many objects that are made and dropped on many threads",
    function()
      local s = mtstates.newstate("owner many", helpers.echo)
      local workers = {}
      for i = 1, 4 do
        workers[i] = threads.start(function(id)
          local mt = require "mtstates"
          for n = 1, 300 do
            local r = n % 2 == 0 and mt.state(id)
              or mt.singleton("owner many")
            if r:call(n) ~= n then
              error("wrong result")
            end
          end
          return "done"
        end, s:id())
      end
      for i = 1, 4 do
        assert.equals("done", workers[i]:results())
      end
      assert.equals(1, s:call(1))
    end)

  describe("of finalized objects", function()
    local methods = {
      "id", "name", "isowner", "call", "tcall", "interrupt", "close"
    }

    -- Uses an object that was finalized in all ways; it must not crash, and
    -- whatever is raised must be a usable error.
    local function use(object)
      for _ = 1, 2 do
        for _, name in ipairs(methods) do
          local ok, err = pcall(object[name], object, 0)
          if not ok then
            assert.equals("string", type(err))
          end
        end
        assert.equals("string", type(tostring(object)))
        assert.equals("mtstates.state", mtstates.type(object))
        pcall(mtstates.newstate, helpers.echo, object)
      end
    end

    it("is over after an explicit __gc", function()
      local s = mtstates.newstate(helpers.echo)
      local id = s:id()
      local metatable = debug.getmetatable(s)
      metatable.__gc(s)
      assert.is_false(pcall(s.call, s))
      assert.is_false(is_open(id))
      use(s)
      metatable.__gc(s)
      metatable.__gc(s)
      use(s)
    end)

    it("is not changed by an explicit __gc of a reference", function()
      local s = mtstates.newstate(helpers.echo)
      local r = mtstates.state(s:id())
      debug.getmetatable(r).__gc(r)
      debug.getmetatable(r).__gc(r)
      use(r)
      local again = mtstates.newstate(helpers.echo)
      assert.equals(1, again:call(1))
    end)

    it("is over for objects that other finalizers bring back", function()
      local revived
      -- Finalizers run in the reverse order of creation: the guard, which is
      -- older, sees the object when that is finalized already.
      do
        local holder = {}
        holder.guard = on_collect(function() revived = holder.object end)
        holder.object = mtstates.newstate(helpers.echo)
      end
      helpers.collect()
      helpers.collect()
      assert.is_not_nil(revived)
      use(revived)
      assert.is_false(pcall(revived.call, revived))
    end)

    it("cannot be misused on other values", function()
      local s = mtstates.newstate(helpers.echo)
      local metatable = debug.getmetatable(s)
      for name, metamethod in pairs(metatable) do
        if type(metamethod) == "function" and name ~= "__gc" then
          for _, value in ipairs({5, "x", {}, io.stdout, print}) do
            local err = helpers.raises(metamethod, value)
            assert.truthy(err:find("mtstates.state expected", 1, true), err)
          end
          assert.is_false(pcall(metamethod))
        end
      end
      for _, value in ipairs({5, "x", {}, io.stdout, print}) do
        metatable.__gc(value) -- finalizers do not raise
      end
      metatable.__gc()
      assert.equals(1, s:call(1))
    end)
  end)

  describe("by own", function()
    it("is that of the same state", function()
      local s = mtstates.newstate("own", helpers.echo)
      local r = mtstates.state(s:id())
      local owner = r:own()
      assert.equals("mtstates.state", mtstates.type(owner))
      assert.is_true(owner:isowner())
      assert.is_false(r:isowner())
      assert.equals(s, owner)
      assert.equals("own", owner:name())
      assert.equals(1, owner:call(1))
      assert.equals(s, s:own():own())
    end)

    it("keeps the state open until it is collected", function()
      local gate = handoff.unique()
      local s = mtstates.newstate(helpers.moves_gate, gate)
      local id = s:id()
      local owner = s:own()
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.is_true(is_open(id))
      assert.equals(2, owner:call(2))
      owner = nil -- luacheck: ignore
      helpers.collect()
      assert.is_false(is_open(id))
      assert.equals(1, handoff.get(gate))
    end)

    it("takes no owner away when it goes first", function()
      local s = mtstates.newstate(helpers.echo)
      for _ = 1, 10 do
        s:own():call()
      end
      helpers.collect()
      assert.equals(1, s:call(1))
    end)

    it("can be had from within the state", function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function()
          local own = mt.state(mt.id()):own()
          return own:isowner(), own:id()
        end
      end)
      assert.same({true, s:id()}, {s:call()})
    end)

    it("can close the state, which ends all owners", function()
      local s = mtstates.newstate(helpers.echo)
      local owner = s:own()
      owner:close()
      helpers.raises_error("object_closed", function() s:own() end)
      helpers.raises_error("object_closed", function() owner:own() end)
    end)

    it("cannot be had of a state that is closed after its call", function()
      local s = mtstates.newstate(helpers.gated)
      local r = mtstates.state(s:id())
      local busy = threads.hold(s)
      s = nil -- luacheck: ignore
      helpers.collect()
      local err = helpers.raises_error("object_closed",
                                       function() return r:own() end)
      assert.truthy(err:find("the state is closed", 1, true))
      busy:release()
      assert.is_false(is_open(r:id()))
    end)

    it("needs a state object", function()
      local s = mtstates.newstate(helpers.echo)
      helpers.bad_self("own", function() s.own() end)
      helpers.bad_self("own", function() s.own({}) end)
      helpers.bad_self("own", function() s.own(io.stdout) end)
    end)

    -- One thread drops the last owner while another asks for one.
    it("is had or not, but never of a closed state", function()
      local asking = mtstates.newstate(function()
        local mt = require "mtstates"
        local gates = require "handoff"
        return function(id, gate)
          local r = mt.state(id)
          gates.enter(gate, gate, 2)
          local ok, owner = pcall(r.own, r)
          if not ok then
            return owner
          end
          return owner:call("open")
        end
      end)
      for _ = 1, 200 do
        local gate = handoff.unique()
        local s = mtstates.newstate(false, helpers.echo)
        local thread = threads.start(function(id, ...)
          return require "mtstates".state(id):call(...)
        end, asking:id(), s:id(), gate)
        handoff.wait(gate, 1)
        handoff.add(gate)
        s = nil -- luacheck: ignore
        collectgarbage()
        local result = thread:results()
        if result ~= "open" then
          assert.equals(1, (result:find(mtstates.error.object_closed, 1,
                                        true)))
        end
      end
    end)
  end)
end)
