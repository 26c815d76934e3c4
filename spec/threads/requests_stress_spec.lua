-- Random requests of many threads: each is done once or not at all, and its
-- sender knows which (see requestload.lua). What nobody hears of and fails is
-- logged once.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requestload = require "requestload"
local threads = require "threads"

local THREADS, ROUNDS, BASE = 8, 400, 12

describe("random requests of many threads", function()
  before_each(helpers.watch("random requests", 300))
  after_each(helpers.unwatch)

  local function new_logger()
    return mtstates.newstate({queue = math.huge}, function()
      local count, seen, wrong = 0, {}, nil
      return function(kind, text, ...)
        if kind == "error" then
          local token = text:match("boom (%d+ %d+);")
          if not token or seen[token] then
            wrong = wrong or text
          end
          seen[token or text] = true
          count = count + 1
        elseif not kind then
          return count, wrong, ...
        end
      end
    end)
  end

  -- What the threads have done: sure, sum and perhaps of each id; booms, all.
  local function work(seed, ids)
    local running, sums, booms, all = {}, {}, 0, 0
    for i = 1, THREADS do
      running[i] = threads.start(function(...)
        return require "requestload".run(...)
      end, seed, i, ROUNDS, table.concat(ids, " "))
    end
    for _ = 1, THREADS do
      local ok, loud, done, count = handoff.take("load accounts", 200)
      assert.is_true(ok, loud)
      booms, all = booms + loud, all + done
      for _ = 1, count do
        local id, sure, sum, perhaps = handoff.take("load account")
        local account = sums[id] or {0, 0, 0}
        sums[id] = {account[1] + sure, account[2] + sum, account[3] + perhaps}
      end
    end
    for i = 1, THREADS do
      running[i]:results()
    end
    return sums, booms, all
  end

  local function audit(account, count, sum, wrong)
    account = account or {0, 0, 0}
    assert.equals(0, wrong)
    assert.is_true(count >= account[1], count .. " < " .. account[1])
    assert.is_true(count <= account[1] + account[3])
    if account[3] == 0 then
      assert.equals(account[2], sum)
    end
  end

  for seed = 1, 4 do
    it("are all accounted for, seed " .. seed, function()
      local logger = new_logger()
      mtstates.logger(logger)
      local base, ids = {}, {}
      for i = 1, BASE do
        base[i] = mtstates.newstate(nil,
          i % 3 == 0 or {queue = i % 3 == 1 and 1000 or 3},
          requestload.member)
        ids[i] = ("%d"):format(base[i]:id())
      end
      local sums, booms, all = work(seed, ids)
      for i = 1, BASE do -- in this order requests are passed on
        local s = base[i]
        audit(sums[s:id()], s:await("account"))
        s:close()
        sums[s:id()] = nil
      end
      local opened = handoff.get("load opened")
      handoff.wait("load closed", opened)
      for _ = 1, opened do
        local id, count, sum, wrong = handoff.take("load ended")
        if sums[id] then
          audit(sums[id], count, sum, wrong)
          sums[id] = nil
        end
      end
      assert.is_nil((next(sums)))
      assert.is_true(all > THREADS * ROUNDS / 2)
      helpers.wait_until(function()
        return logger:await() >= booms
      end)
      local count, wrong = logger:await()
      assert.same({booms, nil}, {count, wrong})
      helpers.wait_until(function() return mtstates.stats().requests == 0 end)
      mtstates.logger(nil)
      logger:close()
      handoff.set("load opened", 0)
      handoff.set("load closed", 0)
    end)
  end
end)
