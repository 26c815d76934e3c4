-- The code blocks of README.md are programs: what they print is what the
-- README says after "-->", line by line.

local helpers = require "helpers"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
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
      assert.equal(expected, helpers.run_program(code))
    end)
  end

  it("has examples", function()
    assert.is_true(count > 10)
  end)
end)
