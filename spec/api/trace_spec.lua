-- What threads and tasks do, in the file of a trace.

local assert = require "luassert"
local events_of = require "events_of"
local gates = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local threads = require "threads"

local it = helpers.it_with_globals
local path = os.tmpname()

-- Begins a trace, calls f, ends the trace; gives what events_of.file does.
local function traced(f, ...)
  mtstates.trace(path)
  f(...)
  mtstates.trace(nil)
  return events_of.file(path)
end

local function trace(...)
  mtstates.trace(...)
end

-- These events, in the order of time.
local function select(list, fields)
  local found = events_of.select(list, fields)
  table.sort(found, function(a, b) return a.ts < b.ts end)
  return found
end

local function values(list, key)
  local found = {}
  for i, event in ipairs(list) do found[i] = event.args[key] end
  return found
end

local function write(text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function read()
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

describe("a trace", function()
  before_each(helpers.watch("trace"))
  after_each(function()
    mtstates.trace(nil)
    helpers.unwatch()
  end)
  teardown(function() os.remove(path) end)

  it("without events is JSON, too", function()
    local list = traced(function() end)
    assert.equals("process_name", list[1].name)
    assert.equals("mtstates", list[1].args.name)
  end)

  it("has setups, calls and closings, on the row of the thread", function()
    local id
    local list, names = traced(function()
      local s = mtstates.newstate("trace call", helpers.echo)
      id = s:id()
      s:call()
      s:call(1)
      assert.is_false(pcall(mtstates.newstate, "trace failed", "x()"))
      s:close()
    end)
    assert.equals(1, events_of.count(list, "setup", "setup of trace call"))
    assert.equals(1, events_of.count(list, "setup", "setup of trace failed"))
    assert.equals(2, events_of.count(list, "call", "trace call"))
    assert.equals(1, events_of.count(list, "close", "close trace call"))
    local call = select(list, {name = "trace call"})[1]
    assert.equals(id, call.args.state)
    assert.equals("main program", names[call.tid])
  end)

  it("shows a state without a name by its id", function()
    local s = mtstates.newstate(helpers.echo)
    local list = traced(s.call, s)
    local name = ("state %.0f"):format(s:id())
    assert.equals(1, events_of.count(list, "call", name))
    s:close()
  end)

  it("nests calls, those that fail included", function()
    local inner = mtstates.newstate("trace inner", function()
      return function(fails) return fails and error("on purpose") end
    end)
    local outer = mtstates.newstate("trace outer", function()
      local mt = require "mtstates"
      local state = mt.state("trace inner")
      return function()
        state:call()
        return pcall(state.call, state, true)
      end
    end)
    local list = traced(function()
      assert.is_false((outer:call()))
      assert.is_false(pcall(inner.call, inner, true))
    end)
    assert.equals(1, events_of.count(list, "call", "trace outer"))
    local first = select(list, {ph = "B", name = "trace outer"})[1]
    local calls = select(list, {ph = "X", name = "trace inner"})
    assert.same({1, 1, 1, 0},
      {first.depth, calls[1].depth, calls[2].depth, calls[3].depth})
    inner:close()
    outer:close()
  end)

  it("has the stretches of tasks, on the rows of workers", function()
    local s = mtstates.newstate("trace task", {}, function()
      local mt = require "mtstates"
      return function()
        mt.sleep(0)
        mt.sleep(0.001)
      end
    end)
    local list = traced(function() s:await() end)
    local stretches = select(list, {cat = "task", name = "trace task"})
    assert.equals(3, #stretches)
    for _, event in ipairs(stretches) do
      assert.truthy(event.thread:find("^mtstates/%d+$"))
    end
    s:close()
  end)

  it("has the waits of tasks, and what they are for", function()
    local full = mtstates.newstate("trace full", {queue = 1}, helpers.gated)
    local s = mtstates.newstate("trace waits", {}, function()
      local mt = require "mtstates"
      return function(what)
        if what == "room" then
          mt.state("trace full"):send()
        elseif what == "promise" then
          local future, promise = mt.promise()
          mt.fork(function() promise:set() end)
          future:await()
        elseif what == "state" then
          mt.state("trace nobody", 0.001)
        elseif what then
          mt.state("trace waits"):await()
          mt.sleep(0)
          mt.sleep(0.001)
        end
      end
    end)
    local release = requests.hold(full)
    full:send()
    local list = traced(function()
      s:await(true)
      s:await("promise")
      helpers.raises_error("invoking_state", s.await, s, "state")
      local sent = s:async("room")
      helpers.wait_until(function() return s:stats().tasks == 1 end)
      s:call() -- when that waits
      release()
      sent:await()
    end)
    local begun = select(list, {ph = "b", name = "trace waits waits"})
    assert.same({"an answer of trace waits", "others", "sleep", "an answer",
                 "a state", "room at trace full"}, values(begun, "for"))
    local ended = select(list, {ph = "e", name = "trace waits waits"})
    assert.equals(6, #ended)
    for i, event in ipairs(ended) do
      assert.equals(begun[i].id, event.id)
      assert.equals(begun[i].cat, event.cat)
      assert.is_true(event.ts >= begun[i].ts)
    end
    full:close()
    s:close()
  end)

  it("has the waits of threads", function()
    local s = mtstates.newstate("trace thread", {queue = 1}, helpers.gated)
    local key, release = gates.unique("trace"), nil
    local list = traced(function()
      release = requests.hold(s)
      local caller = threads.start(function(gate)
        local handoff = require "handoff"
        handoff.put(gate, handoff.tid())
        require "mtstates".state("trace thread"):call()
      end, key)
      gates.wait_asleep(gates.take(key))
      assert.is_false((s:async():tawait(0.001)))
      assert.is_false(s:tsend(0.001))
      release()
      caller:join()
      mtstates.sleep(0.001)
      helpers.raises_error("unknown_object", mtstates.state, "nobody", 0.001)
      release = requests.hold(s)
      assert.is_false(s:close(0.001))
      mtstates.sleep(0.001)
    end)
    release()
    for _, name in ipairs {"its turn in trace thread", "room at trace thread",
                           "an answer of trace thread", "sleep", "a state",
                           "the last answer of trace thread"} do
      assert.is_true(events_of.count(list, "wait", name) > 0, name)
    end
    local waits = select(list, {cat = "wait", name = "sleep"})
    assert.equals(2, #waits)
    for _, event in ipairs(waits) do
      assert.equals(0, event.depth, event.name)
    end
  end)

  it("has the lengths of queues", function()
    local s = mtstates.newstate("trace queue", {queue = 2}, helpers.gated)
    local release = requests.hold(s)
    local list = traced(function()
      s:send()
      local future = s:async()
      future:cancel()
      s:send()
      release()
      s:await()
    end)
    local counts = select(list, {ph = "C"})
    assert.equals("queue of trace queue", counts[1].name)
    assert.equals(("%.0f"):format(s:id()), counts[1].id)
    local lengths = values(counts, "waiting")
    assert.same({1, 2, 1, 2}, {lengths[1], lengths[2], lengths[3],
                               lengths[4]})
    assert.equals(0, lengths[#lengths])
    s:close()
  end)

  it("has the end of queues that are closed", function()
    local s = mtstates.newstate("trace shut", helpers.gated)
    local list = traced(function()
      local release = requests.hold(s)
      local first, second = s:async(), s:async()
      s:close()
      pcall(release)
      helpers.raises_error("object_closed", first.await, first)
      helpers.raises_error("object_closed", second.await, second)
    end)
    local lengths = values(select(list, {ph = "C"}), "waiting")
    assert.equals(0, lengths[#lengths])
  end)

  it("has own threads by the names of their states", function()
    local list = traced(function()
      local s = mtstates.newstate("trace own", {own_thread = true},
                                  helpers.echo)
      s:call()
      s:await()
      s:close()
    end)
    local call = select(list, {cat = "call", name = "trace own"})[1]
    local task = select(list, {cat = "task", name = "trace own"})[1]
    assert.equals("trace own", call.thread)
    assert.equals("trace own", task.thread)
  end)

  it("has any name as a string of JSON", function()
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    local all = table.concat(bytes)
    local list = traced(function()
      for first = 1, 256, 32 do
        mtstates.newstate(all:sub(first, first + 31), helpers.echo):close()
      end
      mtstates.newstate("\195\164\226\130\172\240\159\152\128",
                        helpers.echo):close()
      mtstates.newstate("\195(\192\128\237\160\128\244\144\128\128" ..
                        "\248\144\128\128\226\130",
                        helpers.echo):close()
      mtstates.newstate(("long"):rep(1000), helpers.echo):close()
    end)
    local function is_there(name)
      assert.equals(1, events_of.count(list, "close", "close " .. name), name)
    end
    is_there(("long"):rep(15))
    is_there("\195\164\226\130\172\240\159\152\128")
    is_there("<fffd>(" .. ("<fffd>"):rep(15))
    is_there(all:sub(33, 64))
    is_there(all:sub(97, 127) .. "<007f>")
    is_there(all:sub(1, 32):gsub(".", function(c)
      local short = ("<%04x>"):format(c:byte())
      return short
    end))
  end)

  -- Each byte of the names becomes six.
  it("has many long lines", function()
    local names = {("\1"):rep(60), ("\2"):rep(60)}
    local one = mtstates.newstate(names[1], {}, [[
      return function(other, count)
        for i = 1, count do other:await(i) end
      end]])
    local other = mtstates.newstate(names[2], {}, helpers.echo)
    local list = traced(function() one:await(other, 400) end)
    for i, name in ipairs(names) do
      names[i] = name:gsub(".", ("<%04x>"):format(name:byte()))
    end
    local waits = select(list, {ph = "b", name = names[1] .. " waits"})
    assert.equals(400, #waits)
    for _, event in ipairs(waits) do
      assert.equals("an answer of " .. names[2], event.args["for"])
    end
    one:close()
    other:close()
  end)

  it("has all names, however many states there are", function()
    local states, expected, names = {}, {}, {}
    for i = 1, 200 do
      expected[i] = "trace many " .. i
      states[i] = mtstates.newstate(expected[i], true, helpers.echo)
    end
    local list = traced(function()
      for i = 1, 200 do states[i]:call() end
    end)
    for i, event in ipairs(select(list, {cat = "call"})) do
      names[i] = event.name
    end
    assert.same(expected, names)
    for i = 1, 200 do states[i]:close() end
  end)

  it("leaves out what had begun before, and ends what has not", function()
    local s = mtstates.newstate("trace middle", {}, function(name)
      local mt = require "mtstates"
      return function(what)
        if what == "begin" then
          mt.trace(name)
          mt.state("trace middle"):call()
        elseif what == "end" then
          mt.trace(nil)
        elseif what then
          return mt.state("trace middle"):call(what:sub(2))
        end
      end
    end, path)
    s:call(".begin")
    s:call()
    s:call(".end")
    local list = events_of.file(path)
    assert.same({4, 4}, {events_of.count(list, "call", "trace middle"),
                         events_of.count(list, nil, "trace middle")})
    s:close()
  end)

  it("leaves out waits of tasks that had begun before", function()
    local s = mtstates.newstate("trace late", {}, function()
      return function(future) return future and future:await() end
    end)
    local future, promise = mtstates.promise()
    local waits = s:async(future)
    helpers.wait_until(function() return s:stats().tasks == 1 end)
    s:call() -- when it waits
    local list = traced(function()
      promise:set()
      waits:await()
    end)
    assert.equals(#select(list, {ph = "b"}),
                  #select(list, {ph = "e"}))
    s:close()
  end)

  it("is ended by the next one, in another file or the same", function()
    local s = mtstates.newstate("trace again", helpers.echo)
    local second = os.tmpname()
    mtstates.trace(path)
    s:call()
    mtstates.trace(second)
    assert.equals(1, events_of.count(events_of.file(path), "call"))
    s:call()
    s:call()
    mtstates.trace(second)
    s:call()
    s:call()
    s:call()
    mtstates.trace(nil)
    local list = events_of.file(second)
    assert.equals(3, events_of.count(list, "call", "trace again"))
    os.remove(second)
    s:close()
  end)

  it("writes nothing once it has ended", function()
    traced(function() end)
    write("mine")
    mtstates.newstate(helpers.echo):call()
    mtstates.trace(nil)
    assert.equals("mine", read())
  end)

  it("has more events than a buffer", function()
    local s = mtstates.newstate("trace many", {queue = math.huge},
                                helpers.echo)
    local list = traced(function()
      for _ = 1, 3333 do s:call() end
      for _ = 1, 3333 do s:send() end
      s:await()
    end)
    assert.equals(3333, events_of.count(list, "call", "trace many"))
    assert.equals(3334, events_of.count(list, "task", "trace many"))
    assert.equals(2 * 3334, #select(list, {ph = "C"}))
    s:close()
  end)

  it("has what threads did that have ended", function()
    local s = mtstates.newstate("trace ended", helpers.echo)
    local list = traced(function()
      threads.start(function()
        local state = require "mtstates".state("trace ended")
        state:call()
        state:call()
      end):join()
    end)
    assert.equals(2, events_of.count(list, "call", "trace ended"))
    s:close()
  end)

  it("can begin and end while threads work", function()
    local s = mtstates.newstate("trace busy", {}, helpers.echo)
    local crew, stop = {}, gates.unique("stop")
    for i = 1, 3 do
      crew[i] = threads.start(function(gate, number)
        local handoff, mt = require "handoff", require "mtstates"
        local state = mt.state("trace busy")
        while handoff.get(gate) == 0 do
          state:call(number)
          state:await(number)
          mt.newstate("trace short", function()
            return function() end
          end):close()
        end
      end, stop, i)
    end
    for _ = 1, 50 do
      local list = traced(function()
        for _ = 1, 10 do s:await() end
      end)
      assert.is_true(events_of.count(list, "task", "trace busy") >= 10)
    end
    gates.set(stop, 1)
    for i = 1, 3 do crew[i]:join() end
    s:close()
  end)

  it("needs a path or nil", function()
    for _, value in ipairs {1, true, {}, helpers.echo} do
      helpers.bad_argument(1, "trace", "string or nil expected, got " ..
        type(value), trace, value)
    end
    helpers.bad_argument(1, "trace", "value expected", trace)
    helpers.bad_argument(1, "trace", "path has a zero byte", trace,
                         path .. "\0")
    helpers.bad_argument(1, "trace",
      "cannot open '/nowhere/trace': No such file or directory",
      trace, "/nowhere/trace")
  end)

  it("ends although the next one cannot begin", function()
    mtstates.trace(path)
    helpers.bad_argument(1, "trace", "cannot open", trace, "/")
    assert.equals("process_name", events_of.file(path)[1].name)
  end)

  it("ends with a warning when it cannot be written", function()
    local logged = requests.log_to_mailbox()
    local s = mtstates.newstate("trace full disk", {}, helpers.echo)
    mtstates.trace("/dev/full")
    for _ = 1, 3000 do s:await() end
    mtstates.trace(nil)
    local kind, text, name = logged.take()
    assert.same({"warning", "the trace has ended: it cannot be written: " ..
                 "No space left on device"}, {kind, text})
    assert.is_nil(name)
    traced(s.await, s)
    logged.reset()
    s:close()
  end)
end)
