local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

describe("state:close", function()
  before_each(helpers.watch("close"))
  after_each(helpers.unwatch)

  local function closed(f, ...)
    return helpers.raises_error("object_closed", f, ...)
  end

  -- Setup code: the state's finalizer waits for a gate.
  local waits_for_gate = [[
    local on_collect = require "on_collect"
    local entered, leave = ...
    local gates = require "handoff"
    guard = on_collect(function()
      gates.enter(entered, leave, 1)
    end)
    return function(...) return ... end
  ]]

  it("makes every call through any object raise object_closed", function()
    local s = mtstates.newstate("close objects", helpers.echo)
    local r = mtstates.state(s:id())
    local one = mtstates.singleton("close objects")
    assert.equals(0, select("#", s:close()))
    for _, object in ipairs({s, r, one}) do
      for _ = 1, 2 do
        closed(function() object:call() end)
        closed(function() object:call(1, 2, 3) end)
        closed(function() object:tcall(0) end)
        closed(function() object:tcall(10, "x") end)
        closed(function() object:tcall(math.huge) end)
        closed(function() object:interrupt() end)
      end
    end
  end)

  it("makes id and name unknown", function()
    local s = mtstates.newstate("close unknown", helpers.echo)
    local id = s:id()
    s:close()
    helpers.raises_error("unknown_object", mtstates.state, id)
    helpers.raises_error("unknown_object", mtstates.state, "close unknown")
  end)

  it("leaves id, name, isowner and tostring working", function()
    local s = mtstates.newstate("close rest", helpers.echo)
    local r = mtstates.state(s:id())
    local id = s:id()
    s:close()
    for _, object in ipairs({s, r}) do
      assert.equals(id, object:id())
      assert.equals("close rest", object:name())
      assert.equals("boolean", type(object:isowner()))
      local text = tostring(object)
      assert.truthy(text:match("^mtstates%.state"))
      assert.truthy(text:find('"close rest"', 1, true))
      assert.truthy(text:find(("%.0f"):format(id), 1, true))
    end
    local unnamed = mtstates.newstate(helpers.echo)
    unnamed:close()
    assert.is_nil(unnamed:name())
  end)

  it("does nothing when the state is closed", function()
    local s = mtstates.newstate(helpers.echo)
    local r = mtstates.state(s:id())
    s:close()
    for _ = 1, 3 do
      assert.equals(0, select("#", s:close()))
      r:close()
    end
    closed(function() s:call() end)
  end)

  it("closes through a reference as well", function()
    local s = mtstates.newstate(helpers.echo)
    mtstates.state(s:id()):close()
    closed(function() s:call() end)
  end)

  it("runs the finalizers of the state, before it returns", function()
    local gate = handoff.unique()
    local s = mtstates.newstate(nil, helpers.moves_gate, gate)
    assert.equals(0, handoff.get(gate))
    s:close()
    assert.equals(1, handoff.get(gate))
    s:close()
    assert.equals(1, handoff.get(gate))
  end)

  it("frees the state's memory", function()
    local function fill()
      local s = mtstates.newstate(function()
        local kept = ("x"):rep(3000000)
        return function() return #kept end
      end)
      assert.equals(3000000, s:call())
      return s
    end
    fill():close()
    local before = handoff.heap_bytes()
    local closed_states = {}
    for i = 1, 20 do
      closed_states[i] = fill()
      closed_states[i]:close()
    end
    local grown = handoff.heap_bytes() - before
    assert.is_true(grown < 3000000, "grown by " .. grown)
    assert.equals(20, #closed_states)
  end)

  it("from inside the state's own callback raises concurrent_access",
    function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(what)
          if what then
            return what
          end
          local own = mt.state(mt.id())
          local ok, err = pcall(own.close, own)
          return ok, err
        end
      end)
      local ok, err = s:call()
      assert.is_false(ok)
      assert.equals(1, (err:find(mtstates.error.concurrent_access, 1, true)))
      assert.equals("open", s:call("open"))
      s:close()
    end)

  it("from inside a nested call raises concurrent_access", function()
    local inner = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(id)
        local outer = mt.state(id)
        return pcall(outer.close, outer)
      end
    end)
    local outer = mtstates.newstate(function()
      local mt = require "mtstates"
      return function(id)
        return coroutine.wrap(function()
          return mt.state(id):call(mt.id())
        end)()
      end
    end)
    local ok, err = outer:call(inner:id())
    assert.is_false(ok)
    assert.equals(1, (err:find(mtstates.error.concurrent_access, 1, true)))
    assert.is_false((outer:call(inner:id())))
  end)

  it("while another thread's call is in progress raises concurrent_access",
    function()
      local s = mtstates.newstate(helpers.gated)
      local busy = threads.hold(s, "kept")
      helpers.raises_error("concurrent_access", function() s:close() end)
      local r = mtstates.state(s:id())
      helpers.raises_error("concurrent_access", function() r:close() end)
      assert.equals("kept", busy:release())
      assert.equals("open", s:call(nil, nil, "open"))
      s:close()
      closed(function() r:call() end)
    end)

  it("of an inner state that is done works from inside a callback",
    function()
      local s = mtstates.newstate(function()
        local mt = require "mtstates"
        return function(id)
          local other = mt.state(id)
          other:call()
          other:close()
          local ok, err = pcall(other.call, other)
          return ok, err
        end
      end)
      local other = mtstates.newstate(helpers.echo)
      local ok, err = s:call(other:id())
      assert.is_false(ok)
      assert.equals(1, (err:find(mtstates.error.object_closed, 1, true)))
      closed(function() other:call() end)
    end)

  it("on a second thread does nothing while the state is being closed",
    function()
      local entered, leave = handoff.unique(), handoff.unique()
      local s = mtstates.newstate("close twice", waits_for_gate, entered,
        leave)
      local closer = threads.start(function(id)
        require "mtstates".state(id):close()
        return "closed"
      end, s:id())
      handoff.wait(entered, 1)
      s:close()
      assert.equals("close twice", s:name())
      helpers.raises_error("unknown_object", mtstates.state, "close twice")
      handoff.set(leave, 1)
      assert.equals("closed", closer:results())
      closed(function() s:call() end)
    end)

  it("lets those who come while the state is being closed get object_closed",
    function()
      local entered, leave = handoff.unique(), handoff.unique()
      local gate = handoff.unique()
      local s = mtstates.newstate(nil, waits_for_gate, entered, leave)
      local function attempt(g, id, timeout)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        require "handoff".wait(g, 10)
        if timeout then
          return pcall(r.tcall, r, timeout)
        end
        return pcall(r.call, r)
      end
      local workers = {}
      for i, timeout in ipairs({false, 25, false, 1e9}) do
        workers[i] = threads.start(attempt, gate, s:id(), timeout)
      end
      handoff.wait(gate, #workers)
      local closer = threads.start(function(id)
        require "mtstates".state(id):close()
      end, s:id())
      handoff.wait(entered, 1)
      handoff.set(gate, 10)
      local ok, err = pcall(s.tcall, s, 0)
      assert.is_true(ok and err == false
        or err:find(mtstates.error.object_closed, 1, true) == 1)
      handoff.set(leave, 1)
      closer:results()
      for _, worker in ipairs(workers) do
        local done, message = worker:results()
        assert.is_false(done)
        assert.equals(1,
          (message:find(mtstates.error.object_closed, 1, true)))
      end
    end)

  describe("lets finalizers of the state", function()
    local function with_finalizer(body, ...)
      return mtstates.newstate("close finalizer", [[
        local on_collect = require "on_collect"
        local args = {...}
        local mt = require "mtstates"
        local gates = require "handoff"
        local driver = require "capidriver"
        -- Lua collects no objects that are made while a state is closed.
        local function release(s)
          getmetatable(s).__gc(s)
        end
        guard = on_collect(function()
          gates.put(args[1], pcall(function() ]] .. body .. [[ end))
        end)
        return function() return "open" end
      ]], ...)
    end

    it("use their own state, which is not open any more", function()
      for _, body in ipairs({
        "return mt.state(mt.id()):call()",
        "return mt.state('close finalizer'):call()",
        "return mt.state(mt.id()):tcall(0)"
      }) do
        local box = handoff.unique()
        with_finalizer(body, box):close()
        local ok, err = handoff.take(box)
        assert.is_false(ok)
        assert.equals(1,
          (err:find(mtstates.error.unknown_object, 1, true)))
      end
    end)

    it("use an object of their own state that they have kept", function()
      for method, outcome in pairs({
        call = "object_closed", tcall = "object_closed", close = "none"
      }) do
        local box = handoff.unique()
        local s = mtstates.newstate(nil, [[
          local on_collect = require "on_collect"
          local box, method = ...
          local mt = require "mtstates"
          local gates = require "handoff"
          local own
          return function()
            own = mt.state(mt.id())
            guard = on_collect(function()
              gates.put(box, pcall(own[method], own, 0))
            end)
          end
        ]], box, method)
        s:call()
        s:close()
        local ok, err = handoff.take(box)
        if outcome == "none" then
          assert.is_true(ok
            or err:find("^mtstates%.error%.%w+") == 1)
        else
          assert.is_false(ok)
          assert.equals(1, (err:find(mtstates.error[outcome], 1, true)))
        end
      end
    end)

    it("call other states", function()
      local other = mtstates.newstate(helpers.echo)
      local box = handoff.unique()
      with_finalizer([[
        local other = mt.state(args[2])
        local result = other:call("from the end")
        release(other)
        return result
      ]], box, other:id()):close()
      assert.same({true, "from the end"}, {handoff.take(box)})
    end)

    it("create and close other states", function()
      local box = handoff.unique()
      with_finalizer([[
        local s = mt.newstate("return function(x) return x end")
        local result = s:call("new")
        s:close()
        release(s)
        return result
      ]], box):close()
      assert.same({true, "new"}, {handoff.take(box)})
    end)

    it("ask for their own id", function()
      local box = handoff.unique()
      local s = with_finalizer("return mt.id()", box)
      s:close()
      local ok, id = handoff.take(box)
      assert.is_true(ok)
      assert.is_true(id == nil or id == s:id())
    end)

    it("start threads and join them", function()
      local box = handoff.unique()
      with_finalizer([[
        local s = mt.newstate("local n = 0; " ..
          "return function() n = n + 1 return n end")
        local notifier = driver.notifier(s)
        local code = notifier:start():join()
        notifier:release()
        local calls = s:call()
        release(s)
        return code, calls
      ]], box):close()
      assert.same({true, 0, 2}, {handoff.take(box)})
    end)

    it("take a new state with their name", function()
      local box = handoff.unique()
      with_finalizer([[
        local s = mt.singleton("close finalizer", "return print")
        local id = s:id()
        s:close()
        release(s)
        return id ~= mt.id()
      ]], box):close()
      assert.same({true, true}, {handoff.take(box)})
    end)
  end)

  describe("by a to-be-closed variable", function()
    local it = helpers.it_needs(helpers.compile("local x <close> = nil"),
                                "to-be-closed variables")

    local function scope(object, body)
      local f = assert(helpers.compile([[
        local object, body = ...
        do
          local variable <close> = object
          if body then body(variable) end
        end
      ]]))
      return f(object, body)
    end

    it("closes an owner at scope end", function()
      local s = mtstates.newstate(helpers.echo)
      local r = mtstates.state(s:id())
      scope(s, function(v) assert.equals(1, v:call(1)) end)
      closed(function() s:call() end)
      closed(function() r:call() end)
    end)

    it("closes an owner when the scope ends by an error", function()
      local s = mtstates.newstate(helpers.echo)
      local err = helpers.raises(scope, s, function()
        error("out of here", 0)
      end)
      assert.equals("out of here", err)
      closed(function() s:call() end)
    end)

    it("just releases a plain reference", function()
      local s = mtstates.newstate(helpers.echo)
      local r = mtstates.state(s:id())
      scope(r, function(v) assert.equals(1, v:call(1)) end)
      assert.equals("open", s:call("open"))
      assert.is_false(r:isowner())
      pcall(r.call, r)
      assert.equals(s:id(), mtstates.state(s:id()):id())
    end)

    it("leaves a busy owner's state open, without an error", function()
      local s = mtstates.newstate("close scope", function()
        local mt = require "mtstates"
        return function(code)
          if not code then
            return "open"
          end
          local owner = mt.singleton("close scope")
          load(code)(owner)
          return "survived", owner:isowner()
        end
      end)
      local result = s:call("local v <close> = ...")
      assert.equals("survived", result)
      assert.equals("open", s:call())
    end)

    it("leaves a state open that is busy on another thread", function()
      local s = mtstates.newstate("close busy scope", helpers.gated)
      local busy = threads.hold(s, "kept")
      scope(mtstates.singleton("close busy scope"))
      assert.equals("kept", busy:release())
      assert.equals("open", s:call(nil, nil, "open"))
    end)

    it("does nothing for closed states", function()
      local s = mtstates.newstate(helpers.echo)
      scope(s, function(v) v:close() end)
      scope(s)
      scope(mtstates.newstate(helpers.echo))
      closed(function() s:call() end)
    end)
  end)
end)
