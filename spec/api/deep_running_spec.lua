-- __transfer runs while values are read, and can do what it likes with them;
-- so can finalizers when an array is looked up.

local carray = require "carray"
local helpers = require "helpers"
local mtstates = require "mtstates"
local on_collect = require "on_collect"
local stacks = require "stacks"

describe("code that runs while values are read", function()
  before_each(helpers.watch("deep __transfer"))
  after_each(helpers.unwatch)

  local s, class

  before_each(function()
    class = mtstates.class("deep.Running")
    s = mtstates.newstate({}, [[
      local pack = require "helpers".pack
      local class = require "mtstates".class("deep.Running")
      class.__receive = function(...)
        return setmetatable({given = pack(...)}, class)
      end
      return function(code, ...)
        return assert((loadstring or load)(code))(...)
      end
    ]])
  end)

  after_each(function()
    class.__transfer = nil
  end)

  local function own(t)
    return setmetatable(t or {}, class)
  end

  -- What the collector frees gives its address to what is made next.
  it("may be made of what nothing else holds", function()
    function class.__transfer(x)
      collectgarbage()
      return {x.n, {x.n}}, "text " .. x.n, {[{x.n}] = "key " .. x.n}
    end
    local list = {}
    for n = 1, 100 do
      list[n] = own({n = n})
    end
    assert.equals(100, s:call([[
      local list = ...
      for n, x in ipairs(list) do
        local t, text, keys = x.given[1], x.given[2], x.given[3]
        assert(t[1] == n and t[2][1] == n and text == "text " .. n)
        assert(next(keys)[1] == n and keys[next(keys)] == "key " .. n)
      end
      return #list
    ]], list))
  end)

  it("may drop what has been read, in __transfer", function()
    local root = {}
    function class.__transfer(x)
      for i = 1, x.n - 1 do
        root[i] = false
      end
      collectgarbage()
      for i = x.n + 1, 60 do
        root[i] = i % 2 == 0 and root[i] or {"new", i}
      end
      return x.n
    end
    for i = 1, 60 do
      root[i] = i % 2 == 0 and own({n = i}) or {"old", i}
    end
    assert.equals(30, s:call([[
      local root, count = ..., 0
      for i, x in ipairs(root) do
        if i % 2 == 0 then
          assert(x.given[1] == i)
        else
          assert(x[2] == i and x[1] == (i == 1 and "old" or "new"))
          count = count + 1
        end
      end
      return count
    ]], root))
  end)

  it("may drop strings that have been read, in __transfer", function()
    local root = {}
    function class.__transfer(x)
      root[x.n - 1] = false
      collectgarbage()
      root[x.n + 1] = "new " .. x.n + 1
      return x.n
    end
    for i = 1, 401 do
      root[i] = i % 2 == 0 and own({n = i}) or "old " .. i
    end
    assert.equals(401, s:call([[
      local root = ...
      for i = 3, 399, 2 do
        assert(root[i] == "new " .. i)
      end
      return #root
    ]], root))
  end)

  it("may change what is being read, in __transfer", function()
    local root
    for round = 1, 60 do
      root = {}
      local calls = 0
      function class.__transfer(x)
        calls = calls + 1
        local t = x.inside
        for i = 1, round do
          t["new " .. round .. " " .. i], t[i] = {i}, nil
        end
        if round % 3 == 0 then
          for key in next, t do
            t[key] = nil
          end
        end
        root.late = {calls}
        if round % 10 == 0 then
          collectgarbage()
        end
        return calls
      end
      for i = 1, 40 do
        root[i] = {i, own({inside = root})}
        root["k" .. i], root[{}] = own({inside = root[i]}), own({inside = {}})
      end
      local ok, err = pcall(s.call, s, "return 1", root)
      assert.is_true(ok and err == 1 or type(err) == "string" and #err > 0)
      assert.equals("usable", s:call("return ...", "usable"))
    end
  end)

  for _, method in ipairs({"call", "tcall", "send", "async", "await"}) do
    it("may finalize the state that is asked: " .. method, function()
      local finalize = debug.getmetatable(s).__gc
      local sent = mtstates.newstate({}, helpers.echo)
      local id = sent:id()
      function class.__transfer()
        finalize(s)
      end
      local function ask(...)
        if method == "tcall" then
          return s:tcall(1, ...)
        end
        return s[method](s, ...)
      end
      helpers.raises_error("object_closed", ask, sent, ("x"):rep(2000), own())
      finalize(sent)
      helpers.raises_error("unknown_object", mtstates.state, id)
    end)
  end

  it("is told of if what is being read has lost its place", function()
    function class.__transfer(x)
      local t = x.inside
      for key in next, t do
        t[key] = nil
      end
      for i = 1, 100 do
        t["new " .. i] = i
      end
      return 1
    end
    local root = {first = own()}
    root.first.inside = root
    stacks.wipe(0x41414141) -- no text
    local err = helpers.raises(function() s:call("return 1", root) end)
    assert.truthy(err:find("bad argument #2 to 'call' (table that has been " ..
      "changed meanwhile cannot be transferred to another state)", 1, true),
      err)
    assert.equals("usable", s:call("return ...", "usable"))
  end)

  it("may call other states, and the one that is called", function()
    local other = mtstates.newstate({}, helpers.echo)
    function class.__transfer(x)
      local t = other:call({x.n, {x.n}})
      local sum = s:call("local t, n = ... return {t[1] + n}", t, x.n)
      return sum[1], t
    end
    local t = {own({n = 1}), {own({n = 2})}}
    local a, b, c = s:call([[
      local t = ...
      return t[1].given[1], t[2][1].given[1], t[2][1].given[2][2][1]
    ]], t)
    assert.same({2, 4, 2}, {a, b, c})
  end)

  it("may drop strings that have been read, in finalizers", function()
    for round = 1, 10 do
      local root = {}
      for i = 1, 60 do
        root[i] = ("old %d %d"):format(round, i)
      end
      root[61] = carray.new("int", 1)
      for i = 62, 121 do
        root[i] = false
      end
      on_collect(function()
        for i = 1, 60 do
          root[i] = false
        end
        on_collect(function()
          for i = 62, 121 do
            root[i] = ("new %d %d"):format(round, i - 61)
          end
        end)
      end)
      carray.collect_next(2)
      assert.equals(round .. " all", (s:call([[
        local root, round = ...
        for i = 1, 60 do
          assert(root[i] == ("old %d %d"):format(round, i), root[i])
          assert(root[61 + i] == ("new %d %d"):format(round, i), root[61 + i])
        end
        return round .. " all"
      ]], root, round)))
    end
  end)

  it("may shorten an array that is being read, in finalizers", function()
    local array = carray.new("int", 1000)
    on_collect(function() array:resize(10) end)
    carray.collect_next(1)
    helpers.bad_argument(2, "call", "field '[1]': array that has been " ..
      "changed cannot be transferred", function()
        s:call("return 1", {array})
      end)
    assert.equals(10, array:len())
    assert.equals(10, (s:call("return (...)[1]:len()", {array})))
  end)
end)
