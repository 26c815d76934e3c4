-- requests.lua: looks through the logs of many servers, with all processors.
--
-- Teaches requests, which threads of the module run: workers.  The logs are
-- shared out among states, the analysers, and the answers are futures.  What
-- the analysers find they send to a collector that is slower than they are.
-- Its queue is short, so they wait for it instead of filling the memory.  An
-- error that nobody awaits reaches the logger.
--
-- Prints:
--   8 logs, 4 analysers, 2 workers
--   web-1: 300 lines, 13 failed
--   web-2: 300 lines, 14 failed
--   web-3: 300 lines, 14 failed
--   web-4: line 77 is damaged: GET /sea
--   web-5: 300 lines, 18 failed
--   web-6: 300 lines, 10 failed
--   web-7: 300 lines, 20 failed
--   shop: 300 lines, 42 failed
--   failed most: /search
--   waiting for the collector: never more than 10
--   error in pager: nobody is on call for shop

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local ANALYSERS, QUEUE, MANY = 4, 10, 20
local SERVERS = { "web-1", "web-2", "web-3", "web-4", "web-5", "web-6",
                  "web-7", "shop" }

-- Not needed: by default there are as many as processors.
mtstates.workers(2)

-- Where errors go that nobody sees.  This logger keeps them until it is asked.
local journal = mtstates.newstate("journal", {}, function()
  local entries = {}
  return function(kind, text, name)
    if not kind then
      return entries
    end
    local e = require("mtstates").error(text)
    entries[#entries + 1] = ("%s in %s: %s"):format(kind, name or "no state",
                                                    e and e:text() or text)
  end
end)
mtstates.logger(journal)

-- Counts what has failed.  Its queue is full most of the time, as each entry
-- takes a while, and it takes one after the other; the database that would do
-- that is left out.
local options = { queue = QUEUE, tasks = 1 }
local collector = mtstates.newstate("collector", options, function()
  local module = require "mtstates"
  local counts, most_waiting = {}, 0
  local functions = {}

  function functions.add(page)
    local waiting = module.state(module.id()):stats().queue
    most_waiting = math.max(most_waiting, waiting)
    module.sleep(0.0005)
    counts[page] = (counts[page] or 0) + 1
  end

  -- Who awaits this knows that all that it has sent before has been done.
  function functions.flush()
  end

  function functions.report()
    return counts, most_waiting
  end

  return functions
end)

-- The callback of the analysers.  What it raises reaches whoever awaits it.
local function analyse(log)
  local result = { lines = 0, failed = 0 }
  for line in log.text:gmatch("[^\n]+") do
    result.lines = result.lines + 1
    local page, status = line:match("^GET (%S+) (%d+)$")
    if not page then
      error({ line = result.lines, text = line })
    end
    if tonumber(status) >= 500 then
      result.failed = result.failed + 1
      log.collector:send("add", page) -- waits while the queue is full
    end
  end
  log.collector:await("flush")
  return result
end

local analysers = {}
for i = 1, ANALYSERS do
  analysers[i] = mtstates.newstate({}, function() return analyse end)
end

-- Tells somebody that a server fails often.
local pager = mtstates.newstate("pager", {}, function()
  return function(server)
    if server and not server:find("^web") then
      error("nobody is on call for " .. server, 0)
    end
  end
end)

-- A log as such a server would write it; that of web-4 is damaged.
local function make_log(number, server)
  local pages = { "/", "/search", "/cart", "/search" }
  local lines, random = {}, 1000 * number
  for i = 1, 300 do
    random = random * 16807 % 2147483647
    local page = pages[random % #pages + 1]
    local often = server == "shop" and 10 or 20
    lines[i] = ("GET %s %d"):format(page, random % often == 1 and 503 or 200)
  end
  if server == "web-4" then
    lines[77] = "GET /sea"
  end
  return table.concat(lines, "\n")
end

-- Nothing here waits for an analyser.
local answers = {}
for i, server in ipairs(SERVERS) do
  local analyser = analysers[i % ANALYSERS + 1]
  answers[i] = analyser:async({ text = make_log(i, server),
                                collector = collector })
end
print(("%d logs, %d analysers, %d workers"):format(#SERVERS, ANALYSERS,
                                                   mtstates.workers()))

for i, server in ipairs(SERVERS) do
  local ok, result = pcall(answers[i].await, answers[i])
  if ok then
    print(("%s: %d lines, %d failed"):format(server, result.lines,
                                             result.failed))
    if result.failed > MANY then
      pager:send(server) -- goes on at once, whatever becomes of it
    end
  elseif type(result) == "table" then
    print(("%s: line %d is damaged: %s"):format(server, result.line,
                                                result.text))
  else
    error(result, 0)
  end
end

local counts, most_waiting = collector:await("report")
local worst
for page, count in pairs(counts) do
  if not worst or count > counts[worst] then
    worst = page
  end
end
print("failed most: " .. worst)
if most_waiting <= QUEUE then
  print("waiting for the collector: never more than " .. QUEUE)
end

-- The pager takes its requests in order: when this one is answered, those
-- before are done, and their errors are in the journal.
pager:await()
for _, entry in ipairs(journal:await()) do
  print(entry)
end
