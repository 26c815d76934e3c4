-- Rings of calls, awaits and waits for room (see rings.lua). A deadlock is
-- raised once, in the wait that closes the ring; then everybody else goes on.

local handoff = require "handoff"
local helpers = require "helpers"
local mtstates = require "mtstates"
local requests = require "requests"
local rings = require "rings"

describe("a ring of waits", function()
  local workers = mtstates.workers()

  before_each(helpers.watch("deadlock of requests", 300))
  before_each(function()
    mtstates.workers(8) -- members of rings block workers until they wait
  end)
  after_each(function()
    mtstates.workers(workers)
  end)
  after_each(helpers.unwatch)

  -- The members are, and wait, as the lists say, over and over again.
  local function new_ring(size, kinds, ways)
    local links = {}
    for i = 1, size do
      links[i] = {is = kinds[(i - 1) % #kinds + 1],
                  way = ways[(i - 1) % #ways + 1]}
    end
    return links
  end

  local function expected(size, last)
    local outcomes = {}
    for i = 1, size do
      outcomes[i] = i == size and last or "in"
    end
    return outcomes
  end

  local all_kinds = {
    {"worker"}, {"thread"}, {"own"}, {"caller"},
    {"worker", "own", "thread", "caller"}
  }
  local all_ways = {
    {"await"}, {"future"}, {"send"}, {"async"}, {"call", "await"},
    {"await", "call", "send"}, {"async", "future", "call", "send", "await"}
  }

  for _, size in ipairs {2, 3, 20} do
    for _, ways in ipairs(all_ways) do
      it(("of %d, by %s, is raised in the last wait"):format(size,
        table.concat(ways, " and ")), function()
        for _, kinds in ipairs(all_kinds) do
          assert.same(expected(size, "deadlock"),
            rings.close(new_ring(size, kinds, ways), true))
        end
      end)
    end

    it(("of %d, by futures that were handed on, is, too"):format(size),
      function()
        for _, kinds in ipairs {{"worker"}, {"own"}, {"worker", "own"}} do
          assert.same(expected(size, "deadlock"),
            rings.close(new_ring(size, kinds, {"handed"}), true))
          assert.same(expected(size, "deadlock"),
            rings.close(new_ring(size, kinds, {"call", "handed"}), true))
        end
      end)
  end

  it("of one is raised at once", function()
    for _, kind in ipairs {"worker", "own", "thread", "caller"} do
      for _, way in ipairs {"await", "future"} do
        assert.same({"deadlock"}, rings.close {{is = kind, way = way}})
      end
    end
    assert.same({"deadlock"}, rings.close {{is = "worker", way = "handed"}})
    assert.same({"deadlock"}, rings.close {{is = "own", way = "handed"}})
    assert.same({"deadlock"},
      rings.close {{is = "singleton", way = "singleton"}})
  end)

  it("is none where a state sends to itself, or its thread nests", function()
    for _, kind in ipairs {"worker", "own", "thread", "caller"} do
      for _, way in ipairs {"call", "send", "async"} do
        assert.same({"in"}, rings.close {{is = kind, way = way}})
      end
    end
  end)

  it("is found where a singleton is set up", function()
    for _, way in ipairs(rings.ways.worker) do
      for _, kind in ipairs {"worker", "own"} do
        assert.same({"in", "in", "deadlock"}, rings.close({
          {is = "worker", way = "singleton"},
          {is = "singleton", way = way},
          {is = kind, way = "await"}
        }, true))
      end
    end
  end)

  -- Of that size, members at random; a singleton is no ring of its own.
  local function draw_ring(random, size)
    local links = {}
    local kinds = {"worker", "own", "thread", "caller", "singleton"}
    for i = 1, size do
      links[i] = {is = kinds[random(#kinds)]}
    end
    for i, link in ipairs(links) do
      local ways = rings.ways[links[i % size + 1].is]
      link.way = ways[random(#ways)]
      if size == 1 and link.is ~= "singleton" then
        link.way = "await"
      end
    end
    return links
  end

  local function count(outcomes)
    local counts = {}
    for _, ended in ipairs(outcomes) do
      counts[ended] = (counts[ended] or 0) + 1
    end
    return counts
  end

  it("is raised once when all close it at the same time", function()
    local random = helpers.random(15)
    for _ = 1, 200 do
      local size = random(6)
      local counts = count(rings.close(draw_ring(random, size)))
      assert.same({deadlock = 1, ["in"] = size > 1 and size - 1 or nil},
        counts)
    end
  end)

  it("is none where one wait is timed", function()
    local random = helpers.random(16)
    local ways = {"tcall", "tawait", "tsend", "tfuture"}
    for _ = 1, 60 do
      local size = random(5) + 1
      local links = draw_ring(random, size)
      local first, second = links[1], links[2]
      if second.is == "singleton" then
        second.is = "thread"
      end
      first.way, first.timeout = ways[random(#ways)], random(3) * 0.005
      assert.same({late = 1, ["in"] = size - 1}, count(rings.close(links)))
    end
  end)

  it("is none where one wait is timed and cancelled", function()
    local random = helpers.random(17)
    for _ = 1, 60 do
      local size = random(5) + 1
      local links = draw_ring(random, size)
      links[1].is = random(2) == 1 and "worker" or "own"
      links[size].way = links[size].way == "singleton" and "call"
        or links[size].way
      if links[2].is == "singleton" then
        links[2].is = "thread"
      end
      links[1].way, links[1].timeout = "tawait", 1000
      rings.open(links)
      rings.go(links)
      handoff.wait(links.gate .. " going", size)
      for _ = 1, random(4) do
        handoff.breathe()
      end
      assert.is_true(links[1].future:cancel())
      local outcomes = rings.finish(links)
      assert.equals("cancelled", outcomes[1])
      assert.equals(size - 1, count(outcomes)["in"])
    end
  end)

  it("is none in a line that somebody else ends", function()
    for _, way in ipairs {"call", "await", "send"} do
      local last = mtstates.newstate({queue = 1}, helpers.gated)
      local release = requests.hold(last)
      last:send()
      local links = new_ring(6, {"worker", "own", "thread"}, {"await", "call"})
      links[6].way, links[6].elsewhere = way, ("%d"):format(last:id())
      rings.open(links)
      rings.go(links, true)
      handoff.wait(links.gate .. " going", 6)
      handoff.wait_asleep(links.tids[6])
      release()
      assert.same(expected(6, "in"), rings.finish(links))
    end
  end)
end)
