-- "min": only what each Lua from 5.1 to 5.4 and LuaJIT has.
std = "min"
max_line_length = 79

files["spec"].std = "min+busted"

-- A setup that loads the module by itself has a variable of the same name.
files["examples/ping.lua"] = { ignore = {"431"} }

-- Only annotations: no code uses what is there, and LuaCATS cannot break an
-- overload into lines.
files["library"] = {
  unused_args = false,
  ignore = {"241"},
  max_comment_line_length = false,
}
