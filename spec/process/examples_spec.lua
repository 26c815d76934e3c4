-- Runs each example and the demo as users do, in a process of its own, and
-- checks what they print.

local helpers = require "helpers"
local mtstates = require "mtstates"

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function write_file(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

local function shell(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read("*a")
  pipe:close()
  return output
end

-- The examples that show another library: its module, and what a line that
-- says how to get it has in it.
local LIBRARIES = {
  with_luv = { "luv", "apt-get install lua-luv" },
  server = { "luv", "apt-get install lua-luv" },
  with_llthreads2 = { "llthreads2.ex", "luarocks install lua-llthreads2" },
  with_lanes = { "lanes", "luarocks install lanes" },
}

describe("the examples", function()
  local here, scratch, search_paths

  setup(function()
    here = shell("pwd"):gsub("\n$", "")
    scratch = shell("mktemp -d"):gsub("\n$", "")
    -- Absolute, for programs that run elsewhere.
    local function absolute(path)
      return (path:gsub("[^;]+", function(entry)
        return entry:find("^/") and entry or here .. "/" .. entry
      end))
    end
    search_paths = "LUA_CPATH=" .. quote(absolute(package.cpath))
  end)

  teardown(function()
    shell("rm -rf " .. quote(scratch))
  end)

  -- The command that runs a Lua program.  options: init (code for LUA_INIT),
  -- from (folder), env (more of the environment).
  local function command_line(path, arguments, options)
    local words = {
      "cd " .. quote(options.from or here) .. " &&",
      "timeout 300 env -u LUA_INIT_" .. _VERSION:gsub("%D+", "_"):sub(2),
      "LC_ALL=C", search_paths, "LUA_INIT=" .. quote(options.init or ""),
      options.env or "", quote(helpers.interpreter()), quote(path),
    }
    for _, argument in ipairs(arguments) do
      table.insert(words, quote(argument))
    end
    return table.concat(words, " ")
  end

  -- Runs a Lua program.  Returns stdout, stderr, exit status.
  local function run(path, arguments, options)
    local command = command_line(path, arguments or {}, options or {})
    local status, _, code = os.execute(
      ("%s >%s/stdout 2>%s/stderr </dev/null"):format(command, scratch,
                                                      scratch))
    if type(status) == "number" then -- Lua 5.1
      code = status / 256
    end
    return read_file(scratch .. "/stdout"), read_file(scratch .. "/stderr"),
           code
  end

  -- The same of one that is sent SIGINT, once, when it has printed the text.
  local function run_until(text, path, arguments)
    local command = command_line(path, arguments,
      { init = "io.stdout:setvbuf('line')" })
      :gsub("timeout", "exec timeout --foreground")
    local script = ([[
      cd %s; rm -f status stdout stderr
      (sh -c %s >stdout 2>stderr </dev/null; echo $? >status) &
      until [ -s status ] || grep -qF %s stdout; do sleep 0.1; done
      kill -INT $(cat pid); wait
      cat status
    ]]):format(quote(scratch), quote("echo $$ >pid; " .. command), quote(text))
    local status = tonumber(shell(script))
    return read_file(scratch .. "/stdout"), read_file(scratch .. "/stderr"),
           status
  end

  -- What a Lua program prints on a terminal; nil if there are no pseudo
  -- terminals.
  local function on_terminal(path, arguments)
    local terminal = "script -qec %s /dev/null </dev/null 2>&1"
    if not shell(terminal:format("'echo ready'")):find("ready") then
      return nil
    end
    return shell(terminal:format(quote(command_line(path, arguments, {}))))
  end

  -- What the comment at the begin of an example says that it prints.
  local function promised_output(path)
    local promise = read_file(path):match("\n%-%- Prints[^\n]*:\n(.-)\n\n")
    return (promise:gsub("%-%-   ", "") .. "\n")
  end

  local function prints_what_it_promises(name)
    local path = "examples/" .. name .. ".lua"
    local promised = promised_output(path)
    local out, err, status
    local tries = 0
    repeat -- some of them have times, which a thread can miss
      out, err, status = run(path)
      out = out:gsub(" [%d.]+ ms\n", " N ms\n")
      tries = tries + 1
    until out == promised and err == "" or tries == 5
    assert.equal("", err)
    assert.equal(promised, out)
    assert.equal(0, status)
  end

  for _, name in ipairs {
    "call_from_thread", "more_states_than_threads", "singleton_cache",
    "timeout_and_interrupt", "threads", "errors", "service", "requests",
    "native_notify", "ping", "services", "pipeline #resident", "plugins",
    "cache",
  } do
    it("print what they promise: " .. name, function()
      prints_what_it_promises(name:match("^[%w_]+"))
    end)
  end

  for name, library in pairs(LIBRARIES) do
    local module, advice = library[1], library[2]
    local _, status = helpers.run_program(("require '%s'"):format(module))
    local it_with_library = helpers.it_needs(status == 0, module)

    it_with_library("print what they promise: " .. name, function()
      prints_what_it_promises(name)
    end)

    it("say which library is missing: " .. name, function()
      local out, err, code = run("examples/" .. name .. ".lua", {}, {
        init = ("package.preload['%s'] = error"):format(module),
      })
      assert.equal("", out)
      assert.matches("^This example needs [^\n]*\n$", err)
      assert.matches(advice, err, 1, true)
      assert.equal(1, code)
    end)
  end

  it("draw on a terminal while they run: threads", function()
    local screen = on_terminal("examples/threads.lua", {})
    if not screen then
      return pending("this machine has no pseudo terminals")
    end
    assert.equal(35, helpers.count(screen, "\27[3A"))
    assert.matches("hare      ####################\r?\nfox ", screen)
  end)

  -- luarocks make leaves a module for one Lua in the folder of the project.
  it("use what make has built, not what lies in the current folder",
    function()
      write_file(scratch .. "/mtstates.so", "no module")
      local path = here .. "/examples/singleton_cache.lua"
      local out, err, status = run(path, {}, {
        from = scratch,
        env = "LUA_CPATH=" .. quote("./?.so;" .. package.cpath),
      })
      os.remove(scratch .. "/mtstates.so")
      assert.equal("", err)
      assert.equal(promised_output(path), out)
      assert.equal(0, status)
    end)

  it("say how to make the native part if it is missing", function()
    local out, err, status = run("examples/native_notify.lua", {},
                                 { init = "package.preload.ticker = error" })
    assert.equal("", out)
    assert.matches("make", err, 1, true)
    assert.matches("examples/native/ticker.c", err, 1, true)
    assert.equal(1, status)
  end)

  it("show states and workers in top", function()
    local out, err, status = run("examples/top.lua", { "28", "plain" })
    assert.same({ "", 0 }, { err, status })
    local _, frames = out:gsub("STATE        USED   BUSY   CALLS", "")
    assert.equals(28, frames)
    for _, row in ipairs {
      "%d+ workers, %d+ idle, %d+ beyond; %d+ requests, %d+ of them in queues",
      "\nlog ", "\npages +%d+% +%S+ +%d+ +0 +%d+ +%d+ +0\n",
      "\nmail +0% +%- +1 +0 +0 +1 +0\n", "\nvisitors ",
      "\nreport [^\n]+\n  examples/top.lua:%d+: in upvalue 'add_up'\n",
      "\nreport +%d+% +%- +1 +1 +0 +0 +0\n",
    } do
      assert.matches(row:gsub("%% ", "%%%% "), out)
    end
  end)

  describe("timeline", function()
    local function event(text)
      return ',\n{"ph":' .. text:gsub("'", '"') .. "}"
    end

    -- A thread runs `a<b` for 1 ms, in it `c` for 0.5, then waits for 8.
    local TRACE = '[\n{"ph":"M","pid":1,"name":"process_name"}' ..
      event "'M','tid':2,'name':'thread_name','args':{'name':'worker'}" ..
      event "'B','tid':2,'ts':1000.0,'cat':'task','name':'a<b'" ..
      event "'X','tid':2,'ts':1100.0,'dur':500.0,'cat':'call','name':'c'" ..
      event "'E','tid':2,'ts':2000.0" ..
      event "'X','tid':2,'ts':2000.0,'dur':8000.0,'cat':'wait','name':'w'" ..
      event ("'C','tid':2,'ts':5000.0,'name':'queue of c'," ..
             "'args':{'waiting':7}") ..
      "\n]\n"

    local function draw_text(text, ...)
      local trace = write_file(scratch .. "/trace.json", text)
      local picture = scratch .. "/timeline.svg"
      local out, err, status = run("examples/timeline.lua",
                                   { trace, picture, ... })
      assert.same({ "", "", 0 }, { out, err, status })
      return read_file(picture)
    end

    local function draw(...)
      return draw_text(TRACE, ...)
    end

    it("draws what has not ended, wherever the file ends", function()
      for length = 2, #TRACE - 1, 13 do
        assert.matches("^<svg .*</svg>\n$", draw_text(TRACE:sub(1, length)))
      end
      local cut = TRACE:match('^(.-),\n{"ph":"E"') .. ","
      assert.matches("<title>task: a&lt;b, 0.600 ms</title>", draw_text(cut),
                     1, true)
    end)

    it("draws any name", function()
      local svg = draw_text("[\n" ..
        '{"ph":"X","tid":1,"ts":1.0,"dur":9.0,"cat":"task","name":' ..
        '"thread_name\\"},\\\\\239\191\191","args":{"state":1}}\n]\n')
      assert.matches(">thread_name&quot;},\\?</text>", svg, 1, true)
    end)

    it("draws spans, waits, queues and a legend", function()
      local svg = draw()
      for _, part in ipairs {
        '<rect x="220.0" y="26" width="90.0" height="22" fill="#4e79a7">' ..
          "<title>task: a&lt;b, 1.000 ms</title></rect>",
        '<rect x="229.0" y="29" width="45.0" height="16" fill="#f28e2b">' ..
          "<title>call: c, 0.500 ms</title></rect>",
        '<path d="M310.0 37h720.0" class="wait">' ..
          "<title>wait: w, 8.000 ms</title></path>",
        '<path d="M130 82H580.0V56.0H1030V82Z" fill="#bbb"/>',
        ">worker</text>", ">queue of c</text>", ">7</text>",
        ">a&lt;b</text>", ">c</text>", ">0 ms</text>", ">10 ms</text>",
      } do
        assert.matches(part, svg, 1, true)
      end
      assert.matches("^<svg .*</svg>\n$", svg)
    end)

    it("draws a part", function()
      local svg = draw("1.5", "2.5")
      assert.matches('<rect x="130.0" y="26" width="450.0"', svg, 1, true)
      assert.matches(">1.5 ms</text>", svg, 1, true)
    end)

    it("says how it is used", function()
      local out, err, status = run("examples/timeline.lua", {})
      assert.equal("", out)
      assert.matches("^usage: ", err)
      assert.equal(1, status)
    end)
  end)

  it("count words, states and requests in the demo", function()
    local first = write_file(scratch .. "/first", "one two two\n")
    local second = write_file(scratch .. "/second", "Two three\n")
    local out, err, status = run("examples/demo.lua", { first, second }, {})
    assert.equal("", err)
    assert.equal(0, status)
    local number = "%%d[%%d,]*"
    local states = mtstates.workers()
    local expected = {
      "words     5 counted in 2 texts, 3 different",
      ("          N a second by one thread, N by a pool of %d states " ..
        "(N.N times)"):format(states),
      "                  3 " .. ("#"):rep(40) .. " two",
      "                  1 " .. ("#"):rep(14) .. " one",
      "                  1 " .. ("#"):rep(14) .. " three",
      "states    N a second made, called and closed",
      "requests  N a second answered, one service asks another",
      "runaway   a loop without end in one state, while others work:",
      "TABLE",
      "          stopped by its limit of time: interrupted",
      "          meanwhile N requests a second were answered",
      "deadlock  two services that ask each other: deadlock",
    }
    local i = 0
    local live = out:match("work:\n(.-\n)          stopped by")
    for line in out:gsub(live:gsub("%p", "%%%0"), "TABLE\n")
      :gmatch("[^\n]+") do
      i = i + 1
      local pattern = expected[i]:gsub("%p", "%%%0"):gsub("N", number)
      assert.matches("^" .. pattern .. "$", line)
    end
    assert.equal(#expected, i)
    local columns = ("%S+ +"):rep(4) .. "%S+ *\n" -- and no colours
    assert.matches("^%d+ workers, [^\n]+\nSTATE [^\n]+\nwords [^\n]+\n", live)
    assert.matches("\nrunaway +%S+ +%S+ +" .. columns .. "[^\27]*$", live)
  end)

  it("count the licence texts in the demo", function()
    local out = run("examples/demo.lua", {}, {})
    local files = shell("find /usr/share/common-licenses -type f | wc -l")
    assert.matches((" counted in %d texts, "):format(tonumber(files)), out, 1,
      true)
  end)

  it("count lines with a pool, in the order of the files", function()
    local first = write_file(scratch .. "/first", "one\ntwo\n")
    local second = write_file(scratch .. "/second", ("x\n"):rep(1000))
    local out, err, status = run("examples/map.lua",
      { first, scratch .. "/missing", second, scratch }, {})
    assert.equal("", err)
    assert.equal(1, status)
    local lines = {}
    for line in out:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    assert.equal(" 25 %         2  " .. first, lines[1])
    assert.equal(1, lines[2]:find(" 50 %  failed    " .. scratch ..
      "/missing: No such file", 1, true))
    assert.equal(" 75 %      1000  " .. second, lines[3])
    assert.equal("100 %  failed    " .. scratch .. ": Is a directory",
      lines[4])
    assert.equal("1002 lines in 2 files, 2 failed", lines[5])
    assert.is_nil(lines[6])
  end)

  it("stop a loop over a pool by Ctrl-C", function()
    local first = write_file(scratch .. "/first", "one\n")
    shell("mkfifo " .. quote(scratch .. "/fifo")) -- whoever opens it waits
    local out, err, status = run_until(" 50 %", "examples/map.lua",
      { first, scratch .. "/fifo" })
    assert.matches("^ 50 %%         1  .*/first\n1 lines in 1 files, ", out)
    assert.matches("^stopped after 1 of 2 files: .*interrupted!", err)
    assert.equal(1, status)
  end)

  describe("wordcount", function()
    local DEFAULT_DIR = "/usr/share/common-licenses"

    -- One round for each turn, as that is fast.
    local function wordcount(arguments, options)
      local words = { "--rounds", "1" }
      for _, argument in ipairs(arguments or {}) do
        table.insert(words, argument)
      end
      return run(here .. "/examples/wordcount.lua", words, options)
    end

    -- Environment with programs of these names: shell scripts.
    local function with_programs(programs)
      local folder = shell("mktemp -d " .. quote(scratch .. "/XXXXXX"))
      folder = folder:gsub("\n$", "")
      for name, script in pairs(programs) do
        write_file(folder .. "/" .. name, "#!/bin/sh\n" .. script .. "\n")
        shell("chmod +x " .. quote(folder .. "/" .. name))
      end
      return "PATH=" .. quote(folder) .. ':"$PATH"'
    end

    -- Runs the demo as a processor would that needs these seconds for one
    -- thread, and those of the list for the turns with threads.  Two rounds
    -- take long enough to tell how many make a turn, and four do.
    local function measure(alone, with_threads, env, arguments)
      local text = write_file(scratch .. "/text", "one two two\n")
      local durations = { 0.05, 0.125 }
      for _, seconds in ipairs(with_threads) do
        table.insert(durations, alone)
        table.insert(durations, seconds)
      end
      arguments = arguments or { text, text }
      return run("examples/wordcount.lua", arguments, { env = env, init = [[
        local durations = { ]] .. table.concat(durations, ", ") .. [[ }
        local now, calls = 0, 0
        local mtstates = require "mtstates"
        function mtstates.now()
          calls = calls + 1
          if calls % 2 == 0 then
            now = now + durations[calls / 2]
          end
          return now
        end]] })
    end

    -- The number of words in a file, found by other programs.
    local function count_words(path)
      return tonumber(shell("LC_ALL=C tr -cs 'A-Za-z\\200-\\377' '\\n' <"
                            .. quote(path) .. " | grep -c ."))
    end

    local function summary(out, name)
      local value = out:match("\n  " .. name .. " +([%d,]+)")
      return value and tonumber((value:gsub(",", "")))
    end

    -- The rows of the table: { word, count, bar }.
    local function rows(out)
      local found = {}
      for line in out:match("^(.-)\n\n"):gmatch("[^\n]+") do
        local word, n, bar = line:match("^  (%S+) +([%d,]+)  (#+)$")
        assert.is_string(word, "no table row: " .. line)
        table.insert(found, { word, tonumber((n:gsub(",", ""))), #bar })
      end
      return found
    end

    it("counts the licence texts, each once", function()
      local out, err, status = wordcount()
      assert.equal("", err)
      assert.equal(0, status)
      local files, words = 0, 0
      for path in shell("find " .. DEFAULT_DIR .. " -type f"):gmatch("%S+") do
        files = files + 1
        words = words + count_words(path)
      end
      assert.is_true(files > 0)
      assert.equal(files, summary(out, "files"))
      assert.equal(words, summary(out, "words"))
      local processors = tonumber(shell("nproc"))
      assert.equal(processors, summary(out, "processors"))
      local count = math.max(2, math.min(8, processors))
      assert.matches("\n  seconds +%d+%.%d+ in one thread, without states\n"
                     .. " +%d+%.%d+ with " .. 2 * count .. " states on "
                     .. count .. " threads\n  ratio  ", out)
      assert.matches("counted 10 times in each way, 1 times in each of 10",
                     out, 1, true)
    end)

    it("prints a ratio if threads win nearly all turns", function()
      local turns = { .1, .1, .1, .19, .1, .1, .1, .1, .1, .1 }
      local out, err, status = measure(.2, turns,
                                       with_programs { nproc = "echo 2" })
      assert.equal("", err)
      assert.equal(0, status)
      assert.matches("  processors  2\n"
        .. "  seconds     2.00 in one thread, without states\n"
        .. "              1.09 with 4 states on 2 threads\n"
        .. "  ratio       1.8 times as fast with threads\n", out, 1, true)
      assert.matches("counted 40 times in each way, 4 times in each of 10",
                     out, 1, true)
    end)

    it("prints no ratio when noise can have decided", function()
      for turns, faster in pairs {
        [{ .1, .1, .1, .19, .1, .1, .1, .3, .1, .1 }] = 8,
        [{ .2, .2, .2, .2, .2, .2, .2, .2, .2, .2 }] = 0,
      } do
        local out, err = measure(.2, turns, with_programs { nproc = "echo 2" })
        assert.equal("", err)
        assert.matches("  ratio       no clear gain in this run, threads won "
                       .. "only " .. faster .. " of 10 turns", out, 1, true)
        assert.not_matches("times as fast", out, 1, true)
      end
    end)

    it("prints no ratio where threads cannot win", function()
      local turns = { .2, .2, .2, .2, .2, .2, .2, .2, .2, .2 }
      local text = write_file(scratch .. "/one", "one two two\n")
      for reason, arguments in pairs {
        ["one file is counted by one thread"] = { text },
        ["one thread has all the work here, too"] =
          { "--threads", "1", text, text },
      } do
        local out, err = measure(.2, turns,
                                 with_programs { nproc = "echo 2" }, arguments)
        assert.equal("", err)
        assert.matches("  ratio       none: " .. reason .. "\n", out, 1, true)
      end
    end)

    it("prints no ratio on one processor", function()
      local turns = { .1, .1, .1, .1, .1, .1, .1, .1, .1, .1 }
      local out, err = measure(.2, turns, with_programs { nproc = "echo 1" })
      assert.equal("", err)
      assert.matches("  processors  1\n", out, 1, true)
      assert.matches("on 2 threads\n  ratio       none: one processor", out, 1,
                     true)
    end)

    it("has as many threads as processors, but 2 to 8", function()
      for _, case in ipairs {
        { { nproc = "echo 3" }, "3", "6 states on 3 threads" },
        { { nproc = "echo 64" }, "64", "16 states on 8 threads" },
        { { nproc = "exit 127", getconf = "echo 5" }, "5",
          "10 states on 5 threads" },
        { { nproc = "exit 127", getconf = "exit 127" }, "unknown",
          "4 states on 2 threads" },
      } do
        local text = write_file(scratch .. "/text", "one two two\n")
        local out, err = wordcount({ text },
                                   { env = with_programs(case[1]) })
        assert.equal("", err)
        assert.matches("  processors  " .. case[2] .. "\n", out, 1, true)
        assert.matches("with " .. case[3] .. "\n", out, 1, true)
      end
    end)

    it("shows the most frequent words with bars of their length", function()
      local text = ("the "):rep(1200) .. ("Of "):rep(600) .. "\nof rare"
      local out = wordcount { write_file(scratch .. "/text", text) }
      assert.same({ { "the", 1200, 40 }, { "of", 601, 20 }, { "rare", 1, 1 } },
                  rows(out))
      assert.equal(1802, summary(out, "words"))
      assert.matches("  words       1,802, 3 different\n", out, 1, true)
    end)

    it("prints the table in order and aligned", function()
      local out = wordcount()
      local found = rows(out)
      assert.equal(12, #found)
      for i = 2, #found do
        assert.is_true(found[i - 1][2] >= found[i][2])
      end
      local column
      for line in out:match("^(.-)\n\n"):gmatch("[^\n]+") do
        column = column or line:find("#", 1, true)
        assert.equal(column, line:find("#", 1, true))
      end
    end)

    it("shows bars as blocks where the terminal has them", function()
      local text = write_file(scratch .. "/text", "\195\132hre Ehre")
      local out = wordcount({ text }, { env = "LC_ALL=C.UTF-8" })
      local bar = ("\226\150\136"):rep(40)
      assert.equal("  ehre              1  " .. bar .. "\n  \195\132hre"
                   .. "              1  " .. bar, out:match("^(.-)\n\n"))
    end)

    it("counts each file as often as it is named", function()
      local lines = {}
      for i = 1, 30000 do
        lines[i] = "word" .. ("x"):rep(i % 11) .. (i % 7 == 0 and "\r" or "")
      end
      local path = write_file(scratch .. "/big", table.concat(lines, "\n"))
      local out, err = wordcount { path, "--threads", "1", path }
      assert.equal("", err)
      assert.equal(60000, summary(out, "words"))
      assert.matches("60,000, 11 different\n", out, 1, true)
      assert.matches("with 2 states on 1 thread\n", out, 1, true)
    end)

    it("does with more threads than files, and with empty files", function()
      local empty = write_file(scratch .. "/empty", "")
      local out, err, status = wordcount { "--threads=5", "--states", "40",
                                           empty }
      assert.equal("", err)
      assert.equal(0, status)
      assert.matches("  files       1\n", out, 1, true)
      assert.matches("  words       0, 0 different\n", out, 1, true)
      assert.matches("with 40 states on 5 threads\n", out, 1, true)
    end)

    it("names files that it can't read and counts the others", function()
      local text = write_file(scratch .. "/text", "one two three")
      local missing = scratch .. "/missing"
      local out, err, status = wordcount { missing, text, scratch }
      assert.matches("^wordcount: .*/missing: No such file[^\n]*\n"
                     .. "wordcount: " .. scratch:gsub("%p", "%%%0")
                     .. ": Is a directory\n$", err)
      assert.matches("  files       1, 2 more could not be read\n", out, 1,
                     true)
      assert.equal(3, summary(out, "words"))
      assert.equal(1, status)
    end)

    it("fails if no file can be read", function()
      local out, err, status = wordcount { scratch .. "/missing" }
      assert.equal("", out)
      assert.matches("missing: No such file", err, 1, true)
      assert.matches("there is no file to count\n", err, 1, true)
      assert.equal(1, status)
    end)

    it("takes names that look like options after --", function()
      write_file(scratch .. "/--help", "help me")
      local out, err, status = wordcount({ "--", "--help" },
                                         { from = scratch })
      assert.equal("", err)
      assert.equal(2, summary(out, "words"))
      assert.equal(0, status)
    end)

    it("explains itself", function()
      for _, option in ipairs { "--help", "-h" } do
        local out, err, status = wordcount { "--threads", "3", option }
        assert.matches("^usage: wordcount.lua %[%-%-threads N%] "
                       .. "%[%-%-states M%] %[%-%-rounds R%] "
                       .. "%[FILE%.%.%.%]\n", out)
        assert.equal("", err)
        assert.equal(0, status)
      end
    end)

    for _, case in ipairs {
      { "--threads", "--threads needs a number" },
      { "--threads=", "--threads needs a number" },
      { "--threads 0", "--threads needs a number" },
      { "--threads -2", "--threads needs a number" },
      { "--threads 1.5", "--threads needs a number" },
      { "--threads two", "--threads needs a number" },
      { "--states 1e9", "--states needs a number" },
      { "--rounds 0", "--rounds needs a number" },
      { "--states 99999999999999999999", "--states needs a number" },
      { "--states 2", "more states than threads" },
      { "--threads 4 --states 4", "more states than threads" },
      { "--threads 8 --states 4", "more states than threads" },
      { "--colour", "unknown option '--colour'" },
      { "--threadsx=1", "unknown option '--threadsx=1'" },
      { "-t 1", "unknown option '-t'" },
    } do
      local arguments, complaint = case[1], case[2]
      it("complains about " .. arguments, function()
        local words = {}
        for word in arguments:gmatch("%S+") do
          table.insert(words, word)
        end
        local out, err, status = wordcount(words)
        assert.equal("", out)
        assert.matches(complaint, err, 1, true)
        assert.equal(2, status)
      end)
    end

    it("compares both ways of counting", function()
      -- Only the main program, which counts alone, has this gmatch.
      local out, err, status = wordcount({}, { init = [[
        local gmatch = string.gmatch
        function string.gmatch(text, pattern)
          return gmatch(pattern:find("\128", 1, true) and "" or text, pattern)
        end]] })
      assert.equal("", out)
      assert.matches("was counted %d+ times and not 0 times", err)
      assert.equal(1, status)
    end)

    it("shows its progress on a terminal", function()
      local text = write_file(scratch .. "/text", "one two three")
      local screen = on_terminal(here .. "/examples/wordcount.lua",
                                 { "--rounds=1", text })
      if not screen then
        return pending("this machine has no pseudo terminals")
      end
      local turns = {}
      for turn in screen:gmatch("\rturn (%d+) of 10 ") do
        table.insert(turns, turn)
      end
      assert.equal("1 2 3 4 5 6 7 8 9 10", table.concat(turns, " "))
    end)
  end)
end)
