-- Tasks that wait are suspended: their state is free meanwhile. What they are
-- after that is in task_results_spec.lua.

local assert = require "luassert"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local suspended = require "suspended"
local tasks = require "tasks"

-- Waits for the state `id`, a keeper whose answer is "answer", 2.
local ANSWERS = {
  ["state:await"] = {"mt.state(id):await('get')", "answer", 2},
  ["state:tawait"] = {"mt.state(id):tawait(60, 'get')", true, "answer", 2},
  ["state:tawait without end"] =
    {"mt.state(id):tawait(math.huge, 'get')", true, "answer", 2},
  ["future:await"] = {"mt.state(id):async('get'):await()", "answer", 2},
  ["future:tawait"] =
    {"mt.state(id):async('get'):tawait(60)", true, "answer", 2},
  ["future:tawait without end"] =
    {"mt.state(id):async('get'):tawait(math.huge)", true, "answer", 2},
}

-- Waits for room in the state `id`, whose answer is "room".
local ROOM = {
  ["send"] = {"mt.state(id):send()"},
  ["tsend"] = {"mt.state(id):tsend(60)", true},
  ["tsend without end"] = {"mt.state(id):tsend(math.huge)", true},
  ["async"] = {"mt.state(id):async(nil, nil, 'room'):await()", "room"},
  ["await"] = {"mt.state(id):await(nil, nil, 'room')", "room"},
  ["tawait"] = {"mt.state(id):tawait(60, nil, nil, 'room')", true, "room"},
}

local KINDS = {
  ["classic state"] = true,
  ["service"] = {},
  ["state with own_thread"] = {own_thread = true},
}

for kind, options in pairs(KINDS) do
  describe("a task that waits, of a " .. kind, function()
    local s

    before_each(helpers.watch("tasks"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      s = mtstates.newstate(nil, options, tasks.setup)
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      helpers.unwatch()
    end)

    -- Begins code with `wait` in it; gives its future when it is suspended.
    local function begin_wait(wait, id)
      return suspended.begin(s, 1, ([[
        local id = ...
        local before, t = "before", {"kept"}
        local function pack(...)
          return {n = select("#", ...), ...}
        end
        enter()
        local r = pack(%s)
        return before, t[1], r.n, r[1], r[2], r[3]
      ]]):format(wait), id)
    end

    local function check_results(future, way)
      local n = #way - 1
      local got = helpers.pack(future:await())
      assert.same({"before", "kept", n}, {got[1], got[2], got[3]})
      for i = 1, n do
        assert.equals(way[i + 1], got[3 + i])
      end
      assert.equals(0, s:stats().tasks)
      assert.equals("on", s:await("return 'on'"))
    end

    for name, way in pairs(ANSWERS) do
      it("by " .. name .. " leaves the state to others", function()
        local keeper = suspended.keeper()
        local future = begin_wait(way[1], keeper.id)
        assert.equals("called", s:call("return 'called'"))
        assert.same({true, "timed"}, {s:tcall(60, "return 'timed'")})
        assert.equals("asked", s:await("return 'asked'"))
        assert.equals(1, s:stats().tasks)
        assert.is_false(future:ready())
        keeper.open("answer", 2)
        check_results(future, way)
      end)
    end

    for name, way in pairs(ROOM) do
      it("for room by " .. name .. " lets calls in", function()
        local full = suspended.full()
        local future = begin_wait(way[1], full.id)
        assert.equals("called", s:call("return 'called'"))
        assert.equals(1, s:stats().tasks)
        assert.is_false(future:ready())
        full.release()
        check_results(future, way)
      end)
    end

    it("by sleep leaves the state to others", function()
      local future = suspended.begin(s, 1, "enter() mt.sleep(60)")
      assert.equals("called", s:call("return 'called'"))
      assert.equals("asked", s:await("return 'asked'"))
      assert.is_true(future:cancel())
      tasks.check_cancelled(future, s)
      assert.equals("slept", s:await("mt.sleep(0.001) return 'slept'"))
      assert.equals(0, s:await("return select('#', mt.sleep(0.001))"))
    end)

    it("whose time ends gives false", function()
      local keeper, full = suspended.keeper(), suspended.full()
      for wait, id in pairs({
        ["mt.state(id):tawait(t, 'get')"] = keeper.id,
        ["mt.state(id):async('get'):tawait(t)"] = keeper.id,
        ["mt.state(id):tsend(t)"] = full.id,
        ["mt.state(id):tawait(t)"] = full.id,
      }) do
        for _, timeout in ipairs({0.002, 0.01, 0, -1}) do
          local took, n, result = s:await([[
            local id, t = ...
            local before = mt.now()
            local function pack(...)
              return {n = select("#", ...), ...}
            end
            local r = pack(]] .. wait .. [[)
            return mt.now() - before, r.n, r[1]
          ]], nil, id, timeout)
          assert.is_true(took >= timeout)
          assert.same({1, false}, {n, result})
        end
      end
      full.release()
      keeper.open()
    end)

    it("and has no time to wait lets nobody else run", function()
      local keeper, full = suspended.keeper(), suspended.full()
      assert.is_false(s:await([[
        local keeper, full = ...
        local future = mt.state(keeper):async("get")
        local has_run = false
        mt.fork(function() has_run = true end)
        for _, t in ipairs({0, -0.001, -math.huge}) do
          assert(not future:tawait(t))
          assert(not mt.state(keeper):tawait(t, "get"))
          assert(not mt.state(full):tsend(t))
          assert(not mt.state(full):tawait(t))
        end
        return has_run
      ]], nil, keeper.id, full.id))
      full.release()
      keeper.open()
    end)

    it("and waits for what is there already goes on", function()
      local keeper = suspended.keeper()
      keeper.open("there")
      assert.same({"there", "there", true}, {s:await([[
        local future = mt.state(...):async("get")
        local a = future:await()
        local b = future:await()
        local ok = future:tawait(60)
        return a, b, ok
      ]], nil, keeper.id)})
    end)

    it("may be one of many, answered in any order", function()
      local keepers, futures = {}, {}
      for i = 1, 20 do
        keepers[i] = suspended.keeper()
        futures[i] = s:async([[
          local id, n = ...
          local mine = n * 10
          local a = mt.state(id):await("get")
          mt.sleep(0)
          return mine + a
        ]], nil, keepers[i].id, i)
      end
      suspended.wait(s, 20)
      local random = helpers.random(7)
      local left = 20
      while left > 0 do
        local i = random(20)
        if keepers[i] then
          keepers[i].open(i)
          assert.equals(11 * i, futures[i]:await())
          keepers[i], left = nil, left - 1
          assert.equals(left, s:stats().tasks)
        end
      end
    end)

    it("by sleep(0) lets others run first", function()
      local box = handoff.unique()
      local entered, leave = handoff.unique(), handoff.unique()
      s:send("gates.add((...)) gates.wait(select(2, ...), 1)", nil, entered,
        leave)
      handoff.wait(entered, 1)
      for i = 1, 3 do
        s:send([[
          local box, i = ...
          gates.put(box, i)
          mt.sleep(0)
          gates.put(box, i + 10)
          mt.sleep(0)
          gates.put(box, i + 20)
        ]], nil, box, i)
      end
      s:send("gates.put(..., 4)", nil, box)
      handoff.set(leave, 1)
      assert.same({1, 2, 3, 4, 11, 12, 13, 21, 22, 23},
        suspended.take(box, 10))
    end)

    it("by sleep(0) without end keeps nobody out", function()
      local gate = handoff.unique()
      local future = s:async([[
        local turns = 0
        while gates.get(...) == 0 do
          turns = turns + 1
          mt.sleep(0)
        end
        return turns
      ]], nil, gate)
      local other = mtstates.newstate({}, helpers.echo)
      for i = 1, 100 do
        assert.equals(i, s:call("return ...", nil, i))
        assert.equals(i, s:await("return ...", nil, i))
        assert.equals(i, other:await(i))
      end
      s:await("gates.set(..., 1)", nil, gate)
      assert.is_true(future:await() > 0)
    end)
  end)
end
