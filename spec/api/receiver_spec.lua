local capidriver = require "capidriver"
local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local threads = require "threads"

local OK, CLOSED, BUSY, NO_MEMORY = 0, 1, 3, 6

local it_with_integers = helpers.it_needs(helpers.math_type, "integers")

describe("the Receiver C API", function()
  before_each(helpers.watch("receiver"))
  after_each(helpers.unwatch)

  -- The callback keeps its arguments as text; with "get" it tells them.
  local function keeping()
    local kept = "nothing"
    return function(...)
      if ... == "get" then
        return kept
      end
      local texts = {}
      for i = 1, select("#", ...) do
        local value = select(i, ...)
        if type(value) == "number" then
          local kind = (math.type or type)(value) -- luacheck: ignore
          texts[i] = ("%s:%.17g"):format(kind, value)
        elseif type(value) == "userdata" then
          local elements = {value:type()}
          for n = 1, value:len() do
            elements[n + 1] = ("%.17g"):format(value:get(n))
          end
          texts[i] = "array:" .. table.concat(elements, ",")
        else
          texts[i] = type(value) .. ":" .. tostring(value)
        end
      end
      kept = select("#", ...) .. " " .. table.concat(texts, " ")
    end
  end

  local function integer(n)
    return (helpers.math_type and "integer:" or "number:") .. n
  end

  local function float(n)
    return (helpers.math_type and "float:" or "number:") .. n
  end

  local function open(setup, ...)
    local s = mtstates.newstate(setup or keeping, ...)
    return s, capidriver.receiver(s)
  end

  it("is offered by state objects as version 2.0.0", function()
    local s = mtstates.newstate(helpers.echo)
    assert.equals("2.0.0", capidriver.look_up(s, "receiver"))
    assert.equals("2.0.0",
      capidriver.look_up(mtstates.state(s:id()), "receiver"))
  end)

  describe("delivers", function()
    it("a message without content", function()
      local s, r = open()
      assert.same({OK, nil, 0}, {r:send(r:writer(10, 2))})
      assert.equals("0 ", s:call("get"))
    end)

    it("booleans", function()
      local s, r = open()
      local w = r:writer(10, 2)
      assert.equals(0, w:boolean(true))
      assert.equals(0, w:boolean(false))
      assert.equals(OK, (r:send(w)))
      assert.equals("2 boolean:true boolean:false", s:call("get"))
    end)

    it("integers", function()
      local s, r = open()
      local w = r:writer(10, 2)
      for _, n in ipairs({0, -1, 255, 256, -65536, 2147483647}) do
        assert.equals(0, w:integer(n))
      end
      assert.equals(OK, (r:send(w)))
      assert.equals("6 " .. table.concat({
        integer "0", integer "-1", integer "255", integer "256",
        integer "-65536", integer "2147483647"
      }, " "), s:call("get"))
    end)

    it_with_integers("integers at their limits", function()
      local s, r = open(helpers.echo)
      local w = r:writer(10, 2)
      local max, min = rawget(math, "maxinteger"), rawget(math, "mininteger")
      local keeper = mtstates.newstate(function()
        local a, b
        return function(what, ...)
          if what == "get" then
            return a, b
          end
          a, b = what, ...
        end
      end)
      w:integer(max)
      w:integer(min)
      assert.equals(OK, (capidriver.receiver(keeper):send(w)))
      local a, b = keeper:call("get")
      assert.is_true(a == max and b == min)
      assert.equals("integer", helpers.math_type(a))
      assert.equals(1, s:call(1))
    end)

    it("floats", function()
      local s, r = open()
      local w = r:writer(10, 2)
      for _, n in ipairs({0.5, -1.25, 3.0, 1e300}) do
        assert.equals(0, w:number(n))
      end
      assert.equals(OK, (r:send(w)))
      assert.equals("4 " .. table.concat({
        float "0.5", float "-1.25", float "3",
        float "1.0000000000000001e+300"
      }, " "), s:call("get"))
    end)

    it("strings, whatever their bytes and length", function()
      local s, r = open()
      local w = r:writer(10, 2)
      assert.equals(0, w:string("plain"))
      assert.equals(0, w:string(""))
      assert.equals(0, w:string("a\0b"))
      assert.equals(OK, (r:send(w)))
      assert.equals("3 string:plain string: string:a\0b", s:call("get"))
      local big = ("0123456789"):rep(100000)
      assert.equals(0, w:string(big))
      assert.equals(OK, (r:send(w)))
      assert.is_true("1 string:" .. big == s:call("get"))
    end)

    it("bytes, each as one integer of 0 to 255", function()
      local s, r = open()
      local w = r:writer(10, 2)
      assert.equals(0, w:bytes("\0\1A\127\128\255"))
      assert.equals(0, w:bytes(""))
      assert.equals(OK, (r:send(w)))
      assert.equals("6 " .. table.concat({
        integer "0", integer "1", integer "65", integer "127",
        integer "128", integer "255"
      }, " "), s:call("get"))
    end)

    it("arrays of every type", function()
      local s, r = open()
      for type, values in pairs({
        uchar = {0, 255}, schar = {-128, 127}, short = {-32768, 32767},
        ushort = {65535}, int = {-2147483648, 1}, uint = {4294967295},
        long = {-5, 6}, ulong = {7}, float = {0.5, -2}, double = {0.25, 1e10},
        llong = {-8, 9}, ullong = {10}
      }) do
        local w = r:writer(10, 2)
        assert.equals(0, w:array(type, values))
        assert.equals(OK, (r:send(w)))
        local texts = {}
        for i, value in ipairs(values) do
          texts[i] = ("%.17g"):format(value)
        end
        assert.equals("1 array:" .. type .. "," .. table.concat(texts, ","),
          s:call("get"))
      end
    end)

    it("large arrays", function()
      local s, r = open(function()
        local sum, count
        return function(array)
          if array then
            sum, count = 0, array:len()
            for i = 1, count do
              sum = sum + array:get(i)
            end
          end
          return sum, count
        end
      end)
      local values = {}
      for i = 1, 20000 do
        values[i] = i
      end
      local w = r:writer(16, 1.5)
      assert.equals(0, w:array("double", values))
      assert.equals(OK, (r:send(w)))
      local sum, count = s:call()
      assert.equals(200010000, sum)
      assert.equals(20000, count)
    end)

    it("all kinds in one message, in their order", function()
      local s, r = open()
      local w = r:writer(1, 2)
      w:string("begin")
      w:array("short", {1, 2})
      w:boolean(true)
      w:bytes("AB")
      w:number(0.5)
      w:array("double", {0.25})
      w:integer(-3)
      w:string("end")
      assert.equals(OK, (r:send(w)))
      assert.equals("9 " .. table.concat({
        "string:begin", "array:short,1,2", "boolean:true", integer "65",
        integer "66", float "0.5", "array:double,0.25", integer "-3",
        "string:end"
      }, " "), s:call("get"))
    end)

    it("messages of 5000 values", function()
      local s, r = open(function()
        local count, last
        return function(...)
          if select("#", ...) > 0 then
            count, last = select("#", ...), (select(-1, ...))
          end
          return count, last
        end
      end)
      local w = r:writer(100, 1.1)
      for i = 1, 5000 do
        assert.equals(0, w:integer(i))
      end
      assert.equals(OK, (r:send(w)))
      assert.same({5000, 5000}, {s:call()})
    end)

    it("from native threads", function()
      local s, r = open()
      local w = r:writer(10, 2)
      w:string("native")
      local code, message = r:start(w):join()
      assert.equals(OK, code)
      assert.is_nil(message)
      assert.equals("1 string:native", s:call("get"))
    end)

    it("each of many messages from many native threads", function()
      local s, r = open(function()
        local next_round, sum = {}, 0
        return function(thread, round)
          if thread then
            if (next_round[thread] or 0) ~= round then
              error("messages of one thread came out of order")
            end
            next_round[thread] = round + 1
            sum = sum + 1
          end
          return sum
        end
      end)
      assert.same({[OK] = 1600}, r:storm(8, 200))
      assert.equals(1600, s:call())
    end)

    it("to the callback, whose results are dropped", function()
      local _, r = open("return function() return 1, {}, print end")
      assert.same({OK, nil, 0}, {r:send(r:writer(10, 2))})
    end)
  end)

  describe("writers", function()
    it("are cleared by a successful delivery", function()
      local s, r = open()
      local w = r:writer(10, 2)
      w:string("once")
      assert.equals(OK, (r:send(w)))
      assert.equals(OK, (r:send(w)))
      assert.equals("0 ", s:call("get"))
      w:string("again")
      assert.equals(OK, (r:send(w)))
      assert.equals("1 string:again", s:call("get"))
    end)

    it("can be cleared", function()
      local s, r = open()
      local w = r:writer(10, 2)
      w:string("forgotten")
      w:array("int", {1})
      w:clear()
      w:clear()
      w:string("kept")
      assert.equals(OK, (r:send(w)))
      assert.equals("1 string:kept", s:call("get"))
    end)

    it("ignore the clear flag, which has no meaning for states", function()
      local s, r = open()
      local w = r:writer(10, 2)
      w:string("x")
      assert.equals(OK, r:send_quietly(w))
      assert.equals("1 string:x", s:call("get"))
    end)

    it("keep their content when the delivery fails", function()
      local closed, closed_receiver = open()
      closed:close()
      local failing, failing_receiver = open(
        "return function() error('no') end")
      local busy_state, busy_receiver = open(helpers.gated)
      local s, r = open()
      local w = r:writer(10, 2)
      w:string("kept")
      w:array("int", {4, 5})
      assert.equals(CLOSED, (closed_receiver:send(w)))
      assert.is_true((failing_receiver:send(w)) ~= OK)
      local busy = threads.hold(busy_state)
      assert.equals(BUSY, (busy_receiver:send(w, "nonblock")))
      busy:release()
      assert.equals(OK, (r:send(w)))
      assert.equals("2 string:kept array:int,4,5", s:call("get"))
      assert.equals("mtstates.state", mtstates.type(failing))
    end)

    it("grow as they are told", function()
      for _, grow in ipairs({1.01, 1.5, 2, 10}) do
        for _, capacity in ipairs({0, 1, 7, 1000}) do
          local s, r = open(function()
            local count = 0
            return function(...)
              if ... ~= "get" then
                count = count + select("#", ...)
              end
              return count
            end
          end)
          local w = r:writer(capacity, grow)
          for i = 1, 200 do
            assert.equals(0, w:integer(i))
          end
          assert.equals(OK, (r:send(w)))
          assert.equals(200, s:call("get"))
        end
      end
    end)

    it("with growth factor 0 refuse what has no room", function()
      local s, r = open(function()
        local count, sum = 0, 0
        return function(...)
          if ... ~= "get" then
            count, sum = select("#", ...), 0
            for i = 1, count do
              sum = sum + (select(i, ...))
            end
          end
          return count, sum
        end
      end)
      local w = r:writer(200, 0)
      local count, sum = 0, 0
      while w:integer(count + 1) == 0 do
        count = count + 1
        sum = sum + count
        assert.is_true(count <= 200)
      end
      assert.is_true(count >= 1)
      assert.is_true(w:string(("x"):rep(300)) ~= 0)
      assert.is_true(w:bytes(("x"):rep(300)) ~= 0)
      assert.is_nil(w:array("double", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
        13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26}))
      assert.equals(OK, (r:send(w)))
      assert.same({count, sum}, {s:call("get")})
      assert.equals(0, w:integer(7))
      assert.equals(OK, (r:send(w)))
      assert.same({1, 7}, {s:call("get")})
    end)

    it("with growth factor 0 and no capacity take nothing", function()
      local s, r = open()
      local w = r:writer(0, 0)
      assert.is_true(w:boolean(true) ~= 0)
      assert.is_true(w:integer(1) ~= 0)
      assert.is_true(w:number(1) ~= 0)
      assert.is_true(w:string("x") ~= 0)
      assert.is_true(w:bytes("x") ~= 0)
      assert.is_nil(w:array("int", {1}))
      assert.equals(OK, (r:send(w)))
      assert.equals("0 ", s:call("get"))
    end)

    it("refuse sizes that no memory can have", function()
      local s, r = open()
      for _, grow in ipairs({0, 2}) do
        local w = r:writer(100, grow)
        assert.equals(0, w:integer(5))
        assert.is_true(w:absurd())
        assert.equals(OK, (r:send(w)))
        assert.equals("1 " .. integer "5", s:call("get"))
      end
    end)

    it("refuse element types that do not exist", function()
      local s, r = open()
      local w = r:writer(100, 2)
      for _, type in ipairs({0, -1, 13, 1000}) do
        assert.is_true(w:bad_array_type(type))
      end
      w:integer(5)
      assert.equals(OK, (r:send(w)))
      assert.equals("1 " .. integer "5", s:call("get"))
    end)

    it("may be freed with content", function()
      local _, r = open()
      for _ = 1, 50 do
        local w = r:writer(10, 2)
        w:string(("x"):rep(10000))
        w:free()
      end
      assert.equals(OK, (r:send(r:writer(0, 2))))
    end)

    it("can be used for several receivers", function()
      local a, receiver_a = open()
      local b, receiver_b = open()
      local w = receiver_a:writer(10, 2)
      w:string("to a")
      assert.equals(OK, (receiver_a:send(w)))
      w:string("to b")
      assert.equals(OK, (receiver_b:send(w)))
      assert.equals("1 string:to a", a:call("get"))
      assert.equals("1 string:to b", b:call("get"))
    end)
  end)

  describe("with nonblock", function()
    it("gives 3 when the state is busy, and does not run it", function()
      local s, r = open(helpers.gated)
      local busy = threads.hold(s, "kept")
      local w = r:writer(10, 2)
      w:string("x")
      for _ = 1, 5 do
        local code, message, calls = r:send(w, "nonblock")
        assert.same({BUSY, nil, 0}, {code, message, calls})
        assert.equals(BUSY, (r:start(w, "nonblock"):join()))
      end
      assert.equals("kept", busy:release())
    end)

    it("delivers when the state is free", function()
      local s, r = open()
      local w = r:writer(10, 2)
      w:string("x")
      assert.equals(OK, (r:send(w, "nonblock")))
      assert.equals("1 string:x", s:call("get"))
    end)

    it("gives only 0 and 3 in a storm, and 0 as often as it runs", function()
      local s, r = open(function()
        local count = 0
        return function(thread)
          if thread then
            count = count + 1
          end
          return count
        end
      end)
      local codes = r:storm(6, 200, "nonblock")
      assert.equals(1200, (codes[OK] or 0) + (codes[BUSY] or 0))
      assert.equals(codes[OK], s:call())
    end)

    it("gives 1 when the state is closed", function()
      local s, r = open()
      s:close()
      assert.equals(CLOSED, (r:send(r:writer(1, 2), "nonblock")))
    end)
  end)

  it("without nonblock waits while the state is busy", function()
    local s, r = open(helpers.gated)
    local busy = threads.hold(s, "kept")
    local job = r:start(r:writer(10, 2))
    handoff.wait_asleep(job:tid())
    assert.equals("kept", busy:release())
    assert.equals(OK, (job:join()))
  end)

  describe("when the callback fails", function()
    it("gives another code and hands the message over", function()
      local s, r = open("return function(x) error('no use for ' .. x) end")
      local w = r:writer(10, 2)
      w:string("this")
      local code, message, calls = r:send(w)
      assert.is_true(code ~= OK and code ~= CLOSED and code ~= BUSY)
      assert.truthy(message:find("no use for this", 1, true))
      assert.equals(1, calls)
      local again = r:start(w):join()
      assert.equals(code, again)
      assert.equals(code, r:send_quietly(w))
      assert.equals("mtstates.state", mtstates.type(s))
    end)

    it("leaves the state usable", function()
      local s, r = open(function()
        return function(what, ...)
          if what == "raise" then
            error("raised")
          end
          return what, ...
        end
      end)
      local w = r:writer(10, 2)
      for _ = 1, 100 do
        w:clear()
        w:string("raise")
        w:array("int", {1, 2, 3})
        assert.is_true((r:send(w)) ~= OK)
      end
      assert.same({1, 2}, {s:call(1, 2)})
    end)
  end)

  it("reports an interrupt as a failure", function()
    local s, r = open()
    s:interrupt()
    local w = r:writer(10, 2)
    w:string("x")
    local code = r:send(w)
    assert.is_true(code ~= OK and code ~= CLOSED and code ~= BUSY)
    assert.equals(OK, (r:send(w)))
    assert.equals("1 string:x", s:call("get"))
  end)

  it("fails for arrays where the state cannot load carray", function()
    local s, r = open(function()
      package.path, package.cpath = "", ""
      return function(...) return select("#", ...) end
    end)
    local w = r:writer(10, 2)
    w:array("int", {1})
    local code, message = r:send(w)
    assert.is_true(code ~= OK and code ~= CLOSED and code ~= BUSY)
    assert.truthy(message:find("carray", 1, true))
    w:clear()
    w:string("fine")
    assert.equals(OK, (r:send(w)))
    assert.equals(2, s:call(1, 2))
  end)

  it("gives 6 when the state has no memory for the message", function()
    local s, r = open(function()
      local limit = require "memlimit"
      return function(what)
        if what == "limit" then
          limit.refuse_larger(100000)
        elseif what == "allow" then
          limit.allow()
        end
        return "usable"
      end
    end)
    local w = r:writer(10, 2)
    s:call("limit")
    w:string(("x"):rep(1000000))
    assert.equals(NO_MEMORY, (r:send(w)))
    assert.equals("usable", s:call("look"))
    s:call("allow")
    assert.equals(OK, (r:send(w)))
  end)

  describe("of a closed state", function()
    it("gives 1, for ever", function()
      local s, r = open()
      s:close()
      local w = r:writer(10, 2)
      for _ = 1, 3 do
        assert.equals(CLOSED, (r:send(w)))
        assert.equals(CLOSED, r:send_quietly(w))
        assert.equals(CLOSED, (r:start(w):join()))
      end
      assert.same({[CLOSED] = 40}, r:storm(4, 10))
      r:release()
    end)

    it("gives 1 when the last owner was collected", function()
      local s, r = open()
      assert.is_true(s:isowner())
      assert.equals(OK, (r:send(r:writer(10, 2))))
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals(CLOSED, (r:send(r:writer(10, 2))))
    end)

    it("gives 1 to those who wait when the running call ends", function()
      local s, r = open(helpers.gated)
      local busy = threads.hold(s, "done")
      local jobs = {}
      for i = 1, 3 do
        jobs[i] = r:start(r:writer(10, 2))
        handoff.wait_asleep(jobs[i]:tid())
      end
      s = nil -- luacheck: ignore
      helpers.collect()
      assert.equals("done", busy:release())
      for i = 1, 3 do
        assert.equals(CLOSED, (jobs[i]:join()))
      end
    end)
  end)

  it("outlives its Lua object when it is retained", function()
    local s = mtstates.newstate(keeping)
    local object = mtstates.state(s:id())
    local r = capidriver.receiver(object)
    object = nil -- luacheck: ignore
    helpers.collect()
    local w = r:writer(10, 2)
    w:string("x")
    assert.equals(OK, (r:start(w):join()))
    assert.equals("1 string:x", s:call("get"))
    r:release()
    assert.equals("1 string:x", s:call("get"))
  end)

  it("leaks no memory", function()
    local s, r = open()
    local function provoke(times)
      for _ = 1, times do
        local w = r:writer(1, 2)
        w:string(("x"):rep(5000))
        w:array("int", {1, 2, 3})
        r:send(w)
        w:string("left behind")
        w:free()
      end
      s:call("nothing")
      helpers.collect()
    end
    provoke(100)
    local before = handoff.heap_bytes()
    provoke(500)
    local grown = handoff.heap_bytes() - before
    assert.is_true(grown < 1000000, "grown by " .. grown)
  end)
end)
