-- The shortest service with forks, as a program of its own: they print while
-- the function that made them sleeps, and before it answers.

local helpers = require "helpers"

describe("the service ping", function()
  it("prints 1 and 2 before its answer", function()
    local output, status = helpers.run_program([[
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
    assert.same({"User Start\tHello\n1\n2\nPING\tPONG\n", 0},
      {output, status})
  end)
end)
