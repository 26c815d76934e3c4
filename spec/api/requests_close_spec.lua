-- close, and the end of ownership, of states with requests.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

local it_closes = helpers.it_needs(
  helpers.compile("local x <close> = nil"), "to-be-closed variables")

for _, kind in ipairs(requests.kinds) do
  describe("a " .. kind .. " with requests", function()
    local log

    before_each(helpers.watch("closing with requests"))
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

    -- Setup: as helpers.gated, and moves the gate when the state is closed.
    local function guarded(gate)
      local gates = require "handoff"
      guard = require "on_collect"( -- luacheck: ignore
        function() gates.add(gate) end)
      return function(entered, leave, ...)
        if entered then
          gates.add(entered)
        end
        if leave then
          gates.wait(leave, 1)
        end
        return ...
      end
    end

    local function is_open(id)
      return (pcall(mtstates.state, id))
    end

    it("is closed at once if none has begun, and those fail", function()
      local gate = handoff.unique()
      local s = new(guarded, gate)
      local busy = threads.hold(s, "called")
      local futures = {}
      for i = 1, 5 do
        futures[i] = s:async(nil, nil, i)
      end
      helpers.raises_error("concurrent_access", s.close, s)
      assert.equals("called", busy:release())
      for i = 1, 5 do
        assert.equals(i, futures[i]:await())
      end
      local entered, leave = handoff.unique(), handoff.unique()
      local running = s:async(entered, leave, "running")
      handoff.wait(entered, 1)
      local waiting = s:async()
      s:close()
      s:close() -- does nothing
      assert.equals(0, handoff.get(gate))
      helpers.raises_error("object_closed", waiting.await, waiting)
      helpers.raises_error("object_closed", s.call, s)
      helpers.raises_error("object_closed", s.await, s)
      assert.is_false(is_open(s:id()))
      handoff.set(leave, 1)
      assert.equals("running", running:await())
      handoff.wait(gate, 1)
    end)

    it("sends all away that wait to get in, though one still runs", function()
      local s = new(helpers.gated)
      local release = requests.hold(s, "done")
      local waiting = {}
      for i = 1, 5 do
        waiting[i] = threads.start(function(id)
          local state = require "mtstates".state(id)
          return state:call()
        end, s:id())
      end
      helpers.wait_until(function() return s:stats().waiting == 5 end)
      s:close()
      for i = 1, 5 do
        local ok, err = waiting[i]:join()
        assert.is_false(ok)
        assert.truthy(err:find(mtstates.error.object_closed, 1, true), err)
      end
      assert.equals("done", release())
    end)

    it("is closed by close when they are done", function()
      local gate = handoff.unique()
      local s = new(guarded, gate)
      for _ = 1, 10 do
        s:send()
      end
      s:await()
      s:close()
      helpers.raises_error("object_closed", s.await, s)
      handoff.wait(gate, 1)
      assert.equals(0, log.count())
    end)

    it("cannot be closed by its own request", function()
      local s = new([[
        local mt = require "mtstates"
        return function(how)
          local self = mt.state(mt.id())
          if how then
            getmetatable(self).__close(self)
            return "goes on"
          end
          self:close()
        end
      ]])
      local err = requests.raised(s.await, s)
      assert.truthy(err:find(mtstates.error.concurrent_access, 1, true), err)
      assert.equals("goes on", s:await(true))
    end)

    it("is closed by the request of another", function()
      local gate = handoff.unique()
      local s = new(guarded, gate)
      local closer = new([[
        return function(id) require "mtstates".state(id):close() end
      ]])
      s:await()
      closer:await(s:id())
      helpers.raises_error("object_closed", s.await, s)
      handoff.wait(gate, 1)
    end)

    it("answers calls that wait with object_closed", function()
      local s = new(helpers.gated)
      local release = requests.hold(s)
      local gate = handoff.unique()
      local caller = threads.waiting(gate, function(g, id)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        return pcall(r.call, r)
      end, gate, s:id())
      s:close()
      local ok, err = caller:results()
      assert.is_false(ok)
      assert.equals(1, err:find(mtstates.error.object_closed, 1, true), err)
      release()
    end)

    it("does them when its last owner is collected, then is closed",
      function()
        local gate, box = handoff.unique(), handoff.unique()
        local s = new(function(g, b)
          local gates = require "handoff"
          guard = require "on_collect"( -- luacheck: ignore
            function() gates.add(g) end)
          return function(entered, leave, n)
            if entered then
              gates.enter(entered, leave, 1)
            end
            gates.put(b, n)
          end
        end, gate, box)
        local entered, leave = handoff.unique(), handoff.unique()
        s:send(entered, leave, 0)
        handoff.wait(entered, 1)
        for i = 1, 500 do
          s:send(nil, nil, i)
        end
        local id = s:id()
        s = nil -- luacheck: ignore
        helpers.collect()
        assert.equals(0, handoff.get(gate))
        handoff.set(leave, 1)
        for i = 0, 500 do
          assert.equals(i, (handoff.take(box)))
        end
        handoff.wait(gate, 1)
        helpers.wait_until(function() return not is_open(id) end)
        assert.equals(0, log.count())
      end)

    it("needs no owner to do its work", function()
      local gate = handoff.unique()
      for i = 1, 100 do
        new("return require 'handoff'.add"):send(gate, i)
      end
      helpers.collect()
      handoff.wait(gate, 5050)
      local future = new(helpers.echo):async("answer")
      helpers.collect()
      assert.equals("answer", future:await())
    end)

    it("is not kept open by plain references", function()
      local gate = handoff.unique()
      local s = new(guarded, gate)
      local r = mtstates.state(s:id())
      s:await()
      s = nil -- luacheck: ignore
      helpers.collect()
      handoff.wait(gate, 1)
      helpers.raises_error("object_closed", r.await, r)
    end)

    it_closes("only loses an owner at the end of a scope", function()
      local gate = handoff.unique()
      local s = new(guarded, gate)
      local entered, leave = handoff.unique(), handoff.unique()
      local running = s:async(entered, leave, "running")
      handoff.wait(entered, 1)
      local waiting = s:async(nil, nil, "waiting")
      helpers.compile([[
        local s = ...
        local scoped <close> = s
      ]])(s)
      assert.equals(0, handoff.get(gate))
      handoff.set(leave, 1)
      assert.equals("running", running:await())
      assert.equals("waiting", waiting:await())
      handoff.wait(gate, 1)
      helpers.raises_error("object_closed", s.await, s)
      -- An idle one is closed.
      gate = handoff.unique()
      s = new(guarded, gate)
      s:await()
      helpers.compile("local scoped <close> = ...")(s)
      handoff.wait(gate, 1)
      helpers.raises_error("object_closed", s.await, s)
    end)

    it("sends nothing that it would have to await when it is closed",
      function()
        local counter = mtstates.newstate(function()
          local count = 0
          return function(added)
            count = count + added
            return count
          end
        end)
        local box = handoff.unique()
        local s = new(function(id, to)
          local gates, mt = require "handoff", require "mtstates"
          guard = require "on_collect"(function() -- luacheck: ignore
            local other = mt.state(id)
            gates.put(to, pcall(other.await, other, 1))
            gates.put(to, pcall(other.tawait, other, 60, 1))
          end)
          return function() end
        end, counter:id(), box)
        s:await()
        s:close()
        for _ = 1, 2 do
          local ok, err = handoff.take(box)
          assert.is_false(ok)
          assert.equals(1, err:find(mtstates.error.object_closed, 1, true),
            err)
        end
        assert.equals(0, counter:await(0))
      end)

    it("is found while its only request is under way", function()
      local s = new(helpers.gated)
      local r = mtstates.state(s:id())
      local entered, leave = handoff.unique(), handoff.unique()
      local future = s:async(entered, leave, "done")
      handoff.wait(entered, 1)
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals(r, mtstates.state(r:id()))
      handoff.set(leave, 1)
      assert.equals("done", future:await())
    end)

    it("is found until its requests are done, and can have an owner again",
      function()
        local setup = [[
          local handoff = require "handoff"
          local mtstates = require "mtstates"
          return function(entered, leave, owns)
            handoff.enter(entered, leave, 1)
            local me = mtstates.state(mtstates.id())
            owner = owns and (owner or me:own()) or nil
            collectgarbage()
            return me:id()
          end
        ]]
        local entered, leave = handoff.unique(), handoff.unique()
        local s = new(setup)
        local r = mtstates.state(s:id())
        local first = s:async(entered, leave)
        local second = s:async(entered, leave, true)
        handoff.wait(entered, 1)
        s = nil -- luacheck: ignore
        helpers.collect()
        assert.equals(r, mtstates.state(r:id()))
        handoff.set(leave, 1)
        assert.equals(r:id(), first:await())
        assert.equals(r:id(), second:await())
        assert.equals(r:id(), r:await(entered, leave, true))
        assert.equals(1, r:stats().owners)
        local id = r:id()
        assert.equals(id, r:await(entered, leave)) -- collects the last owner
        helpers.wait_until(function()
          return not pcall(mtstates.state, id)
        end)
        helpers.raises_error("object_closed", r.await, r)
      end)

    it("may be interrupted", function()
      local s = new([[
        require "interruptible"
        return function(entered)
          if entered then
            require "handoff".add(entered)
            while true do end
          end
          return "not interrupted"
        end
      ]])
      for _ = 1, 5 do
        local entered = handoff.unique()
        local looping = s:async(entered)
        local after = s:async()
        handoff.wait(entered, 1)
        s:interrupt()
        local err = requests.raised(looping.await, looping)
        assert.truthy(err:find(mtstates.error.interrupted, 1, true), err)
        assert.equals("not interrupted", after:await())
      end
    end)
  end)
end
