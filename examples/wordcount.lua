-- wordcount.lua: counts the words of text files with many states on a few
-- threads.
--
--   lua5.4 examples/wordcount.lua [--threads N] [--states M] [FILE...]
--
-- Three kinds of Lua states work together here:
--
--   the main program   reads the options, starts the threads, adds up what
--                      was counted and prints it
--   M counters         each keeps the counts of the words that it has seen
--   one work list      knows which files are left and which counters are
--                      free; a thread that asks gets one of each
--
-- The N threads own nothing.  They run from state to state with no more than
-- the number of the work list in their hands, and as a state lets in one
-- thread at a time, there is nothing to lock.

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
local threads = require "threads"
local mtstates = require "mtstates"

local DEFAULT_DIR = "/usr/share/common-licenses"
local DEFAULT_THREADS = 2
local STATES_PER_THREAD = 2
local TOP = 12         -- so many words are shown
local WORD_WIDTH = 16  -- with so many letters
local BAR_WIDTH = 40
-- A short time is measured several times, and the best one counts.
local ENOUGH_SECONDS = 0.5
local MAX_RUNS = 10

local USAGE = ([[
usage: wordcount.lua [--threads N] [--states M] [FILE...]

Counts the words of the FILEs with M Lua states on N threads, M larger
than N, and compares the time with that of one thread.  The threads share
the work file by file.

  --threads N  number of threads (%d)
  --states M   number of states that count (%d times N)
  --help       show this text

Without FILE it reads the licence texts in %s.

Exit status: 0 all files counted, 1 some could not be read or something
failed, 2 wrong usage.
]]):format(DEFAULT_THREADS, STATES_PER_THREAD, DEFAULT_DIR)

------------------------------------------------------------------------------
-- What runs in the states and threads.  These functions are sent to another
-- Lua state, so they have no upvalues.

-- Setup of a counter.  Its callback has two forms:
--   call("count", path)    counts the words of the file
--   call("next" [, word])  returns some of the words and their counts, as
--                          word, count, word, count, ...: the first ones, or
--                          those after `word`; nothing after the last
local function counter_setup()
  local BLOCK_SIZE = 2^16
  local WORDS_PER_CALL = 100
  local unpack = table.unpack or unpack -- luacheck: ignore
  local counts = {}

  local actions = {}
  function actions.count(path)
    local file = assert(io.open(path, "rb"))
    while true do
      -- a block and what is left of the line that it cuts
      local block, rest = file:read(BLOCK_SIZE, "*l")
      if not block then
        break
      end
      local text = (block .. (rest or "")):lower()
      -- Bytes from 128 on belong to the words, for UTF-8.
      for word in text:gmatch("[%a\128-\255]+") do
        counts[word] = (counts[word] or 0) + 1
      end
    end
    file:close()
  end
  function actions.next(word)
    local found = {}
    for i = 1, 2 * WORDS_PER_CALL, 2 do
      local n
      word, n = next(counts, word)
      if not word then
        break
      end
      found[i], found[i + 1] = word, n
    end
    return unpack(found)
  end

  return function(action, value)
    return actions[action](value)
  end
end

-- Setup of the work list.  Its callback has three forms:
--   call("file", path)     adds a file to the list
--   call("counter", id)    adds a free counter
--   call("next" [, id])    gives back the counter that the caller has used,
--                          and gets the next file with a counter for it, or
--                          nothing when all files are taken
local function work_setup(shows_bar, bar_width)
  local files, counters = {}, {}
  local taken, done, shown = 0, 0, 0

  local function show_bar()
    local full = math.floor(bar_width * done / #files)
    if full > shown then
      shown = full
      io.stderr:write("\r[", ("#"):rep(full), ("."):rep(bar_width - full),
                      "] ", done, " of ", #files, " files")
    end
  end

  local actions = {}
  function actions.file(path)
    files[#files + 1] = path
  end
  function actions.counter(id)
    counters[#counters + 1] = id
  end
  function actions.next(id)
    if id then
      done = done + 1
      counters[#counters + 1] = id
      if shows_bar then
        show_bar()
      end
    end
    if taken < #files then
      taken = taken + 1
      return files[taken], table.remove(counters, 1)
    end
  end

  return function(action, value)
    return actions[action](value)
  end
end

-- What each thread does.
local function thread_main(work_id)
  local state = require("mtstates").state
  local work = state(work_id)
  local path, id = work:call("next")
  while path do
    state(id):call("count", path)
    path, id = work:call("next", id)
  end
end

------------------------------------------------------------------------------
-- Options and files

local function fail_usage(message)
  io.stderr:write("wordcount: ", message, "\n",
                  "Try 'wordcount.lua --help'.\n")
  os.exit(2)
end

local function parse_options(args)
  local options = { files = {} }
  local i = 1
  while i <= #args do
    local word = args[i]
    local name, value = word:match("^%-%-(%a+)=?(.*)$")
    if word == "-h" or word == "--help" then
      io.write(USAGE)
      os.exit(0)
    elseif name == "threads" or name == "states" then
      if not word:find("=", 1, true) then
        i = i + 1
        value = args[i] or ""
      end
      if not value:find("^[1-9]%d?%d?%d?%d?%d?$") then
        fail_usage("--" .. name .. " needs a number from 1 to 999999, not '"
                   .. value .. "'")
      end
      options[name] = math.floor(tonumber(value))
    elseif word == "--" then
      for k = i + 1, #args do
        table.insert(options.files, args[k])
      end
      break
    elseif word:find("^%-.") then
      fail_usage("unknown option '" .. word .. "'")
    else
      table.insert(options.files, word)
    end
    i = i + 1
  end
  options.threads = options.threads or DEFAULT_THREADS
  options.states = options.states or STATES_PER_THREAD * options.threads
  if options.states <= options.threads then
    fail_usage(("there must be more states than threads, but %d is not more"
               .. " than %d"):format(options.states, options.threads))
  end
  return options
end

-- Regular files only: the directory has symbolic links to its own files.
local function default_files()
  local files = {}
  local find = assert(io.popen("find " .. DEFAULT_DIR .. " -type f"))
  for path in find:lines() do
    table.insert(files, path)
  end
  find:close()
  table.sort(files)
  if #files == 0 then
    fail_usage("no files in " .. DEFAULT_DIR .. ", name some")
  end
  return files
end

-- Reads a file once from begin to end.  Returns an error message if it can't.
local function try_to_read(path)
  local file, message = io.open(path, "rb")
  if not file then
    return message
  end
  local ok
  ok, message = file:seek("end") -- no pipe: it will be read several times
  if ok then
    file:seek("set")
    repeat
      ok, message = file:read(2^16)
    until not ok
  end
  file:close()
  return message and path .. ": " .. message
end

-- The files that can be read, and the number of others, which it names.  It
-- also brings all files into memory, so that no run has to wait for the disk.
local function readable_files(files)
  local readable, failed = {}, 0
  for _, path in ipairs(files) do
    local message = try_to_read(path)
    if message then
      failed = failed + 1
      io.stderr:write("wordcount: ", message, "\n")
    else
      table.insert(readable, path)
    end
  end
  return readable, failed
end

------------------------------------------------------------------------------
-- Counting, in two ways

-- Adds what a counter has counted.  Tables don't leave a state, plain values
-- do: so the counter tells its words in portions.
local function add_counts(totals, counter)
  local found = { counter("next") }
  while #found > 0 do
    for i = 1, #found, 2 do
      local word, n = found[i], found[i + 1]
      totals[word] = (totals[word] or 0) + n
    end
    found = { counter("next", found[#found - 1]) }
  end
end

local function count_with_threads(files, options, shows_bar)
  local work = mtstates.newstate("work", work_setup, shows_bar, BAR_WIDTH)
  for _, path in ipairs(files) do
    work:call("file", path)
  end

  local counters = {}
  for i = 1, options.states do
    counters[i] = mtstates.newstate("counter " .. i, counter_setup)
    work:call("counter", counters[i]:id())
  end

  local running = {}
  for i = 1, options.threads do
    running[i] = threads.start(thread_main, work:id())
  end
  local failure
  for _, thread in ipairs(running) do
    local ok, message = thread:join()
    failure = failure or not ok and message
  end
  if failure then
    error(failure, 0)
  end

  local totals = {}
  for _, counter in ipairs(counters) do
    add_counts(totals, function(...)
      return counter:call(...)
    end)
  end
  return totals
end

-- The same work without threads and states: a setup function is an ordinary
-- function, and so is the callback that it returns.
local function count_alone(files)
  local counter = counter_setup()
  for _, path in ipairs(files) do
    counter("count", path)
  end
  local totals = {}
  add_counts(totals, counter)
  return totals
end

local function timed(fn, ...)
  collectgarbage()
  local start = threads.seconds()
  local result = fn(...)
  return result, threads.seconds() - start
end

local function check_equal(totals, expected)
  for _, pair in ipairs { { totals, expected }, { expected, totals } } do
    for word in pairs(pair[1]) do
      if totals[word] ~= expected[word] then
        error(("'%s' was counted %d times with threads and %d times without")
              :format(word, totals[word] or 0, expected[word] or 0), 0)
      end
    end
  end
end

------------------------------------------------------------------------------
-- Printing

local function is_terminal(fd)
  local status = os.execute("test -t " .. fd)
  return status == true or status == 0
end

-- 1234567 as "1,234,567"
local function with_commas(n)
  local text = ("%d"):format(n):reverse():gsub("%d%d%d", "%0,"):reverse()
  return (text:gsub("^,", ""))
end

-- The word cut or filled up to the width, counted in UTF-8 characters.
local function fit(word, width)
  local characters = {}
  for character in word:gmatch("[^\128-\191][\128-\191]*") do
    if #characters < width then
      table.insert(characters, character)
    end
  end
  return table.concat(characters) .. (" "):rep(width - #characters)
end

-- The most frequent words first, equally frequent ones in alphabetical order.
local function sorted_words(totals)
  local words = {}
  for word in pairs(totals) do
    table.insert(words, word)
  end
  table.sort(words, function(a, b)
    if totals[a] ~= totals[b] then
      return totals[a] > totals[b]
    end
    return a < b
  end)
  return words
end

local function print_table(totals, words)
  local locale = os.getenv("LC_ALL") or os.getenv("LC_CTYPE")
                 or os.getenv("LANG") or ""
  local block = locale:upper():find("UTF%-?8") and "\226\150\136" or "#"
  local most = totals[words[1]]
  local number_width = most and #with_commas(most)
  for i = 1, math.min(TOP, #words) do
    local n = totals[words[i]]
    local bar = block:rep(math.max(1, math.floor(BAR_WIDTH * n / most + 0.5)))
    print(("  %s  %" .. number_width .. "s  %s")
          :format(fit(words[i], WORD_WIDTH), with_commas(n), bar))
  end
end

local function print_summary(totals, words, files, failed)
  local sum = 0
  for _, n in pairs(totals) do
    sum = sum + n
  end
  print()
  print("  files    " .. with_commas(#files) ..
        (failed > 0 and (", %d more could not be read"):format(failed) or ""))
  print(("  words    %s, %s different")
        :format(with_commas(sum), with_commas(#words)))
end

local function print_times(best, options, runs)
  print(("  seconds  %.4f with %d states on %d thread%s")
        :format(best.threads, options.states, options.threads,
                options.threads > 1 and "s" or ""))
  print(("           %.4f in one thread, without states")
        :format(best.alone))
  if best.threads > 0 then
    print(("  ratio    %.2f times as fast with threads")
          :format(best.alone / best.threads))
  end
  if runs > 1 then
    print(([[

These are the best times of %d runs.  The less text there is, the more of the
time goes into starting threads and adding up.  For more work try
  %s %s /usr/share/doc/*/copyright]]):format(runs, arg[-1] or "lua", arg[0]))
  end
end

------------------------------------------------------------------------------

local options = parse_options(arg)
if #options.files == 0 then
  options.files = default_files()
end
local files, failed = readable_files(options.files)

local shows_bar = is_terminal(2) and #files > 0
local best = { threads = math.huge, alone = math.huge }
local runs, start = 0, threads.seconds()
local totals
repeat
  local expected, seconds
  totals, seconds = timed(count_with_threads, files, options,
                          shows_bar and runs == 0)
  best.threads = math.min(best.threads, seconds)
  expected, seconds = timed(count_alone, files)
  best.alone = math.min(best.alone, seconds)
  check_equal(totals, expected)
  runs = runs + 1
until runs == MAX_RUNS or threads.seconds() - start > ENOUGH_SECONDS

if shows_bar then
  io.stderr:write("\n\n")
end
local words = sorted_words(totals)
print_table(totals, words)
print_summary(totals, words, files, failed)
print_times(best, options, runs)
os.exit(failed == 0 and 0 or 1, true)
