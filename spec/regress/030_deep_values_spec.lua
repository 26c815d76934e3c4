-- What a reader of the deep values found. Each `it` is a fault of its own; its
-- text says what has to hold.

local helpers = require "helpers"
local mtstates = require "mtstates"

local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local setenv = rawget(_G, "setfenv")
local new_proxy = rawget(_G, "newproxy")

local has_luac = os.execute("luac5.1 -v >/dev/null 2>&1")
has_luac = has_luac == true or has_luac == 0

-- A service with a class "gadget" whose __receive gives its argument, or a new
-- instance if there is none.
local SETUP = [[
  local mt = require "mtstates"
  local class = mt.class("gadget", {})
  class.__receive = function(x)
    return setmetatable({received = x}, class)
  end
  class.__tostring = function(o)
    error(o.is_bad and "in __tostring" or "text", 0)
  end
]]

local function service(code)
  return mtstates.newstate({}, SETUP .. "return function(...) " .. code ..
                             " end")
end

local class = mtstates.class("gadget", {})

local function object(x)
  return setmetatable({x = x}, class)
end

describe("deep values:", function()
  before_each(helpers.watch("deep values"))
  before_each(function()
    class.__transfer = function(o)
      return o.x
    end
  end)
  after_each(helpers.unwatch)

  it("an object behind an object is converted, too", function()
    local s = service "local a, b = ... return a.received, b.received"
    local a, b = s:call(object(1), object(2))
    assert.same({1, 2}, {a, b})
  end)

  it("the same object twice is the same there", function()
    local o = object(1)
    local s = service "local a, b = ... return rawequal(a, b)"
    assert.is_true(s:call(o, o))
  end)

  it("__transfer can give the globals and modules", function()
    local s = service [[
      local o = ...
      return o.received == _G, o.received == string
    ]]
    assert.is_true((s:call(object(_G))))
    assert.is_true(select(2, s:call(object(string))))
  end)

  it("__transfer can give a module that has been met again", function()
    local s = service "local t = ... return t[1] == t[3].received"
    class.__transfer = function() return string end
    assert.is_true(s:call({string, string, object()}))
  end)

  it("a module can vanish while __transfer runs", function()
    local output, status = helpers.run_program([[
      local mt = require "mtstates"
      local class = mt.class("gadget", {})
      local module = {f = print}
      package.loaded.vanishing = module
      function class.__transfer() package.loaded.vanishing = nil end
      local s = mt.newstate({}, "return function() end")
      print(pcall(s.call, s, {setmetatable({}, class), module}))
    ]])
    assert.equals(0, status, output)
  end)

  for what, code in pairs {
    ["what __receive gave"] = [[
      setmetatable(env, class)
      class.__transfer = function() return 1 end
    ]],
    ["a module, which is no table there"] = [[
      package.loaded.other = env
      env.f = print
    ]],
  } do
    helpers.it_needs(setenv, "setfenv")(
      "an environment can be " .. what, function()
        local output, status = helpers.run_program([[
          local mt = require "mtstates"
          local class, env = mt.class("gadget", {}), {}
        ]] .. code .. [[
          local s = mt.newstate({}, function()
            local mt = require "mtstates"
            mt.class("gadget", {}).__receive = function() return 42 end
            package.loaded.other = true
            return function(f) collectgarbage() return pcall(f) end
          end)
          print(pcall(s.call, s, setfenv(function() return x end, env)))
        ]])
        assert.equals(0, status, output)
      end)
  end

  -- In a program: before 5.2 the error would hit busted, too.
  helpers.it_needs(new_proxy, "newproxy")(
    "an error of a finalizer is no misfit", function()
      local output, status = helpers.run_program([[
        local mtstates = require "mtstates"
        local s = mtstates.newstate({}, "return function() end")
        local is_armed
        for i = 1, 3000 do
          getmetatable(newproxy(true)).__gc = function()
            if is_armed then
              error("of a finalizer", 0)
            end
          end
          is_armed = true
          local ok, err = pcall(s.call, s, i, print)
          is_armed = false
          assert(ok or err == "of a finalizer", err)
        end
      ]])
      assert.equals(0, status, output)
    end)

  it("too many C calls are no misfit", function()
    local s = service ""
    local wrong
    local function nest(n)
      if n > 0 then
        return (("a"):gsub("a", function()
          nest(n - 1)
        end))
      end
      local ok, err = pcall(s.call, s, print)
      if not ok and tostring(err):find("__transfer", 1, true) then
        wrong = err
      end
    end
    for n = 150, 230 do
      pcall(nest, n)
    end
    assert.is_nil(wrong)
  end)

  it("C functions are looked for in the globals first", function()
    package.loaded.AAA = {print = print}
    local s = service "return ... == print"
    local ok, is_equal = pcall(s.call, s, print)
    package.loaded.AAA = nil
    assert.is_true(ok, is_equal)
    assert.is_true(is_equal)
  end)

  it("C functions of libraries are looked for there first", function()
    package.loaded.aaa = {format = string.format}
    local s = service "return ... == string.format"
    local ok, is_equal = pcall(s.call, s, string.format)
    package.loaded.aaa = nil
    assert.is_true(ok, is_equal)
    assert.is_true(is_equal)
  end)

  it("an error value arrives even if its __tostring fails", function()
    local s = service [[
      error(setmetatable({code = 404, is_bad = true}, class))
    ]]
    local ok, err = pcall(s.call, s)
    assert.is_false(ok)
    assert.equals("table", type(err), err)
    assert.equals(404, err.code)
  end)

  it("the text of an error survives a call inside __transfer", function()
    local s = mtstates.newstate({}, function()
      local mt = require "mtstates"
      local err = mt.class("gadget", {})
      local id = mt.id()
      err.__tostring = function()
        return "the outer text"
      end
      err.__transfer = function()
        pcall(function()
          mt.state(id):call("inner")
        end)
        return coroutine.create(function() end)
      end
      return function(inner)
        error(inner and {} or setmetatable({}, err))
      end
    end)
    local ok, err = pcall(s.call, s)
    assert.is_false(ok)
    assert.matches("the outer text", err, 1, true)
  end)

  helpers.it_needs(has_luac and setenv and not rawget(_G, "jit"),
                   "stripped bytecode with upvalues")(
    "upvalues without names are not lost in silence", function()
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      assert(file:write("local n = 41 return function() return n end"))
      file:close()
      os.execute(("luac5.1 -s -o %s.out %s"):format(path, path))
      local f = assert(loadfile(path .. ".out"))()
      os.remove(path)
      os.remove(path .. ".out")
      local s = service "return (...)()"
      local ok, err = pcall(s.call, s, f)
      assert.is_true(ok and err == 41 or
        tostring(err):find("bad argument", 1, true) ~= nil, err)
    end)

  it("that a module needs another one is not that it is not known", function()
    package.loaded.outer = {f = function() end}
    local s = mtstates.newstate({}, function()
      package.preload.outer = function()
        require "inner_missing"
      end
      return function() end
    end)
    local _, err = pcall(s.call, s, package.loaded.outer)
    package.loaded.outer = nil
    assert.matches("inner_missing", err, 1, true)
  end)

  it("what a sandbox means does not depend on the order", function()
    local sandbox = setmetatable({}, {__index = _G})
    local f
    if setenv then
      f = setenv(function() end, sandbox)
    else
      local _ENV = sandbox -- luacheck: ignore
      f = function() return print end
    end
    local s = service ""
    local before = pcall(s.call, s, sandbox, f)
    local after = pcall(s.call, s, f, sandbox)
    assert.equals(before, after)
  end)

  it("so many arguments cross with a function among them", function()
    local values = {}
    for i = 1, 3000 do
      values[i] = i
    end
    values[3000] = print
    local s = service "return select('#', ...)"
    assert.equals(3000, s:call(unpack(values)))
  end)

  it("upvalues that __transfer has removed are not taken for others",
    function()
      local join = rawget(debug, "upvaluejoin")
      if not join then
        return
      end
      local function constant(v)
        return function()
          return v
        end
      end
      local s = service "return (...)[3]()"
      for i = 1, 100 do
        local first = constant("one")
        local t = {first, object(), false}
        class.__transfer = function()
          local pool = {}
          join(first, 1, constant("other"), 1)
          collectgarbage()
          collectgarbage()
          for k = 1, 20 do
            pool[k] = constant("three")
          end
          t[3] = pool[i % 20 + 1]
        end
        assert.equals("three", s:call(t))
      end
    end)

  it("tables that package.loaded has lost are not taken for others",
    function()
      local s = service "return (...)[3].name"
      for i = 1, 100 do
        package.loaded.data = {name = "data"}
        local t = {package.loaded.data, object(), false}
        class.__transfer = function()
          local pool = {}
          package.loaded.data = nil
          t[1] = false
          collectgarbage()
          collectgarbage()
          for k = 1, 30 do
            pool[k] = {name = "new"}
          end
          t[3] = pool[i % 30 + 1]
        end
        assert.equals("new", s:call(t))
      end
    end)
end)
