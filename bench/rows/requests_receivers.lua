-- One sender and 1,000 services that receive in turn, with two workers, on a
-- core each; compared with as many requests for one service.  The values are
-- those of requests_send.lua.  The main program sends, or a service: then it
-- has one of the workers, as long as it does not wait for room.  The floor is
-- the ring in C with one receiver, on another core than the sender.
--
-- The last request of each receiver has a future, which is awaited.  The wall
-- clock tells the time.

local channel = require "channel"
local crew = require "crew"
local floor = require "floor"
local harness = require "harness"
local mtstates = require "mtstates"
local requests = require "requests"

if not requests.are_there() then return print("this needs requests") end
if not crew.has_two_cores() then return print("this needs two cores") end

local RECEIVERS, EACH, TURNS = 1000, 100, 5
local ALL = RECEIVERS * EACH
local CODE = "return function() end"
local TEXT = requests.TEXT

-- Returns what sends so many requests to each receiver and waits until they
-- are done.
local function new_sender(receivers, each, text)
  return function()
    local last = {}
    for _ = 2, each do
      for i = 1, #receivers do receivers[i]:send(1, 2.5, text) end
    end
    for i = 1, #receivers do last[i] = receivers[i]:async(1, 2.5, text) end
    for i = 1, #last do last[i]:await() end
  end
end

local many = {}
for i = 1, RECEIVERS do many[i] = mtstates.newstate({ libs = false }, CODE) end
local one = { many[1] }

requests.pin_workers { crew.core(1), crew.core(2) }
floor.pin(crew.core(1))
local bare = channel.channel(crew.core(2), CODE)

local function send_to_bare()
  for _ = 1, ALL do bare:send(1, 2.5, TEXT) end
  bare:drain()
end

local function measure(sender, to_many, to_one)
  local function side(fn)
    return function() return requests.rate(ALL, fn) / 1e6 end
  end
  local sides = {
    many = side(to_many), one = side(to_one), bare = side(send_to_bare),
  }
  local rates = { many = {}, one = {}, bare = {} }
  requests.best(1, sides) -- warm-up
  for round = 1, harness.ROUNDS do
    for name, rate in pairs(requests.best(TURNS, sides)) do
      rates[name][round] = rate
    end
  end
  harness.report {
    name = ("%s to 1,000 receivers: sends"):format(sender),
    unit = "M/s", at_least = 2.5, work = rates.many,
  }
  harness.report {
    name = ("%s to 1,000 receivers: evenly"):format(sender),
    compared_with = "to 1 receiver", unit = "M/s", at_least = 0.5,
    work = rates.many, base = rates.one, floor = rates.bare,
  }
end

measure("main", new_sender(many, EACH, TEXT), new_sender(one, ALL, TEXT))

local service_to_many = mtstates.newstate({}, new_sender, many, EACH, TEXT)
local service_to_one = mtstates.newstate({}, new_sender, one, ALL, TEXT)
measure("service", function() service_to_many:await() end,
  function() service_to_one:await() end)
