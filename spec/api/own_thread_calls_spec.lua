-- Calls of states with own_thread: their callers wait in line, unless they are
-- run by that thread already; calls back from elsewhere are a deadlock.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local tasks = require "tasks"
local threads = require "threads"

describe("a call of a state with own_thread", function()
  before_each(helpers.watch("calls of own threads"))
  after_each(helpers.unwatch)

  local function new(...)
    return mtstates.newstate({own_thread = true}, ...)
  end

  it("waits in line with requests and other calls", function()
    local s = new([[
      local gates = require "handoff"
      local last = 0
      return function(entered, leave)
        if entered then
          gates.enter(entered, leave, 1)
        end
        last = last + 1
        return last
      end
    ]])
    local release = requests.hold(s)
    local gate, line = handoff.unique(), {}
    for i = 1, 6 do
      if i % 2 == 1 then
        line[i] = s:async()
      else
        line[i] = threads.waiting(gate, function(g, id)
          local r = require "mtstates".state(id)
          require "handoff".add(g)
          return r:call()
        end, gate, s:id())
      end
    end
    assert.equals(1, release())
    for i = 1, 6 do
      assert.equals(i + 1, i % 2 == 1 and line[i]:await()
        or line[i]:results())
    end
  end)

  it("begins at once when all that was left is a cancelled fork", function()
    local s = new(tasks.setup)
    local tries, begins = 0
    repeat -- its thread can be kept from running before
      s:await("mt.fork(error):cancel()")
      mtstates.sleep(0.01)
      begins = s:tcall(0, "")
      tries = tries + 1
    until begins or tries == 100
    assert.is_true(begins)
    s:close()
  end)

  it("is not counted against the queue", function()
    local s = mtstates.newstate({own_thread = true, queue = 1},
      helpers.gated)
    local release = requests.hold(s)
    s:send()
    assert.is_false(s:tsend(0))
    local gate, callers = handoff.unique(), {}
    for i = 1, 5 do
      callers[i] = threads.waiting(gate, function(g, id, n)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        return r:call(nil, nil, n)
      end, gate, s:id(), i)
    end
    assert.is_false(s:tsend(0))
    release()
    for i = 1, 5 do
      assert.equals(i, callers[i]:results())
    end
    assert.is_true(s:tsend(60))
  end)

  it("in line takes no room of the queue", function()
    local s = mtstates.newstate({own_thread = true, queue = 1},
      helpers.gated)
    local release = requests.hold(s)
    local gate = handoff.unique()
    local caller = threads.waiting(gate, function(g, id)
      local r = require "mtstates".state(id)
      require "handoff".add(g)
      return r:call(nil, nil, "called")
    end, gate, s:id())
    helpers.wait_until(function() return s:stats().waiting == 1 end)
    assert.is_true(s:tsend(0))
    assert.is_false(s:tsend(0))
    release()
    assert.equals("called", caller:results())
  end)

  it("with a timeout that is over in the line never begins", function()
    local s, gate = new(helpers.gated), handoff.unique()
    local release = requests.hold(s)
    for _, timeout in ipairs({0, -1, -math.huge, 0.001, 0.02}) do
      local before = mtstates.now()
      assert.same({false, n = 1}, helpers.pack(s:tcall(timeout, gate)))
      assert.is_true(mtstates.now() - before >= timeout)
    end
    release()
    assert.same({true, 1}, {s:tcall(60, nil, nil, 1)})
    assert.same({true, 1}, {s:tcall(math.huge, nil, nil, 1)})
    assert.equals(0, handoff.get(gate))
    helpers.bad_argument(1, "tcall", "number expected, got nan", function()
      s:tcall(0/0)
    end)
  end)

  it("with a timeout that is 0 is run where nothing is in the way", function()
    local s = new(helpers.echo)
    s:call()
    helpers.wait_until(function()
      local in_time, result = s:tcall(0, "at once")
      return in_time and result == "at once"
    end)
  end)

  it("with a timeout may run longer than that", function()
    local s, leave = new(helpers.gated), handoff.unique()
    local entered = handoff.unique()
    local caller = threads.start(function(id, ...)
      local r = require "mtstates".state(id)
      local ok, result
      repeat -- the thread can take longer to begin
        ok, result = r:tcall(0.02, ...)
      until ok
      return ok, result
    end, s:id(), entered, leave, "longer")
    handoff.wait(entered, 1)
    mtstates.sleep(0.05)
    handoff.set(leave, 1)
    assert.same({true, "longer"}, {caller:results()})
    assert.equals(1, handoff.get(entered))
  end)

  it("nests where that thread runs the state already", function()
    local s = new([[
      local gates, mt = require "handoff", require "mtstates"
      local depth = 0
      return function(count, timeout)
        local me = mt.state(mt.id())
        if count == 0 then
          return gates.tid(), depth
        end
        depth = depth + 1
        if timeout then
          return select(2, me:tcall(timeout, count - 1, timeout))
        end
        return me:call(count - 1)
      end
    ]])
    local own = s:call(0)
    assert.same({own, 5}, {s:call(5)})
    assert.same({own, 10}, {s:await(5)})
    assert.same({own, 15}, {s:await(5, 0)})
    assert.same({own, 20}, {s:call(5, math.huge)})
  end)

  it("nests through states that this thread runs, too", function()
    for _, kind in ipairs(requests.kinds) do
      local between = requests.new(kind, [[
        local mt = require "mtstates"
        return function(id) return mt.state(id):call() end
      ]])
      local s = new([[
        local gates, mt = require "handoff", require "mtstates"
        return function(id)
          if id then
            return gates.tid(), mt.state(id):call(mt.id())
          end
          return gates.tid()
        end
      ]])
      local outer, inner = s:await(between:id())
      assert.equals(outer, inner)
      outer, inner = s:call(between:id())
      assert.equals(outer, inner)
    end
  end)

  -- Setup: callback(id, method, ...) asks that state, holding its thread;
  -- gives what that raised.
  local function asker()
    local hold, mt = require "helpers".hold, require "mtstates"
    return function(id, method, ...)
      if not id then
        return "asked"
      end
      local r = mt.state(id)
      return hold(pcall, r[method], r, ...)
    end
  end

  it("back from another thread is none to a task that is suspended",
    function()
      local function suspending()
        local mt = require "mtstates"
        return function(id, method, ...)
          if not id then
            return "asked"
          end
          local r = mt.state(id)
          local answer = r[method](r, ...)
          return answer
        end
      end
      local s, own = new(suspending), new(suspending)
      local plain = requests.new("service", suspending)
      for _, pair in ipairs({{s, own}, {s, plain}, {plain, own}, {s, s}}) do
        local first, second = pair[1], pair[2]
        for _, back in ipairs({"call", "await"}) do
          assert.equals("asked", first:await(second:id(), "await", first:id(),
            back))
        end
      end
    end)

  it("back from another thread is a deadlock", function()
    local s, own = new(asker), new(asker)
    local plain = requests.new("service", asker)
    local function check(first, other, method, back)
      local results = helpers.pack(first:await(other:id(), method, first:id(),
        back))
      local err = results[results.n]
      assert.equals("string", type(err))
      assert.equals(1, err:find("mtstates.error.deadlock: state(", 1, true),
        err)
      assert.truthy(err:find("waiting would never end", 1, true), err)
      assert.equals("asked", first:call())
      assert.equals("asked", other:call())
    end
    for _ = 1, 20 do
      for _, back in ipairs({"call", "await"}) do
        check(s, own, "call", back)
        check(s, own, "await", back)
        check(s, plain, "await", back)
        check(plain, own, "call", back)
        check(plain, own, "await", back)
      end
      check(s, plain, "call", "await")
    end
    -- A call back with a timeout waits for that.
    assert.same({true, true, false},
      {s:await(own:id(), "call", s:id(), "tcall", 0.01)})
    assert.same({true, true, false},
      {s:await(own:id(), "call", s:id(), "tcall", 0)})
  end)

  it("of its own request is a deadlock", function()
    local s = new(asker)
    local ok, err = s:await(s:id(), "await")
    assert.is_false(ok)
    assert.equals(1, err:find(mtstates.error.deadlock, 1, true), err)
    assert.same({true, "asked"}, {s:await(s:id(), "call")})
  end)

  it("in progress keeps the state from being closed", function()
    local s = new(helpers.gated)
    local held = threads.hold(s, "held")
    helpers.raises_error("concurrent_access", s.close, s)
    held:release()
    s:close()
    s = new([[
      local mt = require "mtstates"
      return function()
        local me = mt.state(mt.id())
        return pcall(me.close, me)
      end
    ]])
    for _, method in ipairs({"call", "await"}) do
      local ok, err = s[method](s)
      assert.is_false(ok)
      assert.equals(1, err:find(mtstates.error.concurrent_access, 1, true),
        err)
    end
  end)

  it("that waits in line when the state is closed is told", function()
    local s = new(helpers.gated)
    local release = requests.hold(s)
    local gate, callers = handoff.unique(), {}
    for i = 1, 3 do
      callers[i] = threads.waiting(gate, function(g, id, timeout)
        local r = require "mtstates".state(id)
        require "handoff".add(g)
        if timeout > 0 then
          return pcall(r.tcall, r, timeout)
        end
        return pcall(r.call, r)
      end, gate, s:id(), (i - 1) * 60)
    end
    s:close()
    for i = 1, 3 do
      local ok, err = callers[i]:results()
      assert.is_false(ok)
      assert.equals(1, err:find(mtstates.error.object_closed, 1, true), err)
    end
    release()
  end)

  it("by many threads is undisturbed", function()
    local s, callers = new([[
      local inside = 0
      local own
      return function(n)
        local tid = require "handoff".tid()
        if inside ~= 0 or tid ~= (own or tid) then
          error("disturbed")
        end
        own, inside = tid, 1
        for _ = 1, n % 100 do end
        inside = 0
        return n
      end
    ]]), {}
    for i = 1, 6 do
      callers[i] = threads.start(function(id, first)
        local r = require "mtstates".state(id)
        for n = first, first + 2999 do
          local method = n % 3 == 0 and "await" or "call"
          if r[method](r, n) ~= n then
            error("the answer of another")
          end
        end
      end, s:id(), i * 10000)
    end
    for i = 1, 6 do
      callers[i]:results()
    end
  end)

  it("cannot be cancelled, but what asks for it can", function()
    local s = new(tasks.setup)
    local busy = tasks.begin(s, "gates.put('own busy', 1) work()")
    handoff.take("own busy")
    local future = s:async("return 1")
    assert.is_true(future:cancel())
    tasks.check_cancelled(future, s)
    assert.is_true(busy:cancel())
    tasks.check_cancelled(busy, s)
    assert.equals(1, s:call("return 1"))
  end)
end)
