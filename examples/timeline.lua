-- timeline.lua: draws what mtstates.trace has written.
--
--   lua5.4 examples/timeline.lua TRACE.json TIMELINE.svg [BEGIN END]
--
-- Teaches what a trace has: for each thread the states that it ran, in
-- colours, and where it waited, as dots; below, the lengths of queues.  BEGIN
-- and END, in milliseconds, choose a part.  Any browser shows the picture;
-- point at something to read what it is.

local LEFT, WIDTH, ROW, QUEUE, TOP = 130, 900, 26, 36, 24
local COLOURS = { "#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#edc948",
                  "#e15759", "#76b7b2", "#9c755f", "#ff9da7", "#8cd17d" }

if not arg[2] then
  io.stderr:write("usage: timeline.lua TRACE.json TIMELINE.svg [BEGIN END]\n")
  os.exit(1)
end

local threads, queues, latest = {}, {}, 0 -- rows by key, and in order

local function row_of(rows, key, name)
  if not rows[key] then
    rows[key] = { key = key, name = name, open = {} }
    table.insert(rows.order, rows[key])
  end
  return rows[key]
end
threads.order, queues.order = {}, {}

-- As text of XML, which has no U+FFFE and U+FFFF.
local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
                   ['"'] = "&quot;", ["\\"] = "\\" }

local function string_in(line, key)
  local text = line:gsub('\\(["\\])', { ['"'] = "\1", ["\\"] = "\2" })
    :match('"' .. key .. '":"([^"]*)') or ""
  return (text:gsub("\1", '"'):gsub("\2", "\\"):gsub("\239\191[\190\191]", "?")
    :gsub('[&<>"\\]', ENTITIES))
end

local function end_span(row, span, stop)
  span.stop, span.depth = stop, #row.open
  row[#row + 1], latest = span, math.max(latest, stop)
end

-- Each event is on a line of its own.  What is no event, as the trace has not
-- ended well, is left out.
for line in io.lines(arg[1]) do
  local kind, tid = line:match('"ph":"(.)".*},?$'), line:match('"tid":(%d+)')
  local ts, name = tonumber(line:match('"ts":([%d.]+)')), nil
  local row = kind and tid and row_of(threads, tonumber(tid), "thread " .. tid)
  if kind then name = string_in(line, "name") end
  if kind == "M" and row then
    row.name = string_in(line:match('"args".*'), "name")
  elseif kind == "X" or kind == "B" then
    local span = { start = ts, name = name, cat = string_in(line, "cat") }
    if kind == "B" then
      table.insert(row.open, span)
    else
      end_span(row, span, ts + tonumber(line:match('"dur":([%d.]+)')))
    end
  elseif kind == "E" then
    end_span(row, table.remove(row.open), ts)
  elseif kind == "C" then
    local id = line:match('"id":"%d+"') or ""
    table.insert(row_of(queues, name .. id, name), { start = ts,
      count = tonumber(line:match('"waiting":(%d+)')) })
  end
end

for _, row in ipairs(threads.order) do
  while #row.open > 0 do end_span(row, table.remove(row.open), latest) end
end

local first = (tonumber(arg[3]) or 0) * 1000
local last = arg[4] and (tonumber(arg[4]) or 0) * 1000 or math.max(latest, 1)
assert(first < last, "no time between BEGIN and END")
local out, y, colours, legend = {}, TOP, {}, LEFT

local function put(format, ...) out[#out + 1] = format:format(...) end

local function x_of(ts)
  return LEFT + WIDTH * math.max(0, math.min(1, (ts - first) / (last - first)))
end

local function colour_of(state)
  if not colours[state] then
    colours[#colours + 1] = state
    colours[state] = COLOURS[(#colours - 1) % #COLOURS + 1]
  end
  return colours[state]
end

local function draw_span(span)
  local x, state = x_of(span.start), span.name:gsub("^setup of ", "")
  local width = math.max(x_of(span.stop) - x, 0.3)
  local title = ("<title>%s: %s, %.3f ms</title>"):format(span.cat, span.name,
    (span.stop - span.start) / 1000)
  if span.cat == "wait" then
    return put('<path d="M%.1f %dh%.1f" class="wait">%s</path>', x,
               y + ROW / 2, width, title)
  end
  local inset = 2 + 3 * math.min(span.depth, 3)
  state = state:gsub("^close ", "")
  put('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"%s>%s</rect>',
      x, y + inset, width, ROW - 2 * inset, colour_of(state),
      state == span.name and "" or ' opacity=".5"', title)
end

-- Equal spans that would be next to each other and narrow are drawn as one; of
-- others that would be at the same place, only the first one is.
table.sort(threads.order, function(a, b) return a.key < b.key end)
for _, row in ipairs(threads.order) do
  local open
  put('<text x="%d" y="%d" class="name">%s</text>', LEFT - 8, y + 17, row.name)
  table.sort(row, function(a, b)
    return a.depth < b.depth or a.depth == b.depth and a.start < b.start
  end)
  for _, span in ipairs(row) do
    if span.stop >= first and span.start <= last then
      local is_next = open and open.depth == span.depth
      local distance = is_next and x_of(span.stop) - x_of(open.stop)
      if is_next and open.name == span.name and distance < 1 then
        open.stop = span.stop
      elseif not is_next or distance >= 0.3 then
        if open then draw_span(open) end
        open = span
      end
    end
  end
  if open then draw_span(open) end
  y = y + ROW
end

for _, row in ipairs(queues.order) do
  local most, steps, bottom = 1, {}, y + QUEUE - 4
  table.sort(row, function(a, b) return a.start < b.start end)
  for _, step in ipairs(row) do most = math.max(most, step.count) end
  for i, step in ipairs(row) do
    steps[i] = ("H%.1fV%.1f"):format(x_of(step.start),
      bottom - (QUEUE - 10) * step.count / most)
  end
  put('<path d="M%d %d%sH%dV%dZ" fill="#bbb"/>', LEFT, bottom,
      table.concat(steps), LEFT + WIDTH, bottom)
  put('<text x="%d" y="%d" class="name">%s</text>' ..
      '<text x="%d" y="%d">%d</text>',
      LEFT - 8, y + 22, row.name, LEFT + WIDTH + 4, y + 15, most)
  y = y + QUEUE
end

for _, state in ipairs(colours) do
  put('<rect x="%d" y="%d" width="10" height="10" fill="%s"/>' ..
      '<text x="%d" y="%d">%s</text>', legend, y + 8, colours[state],
      legend + 14, y + 17, state)
  legend = legend + 30 + 7 * #state
end

local span = (last - first) / 1000
local step = 10 ^ math.floor(math.log(span) / math.log(10))
while span / step < 5 do step = step / 2 end
for i = 0, math.floor(span / step) do
  local x = x_of(first + i * step * 1000)
  put('<path d="M%.1f %dV%d" stroke="#0002"/><text x="%.1f" y="%d">%.4g ms' ..
      '</text>', x, TOP, y, x, TOP - 6, first / 1000 + i * step)
end

local file = assert(io.open(arg[2], "w"))
file:write(('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" ' ..
  'font-family="sans-serif" font-size="12"><style>.name{text-anchor:end}' ..
  '.wait{stroke:#999;stroke-width:2;stroke-dasharray:2 3}' ..
  'rect{stroke:#fff;stroke-width:.6}</style>' ..
  '<rect width="100%%" height="100%%" fill="#fff"/>\n'):format(
  LEFT + WIDTH + 50, y + 28), table.concat(out, "\n"), "\n</svg>\n")
file:close()
