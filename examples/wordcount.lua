-- wordcount.lua: counts the words of text files with many states on a few
-- threads, and shows what the threads gain.
--
--   lua5.4 examples/wordcount.lua [OPTION...] [FILE...]
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
-- the work list in their hands, and as a state lets in one thread at a time,
-- there is nothing to lock.

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local DEFAULT_DIR = "/usr/share/common-licenses"
local STATES_PER_THREAD = 2
-- Both ways of counting take turns, so that what else the machine does hits
-- both.  Unless threads are faster by a tenth in nearly all turns, noise can
-- have decided, and no ratio is printed.
local TURNS = 10
local TURNS_FASTER = 9
local FASTER = 1.1
local SECONDS_PER_TURN = 0.2  -- without threads
local TOP = 12                -- so many words are shown
local WORD_WIDTH = 16         -- with so many letters
local BAR_WIDTH = 40

local USAGE = ([[
usage: wordcount.lua [--threads N] [--states M] [--rounds R] [FILE...]

Counts the words of the FILEs with M Lua states on N threads, M larger
than N, and compares the time with that of one thread.  The threads share
the work file by file.  Each way of counting has %d turns.

  --threads N  number of threads (as many as processors, but 2 to 8)
  --states M   number of states that count (%d times N)
  --rounds R   count each file R times in a turn (what takes %.1f seconds)
  --help       show this text

Without FILE it reads the licence texts in %s.

Exit status: 0 all files counted, 1 some could not be read or something
failed, 2 wrong usage.
]]):format(TURNS, STATES_PER_THREAD, SECONDS_PER_TURN, DEFAULT_DIR)

------------------------------------------------------------------------------
-- What runs in the states and threads

-- Setup of a counter: call(path, times) counts the words of a file so many
-- times, call() returns all counts.
local function counter_setup()
  local counts = {}

  local function count(path)
    for line in io.lines(path) do
      -- Bytes from 128 on belong to the words, for UTF-8.
      for word in line:lower():gmatch("[%a\128-\255]+") do
        counts[word] = (counts[word] or 0) + 1
      end
    end
  end

  return function(path, times)
    if not path then
      return counts
    end
    for _ = 1, times do
      count(path)
    end
  end
end

-- Setup of the work list, with the files and the counters, which are free.
-- call([counter]) gives back the counter that the caller has used and gets the
-- next file with a counter for it, or nothing when all files are taken.
local function work_setup(files, counters)
  local taken = 0
  return function(counter)
    table.insert(counters, counter)
    if taken < #files then
      taken = taken + 1
      return files[taken], table.remove(counters, 1)
    end
  end
end

-- What each thread does.
local function thread_main(work, rounds)
  local path, counter = work:call()
  while path do
    counter:call(path, rounds)
    path, counter = work:call(counter)
  end
end

------------------------------------------------------------------------------
-- Counting, in two ways

local function add_counts(totals, counts)
  for word, n in pairs(counts) do
    totals[word] = (totals[word] or 0) + n
  end
end

local function count_with_threads(files, rounds, options)
  local counters = {}
  for i = 1, options.states do
    counters[i] = mtstates.newstate("counter " .. i, {}, counter_setup)
  end
  local work = mtstates.newstate("work", {}, work_setup, files, counters)

  local running = {}
  for i = 1, options.threads do
    running[i] = mtstates.thread(thread_main, work, rounds)
  end
  local failure
  for _, future in ipairs(running) do
    local ok, message = pcall(future.await, future)
    failure = failure or not ok and message
  end
  if failure then
    error(failure, 0)
  end

  local totals = {}
  for _, counter in ipairs(counters) do
    add_counts(totals, counter:call())
  end
  return totals
end

-- The same work without threads and states: a setup function is an ordinary
-- function, and so is the callback that it returns.
local function count_alone(files, rounds)
  local counter = counter_setup()
  for _, path in ipairs(files) do
    counter(path, rounds)
  end
  local totals = {}
  add_counts(totals, counter())
  return totals
end

local function timed(count, ...)
  collectgarbage()
  local start = mtstates.now()
  local totals = count(...)
  return mtstates.now() - start, totals
end

-- How often one thread can count all files in a turn.
local function rounds_per_turn(files)
  local rounds, seconds = 0.5, 0
  while seconds < SECONDS_PER_TURN / 2 do
    rounds = rounds * 2
    seconds = timed(count_alone, files, rounds)
  end
  return math.ceil(rounds * SECONDS_PER_TURN / seconds)
end

local function check(totals, once, rounds)
  for _, counts in ipairs { totals, once } do
    for word in pairs(counts) do
      local n, expected = totals[word] or 0, rounds * (once[word] or 0)
      if n ~= expected then
        error(("'%s' was counted %d times and not %d times")
              :format(word, n, expected), 0)
      end
    end
  end
end

-- The seconds of each turn, without threads and with threads.  `once` has the
-- right counts for one round.
local function compare(files, once, options)
  local alone, with_threads = {}, {}
  local status = os.execute("test -t 2")
  local on_terminal = status == true or status == 0
  for turn = 1, TURNS do
    if on_terminal then
      io.stderr:write(("\rturn %d of %d "):format(turn, TURNS))
    end
    local totals
    alone[turn], totals = timed(count_alone, files, options.rounds)
    check(totals, once, options.rounds)
    with_threads[turn], totals = timed(count_with_threads, files,
                                       options.rounds, options)
    check(totals, once, options.rounds)
  end
  if on_terminal then
    io.stderr:write("\n\n")
  end
  return alone, with_threads
end

------------------------------------------------------------------------------
-- The machine, options and files

-- The number of processors that this program may use, nil if nobody knows.
local function count_processors()
  local pipe = assert(io.popen("nproc 2>/dev/null || "
                               .. "getconf _NPROCESSORS_ONLN 2>/dev/null"))
  local line = pipe:read("*l")
  pipe:close()
  return tonumber(line)
end

local function fail_usage(message)
  io.stderr:write("wordcount: ", message, "\n",
                  "Try 'wordcount.lua --help'.\n")
  os.exit(2)
end

local function parse_options(args, processors)
  local options = { files = {} }
  local i = 1
  while i <= #args do
    local word = args[i]
    local name, value = word:match("^%-%-(%a+)=?(.*)$")
    if word == "-h" or word == "--help" then
      io.write(USAGE)
      os.exit(0)
    elseif name == "threads" or name == "states" or name == "rounds" then
      if not word:find("=", 1, true) then
        i = i + 1
        value = args[i] or ""
      end
      if not value:find("^[1-9]%d?%d?%d?%d?%d?$") then
        fail_usage("--" .. name .. " needs a number from 1 to 999999, not '"
                   .. value .. "'")
      end
      options[name] = tonumber(value)
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
  options.threads = options.threads
                    or math.max(2, math.min(8, processors or 2))
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

-- The files that can be read, and the number of others, which it names.
local function readable_files(files)
  local readable, failed = {}, 0
  for _, path in ipairs(files) do
    local file, message = io.open(path)
    if file then
      local ok
      ok, message = file:seek("set") -- no pipe: it is read several times
      if ok then
        ok, message = file:read(1) -- and no directory
      end
      file:close()
      message = not ok and message and path .. ": " .. message
    end
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
-- Printing

-- 1234567 as "1,234,567"
local function with_commas(n)
  local text = ("%d"):format(n):reverse():gsub("%d%d%d", "%0,"):reverse()
  return (text:gsub("^,", ""))
end

-- The word cut or filled up to WORD_WIDTH, counted in UTF-8 characters.
local function fit(word)
  local character = "[^\128-\191]?[\128-\191]*"
  word = word:match("^" .. character:rep(WORD_WIDTH))
  local _, width = word:gsub("[^\128-\191]", "")
  return word .. (" "):rep(WORD_WIDTH - width)
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
          :format(fit(words[i]), with_commas(n), bar))
  end
end

local function print_summary(totals, words, files, failed)
  local sum = 0
  for _, n in pairs(totals) do
    sum = sum + n
  end
  print()
  print("  files       " .. with_commas(#files) ..
        (failed > 0 and (", %d more could not be read"):format(failed) or ""))
  print(("  words       %s, %s different")
        :format(with_commas(sum), with_commas(#words)))
end

local function print_times(alone, with_threads, options, processors, files)
  local alone_sum, threads_sum, turns_faster = 0, 0, 0
  for turn = 1, TURNS do
    alone_sum = alone_sum + alone[turn]
    threads_sum = threads_sum + with_threads[turn]
    if alone[turn] > FASTER * with_threads[turn] then
      turns_faster = turns_faster + 1
    end
  end
  print("  processors  " .. (processors or "unknown"))
  print(("  seconds     %.2f in one thread, without states"):format(alone_sum))
  print(("              %.2f with %d states on %d thread%s")
        :format(threads_sum, options.states, options.threads,
                options.threads > 1 and "s" or ""))
  if processors == 1 then
    print("  ratio       none: one processor runs one thread at a time")
  elseif options.threads == 1 then
    print("  ratio       none: one thread has all the work here, too")
  elseif #files == 1 then
    print("  ratio       none: one file is counted by one thread")
  elseif turns_faster >= TURNS_FASTER then
    print(("  ratio       %.1f times as fast with threads")
          :format(alone_sum / threads_sum))
  else
    print(([[
  ratio       no clear gain in this run, threads won only %d of %d turns: the
              processors are busy with other work (try again), or the files
              are too small]]):format(turns_faster, TURNS))
  end
  print(([[

Each file was counted %d times in each way, %d times in each of %d turns, and
all turns gave the same counts.]])
        :format(TURNS * options.rounds, options.rounds, TURNS))
end

------------------------------------------------------------------------------

local processors = count_processors()
local options = parse_options(arg, processors)
if #options.files == 0 then
  options.files = default_files()
end
local files, failed = readable_files(options.files)
if #files == 0 then
  io.stderr:write("wordcount: there is no file to count\n")
  os.exit(1)
end

local once = count_alone(files, 1)
options.rounds = options.rounds or rounds_per_turn(files)
local alone, with_threads = compare(files, once, options)

local words = sorted_words(once)
print_table(once, words)
print_summary(once, words, files, failed)
print_times(alone, with_threads, options, processors, files)
os.exit(failed == 0 and 0 or 1, true)
