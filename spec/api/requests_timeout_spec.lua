-- Timeouts of requests: what has not begun in time never begins.

local handoff = require "handoff"
local helpers = require "helpers"
local requests = require "requests"

local HUGE = {1e18, 1e300, math.huge}
local NONE = {0, -0.0, -1e-300, -1, -1e300, -math.huge}

for _, kind in ipairs(requests.kinds) do
  describe("a timeout of a request of a " .. kind, function()
    before_each(helpers.watch("timeouts of requests"))
    after_each(helpers.unwatch)

    local function new(...)
      return requests.new(kind, ...)
    end

    -- Setup: callback(gate, entered, leave) counts at the gate, too.
    local function counted_gated()
      local gates = require "handoff"
      return function(gate, entered, leave)
        gates.add(gate)
        if entered then
          gates.enter(entered, leave, 1)
        end
        return gates.get(gate)
      end
    end

    it("of tawait may be as long as one likes", function()
      local s = new(helpers.echo)
      for _, timeout in ipairs(HUGE) do
        assert.same({true, 1, 2}, {s:tawait(timeout, 1, 2)})
        assert.same({true, 3}, {s:async(3):tawait(timeout)})
        assert.is_true(s:tsend(timeout))
      end
    end)

    it("of tawait that is 0 or less never begins anything", function()
      local s, gate = new(counted_gated), handoff.unique()
      for _, timeout in ipairs(NONE) do
        local got = helpers.pack(s:tawait(timeout, gate))
        assert.same({n = 1, false}, got)
      end
      assert.equals(1, s:await(gate))
    end)

    it("of tsend that is 0 or less is enough where there is room", function()
      local s, gate = new(counted_gated), handoff.unique()
      for _, timeout in ipairs(NONE) do
        assert.same({true}, {s:tsend(timeout, gate)})
      end
      assert.equals(#NONE + 1, s:await(gate))
    end)

    it("of tawait that ends before the request begins keeps it from that",
      function()
        local s, gate = new(counted_gated), handoff.unique()
        local entered, leave = handoff.unique(), handoff.unique()
        local first = s:async(gate, entered, leave)
        handoff.wait(entered, 1)
        for i = 1, 5 do
          local before = handoff.monotonic()
          assert.same({false}, {s:tawait(i / 200, gate)})
          assert.is_true(handoff.monotonic() - before >= i / 200 - 1e-3)
        end
        handoff.set(leave, 1)
        assert.equals(1, first:await())
        assert.equals(2, s:await(gate))
      end)

    it("of tawait that ends afterwards lets it go on unheard", function()
      local s, gate = new(counted_gated), handoff.unique()
      local entered, leave = handoff.unique(), handoff.unique()
      -- Where the machine is slow it can take some before one begins.
      repeat
        assert.same({false}, {s:tawait(0.05, gate, entered, leave)})
      until handoff.get(entered) > 0
      handoff.set(leave, 1)
      assert.equals(2, s:await(gate))
      assert.equals(1, handoff.get(entered))
    end)

    it("of future:tawait leaves the request as it is", function()
      local s = new(helpers.gated)
      local entered, leave = handoff.unique(), handoff.unique()
      local running = s:async(entered, leave, "first")
      local waiting = s:async(nil, nil, "second")
      for _, timeout in ipairs(NONE) do
        assert.same({false}, {running:tawait(timeout)})
        assert.same({false}, {waiting:tawait(timeout)})
      end
      assert.same({false}, {running:tawait(0.01)})
      assert.same({false}, {waiting:tawait(0.01)})
      handoff.set(leave, 1)
      assert.same({true, "second"}, {waiting:tawait(30)})
      for _, timeout in ipairs(NONE) do -- what is there needs no time
        assert.same({true, "first"}, {running:tawait(timeout)})
        assert.same({true, "second"}, {waiting:tawait(timeout)})
      end
    end)

    it("has to be a number", function()
      local s = new(helpers.echo)
      local future = s:async()
      for name, f in pairs({
        tsend = function(...) s:tsend(...) end,
        tawait = function(...) s:tawait(...) end
      }) do
        helpers.bad_argument(1, name, "number expected, got nan", f, 0/0)
        helpers.bad_argument(1, name, "number expected, got nan", f, -(0/0))
        helpers.bad_argument(1, name, "number expected, got no value", f)
        helpers.bad_argument(1, name, "number expected, got nil", f, nil, 1)
        helpers.bad_argument(1, name, "number expected, got string", f, "x")
        helpers.bad_argument(1, name, "number expected, got table", f, {})
      end
      local function wait(...)
        future:tawait(...)
      end
      helpers.bad_argument(1, "tawait", "number expected, got nan", wait, 0/0)
      helpers.bad_argument(1, "tawait", "number expected, got no value", wait)
      helpers.bad_argument(1, "tawait", "number expected, got boolean", wait,
        true)
    end)
  end)
end
