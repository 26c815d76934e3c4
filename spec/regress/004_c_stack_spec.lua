-- Lua limits nested C calls for each state, so many states that each used
-- what they may overflowed the C stack.

local mtstates = require "mtstates"

describe("many states that nest deeply in C", function()
  it("end with an error", function()
    local states = {}
    for i = 1, 60 do
      states[i] = mtstates.newstate(function()
        local mt = require "mtstates"
        local function deep(n, f, ...)
          if n == 0 then
            return f(...)
          end
          local result
          local arguments = {...}
          string.gsub("x", "x", function()
            result = deep(n - 1, f, arguments[1], arguments[2])
          end)
          return result
        end
        local function call_next(id, rest)
          return mt.state(id):call(rest)
        end
        return function(rest)
          local id, others = rest:match("^(%d+) ?(.*)$")
          if not id then
            return "bottom"
          end
          return deep(120, call_next, tonumber(id), others)
        end
      end)
    end
    local function chain(first, last)
      local ids = {}
      for i = first, last do
        ids[#ids + 1] = ("%d"):format(states[i]:id())
      end
      return table.concat(ids, " ")
    end
    assert.equal("bottom", states[1]:call(chain(2, 4)))
    local ok, err = pcall(states[1].call, states[1], chain(2, 60))
    assert.is_false(ok)
    assert.truthy(err:find(mtstates.error.out_of_memory, 1, true))
    assert.equal("bottom", states[1]:call(chain(2, 4)))
  end)
end)
