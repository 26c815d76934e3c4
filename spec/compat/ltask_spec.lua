-- examples/compat/ltask.lua: services as users of ltask write them, and every
-- function and every error text.

local assert = require "luassert"
local gates = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"

local FOLDER = "examples/compat/?.lua;"

-- Waits of these services are in functions that are called by their names, as
-- others hold in Lua 5.1 and 5.2.
local PRELUDE = [[
  local ltask, gates = require "ltask", require "handoff"
  local S = {}
]]

describe("the adaptor for ltask", function()
  local path = package.path
  local ltask, services

  setup(function()
    package.path = FOLDER .. path
    ltask = require "ltask"
  end)
  teardown(function()
    package.path = path
    package.loaded["ltask"] = nil
  end)
  before_each(helpers.watch("ltask"))
  before_each(function()
    services = {}
  end)
  after_each(function()
    for _, address in ipairs(services) do
      pcall(ltask.syscall, address, "quit")
    end
    helpers.unwatch()
  end)

  -- Makes a service with the functions that the code adds to S.
  local function spawn(code, ...)
    local f = assert(helpers.compile(PRELUDE .. code .. " return S",
      "=service"))
    local address = ltask.spawn(f, ...)
    services[#services + 1] = address
    return address
  end

  local function write(name, text)
    local file = assert(io.open(name, "w"))
    assert(file:write(text))
    file:close()
  end

  -- A program of its own, in which the file `service` has the code.
  local function run(program, code)
    local name = os.tmpname()
    if code then
      write(name, code)
    end
    local output, status = helpers.run_program(
      ("package.path = '%s' .. package.path local service = '%s' "):format(
        FOLDER, name) .. "local ltask = require 'ltask' "
      .. "ltask.service_path = '?' " .. program)
    os.remove(name)
    return output, status
  end

  describe("spawn", function()
    it("makes services of functions, with arguments", function()
      local address = spawn([[
        local list, none, n = ...
        function S.get() return list, none, n, select("#", n) end
      ]], {1}, nil, 3)
      assert.equal("number", type(address))
      assert.same({{1}, nil, 3, 1}, {ltask.call(address, "get")})
    end)

    it("makes services of files", function()
      local output, status = run([[
        local address = ltask.spawn(service, "Hello")
        print(ltask.call(address, "ping", "PONG"))
      ]], [[
        local S = {}
        print("init", ...)
        function S.ping(...) return "PING", ... end
        return S
      ]])
      assert.same({"init\tHello\nPING\tPONG\n", 0}, {output, status})
    end)

    it("says which files it has looked for", function()
      local ok, err = pcall(ltask.spawn, "no_such")
      assert.is_false(ok)
      assert.matches("service 'no_such' not found:\n\tno file './no_such.lua'"
        .. "\n\tno file 'service/no_such.lua'", err, 1, true)
    end)

    it("raises what the service raises, and leaves none", function()
      local count = #services
      local ok, err = pcall(spawn,
        "gates.put(..., ltask.self()) error('x', 0)", "failed service")
      assert.is_false(ok)
      assert.matches(": x\n", err, 1, true)
      local id = gates.take("failed service")
      helpers.wait_until(function()
        return not pcall(mtstates.state, id)
      end)
      assert.equal(count, #services)
    end)

    it("has services that give no functions quit", function()
      local address = ltask.spawn(helpers.compile("return nil"))
      helpers.wait_until(function()
        return not ltask.send(address, "x")
      end)
    end)

    it("can wait, fork and ask others in the code of the service", function()
      local other = spawn("function S.double(n) return 2 * n end")
      local address = spawn([[
        local other, made = ...
        ltask.sleep(1)
        ltask.fork(function() made = ltask.call(other, "double", 4)
                              ltask.wakeup("made") end)
        ltask.wait("made")
        function S.get() return made end
      ]], other)
      assert.equal(8, ltask.call(address, "get"))
    end)

    it("keeps services until they quit", function()
      local address = spawn("function S.f() collectgarbage() return 1 end")
      for _ = 1, 3 do
        helpers.collect()
        assert.equal(1, ltask.call(address, "f"))
      end
      ltask.sleep(1)
      assert.equal(1, ltask.call(address, "f"))
    end)

    it("inherits service_path", function()
      local output = run([[
        local f = (loadstring or load)("local ltask, name = require 'ltask', "
          .. "... local address = ltask.spawn(name) "
          .. "return {get = function() return address end}")
        print(ltask.call(ltask.call(ltask.spawn(f, service), "get"), "name"))
      ]], "return {name = function() return 'inner' end}")
      assert.equal("inner\n", output)
    end)
  end)

  it("has spawn_service with a table", function()
    local initfunc = helpers.compile([[
      local ltask = require "ltask"
      return {
        thread = function() return require "handoff".tid() end,
        label = function() return ltask.label() end,
      }]])
    local address = ltask.spawn_service { name = "one thread",
      initfunc = initfunc, args = {"box"}, worker_id = 0 }
    services[1] = address
    local name = require "tasks".thread_name(ltask.call(address, "thread"))
    assert.equal("one thread", name)
    assert.equal("one thread", ltask.call(address, "label"))
    local unique = { name = "a unique one", initfunc = initfunc,
                     unique = true }
    local first = ltask.spawn_service(unique)
    services[2] = first
    assert.equal(first, ltask.spawn_service(unique))
    assert.equal(first, ltask.queryservice("a unique one"))
  end)

  describe("uniqueservice", function()
    it("makes one service, which queryservice finds", function()
      local output, status = run([[
        local first = ltask.uniqueservice(service, "first")
        print(first == ltask.uniqueservice(service, "second"),
              first == ltask.queryservice(service))
        print(ltask.call(first, "get"))
      ]], [[
        local what = ...
        return {get = function() return what end}
      ]])
      assert.same({"true\ttrue\nfirst\n", 0}, {output, status})
    end)

    it("waits until the service is ready, as queryservice does", function()
      local output, status = run([[
        local f = (loadstring or load)("local ltask, name, unique = "
          .. "require 'ltask', ... return {get = function() "
          .. "local address = ltask[unique](name) "
          .. "local answer = ltask.call(address, 'get') return answer end}")
        local asks = ltask.async()
        local one = ltask.spawn(f, service, "queryservice")
        local two = ltask.spawn(f, service, "uniqueservice")
        local tasks = { { ltask.call, one, "get" }, { ltask.call, two, "get" },
                        { ltask.uniqueservice, service } }
        for task, results in ltask.parallel(tasks) do
          print(results.error or results[1] == "ready" or task[1])
        end
      ]], [[
        local ltask, ready = require "ltask", nil
        ltask.sleep(10)
        ready = "ready"
        return {get = function() return ready end}
      ]])
      output = output:gsub("function: [^\n]*", "true")
      assert.same({"true\ntrue\ntrue\n", 0}, {output, status})
    end)

    it("raises what the service raises, for all", function()
      local output = run([[
        for i = 1, 2 do
          local ok, err = pcall(ltask.uniqueservice, service)
          print(ok, err:match("no luck"))
          repeat -- it is gone soon
            local name = "ltask.unique." .. service
          until not pcall(require "mtstates".state, name)
        end
      ]], "error('no luck')")
      assert.equal("false\tno luck\nfalse\tno luck\n", output)
    end)
  end)

  describe("call", function()
    it("gives all results", function()
      local address = spawn([[
        function S.f(...) return nil, select("#", ...), {...}, nil end
      ]])
      assert.same({nil, 3, {1, nil, {2}}, nil, n = 4},
        helpers.pack(ltask.call(address, "f", 1, nil, {2})))
    end)

    it("raises errors, with their text", function()
      local address = spawn([[
        function S.text() error("Error : 5") end
        function S.value() error({code = 5}) end
      ]])
      local ok, err = pcall(ltask.call, address, "text")
      assert.is_false(ok)
      assert.matches("service:[%d]+: Error : 5\nstack traceback:", err)
      ok, err = pcall(ltask.call, address, "value")
      assert.same({false, {code = 5}}, {ok, err})
      assert.matches("there is no function 'other'; there are", select(2,
        pcall(ltask.call, address, "other")), 1, true)
    end)

    it("of a service that waits goes on with others", function()
      local address = spawn([[
        function S.wait() ltask.wait("token") return "woken" end
        function S.wake() return ltask.wakeup("token") end
      ]])
      local async = ltask.async()
      async:request(address, "wait")
      assert.is_true(ltask.call(address, "wake"))
      async:wait()
    end)

    it("says that a service is dead", function()
      local address = spawn("function S.quit() ltask.quit() return 'bye' end")
      assert.equal("bye", ltask.call(address, "quit"))
      helpers.wait_until(function()
        return not pcall(mtstates.state, address)
      end)
      local text = "${service:" .. address .. "} is dead"
      for _, name in ipairs {"call", "syscall"} do
        local ok, err = pcall(ltask[name], address, "f")
        assert.is_false(ok)
        assert.matches(text, err, 1, true)
      end
      assert.is_false(ltask.send(address, "f"))
    end)
  end)

  it("has send, which keeps the order", function()
    local address = spawn([[
      local got = {}
      function S.add(n) got[#got + 1] = n end
      function S.get() return got end
    ]])
    for i = 1, 3 do
      assert.is_true(ltask.send(address, "add", i))
    end
    assert.same({1, 2, 3}, ltask.call(address, "get"))
  end)

  it("has syscall", function()
    local address = spawn("function S.quit() gates.add('S.quit') end")
    local memory = ltask.syscall(address, "memory")
    assert.is_true(memory > 1000 and memory < 1e8)
    ltask.syscall(address, "quit")
    assert.equal(1, gates.get("S.quit"))
    assert.is_true(ltask.send(address, "quit"))
    local other = spawn("function S.f() end")
    ltask.syscall(other, "quit")
    helpers.wait_until(function()
      return not ltask.send(other, "f")
    end)
    gates.set("S.quit", 0)
  end)

  describe("async", function()
    it("waits for all, more than once", function()
      local address = spawn([[
        local count = 0
        function S.add(n) ltask.sleep(1) count = count + n return count end
        function S.get() return count end
      ]])
      local async = ltask.async()
      async:request(address, "add", 1)
      async:request(address, "add", 2)
      async:wait()
      assert.equal(3, ltask.call(address, "get"))
      async:request(address, "add", 4)
      async:wait()
      async:wait()
      assert.equal(7, ltask.call(address, "get"))
    end)

    it("logs errors", function()
      local output, status = run([[
        local async = ltask.async()
        async:request(ltask.spawn(service), "fail")
        async:wait()
        print "after"
      ]], "return {fail = function() error('no luck') end}")
      assert.matches("%[ERROR%]%( main %) .*no luck.*\nafter\n$", output)
      assert.equal(0, status)
    end)
  end)

  describe("parallel", function()
    it("gives tasks and results in the order in which they end", function()
      local function run_task(what, future, promise)
        if future then
          future:await()
        end
        if promise then
          promise:set() -- the next one ends
        end
        return what, nil
      end
      local order = {}
      local slow, end_slow = mtstates.promise()
      local middle, end_middle = mtstates.promise()
      local tasks = { { run_task, "slow", slow, id = 1 },
                      { run_task, "fast", nil, end_middle, id = 2 },
                      { run_task, "middle", middle, end_slow, id = 3 } }
      for task, results in ltask.parallel(tasks) do
        assert.same({results[1], nil, n = 2}, results)
        assert.equal(tasks[task.id], task)
        order[#order + 1] = results[1]
      end
      assert.same({"fast", "middle", "slow"}, order)
    end)

    it("passes values as they are, and takes none", function()
      local t = {}
      for _, results in ltask.parallel {
        { function(x) return x, coroutine.create(function() end) end, t }
      } do
        assert.equal(t, results[1])
        assert.equal("thread", type(results[2]))
      end
      for _ in ltask.parallel {} do
        error("nothing was to be done")
      end
    end)

    it("gives errors", function()
      local count = 0
      for task, results in ltask.parallel {
        { error, "no luck", 0 }, { error, {code = 5} },
      } do
        count = count + 1
        if task[2] == "no luck" then
          assert.matches("no luck", results.error, 1, true)
        else
          assert.same({code = 5}, results.error)
        end
        assert.same({false, results.error}, {pcall(results.rethrow, results)})
      end
      assert.equal(2, count)
    end)

    it("can be left early", function()
      local first
      for task in ltask.parallel {
        { ltask.sleep, 0, id = 1 }, { ltask.sleep, 10, id = 2 },
      } do
        first = first or task.id
        if first == 1 then
          break
        end
      end
      assert.equal(1, first)
    end)
  end)

  describe("wait", function()
    -- One that has coroutines for tasks waits without a token.
    local function service()
      return spawn([[
        local seen = {}
        local function note(...)
          seen[#seen + 1] = {n = select("#", ...), ...}
        end
        function S.wait(token)
          local function wait()
            note(ltask.wait(token))
          end
          ltask.fork(wait)
          ltask.sleep(0)
        end
        function S.multi(token, count)
          local function wait()
            note(ltask.multi_wait(token))
          end
          for _ = 1, count do ltask.fork(wait) end
          ltask.sleep(0)
        end
        function S.wake(name, ...)
          local woken = ltask[name](...)
          ltask.sleep(0)
          return woken, seen
        end
        function S.raised(token)
          local function wait()
            local ok, err = pcall(ltask.wait, token)
            note(ok, err)
          end
          ltask.fork(wait)
          ltask.sleep(0)
        end
        function S.identity()
          local t, same = {}, nil
          ltask.fork(function() same = ltask.wait("t") == t end)
          ltask.sleep(0)
          ltask.wakeup("t", t)
          ltask.sleep(0)
          return same
        end
        function S.twice() return pcall(ltask.wait, "a") end
        function S.own()
          local co
          ltask.fork(function()
            co = coroutine.running()
            note(ltask.wait())
          end)
          ltask.sleep(0)
          ltask.wakeup(co, "own")
          ltask.sleep(0)
          return seen
        end
      ]])
    end

    it("ends with the values of wakeup", function()
      local address = service()
      ltask.call(address, "wait", "a")
      assert.same({true, {{n = 3, 1, nil, nil}}},
        {ltask.call(address, "wake", "wakeup", "a", 1, nil, nil)})
      assert.is_true(ltask.call(address, "identity"))
    end)

    it("does not see a wake-up that was before", function()
      local address = service()
      assert.same({nil, {}}, {ltask.call(address, "wake", "wakeup", "a")})
      ltask.call(address, "wait", "a")
      assert.same({true, {{n = 0}}},
        {ltask.call(address, "wake", "wakeup", "a")})
      assert.same({nil, {{n = 0}}},
        {ltask.call(address, "wake", "wakeup", "a")})
    end)

    it("ends with the error of interrupt", function()
      local can_yield = rawget(coroutine, "isyieldable")
        or _VERSION > "Lua 5.1"
      if not can_yield then
        return -- pcall would hold the task
      end
      local address = service()
      ltask.call(address, "raised", "a")
      assert.same({true, {{n = 2, false, "no luck"}}},
        {ltask.call(address, "wake", "interrupt", "a", "no luck")})
      assert.is_nil((ltask.call(address, "wake", "interrupt", "a", "x")))
    end)

    it("refuses a token with which somebody waits", function()
      local address = service()
      ltask.call(address, "wait", "a")
      local ok, err = ltask.call(address, "twice")
      assert.is_false(ok)
      assert.matches("somebody waits with this token", err, 1, true)
    end)

    it("has the coroutine as its token if there is none", function()
      local has_running = rawget(coroutine, "isyieldable") and
        not rawget(_G, "jit") or _VERSION == "Lua 5.2"
      if has_running then
        assert.same({{n = 1, "own"}}, ltask.call(service(), "own"))
      end
    end)

    it("can be done by several, which wake together", function()
      local address = service()
      ltask.call(address, "multi", "a", 3)
      assert.same({true, {{n = 1, 7}, {n = 1, 7}, {n = 1, 7}}},
        {ltask.call(address, "wake", "multi_wakeup", "a", 7)})
      assert.is_nil((ltask.call(address, "wake", "multi_wakeup", "a")))
    end)

    it("can be interrupted for several", function()
      local output = run([[
        local address = ltask.spawn(service)
        local tasks = {}
        for i = 1, 3 do tasks[i] = { ltask.call, address, "wait" } end
        tasks[4] = { ltask.call, address, "stop" }
        for _, results in ltask.parallel(tasks) do
          print(results[1] or results.error:match("no luck"))
        end
      ]], [[
        local ltask, S = require "ltask", {}
        function S.wait() local r = ltask.multi_wait("x") return r end
        function S.stop() return ltask.multi_interrupt("x", "no luck") end
        return S
      ]])
      assert.equal(3, helpers.count(output, "no luck"))
      assert.equal(1, helpers.count(output, "true"))
    end)
  end)

  describe("fork", function()
    it("passes values as they are", function()
      local address = spawn([[
        function S.f()
          local t, got = {}, nil
          ltask.fork(function(...) got = {...} end, t, nil, t)
          ltask.sleep(0)
          return got[1] == t and got[2] == nil and got[3] == t
        end
      ]])
      assert.is_true(ltask.call(address, "f"))
    end)

    it("logs errors at once", function()
      if not rawget(coroutine, "isyieldable") then
        return -- later, when the future is collected
      end
      local output = run([[
        local address = ltask.spawn(service)
        ltask.call(address, "f")
        print "after"
      ]], [[
        local ltask = require "ltask"
        return {f = function()
          local begun = 0
          ltask.fork(function() begun = begun + 1 error("no luck") end)
          ltask.timeout(0, function() begun = begun + 1 error("nor here") end)
          repeat
            ltask.sleep(1)
          until begun == 2
        end}
      ]])
      assert.matches("%[ERROR%].*no luck.*%[ERROR%].*nor here.*\nafter\n$",
        output)
    end)
  end)

  it("has timeouts in their order", function()
    local address = spawn([[
      function S.f()
        local seen = {}
        local function later(time)
          ltask.timeout(time, function() seen[#seen + 1] = time end)
        end
        later(80)
        later(40)
        later(0)
        local start = ltask.counter()
        ltask.sleep(120)
        return ltask.counter() - start, seen
      end
    ]])
    local seen
    local tries = 0
    repeat -- one that begins too late can be behind others
      local seconds
      seconds, seen = ltask.call(address, "f")
      assert.is_true(seconds >= 1.2)
      tries = tries + 1
    until table.concat(seen, " ") == "0 40 80" or tries == 20
    assert.same({0, 40, 80}, seen)
  end)

  it("has clocks", function()
    local earliest = os.time()
    local seconds, hundredths = ltask.now()
    assert.is_true(seconds >= earliest - 1 and seconds <= os.time() + 1)
    assert.equal(seconds, math.floor(hundredths / 100))
    local before = ltask.counter()
    ltask.sleep(2)
    assert.is_true(ltask.counter() - before >= 0.02)
    assert.is_true(select(2, ltask.now()) >= hundredths + 1)
  end)

  it("knows where it is", function()
    local address = spawn([[
      function S.where()
        return ltask.self(), ltask.label(), ltask.worker_id(),
          ltask.worker_bind(0)
      end
    ]])
    assert.same({address, "function", 0}, {ltask.call(address, "where")})
    assert.is_nil(ltask.self())
    assert.equal("main", ltask.label())
  end)

  it("has a log", function()
    local output = run([[
      local address = ltask.spawn(service)
      ltask.log.info("a", nil, 1)
      ltask.call(address, "log")
    ]], [[
      local ltask = require "ltask"
      return {log = function() ltask.log.error("b") end}
    ]])
    local time = "%[%d+%-%d+%-%d+ %d+:%d+:%d+%]"
    assert.matches("^" .. time .. "%[INFO %]%( main %) a\tnil\t1\n" .. time
      .. "%[ERROR%]%( .- %) b\n$", output)
  end)

  it("merges the functions of dispatch", function()
    local address = spawn([[
      ltask.dispatch { a = function() return "a" end, text = "no function" }
      function S.b() return ltask.dispatch().a() .. "b" end
      function S.again() return pcall(ltask.dispatch, {a = print}) end
    ]])
    assert.equal("a", ltask.call(address, "a"))
    assert.equal("ab", ltask.call(address, "b"))
    local ok, err = ltask.call(address, "again")
    assert.is_false(ok)
    assert.matches("there is such a function", err, 1, true)
    assert.is_false(pcall(ltask.call, address, "text"))
    address = ltask.spawn(helpers.compile(PRELUDE
      .. "ltask.dispatch {a = function() return 'only' end}"))
    services[#services + 1] = address
    assert.equal("only", ltask.call(address, "a"))
  end)

  describe("mainthread_run", function()
    it("runs functions of the service in the main thread", function()
      local output, status = run([[
        local bootstrap = { { name = service,
                              args = {require "handoff".tid(), n = 1} } }
        print(ltask.start { service_path = "?", bootstrap = bootstrap })
      ]], [[
        local ltask, main_tid = require "ltask", ...
        local gates, sum = require "handoff", 0
        local function add(n, t)
          sum = sum + n
          return gates.tid() == main_tid, t, nil
        end
        local t = {}
        local is_main, same, none = ltask.mainthread_run(add, 2, t)
        print(is_main, same == t, none, sum, gates.tid() == main_tid)
        local tasks = { { ltask.mainthread_run, error, "no luck" },
                        { ltask.mainthread_run, add, 3 } }
        for _, results in ltask.parallel(tasks) do
          print(results.error and results.error:match("no luck")
                or results[1])
        end
        print(sum)
      ]])
      local head, tail = "true\ttrue\tnil\t2\tfalse\n", "5\ntrue\n"
      assert.equal(0, status)
      assert.equal(head, output:sub(1, #head))
      assert.equal(tail, output:sub(-#tail))
      assert.equal(1, helpers.count(output, "no luck\n"))
      assert.equal(#head + #tail + #"no luck\ntrue\n", #output)
    end)

    it("is an error where no main thread takes part", function()
      local address = spawn([[
        function S.f()
          local result = ltask.mainthread_run(print)
          return result
        end
      ]])
      local ok, err = pcall(ltask.call, address, "f")
      assert.is_false(ok)
      assert.matches("unknown_object", err, 1, true)
    end)
  end)

  describe("start", function()
    it("returns when services that are not unique have quit", function()
      local output, status = run([[
        local initfunc = (loadstring or load)([=[
          local S, ltask = {}, require "ltask"
          function S.quit() print "the unique one quits" ltask.quit() end
          return S
        ]=])
        local bootstrap = {
          { name = "unique", initfunc = initfunc, unique = true },
          { name = service, args = {"a", n = 1} },
          { name = service, args = {"b", n = 1} },
        }
        print(ltask.start { service_path = "no/?;?", bootstrap = bootstrap,
                            worker = 3 })
        print(require "mtstates".workers())
      ]], [[
        local ltask, name = require "ltask", ...
        ltask.queryservice "unique"
        ltask.timeout(5, function()
          local gates = require "handoff"
          if name == "a" then
            gates.wait("b has printed", 1)
          end
          print(name)
          gates.add(name .. " has printed")
          ltask.quit()
        end)
        return { f = print }
      ]])
      assert.same({"b\na\nthe unique one quits\ntrue\n3\n", 0},
        {output, status})
    end)

    it("takes paths of modules", function()
      local output, status = run([[
        local path, cpath = package.path .. ";more", package.cpath .. ";more"
        ltask.start { lua_path = path, lua_cpath = cpath, service_path = "?",
                      bootstrap = { { name = service } } }
      ]], "print(package.path:match('more$'), package.cpath:match('more$'))")
      assert.same({"more\tmore\n", 0}, {output, status})
    end)

    it("raises what a service raises", function()
      local output, status = run([[
        ltask.start { service_path = "?", bootstrap = { { name = service } } }
      ]], "error('no luck')")
      assert.matches("no luck", output, 1, true)
      assert.equal(1, status)
    end)
  end)

  describe("quit", function()
    it("fails what waits", function()
      local address = spawn([[
        function S.wait() gates.add("quit waits") ltask.sleep(6000) end
        function S.quit() ltask.quit() end
      ]])
      local tasks = { { ltask.call, address, "wait", id = 1 },
                      { ltask.call, address, "quit", id = 2 } }
      for task, results in ltask.parallel(tasks) do
        if task.id == 1 then
          assert.matches("object_closed", results.error, 1, true)
        end
      end
      gates.set("quit waits", 0)
    end)

    it("is an error in a main program", function()
      assert.is_false(pcall(ltask.quit))
    end)
  end)
end)
