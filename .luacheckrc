-- "min": only what each Lua from 5.1 to 5.4 and LuaJIT has.
std = "min"
max_line_length = 79

files["spec"].std = "min+busted"
