-- Errors, and variables to be closed, in coroutines of a task that wait.

local assert = require "luassert"
local helpers = require "helpers"
local requests = require "requests"
local suspended = require "suspended"
local tasks = require "tasks"

for _, kind in ipairs(requests.kinds) do
  describe("a coroutine of a task that waits, of a " .. kind, function()
    local s, keeper

    before_each(helpers.watch("coroutines of tasks"))
    suspended.one_worker(before_each, after_each)
    before_each(function()
      s = requests.new(kind, tasks.setup)
      keeper = suspended.keeper()
    end)
    after_each(function()
      s:close()
      suspended.open_keepers()
      helpers.unwatch()
    end)

    local function run(...)
      keeper = suspended.keeper()
      local future = suspended.begin_in_coroutine(s, keeper.id, ...)
      keeper.open("answer")
      return future:await()
    end

    it("raises errors to who resumed it", function()
      local ok, err, code, dead, text = run([[
        local co = create(function()
          wait()
          error({code = 7})
        end)
        local ok, err = resume(co)
        local f = wrap(function()
          local inner = wrap(function() wait() error("deep", 0) end)
          inner()
        end)
        local fine, e = pcall(f)
        assert(not fine)
        return ok, type(err), err.code, status(co), e
      ]])
      assert.same({false, "table", 7, "dead"}, {ok, err, code, dead})
      assert.truthy(text:find("deep", 1, true), text)
    end)

    it("raises errors through all levels out of the task", function()
      local err = helpers.raises_error("invoking_state", run, [[
        local outer = wrap(function()
          local inner = wrap(function() wait() error("deepest") end)
          inner()
          return 1
        end)
        outer()
      ]])
      assert.truthy(err:find("deepest", 1, true), err)
      assert.equals("on", s:await("return 'on'"))
    end)

    it("raises the error of what it awaits", function()
      local future = suspended.begin_in_coroutine(s, keeper.id, [[
        local ok, err = resume(create(wait))
        local f = wrap(wait)
        local fine, e = pcall(f)
        return ok, err, fine, e
      ]])
      keeper.fail("by hand")
      local ok, err, fine, e = future:await()
      assert.same({false, false}, {ok, fine})
      assert.truthy(err:find("by hand", 1, true), err)
      assert.truthy(e:find("by hand", 1, true), e)
    end)

    suspended.it_has_closing("lets to-be-closed variables wait", function()
      assert.same({"answer", "abc", true, "d", false}, {run([[
        local text, a = ""
        local function closing(c)
          return setmetatable({}, {__close = function()
            mt.sleep(0)
            text = text .. c
            a = wait()
          end})
        end
        local co = create(function()
          local c <close> = closing("c")
          do
            local x <close> = closing("a")
            mt.sleep(0)
          end
          local f = wrap(function()
            local b <close> = closing("b")
            wait()
          end)
          f()
          yield()
          return 1
        end)
        resume(co)
        resume(co)
        local other = create(function()
          local d <close> = closing("d")
          wait()
          yield()
        end)
        resume(other)
        local abc = text
        text = ""
        local ok = coroutine.close(other)
        local failing = create(function() wait() error("x") end)
        resume(failing)
        return a, abc, ok, text, (coroutine.close(failing))
      ]])})
    end)
  end)
end
