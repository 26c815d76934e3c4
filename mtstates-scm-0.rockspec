rockspec_format = "3.0"
package = "mtstates"
version = "scm-0"
source = {
  url = "git+https://github.com/mtstates/mtstates.git",
}
description = {
  summary = "Lua states that any thread of the process can call",
  detailed = [[
Creates new Lua states from within Lua. A state is prepared once by a setup
function; then any OS thread can call into it by its id or name, one caller
at a time. Works with every library that brings threads.]],
  homepage = "https://github.com/mtstates/mtstates",
  issues_url = "https://github.com/mtstates/mtstates/issues",
  license = "MIT",
  labels = { "threading", "concurrency", "parallel", "sandbox" },
}
-- Linux is where it is tested.  For Windows it is only compiled.
supported_platforms = { "unix" }
dependencies = {
  "lua >= 5.1, < 5.6",
}
build = {
  type = "builtin",
  modules = {
    mtstates = {
      -- This is the list of sources, for make, too.
      sources = {
        "src/async_util.c",
        "src/base/blocks.c",
        "src/base/event.c",
        "src/base/process.c",
        "src/capi/notify.c",
        "src/capi/receiver.c",
        "src/core/anchor.c",
        "src/core/call.c",
        "src/core/coroutine.c",
        "src/core/deep.c",
        "src/core/dispatch.c",
        "src/core/exchange.c",
        "src/core/failure.c",
        "src/core/hook.c",
        "src/core/interrupt.c",
        "src/core/lock.c",
        "src/core/lockqueue.c",
        "src/core/newstate.c",
        "src/core/preload.c",
        "src/core/registry.c",
        "src/core/signal.c",
        "src/core/statetable.c",
        "src/core/thread.c",
        "src/core/waitgraph.c",
        "src/core/watch.c",
        "src/error.c",
        "src/lua/arguments.c",
        "src/lua/errorobject.c",
        "src/lua/errortext.c",
        "src/lua/gcpressure.c",
        "src/lua/module.c",
        "src/lua/options.c",
        "src/lua/statecall.c",
        "src/lua/statehandle.c",
        "src/lua/stateobject.c",
        "src/lua/userdata.c",
        "src/luaapi/compat.c",
        "src/luaapi/keytext.c",
        "src/luaapi/libs.c",
        "src/luaapi/protect.c",
        "src/main.c",
        "src/state.c",
        "src/util.c",
        "src/value/carray.c",
        "src/value/classes.c",
        "src/value/codec.c",
        "src/value/decode.c",
        "src/value/decodeobject.c",
        "src/value/decoder.c",
        "src/value/encode.c",
        "src/value/encodecode.c",
        "src/value/encodemodule.c",
        "src/value/encodeobject.c",
        "src/value/encoder.c",
        "src/value/handle.c",
        "src/value/identity.c",
        "src/value/transfer.c",
        "src/value/walk.c",
        "src/value/way.c",
      },
      incdirs = { "src", "include" },
      libraries = { "pthread" },
    },
  },
  copy_directories = { "include", "library" },
}
test = {
  type = "command",
  script = "mk/luarocks-test.lua",
}
