-- Runs each example and the demo as users do, in a process of its own, with
-- each thread library that is there, and checks what they print.

local helpers = require "helpers"

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

-- What is said in LUA_INIT to have an example run with one thread library.
-- lua-llthreads2 is hardly ever there, so something with its functions has to
-- do instead.
local LIBRARIES = {
  luv = "package.preload['llthreads2.ex'] = error\n",
  llthreads2 = [[
    local luv = require "luv"
    package.preload.luv = error
    package.loaded.luv = nil
    if not pcall(require, "llthreads2.ex") then
      package.loaded["llthreads2.ex"] = {
        new = function(...)
          local arguments = { ... }
          return {
            start = function(self)
              local unpack = table.unpack or unpack
              self.thread = luv.new_thread(unpack(arguments))
              return self
            end,
            join = function(self)
              return self.thread:join()
            end,
          }
        end
      }
    end
  ]],
  none = [[
    package.preload.luv = error
    package.loaded.luv = nil
    package.preload["llthreads2.ex"] = error
  ]],
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

  -- What the comment at the begin of an example says that it prints.
  local function promised_output(path)
    local promise = read_file(path):match("\n%-%- Prints[^\n]*:\n(.-)\n\n")
    return (promise:gsub("%-%-   ", "") .. "\n")
  end

  for _, library in ipairs { "luv", "llthreads2" } do
    describe("with " .. library, function()
      for _, name in ipairs {
        "call_from_thread", "more_states_than_threads", "singleton_cache",
        "timeout_and_interrupt", "errors", "native_notify",
      } do
        it("print what they promise: " .. name, function()
          local path = "examples/" .. name .. ".lua"
          local out, err, status = run(path, {}, { init = LIBRARIES[library] })
          assert.equal("", err)
          assert.equal(promised_output(path), out)
          assert.equal(0, status)
        end)
      end

      it("count words", function()
        local text = write_file(scratch .. "/text", "one two two\n")
        local out, err, status = run("examples/wordcount.lua", { text, text },
                                     { init = LIBRARIES[library] })
        assert.equal("", err)
        assert.matches("\n  words    6, 2 different\n", out, 1, true)
        assert.equal(0, status)
      end)

      it("start threads in one way", function()
        local program = write_file(scratch .. "/program.lua", [[
          package.path = ... .. "/examples/?.lua;" .. package.path
          local threads = require "threads"

          local thread = threads.start(function(...)
            return select("#", ...), package.path, ...
          end, nil, 1, 2.5, "a\0b", false, nil)
          local function show(...)
            local values = { select(3, ...) }
            for i = 1, select("#", ...) - 2 do
              values[i] = tostring(values[i]):gsub("%z", "0")
            end
            print(select(2, ...), table.concat(values, " "))
          end
          local function check_path(ok, count, path, ...)
            assert(path == package.path)
            show(ok, count, ...)
          end
          check_path(thread:join())
          print(pcall(thread.join, thread))

          local function show_failure(fn)
            local ok, message = threads.start(fn):join()
            print(ok, (message:gsub("^.-:%d+: ", "")))
          end
          show_failure(function() error("oops") end)
          show_failure(function()
            error(setmetatable({}, { __tostring = function() return "T" end }))
          end)
          show_failure(function() return 1, {} end)
          print(pcall(threads.start, function() return threads end))
        ]])
        local out, err, status = run(program, { here },
                                     { init = LIBRARIES[library] })
        assert.equal("", err)
        local lines = {}
        for line in out:gmatch("([^\n]*)\n") do
          table.insert(lines, line)
        end
        assert.equal("6\tnil 1 2.5 a0b false nil", lines[1])
        assert.matches("^false\t.*thread is already joined$", lines[2])
        assert.equal("false\toops", lines[3])
        assert.equal("false\tT", lines[4])
        assert.matches("^false\t.*bad argument.*table", lines[5])
        assert.matches("^false\t.*uses 'threads' from outside$", lines[6])
        assert.equal(6, #lines)
        assert.equal(0, status)
      end)
    end)
  end

  it("say which thread libraries there are if none is installed", function()
    local out, err, status = run("examples/call_from_thread.lua", {},
                                 { init = LIBRARIES.none })
    assert.equal("", out)
    assert.matches("lua-luv", err, 1, true)
    assert.matches("luarocks install lua-llthreads2", err, 1, true)
    assert.equal(1, status)
  end)

  it("say how to make the native part if it is missing", function()
    local out, err, status = run("examples/native_notify.lua", {},
                                 { init = "package.preload.ticker = error" })
    assert.equal("", out)
    assert.matches("make", err, 1, true)
    assert.matches("examples/native/ticker.c", err, 1, true)
    assert.equal(1, status)
  end)

  describe("wordcount", function()
    local DEFAULT_DIR = "/usr/share/common-licenses"

    local function wordcount(arguments, options)
      return run(here .. "/examples/wordcount.lua", arguments, options)
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
      assert.matches("seconds  %d+%.%d+ with 4 states on 2 threads\n", out)
      assert.matches("%d+%.%d+ in one thread", out)
      assert.matches("\n  ratio    %d+%.%d+ times as fast with threads\n", out)
    end)

    it("shows the most frequent words with bars of their length", function()
      local text = ("the "):rep(1200) .. ("Of "):rep(600) .. "\nof rare"
      local out = wordcount { write_file(scratch .. "/text", text) }
      assert.same({ { "the", 1200, 40 }, { "of", 601, 20 }, { "rare", 1, 1 } },
                  rows(out))
      assert.equal(1802, summary(out, "words"))
      assert.matches("  words    1,802, 3 different\n", out, 1, true)
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

    it("finds words across the blocks that it reads", function()
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
      assert.matches("  files    1\n", out, 1, true)
      assert.matches("  words    0, 0 different\n", out, 1, true)
      assert.matches("with 40 states on 5 threads\n", out, 1, true)
    end)

    it("names files that it can't read and counts the others", function()
      local text = write_file(scratch .. "/text", "one two three")
      local missing = scratch .. "/missing"
      local out, err, status = wordcount { missing, text, scratch }
      assert.matches("^wordcount: .*/missing: No such file[^\n]*\n"
                     .. "wordcount: " .. scratch:gsub("%p", "%%%0")
                     .. ": Is a directory\n$", err)
      assert.matches("  files    1, 2 more could not be read\n", out, 1, true)
      assert.equal(3, summary(out, "words"))
      assert.equal(1, status)
    end)

    it("fails if no file can be read", function()
      local out, err, status = wordcount { scratch .. "/missing" }
      assert.matches("missing: No such file", err, 1, true)
      assert.matches("  files    0, 1 more could not be read\n", out, 1, true)
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
                       .. "%[%-%-states M%] %[FILE%.%.%.%]\n", out)
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
      assert.matches("was counted %d+ times with threads and 0 times", err)
      assert.equal(1, status)
    end)

    it("shows its progress on a terminal", function()
      local terminal = "script -qec %s /dev/null </dev/null 2>&1"
      if not shell(terminal:format("'echo ready'")):find("ready") then
        return pending("this machine has no pseudo terminals")
      end
      local text = write_file(scratch .. "/text", "one two three")
      local command = command_line(here .. "/examples/wordcount.lua",
                                   { text, text, text, text }, {})
      local screen = shell(terminal:format(quote(command)))
      local bars = {}
      for bar in screen:gmatch("\r%[([#.]+)%] %d of 4 files") do
        table.insert(bars, bar)
      end
      assert.same({
        ("#"):rep(10) .. ("."):rep(30), ("#"):rep(20) .. ("."):rep(20),
        ("#"):rep(30) .. ("."):rep(10), ("#"):rep(40),
      }, bars)
    end)
  end)
end)
