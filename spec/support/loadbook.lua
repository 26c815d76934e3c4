-- The accounts that a thread of serviceload.lua keeps: its random numbers, its
-- tokens, and what became of the work that it asked for.
--
-- An account says of a service how many pieces of work surely ended there, how
-- many perhaps, since they failed or were not waited for, and how many
-- notifications it got.

local helpers = require "helpers"
local mtstates = require "mtstates"

local book = {accounts = {}}

local thread, random

function book.open(seed, number)
  thread, random = number, helpers.random(seed * 7919 + number * 104729)
  book.random, book.steps = random, 0
end

function book.chance(percent)
  return random(100) <= percent
end

function book.draw(list)
  return list[random(#list)]
end

function book.new_token()
  book.steps = book.steps + 1
  return thread * 1000000 + book.steps
end

function book.add(id, what, count)
  local account = book.accounts[id] or {sure = 0, perhaps = 0, notified = 0}
  book.accounts[id] = account
  account[what] = account[what] + (count or 1)
end

-- A piece of work is there: surely or perhaps; and the one that it asked for.
local function add_work(entry, what)
  book.add(entry.target.id, what)
  if entry.asked then
    book.add(entry.asked.id, what)
  end
end

function book.is_error(err, name)
  return type(err) == "string"
    and err:find(mtstates.error[name], 1, true) ~= nil
end

function book.is_boom(err, token)
  return tostring(err):find(("boom %d;"):format(token), 1, true) ~= nil
end

function book.must(is_fine, text, err)
  if not is_fine then
    error(text .. ": " .. tostring(err), 0)
  end
end

-- Books what pcall gave for a piece of work.
function book.settle(entry, ok, result)
  local kind = entry.target.kind
  if ok then
    book.must(result == entry.token, "wrong answer", result)
    add_work(entry, "sure")
  elseif not (entry.way == "boom" and book.is_boom(result, entry.token)) then
    book.must(entry.is_cancelled and book.is_error(result, "cancelled")
      or kind == "stormy" and book.is_error(result, "interrupted")
      or kind == "short" and book.is_error(result, "object_closed"),
      "raised by a " .. kind .. " one: " .. entry.way, result)
    add_work(entry, "perhaps")
  end
end

-- The same for what may be late: true or false first.
function book.settle_timed(entry, ok, in_time, ...)
  if not ok then
    book.settle(entry, ok, in_time)
  elseif in_time then
    book.settle(entry, ok, ...)
  else
    add_work(entry, "perhaps")
  end
end

return book
