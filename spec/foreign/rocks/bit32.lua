return {is_rock = true} -- in the place of a library that a Lua has or not
