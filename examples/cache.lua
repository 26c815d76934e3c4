-- cache.lua: what many ask for at the same time is fetched once.
--
-- Teaches futures as values that are kept.  An entry of the cache is the
-- future of a fork that fetches the value, and the cache answers with that.
-- Who asks while the value is fetched waits for it, who asks later has it at
-- once, and nobody makes the cache wait.  What cannot be fetched is not kept.
--
-- Prints:
--   5 threads have got 30 prices, the server was asked 3 times
--   tea is forgotten: 4 times
--   pie: not on the menu
--   pie: not on the menu
--   both in vain: 6 times

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local cache = mtstates.newstate("prices", {}, function()
  local prices = { tea = 3, cake = 5, bread = 2 }
  local entries, asked, functions = {}, 0, {}

  local function fetch(name) -- from a server that is far away, say
    asked = asked + 1
    mtstates.sleep(0.05)
    if not prices[name] then entries[name] = nil end
    return prices[name] or error(name .. ": not on the menu", 0)
  end

  function functions.get(name)
    entries[name] = entries[name] or mtstates.fork(fetch, name)
    return entries[name] -- its answer is the answer of this request
  end

  function functions.forget(name) entries[name] = nil end
  function functions.asked() return asked .. " times" end
  return functions
end)

local function sum_prices()
  local sum = 0
  for _, name in ipairs { "tea", "cake", "bread", "tea", "cake", "bread" } do
    sum = sum + cache:await("get", name)
  end
  assert(sum == 20)
end
local threads = {}
for i = 1, 5 do threads[i] = mtstates.thread(sum_prices) end
for i = 1, 5 do threads[i]:await() end
print("5 threads have got 30 prices, the server was asked "
      .. cache:await("asked"))

cache:send("forget", "tea")
cache:await("get", "tea")
print("tea is forgotten: " .. cache:await("asked"))
for _ = 1, 2 do
  local _, err = pcall(cache.await, cache, "get", "pie")
  print(mtstates.error(err):text())
end
print("both in vain: " .. cache:await("asked"))
