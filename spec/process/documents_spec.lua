-- The code blocks of all documents are tried:
--   lua   is a program that prints what its comments say after "-->", line by
--         line.  "```lua needs FEATURE" is run where the feature is there.
--   sh    names targets and variables of make, and files, that exist.
--   c     compiles.
-- Not looked into are json, text and blocks without a kind; there are no other
-- kinds.

local helpers = require "helpers"

-- What a block can need, with a program that works only where it is there. It
-- runs in a fresh interpreter, as busted adds functions to this one.
local FEATURES = {
  ["package.searchpath"] = "assert(package.searchpath)",
  ["allocator"] =
    [[require "mtstates".newstate({memory = 1e8}, "return print")]],
  ["to-be-closed variables"] = "local x <close> = nil",
}

local README_LINES = 150

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read("*a")
  pipe:close()
  return output
end

local function split_lines(text)
  return text:gmatch("([^\n]*)\n")
end

-- Calls handle(kind, need, code, place) for each block of a document.
local function each_block(path, handle)
  local number, first, kind, need, lines = 0, nil, nil, nil, nil
  for line in split_lines(read(path) .. "\n") do
    number = number + 1
    if not kind then
      kind, need = line:match("^```(%w*)(.*)$")
      need = need and need:gsub("^ needs ", "")
      first, lines = number, {}
    elseif line == "```" then
      handle(kind, need, table.concat(lines, "\n"), path .. ":" .. first)
      kind = nil
    else
      lines[#lines + 1] = line
    end
  end
  assert(not kind, path .. ": the last code block has no end")
end

local function expected_output(code)
  local lines = {}
  for line in split_lines(code .. "\n") do
    local text = line:match("%-%-> (.*)")
    if text then
      lines[#lines + 1] = text .. "\n"
    end
  end
  return table.concat(lines)
end

local function check_lua(code)
  local expected = expected_output(code)
  assert.is_true(#expected > 0, "nothing is printed")
  local output, status
  local tries = code:find("0%.%d") and 5 or 1 -- a thread can miss a time
  repeat
    output, status = helpers.run_program(code)
    tries = tries - 1
  until output == expected or tries == 0
  assert.equal(expected, output)
  assert.equal(0, status)
end

local function check_c(code)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  assert(file:write(code, "\n"))
  file:close()
  local found = output_of(("cc -x c -std=c11 -Wall -Wextra -Wno-unused"
    .. " -fsyntax-only -Iinclude -I%s %s 2>&1"):format(
    assert(os.getenv("LUA_INCDIR"), "no LUA_INCDIR"), path))
  os.remove(path)
  assert.equal("", found)
end

-- The rules and variables of the Makefile and its parts, as text.
local makefiles = output_of("cat Makefile mk/*.mk 2>/dev/null")

local function is_target(name)
  for line in split_lines("\n" .. makefiles) do
    local targets = (line .. " "):match("^([%w%s-]+):[^=]") or ""
    if (" " .. targets .. " "):find(" " .. name .. " ", 1, true) then
      return true
    end
  end
  return false
end

local function file_exists(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

-- Words of other commands are checked if they name a file of this project.
local COMMANDS = { cc = true, luarocks = true }

local function check_sh(code)
  for line in split_lines(code .. "\n") do
    local words = {}
    for word in line:gsub("%s#.*", ""):gmatch("%S+") do
      words[#words + 1] = word
    end
    local command = table.remove(words, 1)
    assert.is_true(command == "make" or COMMANDS[command] ~= nil, line)
    for _, word in ipairs(words) do
      local variable = word:match("^([%u_]+)=")
      if command == "make" and variable then
        assert.is_truthy(makefiles:find("%f[%w_]" .. variable .. "%f[^%w_]"),
                         "no variable " .. variable)
      elseif command == "make" then
        assert.is_true(is_target(word), "no target " .. word)
      elseif word:match("^%a[%w_/]*%.[ch]$") or word:match("%.lua$") then
        assert.is_true(file_exists(word), "no file " .. word)
      end
    end
  end
end

local CHECKS = { lua = check_lua, sh = check_sh, c = check_c,
                 json = false, text = false, [""] = false }

describe("documents", function()
  local counts = {}

  local has_feature = { [""] = true }
  for feature, program in pairs(FEATURES) do
    local _, status = helpers.run_program(program)
    has_feature[feature] = status == 0
  end

  local function define_spec(kind, need, code, place)
    local check = CHECKS[kind]
    counts[kind] = (counts[kind] or 0) + 1
    if check == nil then
      it("have known kinds of code: " .. place, function()
        error("a block of the kind '" .. kind .. "'")
      end)
    elseif has_feature[need] == nil then
      it("need what is known: " .. place, function()
        error("a block needs '" .. need .. "'")
      end)
    elseif check then
      local define = helpers.it_needs(has_feature[need], need)
      -- No program can join the threads of luv's pool.
      local tag = code:find("new_work", 1, true) and " #unjoined" or ""
      define("have code that works: " .. place .. tag, function()
        check(code)
      end)
    end
  end

  local paths = "README.md CONTRIBUTING.md CHANGELOG.md docs/*.md"
  for path in split_lines(output_of("ls " .. paths)) do
    each_block(path, define_spec)
  end

  it("have blocks of each kind", function()
    assert.is_true(counts.lua > 25)
    assert.is_true(counts.sh > 3)
    assert.is_true(counts.c > 1)
  end)

  it("begin with a short README", function()
    local count = select(2, read("README.md"):gsub("\n", ""))
    assert.is_true(count <= README_LINES, count .. " lines")
  end)
end)
