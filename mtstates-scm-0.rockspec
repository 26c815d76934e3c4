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
  license = "MIT",
}
dependencies = {
  "lua >= 5.1, < 5.6",
}
build = {
  type = "builtin",
  modules = {
    mtstates = {
      -- `make lint` compares this list with the Makefile's.
      sources = {
        "src/main.c",
        "src/state.c",
        "src/lock.c",
        "src/registry.c",
        "src/waitgraph.c",
        "src/setup.c",
        "src/newstate.c",
        "src/preload.c",
        "src/call.c",
        "src/transfer.c",
        "src/message.c",
        "src/carray.c",
        "src/coroutine.c",
        "src/interrupt.c",
        "src/handle.c",
        "src/error.c",
        "src/errorobject.c",
        "src/util.c",
        "src/async_util.c",
        "src/preempt.c",
        "src/watch.c",
        "src/weight.c",
        "src/notify_capi_impl.c",
        "src/receiver_capi_impl.c",
        "src/home.c",
        "src/protect.c",
        "src/compat.c",
      },
      libraries = { "pthread" },
    },
  },
  copy_directories = { "library" },
}
