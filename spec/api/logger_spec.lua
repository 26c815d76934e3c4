-- Where errors go that nobody sees, and warnings.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"

local FAILING = "return function(e) error(e, 0) end"

describe("the logger", function()
  before_each(helpers.watch("logger"))
  after_each(function()
    mtstates.logger(nil)
    helpers.unwatch()
  end)

  it("is a state that is sent kind, text, name and id", function()
    for _, kind in ipairs(requests.kinds) do
      local log = requests.log_to_mailbox()
      local s = requests.new(kind, FAILING)
      local named = mtstates.newstate("logger\0named", kind == "service"
        and {} or true, FAILING)
      s:send("one")
      local got = helpers.pack(log.take())
      assert.same({4, "error", nil, s:id()}, {got.n, got[1], got[3], got[4]})
      assert.truthy(got[2]:find("one", 1, true), got[2])
      assert.truthy(got[2]:find("stack traceback:", 1, true), got[2])
      assert.is_true(named:tsend(30, "two"))
      got = helpers.pack(log.take())
      assert.same({4, "error", "logger\0named", named:id()},
        {got.n, got[1], got[3], got[4]})
      assert.truthy(got[2]:find("two", 1, true), got[2])
      assert.equals(2, log.count())
      log.reset()
      named:close()
    end
  end)

  it("gets error values as text", function()
    local log = requests.log_to_mailbox()
    local s = requests.new("service", requests.runner)
    for code, text in pairs({
      ["error({code = 404})"] = "table",
      ["error(setmetatable({}, {__tostring = function() return 'T!' end}))"]
        = "T!",
      ["error()"] = tostring(select(2, pcall(error))), -- nil before 5.5
      ["error(true)"] = "boolean",
    }) do
      s:send(code)
      local kind, logged, _, id = log.take()
      assert.same({"error", s:id()}, {kind, id})
      assert.equals("string", type(logged))
      assert.truthy(logged:find(text, 1, true), logged)
    end
    log.reset()
  end)

  it("gets the error of a request that goes on unheard", function()
    local log = requests.log_to_mailbox()
    local s = requests.new("service", function()
      local gates = require "handoff"
      return function(entered, leave)
        gates.enter(entered, leave, 1)
        error("unheard")
      end
    end)
    local entered, leave = handoff.unique(), handoff.unique()
    repeat
      assert.is_false(s:tawait(0.05, entered, leave))
    until handoff.get(entered) > 0
    assert.equals(0, log.count())
    handoff.set(leave, 1)
    assert.truthy(select(2, log.take()):find("unheard", 1, true))
    assert.equals(1, log.count())
    log.reset()
  end)

  it("gets a warning when a state with sent requests is closed", function()
    local log = requests.log_to_mailbox()
    local s = mtstates.newstate("logger closed", {}, helpers.gated)
    local release = requests.hold(s)
    local kept = s:async()
    s:send()
    s:send()
    local id = s:id()
    s:close()
    local kind, text, name, from = log.take()
    assert.same({"warning", "logger closed", id}, {kind, name, from})
    assert.truthy(text:find("was closed: 3 requests failed", 1, true), text)
    release()
    helpers.raises_error("object_closed", kept.await, kept)
    assert.equals(1, log.count())
    -- If none of them was sent, somebody is told by each.
    s = mtstates.newstate({}, helpers.gated)
    release = requests.hold(s)
    kept = s:async()
    s:close()
    release()
    helpers.raises_error("object_closed", kept.await, kept)
    assert.equals(0, log.count())
    log.reset()
  end)

  it("may be a function, which is copied into a service", function()
    local box = handoff.unique("log")
    helpers.with_globals(function()
      local count = 0
      mtstates.logger(function(kind, text, name, id)
        count = count + 1
        require "handoff".put(box, count, kind, text, name, id)
      end)
    end)()
    local s = mtstates.newstate("logger function", {}, FAILING)
    for i = 1, 3 do
      s:send("error " .. i)
      local count, kind, text, name, id = handoff.take(box)
      assert.same({i, "error", "logger function", s:id()},
        {count, kind, name, id})
      assert.truthy(text:find("error " .. i, 1, true), text)
    end
    s:close()
  end)

  it("is held as by an owner", function()
    local box = handoff.unique("log")
    local logger = mtstates.newstate([[
      local gates = require "handoff"
      local box
      return function(kind, text)
        box = box or kind
        gates.put(box, kind, text)
      end
    ]])
    local id = logger:id()
    logger:await(box)
    handoff.take(box)
    mtstates.logger(logger)
    logger = nil -- luacheck: ignore
    helpers.collect()
    assert.equals(1, mtstates.state(id):stats().owners)
    local s = mtstates.newstate({}, FAILING)
    s:send("kept")
    local kind, text = handoff.take(box)
    assert.equals("error", kind)
    assert.truthy(text:find("kept", 1, true))
    mtstates.logger(nil)
    helpers.wait_until(function()
      return not pcall(mtstates.state, id)
    end)
  end)

  it("has to be a state or a function", function()
    local function set(logger)
      mtstates.logger(logger)
    end
    for _, wrong in ipairs({1, "x", true, {}, io.stdout}) do
      helpers.bad_argument(1, "logger", "", set, wrong)
    end
    helpers.bad_argument(1, "logger", "", set,
      coroutine.create(function() end))
    local s = mtstates.newstate(helpers.echo)
    s:close()
    helpers.raises_error("object_closed", mtstates.logger, s)
  end)
end)

-- What goes to stderr is seen in a process of its own.
describe("on stderr", function()
  before_each(helpers.watch("stderr"))
  after_each(helpers.unwatch)

  local prelude = [[
    local mtstates = require "mtstates"
    local handoff = require "handoff"
    local failing = "return function(e) error(e, 0) end"
  ]]

  local function run(program)
    local output, status = helpers.run_program(prelude .. program)
    assert.equals(0, status, output)
    return output
  end

  it("errors and warnings are lines", function()
    local output = run([[
      local s = mtstates.newstate("failing", failing)
      s:send("some text")
      pcall(s.await, s, "read")
      local held = mtstates.newstate("held", {}, function()
        local gates = require "handoff"
        return function()
          gates.enter("entered", "leave", 1)
        end
      end)
      local first = held:async()
      handoff.wait("entered", 1)
      held:send()
      held:close()
      handoff.set("leave", 1)
      first:await()
    ]])
    assert.equals(1, helpers.count(output, "mtstates: error: "), output)
    assert.truthy(output:find("some text", 1, true), output)
    assert.truthy(output:find('"failing"', 1, true), output)
    assert.is_nil(output:find("read", 1, true), output)
    local _, last = output:find("mtstates: warning: state(", 1, true)
    assert.truthy(last, output)
    assert.truthy(output:find('"held"', last, true), output)
    assert.truthy(output:find("was closed: 1 request", last, true), output)
  end)

  for what, maker in pairs({
    ["logger"] = 'newstate("logger", {}', ["pool of loggers"] = 'pool(2',
  }) do
    it("there is a " .. what .. "'s own failure, which it does not get",
    function()
      local output = run(([[
        local logger = mtstates.%s, function()
          local gates = require "handoff"
          return function(kind, text)
            gates.add("logged")
            error("the logger fails")
          end
        end)
        mtstates.logger(logger)
        local s = mtstates.newstate({}, failing)
        for i = 1, 5 do
          s:send("text " .. i)
        end
        handoff.wait("logged", 5)
        pcall(logger.await, logger)
        pcall(s.await, s)
        pcall(logger.await, logger)
        assert(handoff.get("logged") == 7)
        assert(logger:close(60)) -- each member has ended what it ran
      ]]):format(maker))
      assert.equals(5, helpers.count(output, "the logger fails"), output)
    end)
  end

  it("there is what follows a zero byte", function()
    local output = run([[
      local s = mtstates.newstate({}, failing)
      s:send("zero\0byte")
      pcall(s.await, s)
    ]])
    assert.truthy(output:find("zero\0byte", 1, true), output)
  end)

  it("there are errors again after logger(nil)", function()
    local output = run([[
      local logger = mtstates.newstate(function()
        return function(kind, text)
          require "handoff".put("log", kind, text)
        end
      end)
      mtstates.logger(logger)
      local s = mtstates.newstate(failing)
      s:send("to the state")
      handoff.take("log")
      mtstates.logger(nil)
      s:send("to stderr")
      pcall(s.await, s)
    ]])
    assert.truthy(output:find("to stderr", 1, true), output)
    assert.is_nil(output:find("to the state", 1, true), output)
  end)

  it("there is what a full logger has no room for", function()
    local output = run([[
      local logger = mtstates.newstate({queue = 2}, function()
        local gates = require "handoff"
        return function(kind, text)
          gates.enter("logging", "leave", 1)
          gates.put("log", text)
        end
      end)
      mtstates.logger(logger)
      local s = mtstates.newstate(failing)
      s:send("text 1;")
      handoff.wait("logging", 1)
      for i = 2, 10 do
        s:send("text " .. i .. ";")
      end
      pcall(s.await, s) -- they are all done
      handoff.set("leave", 1)
      for i = 1, 3 do
        assert(handoff.take("log"):find("text " .. i .. ";", 1, true))
      end
      mtstates.logger(nil)
    ]])
    for i = 1, 10 do
      assert.equals(i <= 3 and 0 or 1,
        helpers.count(output, "text " .. i .. ";"), output)
    end
  end)
end)
