-- Plants mistakes and looks whether the specs find them: `make mutants`.
--
-- lua spec/mutants/run.lua TREE [NAME ...]
-- lua spec/mutants/run.lua
--
-- TREE is a copy of the sources, where each mistake of list.lua, or those with
-- these names, is made, built, checked and taken back. A check has to pass
-- before there is a mistake. Without TREE it is only looked whether each can
-- be made in the sources (`make check-mutants`, part of lint).

package.path = "spec/?.lua;" .. package.path

local tree = require "mutants.tree"

-- The text with the mistake; or nil, and why it cannot be made.
local function plant(text, mutant)
  local first, last = text:find(mutant.old, 1, true)
  if not first or text:find(mutant.old, first + 1, true) then
    return nil, "no longer applies"
  end
  return text:sub(1, first - 1) .. mutant.new .. text:sub(last + 1)
end

-- Gives whether the mistake was found, and what there is to say.
local function try(folder, mutant)
  local path = folder .. "/" .. mutant.file
  local text = tree.read(path)
  local planted, reason = plant(text, mutant)
  if not planted then
    return false, reason
  end
  tree.write(path, planted)
  local is_built, output = tree.build(folder)
  local start = os.time()
  if is_built then
    local status = tree.run(folder, mutant.check, mutant.seconds)
    reason = status ~= 0 and
      ("found in %d s"):format(os.time() - start) or "survived"
  else
    reason = "does not build\n" .. output
  end
  tree.write(path, text)
  return reason:find("^found") ~= nil, reason
end

local passing = {}

-- Gives whether the check passes in time where there is no mistake.
local function passes(folder, mutant)
  local check = mutant.check
  if passing[check] == nil then
    assert(tree.build(folder), "the tree does not build")
    local status, output = tree.run(folder, check, mutant.seconds)
    passing[check] = status == 0
    if status ~= 0 then
      tree.say(output)
    end
  end
  return passing[check]
end

local function is_chosen(mutant, names)
  if #names == 0 then
    return true
  end
  for _, name in ipairs(names) do
    if name == mutant.name then
      return true
    end
  end
  return false
end

local function main(folder, ...)
  local names = {...}
  local count, found = 0, 0
  for _, mutant in ipairs(dofile("spec/mutants/list.lua")) do
    if is_chosen(mutant, names) then
      count = count + 1
      tree.say(mutant.name, ": ")
      local is_found, text = false, "the check fails without it"
      if passes(folder, mutant) then
        is_found, text = try(folder, mutant)
      end
      found = found + (is_found and 1 or 0)
      tree.say(text, "\n")
      if not is_found then
        tree.say("  ", mutant.says, "\n")
      end
    end
  end
  tree.say(("%d mutants, %d found, %d survived\n"):format(count, found,
    count - found))
  return count > 0 and found == count
end

local function all_apply()
  local names, errors = {}, 0
  for _, mutant in ipairs(dofile("spec/mutants/list.lua")) do
    local planted, reason = plant(tree.read(mutant.file), mutant)
    reason = names[mutant.name] and "is there twice" or reason
    names[mutant.name] = true
    if not planted or reason then
      tree.say("spec/mutants/list.lua: ", mutant.name, " ", reason, "\n")
      errors = errors + 1
    end
  end
  return errors == 0
end

os.exit((... and main(...) or not ... and all_apply()) and 0 or 1)
