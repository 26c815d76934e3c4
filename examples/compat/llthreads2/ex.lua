-- llthreads2/ex.lua: `require "llthreads2.ex"`; see ../llthreads2.lua.

return require("llthreads2").ex
