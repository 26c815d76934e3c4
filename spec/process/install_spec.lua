-- The module as users get it: by `make install` and by luarocks.  Both build
-- it once more, in folders of their own below build/, so that nothing of what
-- is being tested is replaced.

local helpers = require "helpers"

-- LuaJIT loads the modules of Lua 5.1, so it shares their folder.
local ABI = _VERSION:match("%d%.%d")
local LUA_VERSION = rawget(_G, "jit") and "jit" or ABI
local SCRATCH = "build/" .. LUA_VERSION .. "/install"

-- Runs a shell command without what an outer make hands to an inner one;
-- returns its output, or raises it when the command fails.
local function run(command)
  local pipe = assert(io.popen("unset MAKEFLAGS MFLAGS MAKELEVEL; exec 2>&1;"
    .. command .. "; echo status $?"))
  local output = pipe:read("*a")
  pipe:close()
  local text, status = output:match("^(.*)status (%d+)\n$")
  if status ~= "0" then
    error(command .. " failed with status " .. tostring(status) .. ":\n"
      .. (text or output))
  end
  return text
end

local function make(arguments)
  return run(("make --no-print-directory LUA_VERSION=%s BUILD=%s/make %s")
    :format(LUA_VERSION, SCRATCH, arguments))
end

-- Looks at the symbols of a module: it exports one, and can be loaded by a
-- program that has Lua inside without some of its libraries.
local function check_symbols(path)
  assert.matches("^%x+ T luaopen_mtstates\n$",
    run("nm -D --defined-only " .. path))
  local needed = run("nm -D --undefined-only " .. path)
  assert.matches(" U lua_", needed)
  assert.matches(" w luaopen_io", needed)
  assert.not_matches(" U luaopen_", needed)
  assert.not_matches(" U luaL_openlibs", needed)
end

-- A fresh interpreter, the same as this one, that finds only what is in the
-- given folder: calls a state of the module there, prints what comes back.
local function use_module_in(folder)
  return run(([[
    cd / && LUA_CPATH='%s/?.so' %s -e '
      local mtstates = require "mtstates"
      local state = mtstates.newstate("return function(x) return x + 1 end")
      print(state:call(41))']]):format(folder, helpers.interpreter()))
end

describe("installation #install", function()
  local here = run("pwd"):gsub("\n", "")

  setup(function()
    run("rm -rf " .. SCRATCH .. " && mkdir -p " .. SCRATCH .. "/rock")
  end)

  describe("with make", function()
    local root = here .. "/" .. SCRATCH .. "/root"
    local libdir = "/opt/try/lib/lua/" .. ABI

    local function files()
      return run("cd " .. root .. " && find . -type f | LC_ALL=C sort")
    end

    before_each(function()
      run("rm -rf " .. root .. " && mkdir " .. root)
    end)

    it("puts module, headers and library there, and removes just those",
      function()
        local targets = "PREFIX=/opt/try DESTDIR=" .. root
        run("mkdir -p " .. root .. libdir .. "; touch " .. root .. libdir ..
          "/neighbour.so")
        local before = run("find " .. root)
        make("install " .. targets)
        assert.equal(([[
./opt/try/include/mtstates/carray_capi.h
./opt/try/include/mtstates/notify_capi.h
./opt/try/include/mtstates/receiver_capi.h
.LIBDIR/mtstates.so
.LIBDIR/neighbour.so
./opt/try/share/mtstates/library/mtstates.lua
]]):gsub("LIBDIR", libdir), files())
        assert.equal("42\n", use_module_in(root .. libdir))
        make("uninstall " .. targets)
        assert.equal(before, run("find " .. root))
      end)

    it("removes the folders that are empty then, but not DESTDIR", function()
      make("install DESTDIR=" .. root)
      make("uninstall DESTDIR=" .. root)
      assert.equal(root .. "\n", run("find " .. root))
    end)

    it("removes folders no further than PREFIX", function()
      make("install PREFIX=" .. root .. "/around/prefix")
      make("uninstall PREFIX=" .. root .. "/around/prefix")
      assert.equal(root .. "\n" .. root .. "/around\n",
        run("find " .. root))
    end)

    it("leaves headers and library to the module of another Lua", function()
      local targets = "PREFIX=/opt/try DESTDIR=" .. root
      make("install " .. targets)
      local other = "/opt/try/lib/lua/other/mtstates.so"
      run("mkdir " .. root .. "/opt/try/lib/lua/other; touch " .. root ..
        other)
      local expected = files():gsub("[^\n]*" .. ABI .. "/mtstates.so\n", "")
      make("uninstall " .. targets)
      assert.equal(expected, files())
      run("rm " .. root .. other)
      make("uninstall " .. targets)
      assert.equal("", files())
    end)

    it("takes the folders as they are", function()
      local targets = "INST_LIBDIR=/odd/place INST_INCDIR=/odd/headers " ..
        "INST_DATADIR=/odd/data DESTDIR=" .. root
      make("install " .. targets)
      assert.equal([[
./odd/data/library/mtstates.lua
./odd/headers/carray_capi.h
./odd/headers/notify_capi.h
./odd/headers/receiver_capi.h
./odd/place/mtstates.so
]], files())
      assert.equal("42\n", use_module_in(root .. "/odd/place"))
      make("uninstall " .. targets)
      assert.equal("", files())
    end)

    it("builds a module that exports one function and needs no library",
      function()
        make("all")
        check_symbols(SCRATCH .. "/make/mtstates.so")
      end)
  end)

  it("with luarocks, without network", function()
    run("cp -R src include library LICENSE mtstates-scm-0.rockspec " ..
      SCRATCH .. "/rock")
    -- For luarocks LuaJIT is a Lua 5.1 with other headers.
    local headers = "LUA_INCDIR=" .. os.getenv("LUA_INCDIR")
    run("cd " .. SCRATCH .. "/rock && http_proxy=http://localhost:9 " ..
      "https_proxy=http://localhost:9 luarocks --lua-version=" .. ABI ..
      " make --tree ../tree mtstates-scm-0.rockspec " .. headers)
    local lib = SCRATCH .. "/tree/lib/"
    assert.equal("42\n", use_module_in(here .. "/" .. lib .. "lua/" .. ABI))
    check_symbols(lib .. "lua/" .. ABI .. "/mtstates.so")
    for _, folder in ipairs {"include", "library"} do
      run("diff -r " .. folder .. " " .. lib .. "luarocks/rocks-" .. ABI ..
        "/mtstates/scm-0/" .. folder)
    end
  end)

  it("is tested by luarocks test, which hands arguments to make", function()
    -- For luarocks LuaJIT is a Lua 5.1, and tested is its interpreter.
    local headers = LUA_VERSION == "jit" and "unset LUA_INCDIR; " or ""
    local output = run(headers .. "http_proxy=http://localhost:9 " ..
      "https_proxy=http://localhost:9 luarocks --lua-version=" .. ABI ..
      " test -- BUILD=" .. SCRATCH .. "/test CFLAGS=-O0 SPECS='-p lookup'")
    assert.matches("\nspec/api/lookup_spec.lua %.+\n", output)
    assert.matches("\n[1-9]%d* passed, 0 failed\n", output)
  end)

  -- Runs mk/deps.sh with a PATH where just these programs are.
  local function deps_with(programs)
    local path = SCRATCH .. "/path"
    run("rm -rf " .. path .. " && mkdir " .. path)
    run("ln -s $(command -v grep) $(command -v fold) " .. path)
    for _, name in ipairs(programs) do
      local file = assert(io.open(path .. "/" .. name, "w"))
      assert(file:write("#!/bin/sh\necho 1000\n"))
      file:close()
      run("chmod +x " .. path .. "/" .. name)
    end
    local sh = run("command -v sh"):gsub("\n", "")
    return helpers.raises(run, "PATH=" .. path .. " " .. sh ..
      " mk/deps.sh one-package another")
  end

  it("names the packages that make deps cannot install", function()
    local names = " one%-package another\n"
    assert.matches("apt%-get not found.*\n " .. names, deps_with {})
    assert.matches("not root, and no sudo.*\n " .. names,
      deps_with {"apt-get", "id"})
  end)
end)
