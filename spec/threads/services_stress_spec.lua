-- Everything that services offer at once, by many threads: cancels, promises,
-- own threads, closes of every kind, interrupts, calls, and notifications of
-- native threads. Each piece of work is done once or not at all, and who asked
-- for it knows which (see serviceload.lua).

local handoff = require "handoff"
local helpers = require "helpers"
local loadmember = require "loadmember"
local mtstates = require "mtstates"

local THREADS, ROUNDS, BASE = 6, 1500, 10

describe("services under stress", function()
  before_each(helpers.watch("services under stress", 300))
  after_each(helpers.unwatch)

  -- Counts the errors that were to be logged, each once. What was interrupted,
  -- or closed, while nobody waited for it may be logged, too.
  local function new_logger()
    return mtstates.newstate({queue = math.huge}, function()
      local count, seen, wrong = 0, {}, nil
      return function(kind, text)
        if kind == "error" then
          local token = text:match("boom (%d+);")
          if token and not seen[token] then
            seen[token] = true
            count = count + 1
          elseif token or not (text:find("error.interrupted", 1, true)
                               or text:find("error.object_closed", 1, true))
          then
            wrong = wrong or text
          end
        elseif not kind then
          return count, wrong
        end
      end
    end)
  end

  local function add(sums, accounts)
    for id, account in pairs(accounts) do
      local sum = sums[id] or {sure = 0, perhaps = 0, notified = 0}
      for what, count in pairs(account) do
        sum[what] = sum[what] + count
      end
      sums[id] = sum
    end
  end

  local function audit(account, ended)
    account = account or {sure = 0, perhaps = 0, notified = 0}
    assert.is_true(ended >= account.sure
      and ended <= account.sure + account.perhaps,
      ("%d, not %d to %d"):format(ended, account.sure,
        account.sure + account.perhaps))
  end

  -- The services of each kind, and the ids of all.
  local function open_all()
    local services = {base = {}, stormy = {}}
    local ids = {base = {}, stormy = {}}
    for i = 1, BASE do
      services.base[i] = mtstates.newstate(
        {queue = i % 3 == 0 and 3 or nil, own_thread = i % 4 == 0},
        loadmember.base)
      ids.base[i] = services.base[i]:id()
    end
    for i = 1, 2 do
      services.stormy[i] = mtstates.newstate({own_thread = i == 1},
        loadmember.base)
      ids.stormy[i] = services.stormy[i]:id()
    end
    services.canceller = mtstates.newstate({}, loadmember.base)
    ids.canceller = services.canceller:id()
    return services, ids
  end

  local function work(seed, ids)
    local running, sums, booms, detached, steps = {}, {}, 0, 0, 0
    for i = 1, THREADS do
      running[i] = mtstates.thread({name = "load " .. i},
        "return require('serviceload').run(...)", seed, i, ROUNDS, ids)
    end
    for i = 1, THREADS do
      local accounts, loud, alone, done = running[i]:await()
      add(sums, accounts)
      booms, detached, steps = booms + loud, detached + alone, steps + done
    end
    return sums, booms, detached, steps
  end

  local function audit_base(services, sums)
    for i = BASE, 1, -1 do -- in this order requests are passed on
      local s = services.base[i]
      local sum = sums[s:id()] or {notified = 0}
      local account
      repeat
        account = s:await("account")
      until account.notified >= sum.notified
      assert.equals(sum.notified, account.notified)
      assert.equals(0, account.wrong)
      audit(sums[s:id()], account.ended)
      assert.is_true(s:close(60))
    end
  end

  local function audit_stormy(services, sums)
    for _, s in ipairs(services.stormy) do
      local ok, account
      repeat
        ok, account = pcall(s.await, s, "account")
      until ok
      audit(sums[s:id()], account.ended)
      s:close()
    end
  end

  local function audit_short(sums)
    local opened = handoff.get("load opened")
    handoff.wait("load closed", opened)
    for _ = 1, opened do
      local id, ended, wrong = handoff.take("load ended")
      assert.equals(0, wrong)
      audit(sums[id], ended)
    end
    assert.equals(0, handoff.get("load closed too early"))
    assert.equals(opened, handoff.get("load closed"))
  end

  for seed = 1, tonumber(os.getenv("SEEDS")) or 3 do
    it("account for everything, seed " .. seed, function()
      local logger = new_logger()
      mtstates.logger(logger)
      local services, ids = open_all()
      local sums, booms, detached, steps = work(seed, ids)
      assert.is_true(steps > THREADS * ROUNDS / 2)
      audit_base(services, sums)
      audit_stormy(services, sums)
      services.canceller:close()
      helpers.collect()
      audit_short(sums)
      handoff.wait("load detached", detached)
      assert.equals(detached, handoff.get("load detached"))
      helpers.wait_until(function() return logger:await() >= booms end)
      assert.same({booms, nil}, {logger:await()})
      helpers.wait_until(function() return mtstates.stats().requests == 0 end)
      mtstates.logger(nil)
      logger:close()
      for _, gate in ipairs {"opened", "closed", "detached"} do
        handoff.set("load " .. gate, 0)
      end
    end)
  end
end)
