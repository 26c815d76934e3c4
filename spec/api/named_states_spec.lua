-- A state that a message names stays open while that is unread, and is closed
-- when the message goes without being read.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"

local OWN = {own_thread = true}

for kind, options in pairs({service = {}, ["state with own_thread"] = OWN}) do
  describe("a " .. kind .. " that a message names", function()
    local target, release, gate

    before_each(helpers.watch("named states"))
    before_each(function()
      target = requests.new("service", [[
        local gates, mt = require "handoff", require "mtstates"
        local t = {}
        function t.hold(entered, leave)
          gates.enter(entered, leave, 1)
        end
        function t.own(s) return s:own():await("answer"), s:isowner() end
        function t.collect() collectgarbage() collectgarbage() end
        function t.make(options, gate, box)
          local s = mt.newstate(options, require "helpers".moves_gate, gate)
          gates.put(box, s:id())
          return s, true
        end
        return t
      ]])
      gate = handoff.unique("closed")
    end)
    after_each(function()
      target:close()
      helpers.unwatch()
    end)

    local function hold_target()
      local entered, leave = handoff.unique(), handoff.unique()
      local running = target:async("hold", entered, leave)
      handoff.wait(entered, 1)
      release = function()
        handoff.set(leave, 1)
        running:await()
      end
    end

    local function new()
      return mtstates.newstate(options, helpers.moves_gate, gate)
    end

    local function is_open(id)
      helpers.collect()
      return (pcall(mtstates.state, id)) and handoff.get(gate) == 0
    end

    local function check_goes(id)
      helpers.collect()
      handoff.wait(gate, 1)
      assert.is_false(is_open(id))
    end

    it("stays open until that is read, and may get an owner then", function()
      hold_target()
      local s = new()
      local id = s:id()
      local future = target:async("own", s)
      s = nil -- luacheck: ignore
      assert.is_true(is_open(id))
      release()
      assert.same({"answer", false}, {future:await()})
      target:await("collect")
      check_goes(id)
    end)

    it("is closed when the request is cancelled", function()
      hold_target()
      local s = new()
      local id = s:id()
      local future = target:async("own", s)
      s = nil -- luacheck: ignore
      assert.is_true(is_open(id))
      assert.is_true(future:cancel())
      check_goes(id)
      release()
    end)

    it("is closed when the target is closed", function()
      hold_target()
      local s = new()
      local id = s:id()
      local future = target:async("own", s)
      s = nil -- luacheck: ignore
      assert.is_true(is_open(id))
      target:close()
      helpers.raises_error("object_closed", future.await, future)
      check_goes(id)
      release()
    end)

    it("stays open while an answer is unread", function()
      local box = handoff.unique()
      for _, is_read in ipairs({true, false}) do
        local future = target:async("make", options, gate, box)
        local id = handoff.take(box)
        target:await("collect")
        assert.is_true(is_open(id))
        if is_read then
          assert.equals("answer", future:await():await("answer"))
          assert.is_true(is_open(id)) -- it can be read again
        end
        future = nil -- luacheck: ignore
        check_goes(id)
        handoff.set(gate, 0)
      end
    end)

    it("stays open while a promise's answer names it", function()
      local future, promise = mtstates.promise()
      local s = new()
      local id = s:id()
      promise:set({s = s})
      s = nil -- luacheck: ignore
      assert.is_true(is_open(id))
      assert.equals("answer", future:await().s:own():await("answer"))
      assert.is_true(is_open(id))
      future, promise = nil, nil -- luacheck: ignore
      check_goes(id)
    end)
  end)
end
