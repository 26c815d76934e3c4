local helpers = require "helpers"
local mtstates = require "mtstates"

-- Libraries that are no part of the basic functions in any Lua version.
local libraries = {"string", "table", "math", "io", "os", "debug"}

-- Those that only some versions, or some builds of them, have.
local more_libraries = {
  "utf8", "bit32", "bit", "jit", "ffi", "jit.opt", "jit.profile", "jit.util",
  "string.buffer", "table.clear", "table.new"
}

-- Lua code: describe(name) requires a module and gives a text with all that is
-- in it, names and types, and the values that could differ.
local DESCRIBE = [[
  local pairs, require, tostring, type = pairs, require, tostring, type
  local function add(list, path, value, seen)
    local kind = type(value)
    list[#list + 1] = path .. " " ..
      ((kind == "string" or kind == "number") and tostring(value) or kind)
    if kind == "table" and not seen[value] then
      seen[value] = true
      for key, field in pairs(value) do
        add(list, path .. "." .. tostring(key), field, seen)
      end
    end
  end
  local function describe(name)
    local list, module = {}, require(name)
    add(list, name, module, {})
    if package.loaded[name] ~= module or require(name) ~= module then
      list[#list + 1] = "not in package.loaded"
    end
    local library = require "table"
    library.sort(list)
    return library.concat(list, ", ")
  end
]]

-- The names of all modules that a fresh interpreter has without a file.
local function plain_names()
  local names = {}
  for name in helpers.run_program([[
    for _, modules in pairs {package.loaded, package.preload} do
      for name in pairs(modules) do
        print(name)
      end
    end
  ]]):gmatch("[^\n]+") do
    if name ~= "_G" and name ~= "package" then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

describe("libs", function()
  before_each(helpers.watch("libs"))
  after_each(helpers.unwatch)

  local function look_setup()
    local t = type
    return function(name)
      return t(_G[name])
    end
  end

  it("is true by default: all standard libraries are open", function()
    for _, s in ipairs({
      mtstates.newstate(look_setup),
      mtstates.newstate(true, look_setup),
      mtstates.newstate("libs", true, look_setup),
      mtstates.newstate("libs", look_setup)
    }) do
      for _, name in ipairs(libraries) do
        assert.equals("table", s:call(name), name)
      end
      assert.equals("table", s:call("coroutine"))
      assert.equals("table", s:call("package"))
    end
  end)

  local has_warn = helpers.run_program "print(warn ~= nil)" == "true\n"
  helpers.it_needs(has_warn, "warnings")("has warnings, off at first",
    function()
      local output = helpers.run_program [[
        local s = require "mtstates".newstate(function()
          warn("never")
          warn("@on")
          warn("a", "b", "c")
          warn("@unknown")
          warn("@", "off")
          warn("d")
          warn("@off")
          warn("never")
          return function(...) warn(...) end
        end)
        s:call("never")
        s:call("@on")
        s:call("e")
      ]]
      assert.equals("Lua warning: abc\nLua warning: @off\n" ..
        "Lua warning: d\nLua warning: e\n", output)
    end)

  it("opens all that the creating state has", function()
    local s = mtstates.newstate(function()
      return function(name) return type(package.loaded[name]) end
    end)
    for _, name in ipairs(more_libraries) do
      if rawget(_G, name) then
        assert.equals("table", s:call(name), name)
      end
    end
  end)

  describe("false", function()
    it("leaves the libraries out of the globals", function()
      local s = mtstates.newstate(false, look_setup)
      for _, name in ipairs(libraries) do
        assert.equals("nil", s:call(name), name)
      end
    end)

    it("works with a name and with singletons", function()
      local s = mtstates.newstate("libs none", false, look_setup)
      assert.equals("nil", s:call("string"))
      local one = mtstates.singleton("libs single", false, look_setup)
      assert.equals("nil", one:call("string"))
    end)

    it("keeps the basic functions and package", function()
      local s = mtstates.newstate(false, look_setup)
      for _, name in ipairs({
        "assert", "collectgarbage", "error", "getmetatable", "ipairs",
        "load", "next", "pairs", "pcall", "print", "rawequal", "rawget",
        "rawset", "require", "select", "setmetatable", "tonumber",
        "tostring", "type", "xpcall"
      }) do
        assert.equals("function", s:call(name), name)
      end
      assert.equals("table", s:call("package"))
      assert.equals("string", s:call("_VERSION"))
    end)

    it("puts the libraries into package.preload", function()
      local s = mtstates.newstate(false, function()
        return function(name)
          return type(package.preload[name]), type(package.loaded[name])
        end
      end)
      for _, name in ipairs(libraries) do
        assert.same({"function", "nil"}, {s:call(name)}, name)
      end
    end)

    it("lets require load each library", function()
      local s = mtstates.newstate(false, function()
        return function(library, fname)
          local loaded = require(library)
          return type(loaded[fname]), require(library) == loaded
        end
      end)
      for library, fname in pairs({
        string = "format", table = "concat", math = "floor", io = "open",
        os = "time", debug = "traceback", coroutine = "create"
      }) do
        assert.same({"function", true}, {s:call(library, fname)}, library)
      end
      for _, library in ipairs(more_libraries) do
        if not library:find(".", 1, true) and pcall(require, library) then
          assert.same({"nil", true}, {s:call(library, "none")}, library)
        end
      end
    end)

    it("lets require give what it gives in the plain interpreter", function()
      local code = DESCRIBE .. [[
        local function describe_each(name, ...)
          if name then
            return describe(name), describe_each(...)
          end
        end
      ]]
      local function is_as_in_plain(...)
        local list = helpers.pack(...)
        local s = mtstates.newstate(nil, false, code .. "return describe_each")
        assert.equals(
          helpers.run_program(code .. "io.write(table.concat({" ..
            "describe_each('" .. table.concat(list, "', '") .. "')}, '\\n'))"),
          table.concat({s:call(...)}, "\n"))
      end
      local names, reversed = plain_names(), {}
      assert.is_true(#names >= #libraries)
      for i, name in ipairs(names) do
        is_as_in_plain(name)
        reversed[#names + 1 - i] = name
      end
      is_as_in_plain(helpers.unpack(names))
      is_as_in_plain(helpers.unpack(reversed))
    end)

    it("lets modules work that not every Lua has", function()
      for name, code in pairs({
        utf8 = "return require'utf8'.char(228)",
        bit32 = "return require'bit32'.band(7, 12)",
        bit = "return require'bit'.band(7, 12)",
        jit = "return (require'jit'.version)",
        ffi = "return tonumber(require'ffi'.new('int', 7))",
        ["jit.opt"] = "return select('#', require'jit.opt'.start('cse'))",
        ["jit.util"] =
          "return require'jit.util'.funcinfo(function() end).linedefined",
        ["jit.profile"] = "return select('#', require'jit.profile'.stop())",
        ["string.buffer"] =
          "return require'string.buffer'.new():put('a', 1):tostring()",
        ["table.clear"] =
          "local t = {1} require'table.clear'(t) return #t",
        ["table.new"] = "return #require'table.new'(4, 0)",
      }) do
        if pcall(require, name) then
          local s = mtstates.newstate(nil, false,
            ("return function() %s end"):format(code))
          assert.equals(assert(helpers.compile(code))(), s:call(), name)
        end
      end
    end)

    it("preloads nothing that this Lua does not have", function()
      local plain = {}
      for _, name in ipairs(plain_names()) do
        plain[name] = true
      end
      local s = mtstates.newstate(nil, false,
        "return function(name) return type(package.preload[name]) end")
      for _, name in ipairs(more_libraries) do
        if not plain[name] then
          assert.equals("nil", s:call(name), name)
        end
      end
    end)

    it("lets loaded libraries work", function()
      local s = mtstates.newstate(false, function()
        local string = require "string"
        local table = require "table"
        return function(a, b)
          return table.concat({a, ("x"):rep(3), string.upper(b)}, "-")
        end
      end)
      assert.equals("a-xxx-B", s:call("a", "b"))
    end)

    it("does not keep mtstates from being loaded and used", function()
      local s = mtstates.newstate(false, function()
        local mt = require "mtstates"
        return function()
          local inner = mt.newstate(false, "return function() return 4 end")
          return inner:call(), mt.id()
        end
      end)
      assert.same({4, s:id()}, {s:call()})
    end)

    it("still gives errors with messages and tracebacks", function()
      local s = mtstates.newstate(false, function()
        return function() error("bare") end
      end)
      local err = helpers.raises_error("invoking_state", function()
        s:call()
      end)
      assert.truthy(err:find("bare", 1, true))
      assert.truthy(err:find("stack traceback:", 1, true))
    end)

    it("still lets running code be interrupted", function()
      local s = mtstates.newstate(false, function()
        return function() while true do end end
      end)
      s:interrupt()
      local err = helpers.raises_error("invoking_state", function()
        s:call()
      end)
      assert.truthy(err:find(mtstates.error.interrupted, 1, true))
    end)
  end)

  -- States know which coroutine runs, so their coroutine library is not
  -- quite that of Lua; it must not be noticed.
  describe("coroutine in states", function()
    local snippets = {
      "return coroutine.resume(coroutine.create(function(...) " ..
        "return select('#', ...), ... end), 1, nil, 3, nil)",
      "local co = coroutine.create(function(a) local b = " ..
        "coroutine.yield(a + 1) return b * 2 end) " ..
        "local _, x = coroutine.resume(co, 1) " ..
        "local _, y = coroutine.resume(co, 10) " ..
        "return x, y, coroutine.status(co), coroutine.resume(co)",
      "local f = coroutine.wrap(function(...) " ..
        "coroutine.yield(...) return 'end' end) " ..
        "return f(1, 2), f(), pcall(f)",
      "return pcall(coroutine.wrap(function() error('message') end))",
      "return pcall(coroutine.wrap(function() error('message', 0) end))",
      "return pcall(coroutine.wrap(function() error({}) end)) == false",
      "return pcall(coroutine.wrap(function() error() end))",
      "return pcall(coroutine.wrap(function() error(42) end))",
      "local co = coroutine.wrap(function() error(42, 0) end) " ..
        "local ok, err = pcall(function() co() end) " ..
        "return ok, err, type(err)",
      "return pcall(coroutine.wrap(function() " ..
        "error(setmetatable({}, {__tostring = function() return 'E' end})) " ..
        "end))",
      "return pcall(coroutine.wrap(function() local x = nil; x() end))",
      "return coroutine.resume(coroutine.create(error), 'direct')",
      "local ok, f = pcall(coroutine.wrap, tostring) return ok and f(5)",
      "local co = coroutine.create(function() error('x') end) " ..
        "coroutine.resume(co) return coroutine.status(co), " ..
        "coroutine.resume(co)",
      "local co co = coroutine.create(function() " ..
        "return coroutine.resume(co) end) return coroutine.resume(co)",
      "local co co = coroutine.wrap(function() " ..
        "return pcall(co) end) return co()",
      "local co co = coroutine.wrap(function() " ..
        "return pcall(co, 1) end) return co()",
      "local co co = coroutine.wrap(function() " ..
        "return pcall(function() co() end) end) return co()",
      "local co co = coroutine.wrap(function() " ..
        "return coroutine.wrap(function() return pcall(co) end)() end) " ..
        "return co()",
      "local co co = coroutine.wrap(function() " ..
        "return coroutine.wrap(function() return pcall(co, 1) end)(1) " ..
        "end) return co()",
      "local co = coroutine.wrap(function() end) co() " ..
        "local function again() co() end " ..
        "return select(2, pcall(again)), select(2, pcall(again))",
      "local co = coroutine.wrap(function() error('x') end) pcall(co) " ..
        "local function again() co() end " ..
        "return select(2, pcall(again)), select(2, pcall(again))",
      "local outer outer = coroutine.create(function() " ..
        "local inner = coroutine.create(function() " ..
        "return coroutine.status(outer), coroutine.resume(outer) end) " ..
        "return coroutine.resume(inner) end) " ..
        "return coroutine.resume(outer)",
      "local unpack = rawget(table, 'unpack') or unpack " ..
        "local t, n = {}, " ..
        "_VERSION == 'Lua 5.1' and 5000 or 600000 " ..
        "for i = 1, n do t[i] = i end " ..
        "local co = coroutine.create(function(...) " ..
        "return select('#', coroutine.yield(7)) end) " ..
        "coroutine.resume(co, unpack(t)) " ..
        "local ok, text = coroutine.resume(co, unpack(t)) " ..
        "return ok, text, coroutine.status(co), coroutine.resume(co, 1)",
      "local unpack = rawget(table, 'unpack') or unpack " ..
        "local t, n = {}, " ..
        "_VERSION == 'Lua 5.1' and 5000 or 600000 " ..
        "for i = 1, n do t[i] = i end " ..
        "local co = coroutine.create(function() " ..
        "return select('#', coroutine.yield(unpack(t))) end) " ..
        "local function resume(...) return coroutine.resume(co, ...) end " ..
        "local function ask(...) " ..
        "local ok, text = resume() " ..
        "return ok, text, (resume(7)), coroutine.status(co) end " ..
        "return ask(unpack(t))",
      "return (pcall(coroutine.resume))",
      "return (pcall(coroutine.resume, 5))",
      "return (pcall(coroutine.resume, {}, 1))",
      "return (pcall(coroutine.wrap))",
      "return (pcall(coroutine.wrap, 'x'))",
      "local ok, f = pcall(coroutine.wrap, coroutine.yield) " ..
        "if ok then return f(1, 2), f(3) end",
      "return pcall(coroutine.create, nil)",
      "return pcall(coroutine.yield, 1)",
      "return select('#', coroutine.running())",
      "return coroutine.wrap(function() " ..
        "local co, is_main = coroutine.running() " ..
        "return type(co), is_main, coroutine.status(co) end)()",
      "return pcall(coroutine.status, 1)",
      "return coroutine.wrap(function() " ..
        "return coroutine.isyieldable and coroutine.isyieldable() end)()",
      "return coroutine.wrap(function() return pcall(function() " ..
        "return coroutine.yield(1) end) end)()",
      "local f = coroutine.wrap(function() return pcall(function() " ..
        "local x = coroutine.yield(1) error(x, 0) end) end) " ..
        "f() return f('passed in')",
      "local f = coroutine.wrap(function() for i = 1, 3 do " ..
        "coroutine.wrap(function() coroutine.yield() end)() " ..
        "coroutine.yield(i) end end) return f(), f(), f()",
      "local n = 0 local function deep(i) if i > 0 then " ..
        "coroutine.wrap(deep)(i - 1) end n = n + 1 end deep(50) return n",
      "local co = coroutine.create(function() " ..
        "coroutine.yield() end) coroutine.resume(co) " ..
        "local t = debug.traceback(co) return t:match('yield')",
      "local f = coroutine.wrap(function(...) return select('#', ...) end) " ..
        "return f(('x'):rep(200):byte(1, 200))",
      "local f = coroutine.wrap(function() " ..
        "return ('x'):rep(200):byte(1, 200) end) return select('#', f())",
      "local f = coroutine.wrap(function(...) " ..
        "coroutine.yield(select('#', ...)) return ... end) " ..
        "local text = ('x'):rep(7000) " ..
        "return f(text:byte(1, -1)), select('#', f())",
      "local co = coroutine.create(function() return mt.key end) " ..
        "mt = setmetatable({}, {__index = function(_, key) " ..
        "return coroutine.yield(key) end}) " ..
        "local ok, key = coroutine.resume(co) " ..
        "return ok, key, coroutine.resume(co, 5)",
      "local ok, err = pcall(string.gsub, 'x', 'x', function() " ..
        "coroutine.yield() end) return ok, type(err)",
      "local co = coroutine.wrap(function() " ..
        "table.sort({3, 2, 1}, function(a, b) coroutine.yield() end) end) " ..
        "local ok, err = pcall(co) return ok, err:match('attempt to yield')",
      "return select('#', coroutine.wrap(function() end)())",
      "if not coroutine.close then return 'none' end " ..
        "local co = coroutine.create(function() coroutine.yield() end) " ..
        "coroutine.resume(co) return coroutine.close(co), " ..
        "coroutine.status(co), coroutine.close(co)",
      "if not coroutine.close then return 'none' end " ..
        "local co = coroutine.create(function() error('x', 0) end) " ..
        "coroutine.resume(co) return coroutine.close(co)",
      "if not coroutine.close then return 'none' end " ..
        "return coroutine.close(coroutine.create(print))",
      "if not coroutine.close then return 'none' end " ..
        "return coroutine.wrap(function() " ..
        "return pcall(coroutine.close, (coroutine.running())) end)()",
      "if not coroutine.close then return 'none' end " ..
        "local outer outer = coroutine.create(function() " ..
        "return coroutine.wrap(function() " ..
        "return pcall(coroutine.close, outer) end)() end) " ..
        "return coroutine.resume(outer)",
      "if not coroutine.close then return 'none' end " ..
        "return pcall(coroutine.close, 5)",
      "if not coroutine.close then return 'none' end " ..
        "local log = {} local f = load([[local log = ... " ..
        "local x <close> = setmetatable({}, {__close = function(_, e) " ..
        "log[#log + 1] = tostring(e) error('in close', 0) end}) " ..
        "coroutine.yield(1) error('late', 0)]]) " ..
        "local a = coroutine.create(f) coroutine.resume(a, log) " ..
        "local ok, err = coroutine.close(a) " ..
        "local b = coroutine.wrap(f) b(log) " ..
        "return ok, err, table.concat(log, ' '), pcall(b)",
      "if not coroutine.close then return 'none' end " ..
        "local log = {} local f = load([[local log = ... " ..
        "local x <close> = setmetatable({}, {__close = function() " ..
        "coroutine.yield(2) log[1] = 'closed' end}) " ..
        "coroutine.yield(1)]]) local g = coroutine.wrap(f) " ..
        "return g(log), g(), g(), log[1]"
    }

    -- Runs a snippet: pcall's results as text.
    local frame = [[
      local function show(...)
        local texts = {}
        for i = 1, select("#", ...) do
          texts[i] = tostring((select(i, ...)))
        end
        return table.concat(texts, "|")
      end
      return show(pcall(function() %s end))
    ]]

    -- States, with all libraries and with required ones, that run code.
    local function runners()
      local function open(with_libs)
        local s = mtstates.newstate(with_libs, function()
          for _, name in ipairs({"coroutine", "string", "table", "debug"}) do
            _G[name] = require(name)
          end
          local compile = rawget(_G, "loadstring") or load
          return function(code) return assert(compile(code, "=snippet"))() end
        end)
        return function(code) return s:call(code) end
      end
      return {open(true), open(false)}
    end

    it("does what it does outside", function()
      local run = runners()
      for _, snippet in ipairs(snippets) do
        local code = frame:format(snippet)
        local expected = assert(helpers.compile(code, "=snippet"))()
        assert.equals(expected, (run[1](code)), snippet)
        assert.equals(expected, (run[2](code)), snippet)
        assert.equals(expected, (run[1](code)), snippet)
      end
    end)

    -- Not every Lua survives that.
    local nestings = {
      "local function endless() return coroutine.wrap(endless)() end " ..
        "local ok, err = pcall(endless) " ..
        "return ok, err:match('C stack overflow')",
      "local function endless() return " ..
        "select(-1, coroutine.resume(coroutine.create(endless))) end " ..
        "return endless()"
    }
    for _, snippet in ipairs(nestings) do
      local code = frame:format(snippet)
      local outside = helpers.run_program("print((function() " .. code ..
        " end)())")
      local it_with_limit = helpers.it_needs(outside:find("C stack overflow"),
        "a limit of nested coroutines")
      it_with_limit("ends too deep nesting as outside: " .. snippet, function()
        for _, run in ipairs(runners()) do
          assert.equals(outside, run(code) .. "\n")
          assert.equals("true|1", run(frame:format("return 1")))
        end
      end)
    end
  end)
end)
