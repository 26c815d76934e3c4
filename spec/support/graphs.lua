-- Random graphs of values that cross, and a walk that tells whether two of
-- them are the same: node by node, and in which nodes are met again.
--
-- Every node has a label of its own, a field of a table or an upvalue of a
-- function: by it the walk finds the key of one side on the other side.

local helpers = require "helpers"

local graphs = {}

-- Classes of the module; both sides have to know them.
graphs.classes = {"graphs.Point", "graphs.Node"}

-- Their variables are set from outside.
-- luacheck: push ignore 221
local make_function = {
  function(label)
    local first, second
    return function() return label, first, second end
  end,
  function(label)
    local value
    return function(x)
      value = value or x
      return print, label, value
    end
  end,
  function(label)
    local itself, other
    itself = function() return label, itself, other end
    return itself
  end
}
-- luacheck: pop

local function set_upvalue(f, name, value)
  local i = 1
  while true do
    local found = debug.getupvalue(f, i)
    if found == name then
      debug.setupvalue(f, i, value)
      return
    elseif not found then
      return
    end
    i = i + 1
  end
end

-- Up to 3 upvalues of f by other values; the label stays.
local function fill_function(f, random, value)
  for _, name in ipairs({"first", "second", "value", "other"}) do
    if random(3) > 1 then
      set_upvalue(f, name, value())
    end
  end
end

-- Where the upvalues of two functions can be one, some are.
local function join(f, g, random)
  local function index_of(h)
    local found
    for i = 1, 10 do
      local name = debug.getupvalue(h, i)
      if name and name ~= "_ENV" and name ~= "label" and name ~= "itself"
         and (not found or random(2) == 1) then
        found = i
      end
    end
    return found
  end
  local i, j = index_of(f), index_of(g)
  if i and j then
    rawget(debug, "upvaluejoin")(f, i, g, j)
  end
end

local function plain_value(random)
  local zero = 0.0
  local plain = {
    true, false, 0, random(1000), -random(1000), 0.5, 1/3, -zero, 1/0, 0/0,
    2^53, "", "x", "text " .. random(5), ("long"):rep(random(3000)),
    "\0", print, string, string.format, _G, helpers
  }
  return plain[random(#plain)]
end

local function plain_key(random)
  local keys = {
    true, false, -random(9), random(100) + 0.5, 1/0, "a b", "\0", "end",
    "name" .. random(20), 2^40, _G, string, print
  }
  return keys[random(#keys)]
end

local function fill_table(t, random, value, node)
  for i = 1, random(6) - 1 do
    t[i] = value()
  end
  for _ = 1, random(4) - 1 do
    t[plain_key(random)] = value()
  end
  for _ = 1, random(3) - 1 do
    t[node()] = value()
  end
  if random(8) == 1 then
    t[random(10)] = nil -- a hole
  end
end

-- graphs.make(seed, count, leaves, classes): a value that leads to some of
-- `count` nodes, and to the leaves; some tables are of these classes.
function graphs.make(seed, count, leaves, classes)
  local random = helpers.random(seed)
  local nodes = {}
  local function node()
    return nodes[random(#nodes)]
  end
  local function value()
    local kind = random(10)
    if kind <= 6 then
      return node()
    elseif kind == 7 and #leaves > 0 then
      return leaves[random(#leaves)]
    end
    return plain_value(random)
  end
  for label = 1, count do
    if random(4) == 1 then
      nodes[label] = make_function[random(#make_function)](label)
    else
      nodes[label] = {label = label}
    end
  end
  for _, n in ipairs(nodes) do
    if type(n) == "function" then
      fill_function(n, random, value)
      local other = node()
      if type(other) == "function" and rawget(debug, "upvaluejoin") then
        join(n, other, random)
      end
    else
      fill_table(n, random, value, node)
      local class = classes[random(4)]
      if class then
        setmetatable(n, require "mtstates".class(class))
      end
    end
  end
  nodes[1] = {label = 1, nodes[1], node(), node()}
  return nodes[1]
end

-- ---------------------------------------------------------------- the walk

local function label_of(x)
  if type(x) == "table" then
    return rawget(x, "label")
  elseif type(x) == "function" then
    for i = 1, 10 do
      local name, value = debug.getupvalue(x, i)
      if name == "label" then
        return value
      end
    end
  end
end

-- Whether x is the same thing wherever it is.
local function is_everywhere(x)
  return x == nil or type(x) == "boolean" or type(x) == "string"
    or x == _G or x == string or x == helpers
    or type(x) == "function" and debug.getinfo(x, "S").what == "C"
end

local function are_same_numbers(a, b)
  local math_type = helpers.math_type or type
  return math_type(a) == math_type(b)
    and (a == b and 1 / a == 1 / b or a ~= a and b ~= b)
end

-- A walk keeps what has been met on both sides, and pairs still to be seen.
local Walk = {}
Walk.__index = Walk

local function differ(what, a, b)
  error(("%s: %s and %s, label %s"):format(what, tostring(a), tostring(b),
    tostring(label_of(a))), 0)
end

-- Notes that a there is b here; true if that was known.
function Walk:is_known(a, b)
  local known_b, known_a = self.there[a], self.here[b]
  if known_a == nil and known_b == nil then
    self.there[a], self.here[b] = b, a
    return false
  elseif known_a ~= a or known_b ~= b then
    differ("another identity", a, b)
  end
  return true
end

function Walk:compare(a, b)
  if type(a) ~= type(b) then
    differ("types", a, b)
  elseif type(a) == "number" then
    if not are_same_numbers(a, b) then
      differ("numbers", a, b)
    end
  elseif is_everywhere(a) then
    if not rawequal(a, b) then
      differ("values", a, b)
    end
  elseif type(a) == "userdata" then
    if a:id() ~= b:id() then
      differ("states", a, b)
    end
  elseif not self:is_known(a, b) then
    self.pairs[#self.pairs + 1] = {a, b}
  end
end

function Walk:compare_functions(f, g)
  local a, b = debug.getinfo(f, "Su"), debug.getinfo(g, "Su")
  if a.source ~= b.source or a.linedefined ~= b.linedefined
     or a.nups ~= b.nups then
    differ("functions", f, g)
  end
  local upvalueid = rawget(debug, "upvalueid")
  for i = 1, a.nups do
    local name, x = debug.getupvalue(f, i)
    local other_name, y = debug.getupvalue(g, i)
    if name ~= other_name then
      differ("names of upvalues", f, g)
    end
    if upvalueid and name ~= "_ENV" then
      self:is_known(upvalueid(f, i), upvalueid(g, i))
    end
    self:compare(x, y)
  end
end

function Walk:compare_tables(s, t)
  local by_label, count = {}, 0
  for key in next, t do
    count = count + 1
    if label_of(key) then
      by_label[label_of(key)] = key
    end
  end
  for key, value in next, s do
    local other = key
    if label_of(key) then
      other = by_label[label_of(key)]
    end
    if other == nil then
      differ("key missing", key, nil)
    end
    self:compare(key, other)
    self:compare(value, rawget(t, other))
    count = count - 1
  end
  if count ~= 0 then
    differ("number of keys", s, t)
  end
  if getmetatable(s) ~= getmetatable(t) then
    differ("metatables", s, t)
  end
end

-- graphs.difference(a, b): nil if b is a copy of a, otherwise what differs.
function graphs.difference(a, b)
  local walk = setmetatable({there = {}, here = {}, pairs = {}}, Walk)
  local ok, err = pcall(function()
    walk:compare(a, b)
    while #walk.pairs > 0 do
      local pair = table.remove(walk.pairs)
      if type(pair[1]) == "function" then
        walk:compare_functions(pair[1], pair[2])
      else
        walk:compare_tables(pair[1], pair[2])
      end
    end
  end)
  return not ok and err or nil
end

return graphs
