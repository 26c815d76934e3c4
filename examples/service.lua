-- service.lua: a shop that threads share, with tables, objects and functions.
--
-- Teaches services: states that are made with an options table.  The setup of
-- a service can use the variables around it, and it can return a table of
-- functions; the first argument of a call chooses one.  Tables cross as
-- copies, objects if both sides know their class by its name, functions with
-- their upvalues.  An error can be a table.
--
-- Prints:
--   there is no function 'steal'; there are 'buy', 'find', 'restock'
--   4 threads bought 40 apples
--   3 pears and 60 apples cost 690
--   sold out: only 2 pears are left
--   items below 10: pear
--   refused: field 'list[2]': thread

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local THREADS = 4
local PRICES = { apple = 10, pear = 30 }

-- Makes the class in the state that calls it.  In a larger program this is a
-- module, which both sides load by require.
local function load_receipt()
  local Receipt = require("mtstates").class("Receipt")
  Receipt.__index = Receipt
  function Receipt:total()
    local sum = 0
    for _, line in ipairs(self) do
      sum = sum + line.amount * line.price
    end
    return sum
  end
  return Receipt
end

-- PRICES and load_receipt cross with the setup.  From then on the shop has
-- prices of its own: to change these here changes nothing there.
local shop = mtstates.newstate("shop", {}, function()
  local Receipt = load_receipt()
  local stock = { apple = 100, pear = 5 }
  local functions = {}

  -- order: amounts by name.  All of it is sold, or nothing.
  function functions.buy(order)
    for name, amount in pairs(order) do
      if stock[name] < amount then
        error({ reason = "sold out", name = name, left = stock[name] })
      end
    end
    local receipt = setmetatable({}, Receipt)
    for name, amount in pairs(order) do
      stock[name] = stock[name] - amount
      receipt[#receipt + 1] = { name = name, amount = amount,
                                price = PRICES[name] }
    end
    return receipt
  end

  function functions.restock(deliveries)
    for _, delivery in ipairs(deliveries.list) do
      stock[delivery.name] = stock[delivery.name] + delivery.amount
    end
  end

  -- The names of the items for which is_wanted(name, amount) is true.
  function functions.find(is_wanted)
    local names = {}
    for name, amount in pairs(stock) do
      if is_wanted(name, amount) then
        names[#names + 1] = name
      end
    end
    table.sort(names)
    return names
  end

  return functions
end)

local _, message = pcall(shop.call, shop, "steal")
print(assert(mtstates.error(message)):text())

local function buy_apples()
  load_receipt() -- receipts that arrive here need their class
  local amount = 0
  for _ = 1, 10 do
    amount = amount + shop:call("buy", { apple = 1 })[1].amount
  end
  return amount
end

local running = {}
for i = 1, THREADS do
  running[i] = mtstates.thread(buy_apples)
end
local bought = 0
for _, future in ipairs(running) do
  bought = bought + future:await()
end
print(("%d threads bought %d apples"):format(THREADS, bought))

-- The receipt is an object here, since this side knows the class, too.
load_receipt()
local receipt = shop:call("buy", { apple = 60, pear = 3 })
print(("3 pears and 60 apples cost %d"):format(receipt:total()))

local ok, err = pcall(shop.call, shop, "buy", { pear = 3 })
if not ok and type(err) == "table" then
  print(("%s: only %d %ss are left"):format(err.reason, err.left, err.name))
end

-- A function with an upvalue, which crosses with it.
local limit = 10
shop:call("restock", { list = { { name = "apple", amount = 20 } } })
print(("items below %d: %s"):format(limit, table.concat(
  shop:call("find", function(_, amount) return amount < limit end), " ")))

-- What cannot cross is an error that says where it is.
local delivery = { name = "pear", amount = 50 }
local wrong = { list = { delivery, coroutine.create(function() end) } }
_, message = pcall(shop.call, shop, "restock", wrong)
print("refused: " .. message:match("%((.*) cannot"))
