-- The Receiver C API of services: what native code sends is a request, which a
-- worker or the own thread of the state runs.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local natives = require "natives"
local requests = require "requests"

local OK, CLOSED, FULL = 0, 1, 3

local hold = natives.hold

for _, kind in ipairs(natives.kinds) do
  local name, own_thread = kind[1], kind[2]

  local function open(...)
    return natives.open(own_thread, ...)
  end

  describe("the Receiver C API of " .. name, function()
    before_each(helpers.watch("receivers of services"))
    after_each(helpers.unwatch)

    it("makes requests, in their order", function()
      local s, r = open()
      assert.same({[OK] = 500}, r:storm(1, 500))
      assert.same({500, 1000, 0}, {s:await("take")})
    end)

    it("makes each request of many native threads", function()
      local s, r = open(10)
      assert.same({[OK] = 4000}, r:storm(8, 500))
      assert.same({4000, 8000, 0}, {s:await("take")})
      assert.is_true(not own_thread or s:await("threads") == 1)
    end)

    it("does not wait for the callback", function()
      local s, r = open()
      local release = hold(s)
      local w = r:writer(10, 2)
      for i = 1, 10 do
        assert.equals(0, w:integer(1))
        assert.equals(0, w:integer(i - 1))
        assert.same({OK, nil, 0}, {r:send(w)})
      end
      assert.same({OK, nil, 0}, {r:start(w):join()})
      assert.equals(11, s:stats().queue)
      release()
      assert.same({11, 20, 0}, {s:await("take")})
    end)

    it("sends values of every kind", function()
      local s, r = open(nil, function()
        local texts
        return function(first, ...)
          if first == "take" then
            return texts
          end
          texts = {tostring(first)}
          for i = 1, select("#", ...) do
            local value = select(i, ...)
            texts[i + 1] = type(value) == "userdata"
              and ("%s %d %d"):format(value:type(), value:len(), value:get(2))
              or tostring(value)
          end
        end
      end)
      local w = r:writer(1, 1.5)
      w:string("a\0b")
      w:boolean(true)
      w:bytes("A")
      w:number(0.5)
      w:array("short", {7, -8, 9})
      w:array("double", {1, 2})
      w:string(("x"):rep(10000))
      assert.equals(OK, (r:send(w)))
      assert.same({"a\0b", "true", "65", "0.5", "short 3 -8", "double 2 2",
                   ("x"):rep(10000)}, (s:await("take")))
    end)

    it("drops the results", function()
      local s, r = open(nil, "return function() return 1, print, {} end")
      assert.same({OK, nil, 0}, {r:send(r:writer(1, 2))})
      assert.equals(1, (s:await()))
    end)

    it("has errors logged", function()
      local log = requests.log_to_mailbox()
      local s, r = open()
      local w = r:writer(10, 2)
      w:string("boom")
      w:string("of a receiver")
      assert.same({OK, nil, 0}, {r:start(w):join()})
      local what, text, state_name, id = log.take()
      assert.equals("error", what)
      assert.truthy(text:find("boom of a receiver", 1, true), text)
      assert.is_nil(state_name)
      assert.equals(s:id(), id)
      w:string("boom")
      w:string("again")
      assert.same({OK, nil, 0}, {r:send(w)})
      s:await()
      assert.equals(2, log.count())
      log.reset()
    end)

    it("has it logged when an array cannot be made", function()
      local log = requests.log_to_mailbox()
      local s, r = open(nil, function()
        package.path, package.cpath = "", ""
        return function(...) return select("#", ...) end
      end)
      local w = r:writer(10, 2)
      w:array("int", {1})
      assert.same({OK, nil, 0}, {r:send(w)})
      assert.truthy(select(2, log.take()):find("carray", 1, true))
      assert.equals(2, s:await(1, 2))
      log.reset()
    end)

    it("waits for room", function()
      local s, r = open(2)
      local release = hold(s)
      local w = r:writer(10, 2)
      assert.equals(OK, (r:send(w)))
      assert.equals(OK, (r:send(w)))
      local job = r:start(w)
      handoff.wait_asleep(job:tid())
      assert.equals(2, s:stats().queue)
      release()
      assert.same({OK, nil, 0}, {job:join()})
      assert.same({3, 0, 0}, {s:await("take")})
    end)

    it("keeps nothing of what is refused", function()
      local s, r = open(1)
      local release = hold(s)
      local w = r:writer(10, 2)
      w:string(("x"):rep(1000))
      assert.equals(OK, (r:send(w, "nonblock")))
      w:string(("x"):rep(1000))
      local function refuse(count)
        for _ = 1, count do
          assert.equals(FULL, (r:send(w, "nonblock")))
        end
        helpers.collect()
        return handoff.heap_bytes()
      end
      local grown = -refuse(100) + refuse(2000)
      assert.is_true(grown < 500000, "grown by " .. grown)
      release()
    end)

    it("gives 3 with nonblock and a full queue, and keeps the writer",
      function()
        local s, r = open(1)
        local release = hold(s)
        local w = r:writer(10, 2)
        assert.equals(OK, (r:send(w, "nonblock")))
        w:integer(1)
        w:integer(0)
        for _ = 1, 3 do
          assert.same({FULL, nil, 0}, {r:send(w, "nonblock")})
          assert.same({FULL, nil, 0}, {r:start(w, "nonblock"):join()})
        end
        release()
        s:await()
        assert.equals(OK, (r:send(w, "nonblock")))
        assert.equals(OK, (r:send(w))) -- it has no values any more
        assert.same({4, 2, 0}, {s:await("take")})
      end)

    it("gives 0 as often as it runs, and 3, in a storm", function()
      local s, r = open(3)
      local codes = r:storm(6, 300, "nonblock")
      assert.equals(1800, (codes[OK] or 0) + (codes[FULL] or 0))
      assert.equals(codes[OK], (s:await("take")))
    end)

    it("gives 1 when the state is closed, and keeps the writer", function()
      local log = requests.log_to_mailbox()
      local s, r = open(1)
      local other, to_other = open()
      local release = hold(s)
      local w = r:writer(10, 2)
      assert.equals(OK, (r:send(w)))
      w:integer(1)
      w:integer(0)
      local job = r:start(w) -- waits for room
      handoff.wait_asleep(job:tid())
      s:close()
      assert.equals(CLOSED, (job:join()))
      assert.equals(CLOSED, (r:send(w)))
      assert.equals(CLOSED, r:send_quietly(w))
      assert.equals(CLOSED, (r:start(w, "nonblock"):join()))
      release()
      assert.equals(CLOSED, (r:send(w)))
      assert.same({[CLOSED] = 20}, r:storm(2, 10))
      assert.equals(OK, (to_other:send(w)))
      assert.same({1, 2, 0}, {other:await("take")})
      r:release()
      assert.equals("warning", (log.take())) -- the first one has failed
      log.reset()
    end)

    it("has what was sent done when the last owner is gone", function()
      local mailbox = handoff.unique()
      local s, r = open(nil, function(to)
        local gates = require "handoff"
        return function(what) gates.put(to, what) end
      end, mailbox)
      local id, w = s:id(), r:writer(10, 2)
      for i = 1, 20 do
        w:integer(i)
        assert.equals(OK, (r:send(w)))
      end
      s = nil -- luacheck: ignore
      helpers.collect()
      for i = 1, 20 do
        assert.equals(i, handoff.take(mailbox))
      end
      natives.wait_closed(id)
      assert.equals(CLOSED, (r:send(w)))
    end)

    it("does not wait for room in the state itself", function()
      local s = open(1, function()
        local driver, mt = require "capidriver", require "mtstates"
        local count = 0
        return function(what)
          if what == "send" then
            local r = driver.receiver(mt.state(mt.id()))
            for _ = 1, 5 do
              assert(r:send(r:writer(1, 2)) == 0)
            end
          elseif what ~= "count" then
            count = count + 1
          end
          return count
        end
      end)
      assert.equals(0, s:await("send"))
      assert.equals(5, s:await("count"))
    end)

    it("reports a deadlock, and keeps the writer", function()
      local s, r = open(1, function()
        local gates, mt = require "handoff", require "mtstates"
        local held = require "helpers".hold
        return function(id, mailbox)
          if id then
            gates.put(mailbox, gates.tid())
            local asked = mt.state(id)
            return held(asked.await, asked)
          end
        end
      end)
      local other = mtstates.newstate({}, function()
        local driver, gates = require "capidriver", require "handoff"
        local mt = require "mtstates"
        return function(id, entered, leave)
          if id then
            gates.enter(entered, leave, 1)
            local to = driver.receiver(mt.state(id))
            return to:send(to:writer(1, 2))
          end
        end
      end)
      local entered, leave = handoff.unique(), handoff.unique()
      local sending = other:async(s:id(), entered, leave)
      handoff.wait(entered, 1)
      local asking = s:async(other:id(), entered)
      handoff.wait_asleep(handoff.take(entered))
      assert.equals(OK, (r:send(r:writer(1, 2)))) -- now the queue is full
      handoff.set(leave, 1)
      local code, message, calls = sending:await()
      assert.is_true(code ~= OK and code ~= CLOSED and code ~= FULL)
      assert.truthy(message:find(mtstates.error.deadlock, 1, true), message)
      assert.equals(1, calls)
      asking:await()
    end)
  end)
end
