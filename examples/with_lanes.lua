-- with_lanes.lua: lanes, with states of mtstates.
--
-- What one gains: a linda holds values; to change one, a lane takes it out and
-- puts it back.  A state has values together with the code that changes them,
-- which one lane at a time calls; and what a lane need not wait for it sends.
--
-- Prints:
--   4 lanes booked 30 seats and were refused 10
--   in the first row: 5 of 5

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local has_lanes, lanes = pcall(require, "lanes")
if not has_lanes then
  io.stderr:write("This example needs Lanes: luarocks install lanes\n")
  os.exit(1)
end
lanes.configure()

local theatre = mtstates.newstate("theatre", {}, function(rows, seats)
  local plan, refused, functions = {}, 0, {}
  for row = 1, rows do plan[row] = {} end

  -- Nobody else can book between the look and the booking.
  function functions.book(customer)
    for _, row in ipairs(plan) do
      if #row < seats then
        row[#row + 1] = customer
        return true
      end
    end
  end

  function functions.complain() refused = refused + 1 end
  function functions.report() return plan, refused end
  return functions
end, 6, 5)

-- A lane looks for modules where the main program does, for states by name.
local visit = lanes.gen("*", function(customer)
  local state, booked = require("mtstates").state("theatre"), 0
  for _ = 1, 10 do
    if state:call("book", customer) then
      booked = booked + 1
    else
      state:send("complain") -- run by a worker
    end
  end
  state:await("report") -- what was sent before is done
  return booked
end)

local lane, booked = {}, 0
for i = 1, 4 do lane[i] = visit(i) end
for i = 1, 4 do booked = booked + lane[i][1] end -- waits for the lane
local plan, refused = theatre:call("report")
print(("4 lanes booked %d seats and were refused %d"):format(booked, refused))
print(("in the first row: %d of 5"):format(#plan[1]))
