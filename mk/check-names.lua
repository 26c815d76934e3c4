-- Checks the words of the C code: no static function has the name of one of
-- another file; identifiers and comments do without words that the project
-- has better ones for; nothing is left to do.  Prints what it finds.

-- As whole words and as parts of identifiers, be they CamelCase or snake_case.
local BANNED = {}
for word in ([[
  come hasty nap naps doom doomed deaf home weight box
  todo fixme xxx
]]):gmatch("%S+") do
  BANNED[word] = true
end

local problems = 0

local function report(path, line, text)
  problems = problems + 1
  print(("%s:%d: %s"):format(path, line, text))
end

local function line_at(source, position)
  return select(2, source:sub(1, position):gsub("\n", "")) + 1
end

local function check_words(path, source)
  for position, identifier in source:gmatch("()([%w_]+)") do
    local words = identifier:gsub("(%l)(%u)", "%1_%2"):lower()
    for word in words:gmatch("%a+") do
      if BANNED[word] then
        report(path, line_at(source, position), "the word '" .. word .. "'")
      end
    end
  end
end

-- Comments, literals, and macros that are called, as attributes are, become
-- spaces.
local function strip(source)
  local function blank(text)
    return (text:gsub("[^\n]", " "))
  end
  return (source:gsub("/%*.-%*/", blank):gsub("//[^\n]*", blank)
    :gsub("'\\?.'", blank):gsub('"[^"\n]*"', blank)
    :gsub("%f[%w_][%u_]+%b()", blank):gsub("__attribute__%s*%b()", blank))
end

local file_of = {} -- static functions

local function check_statics(path, source)
  local code = strip(source)
  for position, name in
      code:gmatch("%f[%w_]()static%f[^%w_][^;={}()]-([%w_]+)%s*%([^*]") do
    local other = file_of[name]
    if other and other ~= path then
      report(path, line_at(code, position), name .. " is in " .. other ..
        ", too")
    end
    file_of[name] = other or path
  end
end

local files = io.popen("find src include spec/model -name '*.[ch]' -o " ..
  "-name '*.pml' | LC_ALL=C sort")
for path in files:lines() do
  local file = assert(io.open(path))
  local source = file:read("*a")
  file:close()
  check_words(path, source)
  check_statics(path, source)
end
os.exit(problems == 0 and 0 or 1)
