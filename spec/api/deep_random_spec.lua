-- Random graphs, there and back, compared node by node. A failure names the
-- seed, which makes the same graph in every Lua.

local graphs = require "graphs"
local helpers = require "helpers"
local mtstates = require "mtstates"

describe("random graphs", function()
  before_each(helpers.watch("deep random"))
  after_each(helpers.unwatch)

  local echo, leaves

  setup(function()
    local function knows_classes()
      local mt = require "mtstates"
      for _, name in ipairs(require "graphs".classes) do
        mt.class(name)
      end
      return function(...)
        return ...
      end
    end
    for _, name in ipairs(graphs.classes) do
      mtstates.class(name)
    end
    echo = mtstates.newstate({}, helpers.with_globals(knows_classes))
    leaves = {echo, mtstates.newstate({}, helpers.echo)}
  end)

  local function check(seed, graph, copy)
    local difference = graphs.difference(graph, copy)
    if difference then
      error(("seed %d: %s"):format(seed, difference))
    end
    assert.is_false(rawequal(graph, copy))
  end

  it("of few nodes are the same there and back", function()
    for seed = 1, 400 do
      local graph = graphs.make(seed, 1 + seed % 12, leaves, graphs.classes)
      check(seed, graph, (echo:call(graph)))
    end
  end)

  it("of many nodes are the same there and back", function()
    for seed = 1001, 1040 do
      local graph = graphs.make(seed, 300 + seed % 500, leaves, graphs.classes)
      check(seed, graph, (echo:call(graph)))
    end
  end)

  it("are one graph across all arguments", function()
    for seed = 2001, 2100 do
      local graph = graphs.make(seed, 20, leaves, graphs.classes)
      local copy = {label = 0, echo:call(graph[1], graph, seed, graph[2])}
      check(seed, {label = 0, graph[1], graph, seed, graph[2]}, copy)
    end
  end)

  it("are not changed", function()
    for seed = 3001, 3050 do
      local graph = graphs.make(seed, 30, leaves, graphs.classes)
      local first, second = echo:call(graph), echo:call(graph)
      check(seed, first, second)
      check(seed, graph, second)
    end
  end)

  it("are the same as arguments and results of setup", function()
    for seed = 4001, 4020 do
      local graph = graphs.make(seed, 20, leaves, {})
      check(seed, graph, (select(2, mtstates.newstate({}, [[
        return print, ...
      ]], graph))))
    end
  end)

  -- The walk itself: what it would not see would not be checked.
  it("that differ are told apart", function()
    local function make(change)
      local shared = {label = 2}
      local graph = {label = 1, shared, shared, 1.5, x = {label = 3}}
      if change then
        change(graph)
      end
      return graph
    end
    assert.is_nil(graphs.difference(make(), make()))
    for _, change in ipairs({
      function(g) g[2] = {label = 2} end,
      function(g) g[3] = 1.25 end,
      function(g) g.y = true end,
      function(g) g.x = nil end,
      function(g) g.x = g[1] end,
      function(g) g[3] = "1.5" end,
      function(g) setmetatable(g.x, mtstates.class(graphs.classes[1])) end,
      function(g) g[{label = 9}] = 1 end
    }) do
      assert.is_string(graphs.difference(make(), make(change)))
      assert.is_string(graphs.difference(make(change), make()))
    end
  end)
end)
