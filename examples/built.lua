-- built.lua: has require look first at what make has built in this source
-- tree, whatever is installed or lies in the current folder.
--
-- Examples load it before mtstates.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local lua = rawget(_G, "jit") and "jit" or _VERSION:match("%d+%.%d+")
-- make says where it builds, since that need not be the usual place.
local build = os.getenv("MTSTATES_BUILD") or here .. "../build/" .. lua
package.cpath = build .. "/?.so;" .. build .. "/examples/?.so;"
                .. package.cpath
