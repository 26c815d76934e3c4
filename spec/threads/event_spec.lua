-- What one thread waits for: src/base/event.c, with and without futexes.

local helpers = require "helpers"

for _, module in ipairs({"events", "events_portable"}) do
  local events = require(module)

  describe("an event of the module " .. module, function()
    before_each(helpers.watch("events"))
    after_each(helpers.unwatch)

    it("is a futex or is none", function()
      assert.equals(module == "events", events.has_futex())
    end)

    it("stays set until a wait has seen it, and wakes nobody then", function()
      assert.same({false, false, false}, {events.alone(0)})
      assert.same({false, true, false}, {events.alone(1)})
      assert.same({false, true, false}, {events.alone(3)})
    end)

    it("ends a wait at the deadline, not before", function()
      for _, seconds in ipairs({-1, 0, 1e-9, 1e-4, 0.01}) do
        assert.same({false, false}, {events.expire(seconds)})
      end
    end)

    it("is seen each time, with what was written before", function()
      assert.equals(4000, events.play(2000))
    end)

    it("may be gone as soon as it is set", function()
      assert.equals(200, events.unmap(200))
    end)

    it("is not lost when the thread that waits is cancelled", function()
      assert.same({true, true}, {events.cancel()})
    end)
  end)
end
