-- The first result of tcall was not true if arguments were kept above it: an
-- array for a classic state, or strings of more than 4 KB in tables.

local carray = require "carray"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("tcall tells of success first", function()
  local long = ("x"):rep(5000)

  local function check(s, ...)
    assert.same({true, "end"}, {s:tcall(100, ..., "end")})
    assert.same({true, "end"}, {s:tcall(100, "end", ...)})
    assert.same({true}, {s:tcall(100, ...)})
  end

  for _, kind in ipairs({
    "newstate", "newstate {}", "newstate {own_thread = true}", "pool {n = 2}"
  }) do
    it("whatever arguments are kept: " .. kind, function()
      local name, options = kind:match("^(%S+) ?(.*)$")
      local parameters = {helpers.compile("return " .. options)()}
      parameters[#parameters + 1] = [[
        return function(...)
          for i = 1, select("#", ...) do
            if (select(i, ...)) == "end" then
              return "end"
            end
          end
        end
      ]]
      local s = mtstates[name](helpers.unpack(parameters))
      check(s, carray.new("int", 3))
      if options ~= "" then
        check(s, {long})
        for count = 7, 9 do
          local t = {}
          for i = 1, count do
            t[i] = long .. i
          end
          check(s, t)
        end
      end
    end)
  end

  it("also if it is busy, and if an answer is deferred", function()
    local s = mtstates.newstate({}, function()
      local mt = require "mtstates"
      local promise
      return {
        defer = function()
          local future
          future, promise = mt.promise()
          mt.fork(function() promise:set("answer") end)
          return future
        end,
        enter = function(t)
          return mt.state(mt.id()):tcall(0, "name", t)
        end,
        name = function(t) return #t[1] end
      }
    end)
    assert.same({true, "answer"}, {s:tcall(100, "defer", {long})})
    assert.same({true, true, 5000}, {s:tcall(100, "enter", {long})})
  end)
end)
