local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

-- mtstates.state with a timeout waits for a state to be published.

describe("mtstates.state with a timeout", function()
  before_each(helpers.watch("lookup wait"))
  after_each(helpers.unwatch)

  local function find_body(gate, key, timeout)
    local state = require "mtstates".state
    require "handoff".add(gate)
    local ok, found = pcall(state, key, timeout)
    return ok and found:id() or found
  end

  it("waits for a state of that name, whatever others are made", function()
    local gate = handoff.unique("looks")
    local thread = threads.waiting(gate, find_body, gate, "lookup wait", 100)
    local other = mtstates.newstate("lookup other", helpers.echo)
    thread:wait_asleep()
    local s = mtstates.newstate("lookup wait", helpers.echo)
    assert.equals(s:id(), thread:results())
    assert.is_false(other:id() == s:id())
  end)

  it("waits for a state of that id, and without limit", function()
    local before = mtstates.newstate(helpers.echo)
    local gate = handoff.unique("looks")
    local thread = threads.waiting(gate, find_body, gate, before:id() + 1,
      math.huge)
    local s = mtstates.newstate(helpers.echo)
    assert.equals(before:id() + 1, s:id())
    assert.equals(s:id(), thread:results())
  end)

  it("wakes all who wait", function()
    local gate = handoff.unique("looks")
    local waiting = {}
    for i = 1, 4 do
      waiting[i] = threads.waiting(gate, find_body, gate, "lookup all", 100)
    end
    local s = mtstates.singleton("lookup all", helpers.echo)
    for i = 1, #waiting do
      assert.equals(s:id(), waiting[i]:results())
    end
  end)

  -- More than are woken at once.
  it("wakes however many wait", function()
    local gate = handoff.unique("looks")
    local waiting = {}
    for i = 1, 40 do
      waiting[i] = threads.waiting(gate, find_body, gate, "lookup many", 100)
    end
    local s = mtstates.newstate("lookup many", helpers.echo)
    for i = 1, #waiting do
      assert.equals(s:id(), waiting[i]:results())
    end
  end)

  it("does not wait if there is one, or several", function()
    local s = mtstates.newstate("lookup there", helpers.echo)
    assert.equals(s, mtstates.state("lookup there", math.huge))
    assert.equals(s, mtstates.state(s:id(), math.huge))
    local twin = mtstates.newstate("lookup there", helpers.echo)
    helpers.raises_error("ambiguous_name", mtstates.state, "lookup there",
      math.huge)
    twin:close()
  end)

  it("raises unknown_object when the time is over", function()
    for _, timeout in ipairs({0.01, 0, -1, -math.huge}) do
      helpers.raises_error("unknown_object", mtstates.state,
        "lookup nobody", timeout)
      helpers.raises_error("unknown_object", mtstates.state, 7, timeout)
    end
    helpers.raises_error("unknown_object", mtstates.state, 7, nil)
  end)

  it("takes a number as timeout", function()
    helpers.bad_argument(2, "state", "number expected, got nan", function()
      mtstates.state("lookup nobody", 0 / 0)
    end)
    helpers.bad_argument(2, "state", "number expected, got boolean",
      function()
        mtstates.state("lookup nobody", true)
      end)
  end)
end)
