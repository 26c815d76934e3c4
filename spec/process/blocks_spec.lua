-- Memory of messages: src/base/blocks.c, each time in a process of its own.

local helpers = require "helpers"

describe("blocks", function()
  local function run(program, expected)
    assert.same({expected .. "\n", 0}, {helpers.run_program([[
      local blocks = require "blocks"
      require("handoff").watchdog(150, "blocks")
      local function show(...)
        local texts = {...}
        for i = 1, #texts do
          texts[i] = tostring(texts[i]):gsub("%.0$", "")
        end
        print(table.concat(texts, " "))
      end
    ]] .. program)})
  end

  it("are separate, and taken again", function()
    run([[
      blocks.get(1, 1000)
      assert(blocks.intact(1, 1000))
      blocks.put(1, 500)
      assert(blocks.intact(501, 1000))
      blocks.get(1, 500)
      show(blocks.intact(1, 1000), blocks.taken())
    ]], "true 1001") -- one for the pool
  end)

  it("on the border of two batches do not leave the thread", function()
    run([[
      blocks.get(1, 128)
      for i = 128, 1, -1 do
        blocks.put(i, i)
      end
      blocks.hold_depot(true)
      for n = 1, 128 do
        blocks.get(1, n)
        blocks.put(1, n)
        blocks.get(1, n)
        blocks.put(1, n)
      end
      show(blocks.taken())
    ]], "129")
  end)

  it("are two batches in a thread, at most", function()
    run([[
      blocks.hold_depot(true)
      blocks.get(1, 300)
      blocks.put(1, 128)
      blocks.get(1, 65)
      blocks.put(1, 65)
      blocks.put(129, 300)
      show(blocks.taken())
    ]], "129")
  end)

  it("that another thread gives back are not lost", function()
    run([[
      blocks.thread_gets(1, 3200)
      blocks.put(1, 3200)
      local taken = blocks.taken()
      blocks.thread_gets(1, 3200 - 128)
      assert(blocks.intact(1, 3200 - 128))
      show(blocks.taken(), taken)
    ]], "3201 3201")
  end)

  it("are freed if there are many", function()
    run([[
      blocks.get(1, 10000)
      blocks.put(1, 10000)
      show(blocks.taken() - 1, 66 * 64)
    ]], "4224 4224")
  end)

  it("are kept again when those that were kept have been taken", function()
    run([[
      for _ = 1, 3 do
        blocks.get(1, 10000)
        blocks.put(1, 10000)
        show(blocks.taken() - 1)
      end
    ]], "4224\n4224\n4224")
  end)

  it("of a thread that ends go to others, or are freed", function()
    run([[
      blocks.get(1, 100)
      blocks.thread_puts(1, 100)
      assert(blocks.taken() == 1 + 64)
      blocks.get(1, 64)
      show(blocks.taken())
    ]], "65")
  end)

  it("are freed when they are given back while a thread ends", function()
    run([[
      blocks.get(1, 200)
      blocks.ends_with_puts(1, 200)
      show(blocks.taken())
    ]], "1")
  end)

  it("need not be where all threads have them", function()
    run([[
      blocks.hold_depot(true)
      blocks.get(1, 300)
      blocks.put(1, 300)
      show(blocks.taken())
      blocks.get(1, 300)
      blocks.thread_puts(1, 300)
      show(blocks.taken())
    ]], "129\n1")
  end)

  it("are freed at once where a thread cannot have its own", function()
    run([[
      assert(blocks.take_keys() > 0)
      blocks.get(1, 300)
      blocks.put(1, 300)
      show(blocks.taken())
    ]], "0")
  end)

  it("go from thread to thread", function()
    run([[
      blocks.get(1, 4000)
      blocks.exchange(1, 4000, 300)
      assert(blocks.intact(1, 4000))
      blocks.put(1, 4000)
      show(blocks.taken() <= 1 + 66 * 64)
    ]], "true")
  end)
end)
