-- Plants mistakes that a machine makes up, and looks whether the specs that
-- concern the file find them: `make mutate`.
--
-- lua spec/mutants/mutate.lua TREE N SEED SECONDS FILE ...
--
-- TREE is a copy of the sources. Of all mistakes that can be made in the
-- files, or with FILE:LINE in that line, N are drawn, by the seed; N = 0: all
-- are made. After SECONDS no further one begins. A mistake is one of:
--
-- negate   the condition of an if or while
-- drop     a statement
-- swap     < and <=, > and >=, == and !=, && and ||, true and false
-- weaken   a memory order, or a store without one
--
-- It is found if clang sees that a mutex is lacking (make analyze-locks), or
-- the specs fail, or take much longer than without it; on a machine that is
-- busy with other things the last can be wrong.
-- What survives is listed; docs/mutants.md judges it.

package.path = "spec/?.lua;" .. package.path

local tree = require "mutants.tree"
local CONCERNS = require "mutants.concerns"

-------------------------------------------------------------------------------
-- What can be changed
-------------------------------------------------------------------------------

-- The text with comments, literals and directives as blanks.
local function strip(text)
  local function blank(part)
    return (part:gsub("[^\n]", " "))
  end
  text = text:gsub("/%*.-%*/", blank):gsub('"[^"\n]*"', blank)
  text = text:gsub("'\\?[^'\n]'", blank)
  return (("\n" .. text):gsub("\n#[^\n]*", blank):sub(2))
end

-- Calls f(first, last) with the body of each function.
local function each_body(code, f)
  local from = 1
  while true do
    local head = code:find("\n{", from, true)
    local last = head and code:find("\n}", head, true)
    if not last then
      return
    end
    f(head + 1, last + 1)
    from = last + 1
  end
end

local Mutations = {}
Mutations.__index = Mutations

function Mutations:add(kind, first, last, new)
  self[#self + 1] = {kind = kind, file = self.file, first = first,
                     last = last, new = new}
end

function Mutations:negate(first, last)
  local from = first
  while true do
    local _, open = self.code:find("%f[%w_]if %(", from)
    local _, other = self.code:find("%f[%w_]while %(", from)
    open = open and other and math.min(open, other) or open or other
    if not open or open > last then
      return
    end
    local _, close = self.code:find("^%b()", open)
    self:add("negate", open, close,
             "(!" .. self.text:sub(open, close) .. ")")
    from = open + 1
  end
end

-- A statement is on a line of its own, or more; a declaration is none.
local function is_statement(text)
  local first = text:match("^[%w_]+")
  if first == "return" or first == "break" or first == "goto" or
     first == "case" or first == "else" or first == "do" or
     first == "for" or
     text:find("^[%w_]+%s+%*?%*?[%w_]+") or text:find("^}") then
    return false
  end
  return text:find("^%(void%)") or text:find("^%*?[%w_]+[%(%.%[%s%-%+]") or
    text:find("^%+%+") or text:find("^%-%-")
end

-- Where what is not blank ends before a line.
local function last_before(code, line)
  local last = line
  while code:find("^%s", last) do
    last = last - 1
  end
  return last
end

-- A statement does not begin in a line that goes on with the one before; that
-- ends with `else`, or one of these.
function Mutations:drop(first, last)
  local from = first
  while true do
    local _, before = self.code:find("\n +", from)
    if not before or before >= last then
      return
    end
    local start = before + 1
    local stop = self.code:find(";", start, true)
    local text = stop and self.code:sub(start, stop)
    local begins = self.code:find("^[;{}):e]", last_before(self.code, before))
    if text and begins and is_statement(text) and not text:find("[{}]") and
       not text:find("^[%w_]+ %(.*%)%s*\n") then
      self:add("drop", start, stop, ";")
    end
    from = before
  end
end

local SWAPS = {
  {" < ", " <= "}, {" <= ", " < "}, {" > ", " >= "}, {" >= ", " > "},
  {" == ", " != "}, {" != ", " == "}, {"%f[%w_]true%f[^%w_]", "false"},
  {"%f[%w_]false%f[^%w_]", "true"}, {" && ", " || "}, {" || ", " && "},
}

function Mutations:swap(first, last)
  for _, swap in ipairs(SWAPS) do
    local from = first
    while true do
      local start, stop = self.code:find(swap[1], from)
      if not start or stop > last then
        break
      end
      self:add("swap", start, stop, swap[2])
      from = stop
    end
  end
end

function Mutations:weaken(first, last)
  local from = first
  while true do
    local start, stop, order = self.code:find("memory_order_(%w+)", from)
    if not start or stop > last then
      break
    end
    if order ~= "relaxed" then
      self:add("weaken", start, stop + #"_rel", "memory_order_relaxed")
      self[#self].last = self.code:find("[^%w_]", start) - 1
    end
    from = stop
  end
  from = first
  while true do
    local start, stop = self.code:find("%f[%w_]atomic_store%f[^%w_]", from)
    if not start or stop > last then
      break
    end
    local _, close = self.code:find("^%b()", stop + 1)
    self:add("weaken", start, close, "atomic_store_explicit" ..
             self.text:sub(stop + 1, close - 1) .. ", memory_order_relaxed)")
    from = stop
  end
end

local function line_of(text, position)
  return select(2, text:sub(1, position):gsub("\n", "")) + 1
end

-- Leaves only those of one line.
local function keep_line(list, from, line)
  for i = #list, from, -1 do
    if line_of(list.text, list[i].first) ~= line then
      table.remove(list, i)
    end
  end
end

local function mutations_of(place, list)
  local file, line = place:match("^(.-):(%d+)$")
  local from = #list + 1
  list.file = file or place
  list.text = tree.read(list.file)
  list.code = strip(list.text)
  each_body(list.code, function(first, last)
    for _, kind in ipairs {"negate", "drop", "swap", "weaken"} do
      list[kind](list, first, last)
    end
  end)
  if line then
    keep_line(list, from, tonumber(line))
  end
end

-- N of the list in an order that the seed decides.
local function draw(list, n, seed)
  local drawn = {}
  local x = seed * 7919 + 1
  for i = 1, n > 0 and math.min(n, #list) or #list do
    x = x * 16807 % 2147483647
    drawn[i] = table.remove(list, x % #list + 1)
  end
  return drawn
end

-------------------------------------------------------------------------------
-- Trying
-------------------------------------------------------------------------------

local function command_of(specs)
  return ("make -s test LUA_VERSION=5.4 SPECS='--no-keep-going " ..
    "--exclude-tags=numbers -p %s'"):format(specs:gsub("%s+", " -p "))
end

-- The commands that run the specs: the two first, which find most, then the
-- rest, if there is one.
local function commands_of(file)
  local specs = CONCERNS[(file:gsub("%.h$", ".c"))] or CONCERNS.default
  local first, rest = specs:match("^(%S+ %S+) (.*)$")
  if not rest then
    return {command_of(specs)}
  end
  return {command_of(first), command_of(rest)}
end

local limits = {}

-- The seconds that specs may take; they have to pass without a mistake, if
-- not at once, since the machine has other things to do, then the next time.
local function limit_of(folder, command)
  local tries = 0
  assert(limits[command] or tree.build(folder))
  while not limits[command] do
    local start = os.time()
    local status, output = tree.run(folder, command, 300)
    if status == 0 then
      limits[command] = 2 * (os.time() - start + 1) + 10
    end
    tries = tries + 1
    assert(status == 0 or tries < 3, output)
  end
  return limits[command]
end

-- What stands there, with the rest of its lines.
local function shown(text, mutation)
  local before = text:sub(1, mutation.first - 1):match("[^\n]*$")
  local after = text:sub(mutation.last + 1):match("^[^\n]*")
  local old = text:sub(mutation.first, mutation.last)
  local mark = mutation.kind == "drop" and "" or "*"
  return (before:match("^%s*(.*)") .. mark .. old .. mark .. after)
    :gsub("%s+", " ")
end

-- The exit statuses of timeout: it has ended the specs, or killed them.
local TIMED_OUT = {[124] = true, [137] = true}

-- Whether the analysis of locks finds it; there may be no clang.
local function is_analysed(folder, file)
  local sources = file:find("%.c$") and " C_SOURCES=" .. file or ""
  local status, output = tree.run(folder, "make -s analyze-locks" .. sources,
                                  60)
  return status ~= 0 and output:find("-Wthread-safety", 1, true) ~= nil
end

local function run_specs(folder, commands)
  for _, command in ipairs(commands) do
    local status = tree.run(folder, command, limit_of(folder, command))
    if status ~= 0 then
      return TIMED_OUT[status] and "found by its time" or "found"
    end
  end
  return "survived"
end

-- Gives "found", how if not by a spec that fails; "survived"; or "does not
-- build".
local function try(folder, mutation)
  local path = folder .. "/" .. mutation.file
  local text = tree.read(path)
  local commands = commands_of(mutation.file)
  for _, command in ipairs(commands) do
    limit_of(folder, command)
  end
  tree.write(path, text:sub(1, mutation.first - 1) .. mutation.new ..
             text:sub(mutation.last + 1))
  local outcome = "does not build"
  if is_analysed(folder, mutation.file) then
    outcome = "found by clang"
  elseif tree.build(folder) then
    outcome = run_specs(folder, commands)
  end
  tree.write(path, text)
  tree.say(("%s: %s:%d: %s `%s`%s\n"):format(outcome, mutation.file,
    line_of(text, mutation.first), mutation.kind, shown(text, mutation),
    mutation.new == ";" and "" or " as `" .. mutation.new .. "`"))
  return outcome
end

local function main(folder, n, seed, seconds, ...)
  local list = setmetatable({}, Mutations)
  for _, file in ipairs {...} do
    mutations_of(file, list)
  end
  local all, start = #list, os.time()
  local count = {}
  for _, mutation in ipairs(draw(list, n, seed)) do
    if os.time() - start >= seconds then
      break
    end
    local outcome = try(folder, mutation)
    local kind = outcome:match("^found") or outcome
    count[kind] = (count[kind] or 0) + 1
  end
  tree.say(("of %d mutations %d were found, %d survived, %d did not build\n")
    :format(all, count.found or 0, count.survived or 0,
    count["does not build"] or 0))
end

main(arg[1], tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4]),
     select(5, ...))
