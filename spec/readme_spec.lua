-- The code blocks of README.md are programs: what they print is what the
-- README says after "-->", line by line.

local lua = arg and arg[-1] or "lua5.4"
do -- the interpreter is the argument with the lowest index
  local i = -1
  while arg and arg[i] do
    lua = arg[i]
    i = i - 1
  end
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function run(code)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(code)
  file:close()
  local pipe = assert(io.popen(lua .. " " .. path .. " 2>&1"))
  local output = pipe:read("*a")
  pipe:close()
  os.remove(path)
  return output
end

local function expected_output(code)
  local lines = {}
  for line in code:gmatch("[^\n]*") do
    local text = line:match("%-%-> (.*)")
    if text then
      lines[#lines + 1] = text .. "\n"
    end
  end
  return table.concat(lines)
end

describe("README", function()
  local readme = read("README.md")
  local title = ""
  local count = 0
  for text, code in readme:gmatch("(.-)\n```lua\n(.-\n)```") do
    for heading in text:gmatch("\n#+ ([^\n]*)") do
      title = heading
    end
    count = count + 1
    it("prints what it says: " .. title .. " (" .. count .. ")", function()
      local expected = expected_output(code)
      assert.is_true(#expected > 0)
      assert.equal(expected, run(code))
    end)
  end

  it("has examples", function()
    assert.is_true(count > 10)
  end)
end)
