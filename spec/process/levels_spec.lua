-- Values that are nested very deep cross on small C stacks. Each program has a
-- process of its own, since what goes wrong there ends it.

local helpers = require "helpers"

-- What threads with a small stack run: check(kind, n) builds n levels, sends
-- them there and back and looks at every level. Whatever the C stack has had
-- before is numbers: what is read there without having been set.
local prelude = [==[
  local code = [=[
    local mtstates = require "mtstates"
    local stacks = require "stacks"
    local echo = mtstates.newstate({}, "return function(...) return ... end")
    local kinds = {
      list = {
        function(inner) return {inner} end,
        function(t) return rawget(t, 1) end
      },
      named = {
        function(inner, i) return {i = i, next = inner, last = true} end,
        function(t, i)
          assert(t.i == i and t.last)
          return t.next
        end
      },
      keys = {
        function(inner) return {[inner] = true} end,
        function(t) return (next(t)) end
      },
      functions = {
        function(inner)
          return function() return inner end
        end,
        function(f) return f() end
      }
    }
    local function check(kind, n)
      local wrap, unwrap = kinds[kind][1], kinds[kind][2]
      local value = "end"
      for i = 1, n do
        value = wrap(value, i)
      end
      stacks.wipe(1000000) -- no index
      local copy = echo:call(value)
      assert(copy ~= value)
      for i = n, 1, -1 do
        copy = unwrap(copy, i)
      end
      assert(copy == "end")
      assert(echo:call("usable") == "usable")
    end
  ]=]
  local host = require "host"
  local function run(program)
    local done = os.tmpname()
    host.join(host.start(code .. program ..
      ("; local f = io.open(%q, 'w'); f:write('done'); f:close()")
        :format(done), 256 * 1024))
    local file = io.open(done)
    print(file:read("*a") == "done" and "fine" or "not done")
    file:close()
    os.remove(done)
  end
]==]

local function run(program, seconds)
  local output, status = helpers.run_program(
    prelude .. ("run(%q)"):format(program), nil, seconds or 100)
  assert.equals("fine\n", output)
  assert.equals(0, status)
end

describe("on a C stack of 256 KB #stack", function()
  before_each(helpers.watch("levels", 700))
  after_each(helpers.unwatch)

  for _, kind in ipairs({"list", "named", "keys", "functions"}) do
    it(("levels around every border cross: %s"):format(kind), function()
      run(([[
        for n = 1, 300 do
          check(%q, n)
        end
        for _, n in ipairs({1000, 10000}) do
          check(%q, n)
        end
      ]]):format(kind, kind))
    end)

    -- They take more slots than are kept on the Lua stack.
    it(("260,000 levels cross: %s"):format(kind), function()
      run(("check(%q, 260000)"):format(kind))
    end)
  end

  for _, kind in ipairs({"list", "named", "keys"}) do
    it(("a million levels cross: %s #numbers"):format(kind), function()
      run(("check(%q, 1000000)"):format(kind), 600)
    end)
  end

  it("levels of everything in turn cross", function()
    run([[
      local value = "end"
      local n = 50000
      for i = 1, n do
        local inner = value
        if i % 3 == 0 then
          value = {x = inner, 1, 2}
        elseif i % 3 == 1 then
          value = {[inner] = {}, 1}
        else
          value = function() return inner end
        end
      end
      local copy = echo:call(value)
      for i = n, 1, -1 do
        if i % 3 == 0 then
          copy = copy.x
        elseif i % 3 == 1 then
          assert(copy[1] == 1)
          local key = next(copy)
          copy = key == 1 and next(copy, 1) or key
        else
          copy = copy()
        end
      end
      assert(copy == "end")
    ]])
  end)

  it("a cycle through many levels is one", function()
    run([[
      local first = {}
      local t = first
      for _ = 1, 100000 do
        t = {t, first}
      end
      first[1] = t
      local copy = echo:call(first)
      t = copy[1]
      for _ = 1, 100000 do
        assert(t[2] == copy)
        t = t[1]
      end
      assert(t == copy)
    ]])
  end)

  it("many levels beside many entries cross", function()
    run([[
      local function tree(depth)
        return depth > 0 and {tree(depth - 1), tree(depth - 1), d = depth}
          or "leaf"
      end
      local function count(t)
        return t == "leaf" and 1 or count(t[1]) + count(t[2])
      end
      local t = tree(12)
      for i = 1, 5000 do
        t = {t, {i, {i}}, {x = {i}}}
      end
      local copy = echo:call(t)
      for i = 5000, 1, -1 do
        assert(copy[2][1] == i and copy[2][2][1] == i and copy[3].x[1] == i)
        copy = copy[1]
      end
      assert(count(copy) == 4096)
    ]])
  end)

  it("a value that cannot cross is refused at any level", function()
    run([[
      for _, n in ipairs({1, 10, 60, 61, 70, 200, 1000, 100000}) do
        local t = {coroutine.create(function() end)}
        for _ = 1, n do
          t = {t}
        end
        local ok, err = pcall(function() echo:call(1, t) end)
        assert(not ok)
        local what = ": thread cannot be transferred to another state)"
        assert(err:find("bad argument #2 to 'call' (field '[1]", 1, true), err)
        assert(err:find(what, 1, true), err)
        assert(#err < 400)
        assert(echo:call({"usable"})[1] == "usable")
      end
    ]])
  end)
end)
