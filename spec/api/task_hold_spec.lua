-- Where a wait suspends its task and where it holds its thread; it raises
-- nowhere. User coroutines are in task_coroutine_spec.lua.

local assert = require "luassert"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

-- Code that calls wait() below something else. Where Lua can say whether it
-- can yield, it is asked. Else `suspends` tells from which version on it does,
-- if it does there at all; "perhaps": either is right, as with xpcall in 5.2,
-- whose message handler cannot be told from what it calls.
local PLACES = {
  {"directly", "wait()", suspends = "5.1"},
  {"in a local function", "local function f() wait() end f()",
    suspends = "5.1"},
  {"in a method", "local t = {} function t:m() wait() end t:m()",
    suspends = "5.1"},
  {"in a global function", "function held() wait() end held() held = nil",
    suspends = "5.1"},
  {"in pcall", "assert(pcall(wait))", suspends = "5.2"},
  {"in pcalls", "assert(pcall(pcall, function() wait() return 1 end))",
    suspends = "5.2"},
  {"in xpcall", "assert(xpcall(function() wait() end, print))",
    suspends = "5.2 perhaps"},
  {"in a function without a name", "(function() wait() end)()"},
  {"in a tail call", "local function f() wait() end " ..
    "local function g() return f() end g()"},
  {"in a generator", "for _ in function(_, i) wait() " ..
    "if not i then return 1 end end do end", suspends = "5.2 perhaps"},
  {"in __index", "local t = setmetatable({}, " ..
    "{__index = function() wait() return 1 end}) assert(t.x == 1)"},
  {"in __newindex", "local t = setmetatable({}, " ..
    "{__newindex = function() wait() end}) t.x = 1"},
  {"in __call", "local t = setmetatable({}, " ..
    "{__call = function() wait() end}) t()", suspends = "perhaps"},
  {"in __add", "local t = setmetatable({}, " ..
    "{__add = function() wait() return 7 end}) assert(t + 1 == 7)"},
  {"in __concat", "local t = setmetatable({}, " ..
    "{__concat = function() wait() return 'c' end}) assert(t .. 'x' == 'c')"},
  {"in __eq", "local e = {__eq = function() wait() return true end} " ..
    "assert(setmetatable({}, e) == setmetatable({}, e))"},
  {"in __lt", "local e = {__lt = function() wait() return true end} " ..
    "assert(setmetatable({}, e) < setmetatable({}, e))"},
  {"in table.sort", "local t = {3, 1, 2} table.sort(t, function(a, b) " ..
    "wait() return a < b end) assert(t[1] == 1 and t[3] == 3)"},
  {"in string.gsub", "assert(('ab'):gsub('%w', function(c) wait() " ..
    "return c:upper() end) == 'AB')"},
  {"in __tostring", "local t = setmetatable({}, {__tostring = " ..
    "function() wait() return 'text' end}) assert(tostring(t) == 'text')"},
  {"in a reader", "local parts = {'return ', '5'} local at = 0 " ..
    "assert(load(function() at = at + 1 wait() return parts[at] end)() == 5)"},
  {"in a module", "package.preload.held = function() wait() return {} " ..
    "end package.loaded.held = nil require 'held'"},
  {"in a message handler", "assert(not xpcall(error, function(err) " ..
    "wait() return err end))"},
  {"in a debug hook", "debug.sethook(function() debug.sethook() wait() " ..
    "end, '', 1) local x = 1 debug.sethook() assert(x)"},
  {"in a finalizer", "do require 'on_collect'(wait) end " ..
    "collectgarbage() collectgarbage()"},
  {"in a coroutine in table.sort", "table.sort({1, 2}, function() " ..
    "coroutine.wrap(function() wait() end)() end)", holds = true},
  {"in a coroutine that C resumes", "assert(require 'cresume'(wait))",
    holds = true},
}

if suspended.has_closing then
  PLACES[#PLACES + 1] = {"in __close", "do local x <close> = " ..
    "setmetatable({}, {__close = function() wait() end}) end"}
  PLACES[#PLACES + 1] = {"in __close by an error", "pcall(function() " ..
    "local x <close> = setmetatable({}, {__close = function() wait() end}) " ..
    "error('x') end)"}
end

-- Whether waits suspend there: true, false, or nil if nothing says so.
local function suspends(place)
  if place.holds then
    return false
  elseif suspended.is_exact then
    local can
    local f = assert(helpers.compile("local wait = ... " .. place[2]))
    coroutine.wrap(function()
      f(function() can = rawget(coroutine, "isyieldable")() end)
    end)()
    return can
  elseif place.suspends == "perhaps" then
    return nil
  elseif place.suspends == "5.2 perhaps" and suspended.has_coroutines then
    return nil
  end
  return place.suspends == "5.1"
    or place.suspends == "5.2" and suspended.has_coroutines
end

-- Code that has wait() in it; it waits once and gives "went on", an answer.
local function waiting_code(place)
  return [[
    local id = ...
    local answer
    local function wait()
      if not answer then
        enter()
        answer = mt.state(id):await("get")
      end
    end
    ]] .. place .. [[

    return "went on", answer
  ]]
end

local KINDS = {["service"] = {}, ["state with own_thread"] =
  {own_thread = true}}

for kind, options in pairs(KINDS) do
  describe("a wait of a " .. kind, function()
    local s, keeper

    before_each(helpers.watch("where waits hold"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      s = mtstates.newstate(options, tasks.setup)
      keeper = suspended.keeper()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      helpers.unwatch()
    end)

    -- Others are served while the wait holds the only worker.
    local function check_others()
      local others = {}
      for i = 1, 3 do
        others[i] = mtstates.newstate({}, tasks.setup)
        assert.equals(i, others[i]:await("mt.sleep(0) return ...", nil, i))
      end
    end

    for _, place in ipairs(PLACES) do
      it(place[1], function()
        local code, can = waiting_code(place[2]), suspends(place)
        local future
        if can then
          future = suspended.begin(s, 1, code, keeper.id)
          assert.equals("asked", s:await("return 'asked'"))
        elseif can == false then
          future = suspended.begin_holding(s, code, keeper.id)
        else
          future = tasks.begin(s, code, keeper.id)
        end
        check_others()
        assert.is_false(future:ready())
        keeper.open("answer")
        assert.same({"went on", "answer"}, {future:await()})
        assert.equals("on", s:await("return 'on'"))
      end)
    end

    it("in a call holds what is below it", function()
      local called = mtstates.newstate(tasks.setup)
      local future = suspended.begin_holding(s, [[
        local called, keeper, wait = ...
        enter()
        return mt.state(called):call(wait, nil, keeper, gates.tid())
      ]], called:id(), keeper.id, [[
        local keeper, tid = ...
        assert(tid == gates.tid())
        return mt.state(keeper):await("get"), tid == gates.tid()
      ]])
      assert.is_false((called:tcall(0, "")))
      check_others()
      keeper.open("answer")
      assert.same({"answer", true}, {future:await()})
    end)
  end)
end

describe("each wait", function()
  before_each(helpers.watch("waits in all places"))
  after_each(helpers.unwatch)

  -- What waits only for a moment, in each way.
  local WAITS = {
    "mt.sleep(0)", "mt.sleep(0.0001)", "mt.state(id):await(1)",
    "mt.state(id):tawait(60, 1)", "mt.state(id):async(1):await()",
    "mt.state(id):async(1):tawait(60)", "mt.state(id):send(1)",
    "mt.state(id):tsend(60, 1)", "mt.state(id):tawait(0.0001, 1)",
    "mt.state(id):call(1)", "mt.state(id):tcall(60, 1)",
  }

  for _, place in ipairs(PLACES) do
    it("raises nowhere: " .. place[1], function()
      local other = mtstates.newstate({queue = 1}, helpers.echo)
      for _, kind in ipairs(requests.kinds) do
        local s, futures = requests.new(kind, tasks.setup), {}
        for i, wait in ipairs(WAITS) do
          futures[i] = s:async(([[
            local id, n = ...
            local function wait() %s end
            %s
            return n
          ]]):format(wait, place[2]), nil, other:id(), i)
        end
        for i = 1, #WAITS do
          assert.equals(i, futures[i]:await())
        end
      end
    end)
  end

  it("raises nowhere in calls and main programs", function()
    local other = mtstates.newstate({queue = 1}, helpers.echo)
    local s = mtstates.newstate({}, tasks.setup)
    for _, place in ipairs(PLACES) do
      for _, wait in ipairs(WAITS) do
        local code = "local id = ... local function wait() " .. wait ..
          " end " .. place[2] .. " return 'fine'"
        assert.equals("fine", s:call(code, nil, other:id()))
        local f = helpers.compile("local mt = require 'mtstates' " .. code)
        assert.equals("fine", f(other:id()))
        assert.equals("fine", coroutine.wrap(f)(other:id()))
      end
    end
  end)
end)
