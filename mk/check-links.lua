-- check-links.lua - finds links of Markdown files that lead nowhere
--
--   lua mk/check-links.lua FILE...
--
-- Prints a line for each relative link whose file does not exist, and for each
-- #anchor that no heading of its file has.  Exit status: 1 if there are any.
-- Anchors are those of GitHub.  Links to other sites are not tried, and what
-- stands in code is no link.

local function read_file(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function exists(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

-- The lines of a file, with their numbers, that are not in a block of code.
local function each_line(path)
  local next_line, number = read_file(path):gmatch("([^\n]*)\n?"), 0
  return function()
    local fence
    for line in next_line do
      number = number + 1
      local mark = line:match("^%s*(```)") or line:match("^%s*(~~~)")
      if not mark and not fence then
        return line, number
      elseif not fence then
        fence = mark
      elseif mark == fence then
        fence = nil
      end
    end
  end
end

-- What GitHub makes of a heading: small letters, hyphens for spaces, and no
-- other signs but "_".  Bytes above 127 are parts of letters.
local function to_anchor(heading)
  heading = heading:gsub("!?%[([^%]]*)%]%b()", "%1"):gsub("%s+#+%s*$", "")
  heading = heading:gsub("%*+", ""):lower()
  return (heading:gsub("[^%w_ \128-\255-]", ""):gsub(" ", "-"))
end

local anchors_of = {}

-- The set of anchors in a Markdown file.  The second heading with the same
-- text has "-1" behind it, and so on.
local function get_anchors(path)
  if not anchors_of[path] then
    local anchors, seen = {}, {}
    for line in each_line(path) do
      local heading = line:match("^#+%s+(.-)%s*$")
      if heading then
        local anchor = to_anchor(heading)
        local count = seen[anchor]
        seen[anchor] = (count or 0) + 1
        anchors[count and anchor .. "-" .. count or anchor] = true
      end
      for _, attribute in ipairs { "id", "name" } do
        local pattern = "<a%s+" .. attribute .. "=[\"']([^\"']+)[\"']"
        for name in line:gmatch(pattern) do
          anchors[name] = true
        end
      end
    end
    anchors_of[path] = anchors
  end
  return anchors_of[path]
end

local LINKS = {
  "%]%(%s*<?([^%s)>]+)[^)]*%)",        -- [text](target "title")
  "\n%s*%[[^%]]+%]:%s*<?([^%s>]+)",    -- [name]: target
  "href=[\"']([^\"']+)[\"']",
  "src=[\"']([^\"']+)[\"']",
}

-- Calls handle(target) for each link in a line.
local function each_link(line, handle)
  line = "\n" .. line:gsub("(`+).-%1", "")
  for _, pattern in ipairs(LINKS) do
    for target in line:gmatch(pattern) do
      handle(target)
    end
  end
end

-- Folders are left out of the path where ".." follows them.
local function resolve(folder, path)
  path = folder .. path
  local count
  repeat
    path, count = path:gsub("[^/.][^/]*/%.%./", "", 1)
  until count == 0
  return path
end

-- What is wrong with a link in this file, or nil.
local function find_fault(file, target)
  if target:match("^%a[%w+.-]*:") then
    return nil
  end
  local path, anchor = target:match("^([^#]*)#?(.*)$")
  path = path == "" and file or resolve(file:match("^.*/") or "", path)
  if not exists(path) then
    return "no file " .. path
  elseif anchor ~= "" and path:match("%.md$") and
         not get_anchors(path)[anchor] then
    return "no heading for #" .. anchor .. " in " .. path
  end
end

local status = 0
for _, file in ipairs(arg) do
  for line, number in each_line(file) do
    each_link(line, function(target)
      local fault = find_fault(file, target)
      if fault then
        print(("%s:%d: %s"):format(file, number, fault))
        status = 1
      end
    end)
  end
end
os.exit(status)
