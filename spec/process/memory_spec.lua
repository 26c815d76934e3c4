local handoff = require "handoff"
local helpers = require "helpers"
local memlimit = require "memlimit"
local mtstates = require "mtstates"

-- memlimit makes the allocator of one Lua state refuse. The caller is always
-- a state of its own here, so that busted keeps its memory.

describe("when memory is out", function()
  before_each(helpers.watch("memory"))
  after_each(helpers.unwatch)

  -- The callback limits its own state: larger(n), after(n), allow; echo.
  local function limited()
    local limit = require "memlimit"
    return function(what, ...)
      if what == "larger" then
        limit.refuse_larger(...)
      elseif what == "allow" then
        limit.allow()
      elseif what == "make" then
        return ("m"):rep((...))
      elseif what == "list" then
        local list = {}
        for i = 1, ... do
          list[i] = i
        end
        return #list
      else
        return what, ...
      end
    end
  end

  it("in the target, call raises out_of_memory for what cannot cross",
    function()
      local s = mtstates.newstate(limited)
      local big = ("x"):rep(1000000)
      s:call("larger", 100000)
      for _ = 1, 20 do
        helpers.raises_error("out_of_memory", function()
          s:call("echo", 1, big, 2)
        end)
        helpers.raises_error("out_of_memory", function()
          s:tcall(0, "echo", big)
        end)
      end
      assert.same({"echo", 1}, {s:call("echo", 1)})
      s:call("allow")
      assert.is_true(big == select(2, s:call("echo", big)))
    end)

  it("in the target, call raises out_of_memory for too many values",
    function()
      local s = mtstates.newstate(limited)
      s:call("larger", 20000)
      local many = {}
      for i = 1, 200 do
        many[i] = i
      end
      assert.same(many, {s:call(helpers.unpack(many))})
      helpers.raises_error("out_of_memory", function()
        s:call(handoff.results(3000))
      end)
      assert.equals(1, s:call(1))
    end)

  it("in the caller, call raises out_of_memory for too many results",
    function()
      local target = mtstates.newstate(function()
        return require "handoff".results
      end)
      local caller = mtstates.newstate(function()
        local mt = require "mtstates"
        local limit = require "memlimit"
        return function(id, count)
          local r = mt.state(id)
          limit.refuse_larger(20000)
          for _ = 1, 10 do -- no failure leaves anything to the next
            pcall(r.call, r, count)
          end
          local _, err = pcall(r.call, r, count)
          local few = select("#", r:call(200))
          limit.allow()
          return err, few, select("#", r:call(count))
        end
      end)
      local err, few, count = caller:call(target:id(), 3000)
      assert.equals(1, err:find(mtstates.error.out_of_memory, 1, true))
      assert.equals(200, few)
      assert.equals(3000, count)
      assert.equals(1, target:call(1))
    end)

  it("inside the callback, the error names the state", function()
    local s = mtstates.newstate(limited)
    s:call("larger", 100000)
    for _, what in ipairs({"make", "list"}) do
      local err = helpers.raises_error("invoking_state", s.call, s, what,
        1000000)
      assert.truthy(err:find("not enough memory", 1, true), err)
      assert.truthy(err:find(tostring(s:id()), 1, true), err)
      assert.same({"echo", 1}, {s:call("echo", 1)})
    end
  end)

  it("in the caller, call raises and leaves both states usable", function()
    local target = mtstates.newstate(limited)
    local caller = mtstates.newstate(function()
      local mt = require "mtstates"
      local limit = require "memlimit"
      return function(id, size)
        local r = mt.state(id)
        local errors = {}
        for i = 1, 10 do
          limit.refuse_larger(100000)
          local ok, err = pcall(r.call, r, "make", size)
          limit.allow()
          errors[i] = not ok and tostring(err) or nil
        end
        return #errors, errors[1], r:call("make", 3), r:tcall(0, "free?")
      end
    end)
    local count, err, small, free, answer = caller:call(target:id(), 1000000)
    assert.equals(10, count)
    assert.truthy(err:find("not enough memory", 1, true)
      or err:find(mtstates.error.out_of_memory, 1, true) == 1)
    assert.equals("mmm", small)
    assert.is_true(free)
    assert.equals("free?", answer)
    assert.equals("again", target:call("again"))
  end)

  it("in the caller, newstate's results raise and the state is closed",
    function()
      local caller = mtstates.newstate(function()
        local mt = require "mtstates"
        local limit = require "memlimit"
        return function(code)
          limit.refuse_larger(100000)
          local ok, err = pcall(mt.newstate, "memory results", code)
          limit.allow()
          collectgarbage()
          collectgarbage()
          local found = pcall(mt.state, "memory results")
          return ok, tostring(err), found
        end
      end)
      local ok, err, found = caller:call(
        "return function() end, ('x'):rep(1000000)")
      assert.is_false(ok)
      assert.truthy(err:find("not enough memory", 1, true)
        or err:find(mtstates.error.out_of_memory, 1, true) == 1)
      assert.is_false(found)
    end)

  -- Every allocation of the caller fails once, wherever it stands in a call.
  it("at any point in the caller, both states stay usable", function()
    local target = mtstates.newstate(limited)
    local caller = mtstates.newstate(function()
      local mt = require "mtstates"
      local limit = require "memlimit"
      local function attempt(r, what, n, ...)
        limit.refuse_after(n) -- here, as calling pcall can need memory, too
        if what == "call" then -- each result is a string of its own
          return r:call("make", 600 + n, ...)
        elseif what == "raise" then
          return r:call("make", {})
        elseif what == "closed" then
          return mt.state(1)
        elseif what == "error" then
          return r:call("make", "no number")
        elseif what == "new" then
          return mt.newstate(false, "return function() end, 'result'")
        end
        return mt.state(r:id())
      end
      return function(id, what, ...)
        local r = mt.state(id)
        local failures = 0
        for n = 0, 400 do
          local ok, result = pcall(attempt, r, what, n, ...)
          limit.allow()
          if not ok and type(result) ~= "string" then
            error("no string was raised")
          end
          if not ok and (result:find("not enough memory", 1, true)
              or result:find(mt.error.out_of_memory, 1, true)) then
            failures = failures + 1
          end
          if r:call("usable") ~= "usable" then
            error("not usable")
          end
        end
        collectgarbage()
        return failures
      end
    end)
    local text = ("y"):rep(500)
    for _, what in ipairs({
      "call", "raise", "closed", "error", "new", "state"
    }) do
      local failures = caller:call(target:id(), what, text, text .. "z")
      assert.is_true(failures > 0, what)
      assert.equals("fine", target:call("fine"))
    end
  end)

  -- And every allocation of the target.
  it("at any point in the target, the state stays usable", function()
    local s = mtstates.newstate(function()
      local limit = require "memlimit"
      return function(what, n)
        if what == "after" then
          limit.refuse_after(n)
        elseif what == "raise" then
          error("raised " .. n)
        elseif what == "table" then
          return {n}
        elseif what == "string" then
          return "string " .. n .. ("s"):rep(200)
        end
        return what, n
      end
    end)
    local text = ("y"):rep(300)
    local failures = 0
    for _, what in ipairs({"echo", "raise", "table", "string"}) do
      for n = 0, 60 do
        s:call("after", n)
        local ok, err = pcall(s.call, s, what, text .. n)
        if not ok then
          assert.equals(1, (err:find("mtstates%.error%.%w+")))
          failures = failures + 1
        end
        memlimit.allow_everywhere()
        assert.same({"echo", n}, {s:call("echo", n)})
      end
    end
    assert.is_true(failures > 0)
  end)

  -- valgrind cannot live with a limited address space: hence the tag.
  describe("for the process #rlimit", function()
    local program = [[
      local mtstates = require "mtstates"
      local handoff = require "handoff"
      local first = mtstates.newstate("return function(x) return x end")
      assert(handoff.limit_memory(30000000))
      local states, err = {}, nil
      for i = 1, 100000 do
        local ok, s = pcall(mtstates.newstate, [=[
          local big = ("x"):rep(300000)
          return function() return #big end
        ]=])
        if not ok then
          err = s
          break
        end
        states[i] = s
      end
      handoff.limit_memory(nil)
      print(err and err:match("^mtstates%.error%.[%w_]+"))
      print(#states > 3, first:call("first"), states[1]:call())
      states = nil
      collectgarbage()
      collectgarbage()
      print(mtstates.newstate("return function() return 'new' end"):call())
    ]]

    it("newstate raises an error and everything else goes on", function()
      local lines = {}
      for line in helpers.run_program(program):gmatch("[^\n]+") do
        lines[#lines + 1] = line
      end
      assert.is_true(lines[1] == mtstates.error.out_of_memory
        or lines[1] == mtstates.error.invoking_state, lines[1])
      assert.equals("true\tfirst\t300000", lines[2])
      assert.equals("new", lines[3])
      assert.equals(3, #lines)
    end)
  end)
end)
