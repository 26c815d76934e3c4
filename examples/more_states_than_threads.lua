-- more_states_than_threads.lua: 300 states, 4 threads, and no locks.
--
-- Teaches that states are things of their own and not threads.  A thread is
-- needed only while a state computes; waiting states cost memory, no more.
-- One thread at a time is inside of a state: when two want in, one waits.
-- That is why reading and writing `balance` below needs no lock.
--
-- Prints:
--   300 accounts, 4 threads, 10 deposits by each thread into each account
--   account 1 has 40
--   account 300 has 40
--   all accounts together have 12000

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local ACCOUNTS = 300
local THREADS = 4
local DEPOSITS = 10

-- Each account is a state with a name.  We have to hold on to the objects:
-- newstate makes owners, and a state without an owner is closed.
local accounts = {}
for i = 1, ACCOUNTS do
  accounts[i] = mtstates.newstate("account " .. i, function()
    local balance = 0
    return function(amount)
      balance = balance + amount
      return balance
    end
  end)
end

-- All threads go through all accounts and so meet again and again.
local function pay_in()
  for _ = 1, DEPOSITS do
    for _, account in ipairs(accounts) do
      account:call(1)
    end
  end
end

local running = {}
for i = 1, THREADS do
  running[i] = mtstates.thread(pay_in)
end
for _, future in ipairs(running) do
  future:await()
end

local total = 0
for _, account in ipairs(accounts) do
  total = total + account:call(0)
end
print(("%d accounts, %d threads, %d deposits by each thread into each account")
      :format(ACCOUNTS, THREADS, DEPOSITS))
print(("account 1 has %d"):format(accounts[1]:call(0)))
print(("account %d has %d"):format(ACCOUNTS, accounts[ACCOUNTS]:call(0)))
print(("all accounts together have %d"):format(total))
