-- Cycles of calls and awaits that hold, one by one. Those of many threads, and
-- of waits for room, are in deadlock_rings_spec.lua.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"

describe("a cycle of waits", function()
  before_each(helpers.watch("deadlock of requests"))
  after_each(helpers.unwatch)

  it("says so, and names the state", function()
    local s = mtstates.newstate("in a cycle", {}, function()
      local hold, mt = require "helpers".hold, require "mtstates"
      return function()
        local me = mt.state("in a cycle")
        hold(me.await, me)
      end
    end)
    local err = requests.raised(s.await, s)
    assert.truthy(err:find(mtstates.error.invoking_state, 1, true), err)
    assert.truthy(err:find("mtstates%.error%.deadlock: " ..
      "state%([^\n]*in a cycle[^\n]*%): waiting would never end"), err)
  end)

  describe("with calls back", function()
    -- The callback asks that state in that way, which asks the next one ...
    local function asking()
      local hold, mt = require "helpers".hold, require "mtstates"
      return function(way, id, ...)
        if not way then
          return "asked"
        end
        local s = mt.state(id)
        return hold(s[way], s, ...)
      end
    end

    local kept = {}

    local function new(options)
      local s = mtstates.newstate(options, asking)
      kept[#kept + 1] = s
      return s, s:id()
    end

    local function assert_deadlock(s, method, ...)
      local err = requests.raised(s[method], s, ...)
      assert.truthy(tostring(err):find(mtstates.error.deadlock, 1, true), err)
      assert.equals("asked", s[method](s))
    end

    it("is found where a call awaits what calls back", function()
      local a, a_id = new({})
      local b, b_id = new({})
      for _, way in ipairs {"call", "await"} do
        assert_deadlock(a, "call", "await", b_id, way, a_id)
        assert_deadlock(a, "await", "await", b_id, way, a_id)
      end
      assert.equals("asked", a:call("await", b_id))
      assert.equals("asked", b:await("call", a_id))
    end)

    it("is found through an own thread", function()
      local own, own_id = new({own_thread = true})
      local a, a_id = new({})
      for _, way in ipairs {"call", "await"} do
        assert_deadlock(a, "call", "call", own_id, way, a_id)
        assert_deadlock(a, "await", "call", own_id, way, a_id)
        assert_deadlock(a, "await", "await", own_id, way, a_id)
      end
      assert_deadlock(own, "call", "await", a_id, "call", own_id)
      assert_deadlock(own, "await", "await", a_id, "call", own_id)
    end)

    it("is none where the own thread itself calls back", function()
      local own, own_id = new({own_thread = true})
      local _, a_id = new({})
      assert.equals("asked", own:call("call", a_id, "call", own_id))
      assert.equals("asked", own:await("call", a_id, "call", own_id))
      assert.equals("asked", own:await("call", own_id, "call", own_id))
    end)

    it("is found between two own threads", function()
      local one, one_id = new({own_thread = true})
      local _, two_id = new({own_thread = true})
      for _, method in ipairs {"call", "await"} do
        for _, way in ipairs {"call", "await"} do
          assert_deadlock(one, method, way, two_id, "call", one_id)
          assert_deadlock(one, method, way, two_id, "await", one_id)
        end
      end
    end)

    it("is none where the waits are in a line", function()
      local ids, s = {}, nil
      for i = 1, 10 do
        s, ids[i] = new({own_thread = i % 3 == 0})
      end
      local path = {}
      for i = 1, 9 do
        path[#path + 1] = i % 2 == 0 and "call" or "await"
        path[#path + 1] = ids[i]
      end
      assert.equals("asked", s:await(helpers.unpack(path)))
    end)
  end)

  it("is found with the main program in it", function()
    local gate, name = handoff.unique(), handoff.unique("main")
    local s = mtstates.newstate({}, function()
      local gates, mt = require "handoff", require "mtstates"
      return function(entered, single)
        gates.wait(entered, 1)
        return mt.singleton(single, {}, "return function() end"):id()
      end
    end)
    local err = requests.raised(mtstates.singleton, name, {}, function(...)
      local gates, mt = require "handoff", require "mtstates"
      local id, entered, single = ...
      local future = mt.state(id):async(entered, single)
      gates.set(entered, 1)
      future:await()
    end, s:id(), gate, name)
    assert.truthy(tostring(err):find(mtstates.error.deadlock, 1, true), err)
    handoff.set(gate, 1)
    assert.is_number(s:await(gate, name))
  end)
end)
