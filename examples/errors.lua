-- errors.lua: what errors tell.
--
-- Teaches the errors that mtstates raises.  They are strings that begin with
-- one of the names in mtstates.error, and pcall catches them as usual.
-- mtstates.error(err) takes such a string apart, and returns nil if it is no
-- error of mtstates.  cause() tells what went wrong in the innermost state, as
-- a name or as nil for an error of Lua code, and text() is its message.
--
-- Prints (X stands for what is not the same each time):
--   a script fails
--     name        mtstates.error.invoking_state
--     cause       nil
--     text        errors.lua:X: sold out
--     details     state(name="shop",id=X): errors.lua:X: sold out
--     tracebacks  1
--   a script fails two states away
--     name        mtstates.error.invoking_state
--     cause       nil
--     text        errors.lua:X: sold out
--     details     state(name="guest",id=X):
--                 mtstates.error.invoking_state:
--                 state(name="shop",id=X): errors.lua:X: sold out
--     tracebacks  2
--   a script raises an object
--     name        mtstates.error.invoking_state
--     cause       nil
--     text        we have no yaks
--     details     state(name="shop",id=X): we have no yaks
--     tracebacks  1
--   a script returns a table
--     name        mtstates.error.state_result
--     cause       mtstates.error.state_result
--   nobody knows this state
--     name        mtstates.error.unknown_object
--     cause       mtstates.error.unknown_object
--   the argument is wrong: not an error of mtstates
--     errors.lua:X: bad argument #1 to 'call'
--   the shop is closed
--   this error came with a traceback: no

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local shop = mtstates.newstate("shop", function()
  local answers = {}
  function answers.tea()
    error("sold out")
  end
  function answers.yak()
    error(setmetatable({ animal = "yak" }, {
      __tostring = function(self)
        return "we have no " .. self.animal .. "s"
      end,
    }))
  end
  function answers.menu()
    return { "tea", "yak" } -- tables only leave services
  end
  return function(question)
    return answers[question]()
  end
end)

-- This state calls the other one.
local guest = mtstates.newstate("guest", function(shop_id)
  local state = require("mtstates").state(shop_id)
  return function(question)
    return state:call(question)
  end
end, shop:id())

-- Takes out what is not the same each time, and breaks long lines.
local function tidy(text)
  text = text:gsub("[^%s:]*errors%.lua:%d+", "errors.lua:X")
  text = text:gsub("id=%d+", "id=X")
  return (text:gsub("(mtstates%.error[%w_.]+:) ", "\n%1\n")
              :gsub(" *\n", "\n" .. (" "):rep(14)))
end

local function show(title, action)
  print(title)
  local ok, message = pcall(action)
  assert(not ok)
  local err = mtstates.error(message)
  if not err then -- not one of ours
    print("  " .. tidy(message):match("^.- to '%w+'"))
    return
  end
  print("  name        " .. err:name())
  print("  cause       " .. tostring(err:cause()))
  if err:name() == mtstates.error.invoking_state then
    local _, count = err:message():gsub("stack traceback:", "")
    print("  text        " .. tidy(err:text()))
    print("  details     " .. tidy(err:details()))
    print("  tracebacks  " .. count)
  end
end

show("a script fails", function() shop:call("tea") end)
show("a script fails two states away", function() guest:call("tea") end)
show("a script raises an object", function() shop:call("yak") end)
show("a script returns a table", function() shop:call("menu") end)
show("nobody knows this state", function() mtstates.state("bank") end)
show("the argument is wrong: not an error of mtstates", function()
  shop:call({ "tea" })
end)

-- To catch one kind of error only, ask for the cause.
shop:close()
local _, message = pcall(shop.call, shop, "tea")
local err = mtstates.error(message)
if err and err:cause() == mtstates.error.object_closed then
  print("the shop is closed")
  -- An error of the call itself, not from within the state: no traceback.
  print("this error came with a traceback: "
        .. (err:traceback() and "yes" or "no"))
end
