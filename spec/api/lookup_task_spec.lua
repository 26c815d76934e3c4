local helpers = require "helpers"
local mtstates = require "mtstates"
local suspended = require "suspended"
local tasks = require "tasks"

-- mtstates.state with a timeout in a task, which is suspended. To cancel and
-- to close are among the ways of task_cancel_spec.lua and task_close_spec.lua.

describe("mtstates.state with a timeout in a task", function()
  local s

  before_each(helpers.watch("lookup in tasks"))
  suspended.one_worker(before_each, after_each)
  before_each(function()
    s = mtstates.newstate({}, tasks.setup)
  end)
  after_each(function()
    s:close()
    helpers.unwatch()
  end)

  local MAKE = "mt.newstate(..., 'return function(...) return ... end')"
  local FIND = "enter() local name, timeout = ... " ..
    "local s = mt.state(name, timeout) return s, s:isowner()"

  it("lets the request begin that makes the state", function()
    local future = suspended.begin(s, 1, FIND, "made", 60)
    local made = s:await("kept = " .. MAKE .. " return kept", nil, "made")
    local found, is_owner = future:await()
    assert.equals(made, found)
    assert.is_false(is_owner)
  end)

  it("finds states by id", function()
    local before = mtstates.newstate(helpers.echo)
    local future = suspended.begin(s, 1, FIND, before:id() + 1, math.huge)
    local made = mtstates.newstate(helpers.echo)
    assert.equals(made, (future:await()))
  end)

  it("goes on waiting when another one is made", function()
    local first = suspended.begin(s, 1, FIND, "first", 60)
    local second = suspended.begin(s, 2, FIND, "second", math.huge)
    local also_first = suspended.begin(s, 3, FIND, "first", 60)
    local made = mtstates.newstate("first", helpers.echo)
    assert.equals(made, (first:await()))
    assert.equals(made, (also_first:await()))
    suspended.wait(s, 1)
    assert.is_false(second:ready())
    local other = mtstates.newstate("second", helpers.echo)
    assert.equals(other, (second:await()))
  end)

  it("waits on if the state is closed before the task goes on", function()
    local future = suspended.begin(s, 1, FIND, "brief", 60)
    s:await(MAKE .. ":close()", nil, "brief")
    assert.is_false(future:tawait(0.01))
    local made = mtstates.newstate("brief", helpers.echo)
    assert.equals(made, (future:await()))
  end)

  it("waits on, however often that happens", function()
    local future = tasks.begin(s, FIND, "briefest", 60)
    for _ = 1, 4 do
      s:tawait(0.1, MAKE .. ":close()", nil, "briefest")
      if not s:tawait(0.1, "") then break end -- it holds s: this Lua cannot
    end
    assert.is_false(future:ready())
    local made = mtstates.newstate("briefest", helpers.echo)
    assert.equals(made, (future:await()))
  end)

  it("waits on no longer than it was to", function()
    local future = tasks.begin(s, FIND, "briefer", 0.5)
    s:await(MAKE .. ":close()", nil, "briefer")
    local err = helpers.raises(future.tawait, future, 60)
    assert.matches("mtstates.error.unknown_object: name \"briefer\"", err, 1,
      true)
  end)

  it("raises unknown_object when the time is over", function()
    for _, key in ipairs({"'nobody'", "7"}) do
      local code = "local ok, err = pcall(mt.state, %s, 0.005) return err"
      assert.matches("^mtstates%.error%.unknown_object: ",
        s:await(code:format(key)))
    end
  end)

  it("raises ambiguous_name if there are two when it goes on", function()
    local future = suspended.begin(s, 1, FIND, "two", 60)
    s:await("kept = {" .. MAKE .. ", " .. MAKE .. "}", nil, "two")
    local ok, err = pcall(future.await, future)
    assert.is_false(ok)
    assert.matches("mtstates.error.ambiguous_name: name \"two\"", err, 1, true)
  end)
end)
