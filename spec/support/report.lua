-- report.lua - what `make test` prints
--
-- An output handler for busted (busted -o spec/support/report.lua).  One line
-- for each spec file with a sign for each spec, the full story of a failure
-- as soon as it happens, and at the end what was left out or failed.
--
-- An error outside of a spec (in a file, a describe, a setup ...) counts as
-- one failed spec, however many specs could not run because of it.
--
-- The results go to the file given with -Xoutput, for results.awk: how many
-- specs passed, failed, and were skipped for each reason.  It is written anew
-- before and after each spec and tells, until the suite is over, what was
-- running.  So whoever runs the suite knows the truth even if the interpreter
-- crashed.

-- busted forgets after each file what that has loaded.  A second luv in the
-- same Lua state would run a loop that is collected while it is in use.
require "luv"

local SIGNS = { success = ".", failure = "F", error = "E", pending = "-" }

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local results_file = options.arguments[1]
  local passed, failed, skipped = 0, 0, 0
  local failures = {} -- names
  local reasons = {}  -- of skipped specs; each also leads to its count
  local stories = {}  -- of what has failed in the running spec
  local current_file
  local line_is_open = false

  local function write(...)
    io.stdout:write(...)
    io.stdout:flush()
  end

  local function end_line()
    if line_is_open then
      write("\n")
      line_is_open = false
    end
  end

  local function write_sign(sign)
    if not line_is_open then
      write(current_file or "", " ")
      line_is_open = true
    end
    write(sign)
  end

  local function save_results(unfinished)
    if not results_file then return end
    local lines = { "passed " .. passed, "failed " .. failed }
    for _, reason in ipairs(reasons) do
      lines[#lines + 1] = "skipped " .. reasons[reason] .. " " .. reason
    end
    if unfinished then
      lines[#lines + 1] = "stopped " .. unfinished
    end
    local file = assert(io.open(results_file, "w"))
    file:write(table.concat(lines, "\n"), "\n")
    file:close()
  end

  local function place_of(element)
    local trace = element.trace
    if trace and trace.short_src and trace.currentline then
      return trace.short_src .. ":" .. trace.currentline .. ": "
    end
    return ""
  end

  local function name_of(element)
    if element.descriptor == "file" then return element.name end
    return place_of(element) .. handler.getFullName(element)
  end

  -- The lines of the spec's own calls; below them there is only busted.
  local function trim(traceback)
    local lines = {}
    for line in traceback:gmatch("[^\n]+") do
      if line:find("/busted/", 1, true) then break end
      if not line:find("^stack traceback:") then
        lines[#lines + 1] = "    " .. line:gsub("^%s+", "")
      end
    end
    return lines
  end

  local function write_stories()
    end_line()
    for _, story in ipairs(stories) do write(story) end
    stories = {}
  end

  local function on_failure(element, _, message, trace)
    failures[#failures + 1] = name_of(element)
    local story = "FAILED " .. name_of(element) .. "\n  " ..
      tostring(message):gsub("\n", "\n  ") .. "\n"
    local calls = trim(trace and trace.traceback or "")
    if #calls > 1 then -- the message tells where the last call was
      story = story .. "  called from\n" .. table.concat(calls, "\n") .. "\n"
    end
    stories[#stories + 1] = story
    if element.descriptor ~= "it" then -- a spec is counted when it ends
      failed = failed + 1
      save_results("in " .. name_of(element))
      write_stories()
    end
    return nil, true
  end

  local function skip(reason)
    if not reasons[reason] then
      reasons[#reasons + 1] = reason
      reasons[reason] = 0
    end
    reasons[reason] = reasons[reason] + 1
    skipped = skipped + 1
  end

  -- A running spec has called pending(reason); busted puts the place before.
  local function on_pending(_, _, message)
    skip((message:gsub("^[^\n]-:%d+: ", "")))
    return nil, true
  end

  local function on_spec_start(element)
    save_results("in " .. name_of(element))
    return nil, true
  end

  local function on_spec_end(element, _, status)
    write_sign(SIGNS[status])
    if status == "success" then
      passed = passed + 1
    elseif status ~= "pending" then
      failed = failed + 1
    elseif element.descriptor == "pending" then
      -- The reason is in the place of the body; see helpers.it_needs.
      skip(type(element.run) == "string" and element.run or "no reason given")
    end
    if #stories > 0 then write_stories() end
    save_results("after " .. name_of(element))
    return nil, true
  end

  local function on_file_start(file)
    current_file = file.name
    return nil, true
  end

  local function on_file_end()
    end_line()
    current_file = nil
    return nil, true
  end

  local function on_suite_end(suite)
    end_line()
    for _, name in ipairs(failures) do
      write("failed ", name, "\n")
    end
    if passed + failed == 0 then
      write("no spec was run\n")
    end
    write(("%d specs in %.1f s, %d skipped\n"):format(passed + failed,
      suite.duration or 0, skipped))
    save_results()
    return nil, true
  end

  function handler.subscribe()
    busted.subscribe({ "file", "start" }, on_file_start)
    busted.subscribe({ "file", "end" }, on_file_end)
    busted.subscribe({ "test", "start" }, on_spec_start)
    busted.subscribe({ "test", "end" }, on_spec_end)
    busted.subscribe({ "pending" }, on_pending)
    busted.subscribe({ "failure" }, on_failure)
    busted.subscribe({ "error" }, on_failure)
    busted.subscribe({ "suite", "end" }, on_suite_end)
  end

  return handler
end
