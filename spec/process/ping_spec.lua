-- The shortest service with forks, as a program of its own: they print while
-- the function that made them sleeps, and before it answers.

local helpers = require "helpers"

describe("the service ping", function()
  it("prints 1 and 2 before its answer", function()
    local expected = "User Start\tHello\n1\n2\nPING\tPONG\n"
    local output, status
    local tries = 0
    repeat -- a fork that begins too late prints too late
      output, status = helpers.run_program([[
      local mtstates = require("mtstates")
      local user = mtstates.newstate("user", {}, function(greeting)
        local mtstates = require("mtstates")
        print("User Start", greeting)
        local S = {}
        function S.ping(...)
          for i = 1, 2 do
            mtstates.fork(function() mtstates.sleep(i / 10) print(i) end)
          end
          mtstates.sleep(0.4)
          return "PING", ...
        end
        return S
      end, "Hello")
      print(user:await("ping", "PONG")) --> PING	PONG
      ]])
      tries = tries + 1
    until output == expected or tries == 20
    assert.same({expected, 0}, {output, status})
  end)
end)
