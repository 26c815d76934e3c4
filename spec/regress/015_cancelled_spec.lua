-- A native thread that was cancelled (pthread_cancel) while it waited for a
-- state ended with a mutex locked and its place in the queue on a stack that
-- was gone: all other callers waited for ever.

local helpers = require "helpers"

describe("a thread that is cancelled while it waits for a state", function()
  it("gets in first, and leaves the state to others", function()
    assert.equals("3\t4\t0\t0\n", (helpers.run_program([[
      local capidriver = require "capidriver"
      local handoff = require "handoff"
      local mtstates = require "mtstates"
      local threads = require "threads"
      handoff.watchdog(150, "cancelled")
      local s = mtstates.newstate(function()
        local gates = require "handoff"
        local calls = 0
        return function(is_first)
          calls = calls + 1
          if is_first then
            gates.enter("entered", "leave", 1)
          end
          return calls
        end
      end)
      local first = threads.start(function(id)
        return require("mtstates").state(id):call(true)
      end, s:id())
      handoff.wait("entered", 1)
      local notifier = capidriver.notifier(s)
      local cancelled, other = notifier:start(), notifier:start()
      handoff.wait_asleep(cancelled:tid())
      handoff.wait_asleep(other:tid())
      cancelled:cancel()
      handoff.add("leave")
      local cancelled_code, other_code = cancelled:join(), other:join()
      first:results()
      local calls = s:call()
      print(calls - 1, calls, (cancelled_code), (other_code))
    ]])))
  end)
end)
