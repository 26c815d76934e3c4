-- demo.lua: what `make demo` runs: words counted by a pool, then how many
-- states and requests there are a second, a live table of the states, with a
-- runaway that is stopped while others work, and a deadlock that is found.
--
--   lua5.4 examples/demo.lua [FILE...]

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
require "built"
local mtstates = require "mtstates"

local SECONDS = 0.5 -- for each part
local PERIOD = 0.1  -- of the live table
local SHOWN = 5     -- words

local function show(name, format, ...)
  print(("%-9s %s"):format(name, format:format(...)))
end

local function with_commas(n)
  local text = ("%.0f"):format(n):reverse():gsub("%d%d%d", "%0,"):reverse()
  return (text:gsub("^,", ""))
end

-- The name of the error that it began with.
local function cause(err)
  return mtstates.error(err):cause():match("[^.]*$")
end

-- How much f does in a second; it gives what it has done.
local function rate(f)
  local count, start = 0, mtstates.now()
  repeat
    count = count + f()
  until mtstates.now() - start >= SECONDS
  return count / (mtstates.now() - start)
end

-- Setup of a service, and a plain function, too: counts the words of a text.
local function counter_setup()
  return function(text)
    local counts = {}
    for word in text:lower():gmatch("[%a\128-\255]+") do
      counts[word] = (counts[word] or 0) + 1
    end
    return counts
  end
end

------------------------------------------------------------------ words --

local function read_texts(paths)
  local texts = {}
  for i, path in ipairs(paths) do
    local file = assert(io.open(path, "rb"))
    texts[i] = assert(file:read("*a"))
    file:close()
  end
  return texts
end

local function licence_texts()
  local paths = {}
  local find = assert(io.popen("find /usr/share/common-licenses -type f"))
  for path in find:lines() do
    paths[#paths + 1] = path
  end
  find:close()
  return paths
end

local function add(totals, counts)
  for word, n in pairs(counts) do
    totals[word] = (totals[word] or 0) + n
  end
end

local texts = read_texts(#arg > 0 and arg or licence_texts())
local count_alone = counter_setup()
local pool = mtstates.pool("words", counter_setup)

-- Both do the same work by turns, so other work of the machine hits both.
local alone, pooled = {}, {}
local seconds_alone, seconds_pooled, rounds = 0, 0, 0
repeat
  rounds = rounds + 1
  local start = mtstates.now()
  for _, text in ipairs(texts) do
    add(alone, count_alone(text))
  end
  local middle = mtstates.now()
  for _, counts in pool:map(texts) do -- in the order of the texts
    add(pooled, counts)
  end
  seconds_alone = seconds_alone + middle - start
  seconds_pooled = seconds_pooled + mtstates.now() - middle
until seconds_alone >= SECONDS

local words, sum = {}, 0
for word, n in pairs(alone) do
  assert(pooled[word] == n)
  words[#words + 1] = word
  sum = sum + n
end
table.sort(words, function(a, b)
  if alone[a] ~= alone[b] then
    return alone[a] > alone[b]
  end
  return a < b
end)
show("words", "%s counted in %d texts, %s different",
  with_commas(sum / rounds), #texts, with_commas(#words))
show("", "%s a second by one thread, %s by a pool of %d states (%.2f times)",
  with_commas(sum / seconds_alone), with_commas(sum / seconds_pooled),
  mtstates.workers(), seconds_alone / seconds_pooled)
for i = 1, math.min(SHOWN, #words) do
  local n = alone[words[i]] / rounds
  local most = alone[words[1]] / rounds
  show("", "%9s %s %s", with_commas(n), ("#"):rep(math.ceil(n / most * 40)),
    words[i])
end

--------------------------------------------------- states and requests --

local states = rate(function()
  local state = mtstates.newstate("return function(x) return x end")
  assert(state:call(1) == 1)
  state:close()
  return 1
end)
show("states", "%s a second made, called and closed", with_commas(states))

local echo = mtstates.newstate("echo", {}, function()
  return function(...) return ... end
end)
local client = mtstates.newstate("client", {}, function()
  return function(n) -- asks so often
    for i = 1, n do
      assert(echo:await(i) == i)
    end
    return n
  end
end)
local requests = rate(function() return client:await(1000) end)
show("requests", "%s a second answered, one service asks another",
  with_commas(requests))

--------------------------------------------------------------- runaway --

local runaway = mtstates.newstate("runaway", { time = 2 * SECONDS },
  function()
    return function() while true do end end
  end)
show("runaway", "a loop without end in one state, while others work:")
local is_terminal = os.execute("test -t 1")
is_terminal = is_terminal == true or is_terminal == 0 -- depends on the version
local live = require("livetable").new(not is_terminal)
local future, start, answered = runaway:async(), mtstates.now(), 0

-- Forks run while the program waits.
local function keep_going(f)
  return mtstates.fork(function()
    repeat f() until future:ready()
  end)
end
local asks = keep_going(function()
  answered = answered + client:await(1000)
end)
local counts = keep_going(function() pool:await(texts[1] or "") end)

-- A terminal shows all frames; else it is the first with the runaway, or the
-- last of all.
local is_shown
repeat
  mtstates.sleep(PERIOD)
  local lines, slow = live.read()
  local is_last = future:ready()
  if is_terminal or not is_shown and (is_last or slow[1] == runaway:id()) then
    live.draw(lines)
    is_shown = true
  end
until is_last
local _, message = pcall(future.await, future)
show("", "stopped by its limit of time: %s", cause(message))
show("", "meanwhile %s requests a second were answered",
  with_commas(answered / (mtstates.now() - start)))
asks:await()
counts:await()

-------------------------------------------------------------- deadlock --

-- Two services that finish one thing before they begin another.
local function ask_setup()
  local find = require("mtstates").state
  return function(other, back)
    return find(other):await(back, other)
  end
end
local left = mtstates.newstate("left", { tasks = 1 }, ask_setup)
local right = mtstates.newstate("right", { tasks = 1 }, ask_setup)
local _, err = pcall(left.await, left, right:name(), left:name())
show("deadlock", "two services that ask each other: %s",
  cause(err))
