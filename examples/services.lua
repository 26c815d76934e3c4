-- services.lua: an evening in a restaurant with two tables and one thread.
--
-- Teaches tasks.  A request that waits is suspended: its state does other
-- things meanwhile, and so does its thread.  The kitchen is one state, and has
-- several dishes on the fire.  Each guest is a task, which waits for the host,
-- then for the kitchen.  Who finds no table is answered when one is free: the
-- host returns a future instead of a number.
--
-- Prints:
--   Ann sits down at table 1
--   Ben sits down at table 2
--   on the fire: 2, in line: 2
--   Ben eats soup
--   Cleo sits down at table 2
--   Cleo eats fish
--   Dan sits down at table 2
--   Dan eats soup
--   Ann eats roast
--   4 guests, 1 worker

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local MINUTE = 0.04 -- seconds
local COOKING = { soup = 10, fish = 15, roast = 60 } -- minutes
local GUESTS = { { name = "Ann", dish = "roast" },
                 { name = "Ben", dish = "soup" },
                 { name = "Cleo", dish = "fish" },
                 { name = "Dan", dish = "soup" } }

-- One is enough for all of this, as nothing here computes for long.
mtstates.workers(1)

local kitchen = mtstates.newstate("kitchen", {}, function()
  local on_the_fire, functions = 0, {}

  function functions.cook(dish)
    on_the_fire = on_the_fire + 1
    mtstates.sleep(COOKING[dish] * MINUTE) -- others get in meanwhile
    on_the_fire = on_the_fire - 1
    return dish
  end

  function functions.count()
    return on_the_fire
  end

  return functions
end)

local host = mtstates.newstate("host", {}, function()
  local free, line, functions = { 2, 1 }, {}, {}

  function functions.seat()
    if #free > 0 then
      return table.remove(free)
    end
    local future, promise = mtstates.promise()
    table.insert(line, promise)
    return future -- its answer is the answer of this request
  end

  function functions.leave(number)
    local next_in_line = table.remove(line, 1)
    if next_in_line then
      next_in_line:set(number)
    else
      table.insert(free, number)
    end
  end

  function functions.count()
    return #line
  end

  return functions
end)

local guests = mtstates.newstate("guests", {}, function()
  local function visit(guest)
    local number = host:await("seat")
    print(("%s sits down at table %d"):format(guest.name, number))
    local dish = kitchen:await("cook", guest.dish)
    print(("%s eats %s"):format(guest.name, dish))
    host:await("leave", number)
  end

  return function(list)
    local visits = {}
    for i, guest in ipairs(list) do
      visits[i] = mtstates.fork(visit, guest)
    end
    mtstates.sleep(0) -- now they begin
    local in_line = host:await("count")
    local on_the_fire = kitchen:await("count")
    print(("on the fire: %d, in line: %d"):format(on_the_fire, in_line))
    for _, future in ipairs(visits) do
      future:await()
    end
    return #visits
  end
end)

print(("%d guests, %d worker"):format(guests:await(GUESTS),
                                      mtstates.workers()))
