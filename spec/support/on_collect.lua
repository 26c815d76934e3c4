-- on_collect(f): an object that calls f when it is collected. A module of its
-- own, which needs the basic functions only, for use in any state.

local newproxy = rawget(_G, "newproxy")

return function(f)
  if newproxy then -- Lua 5.1, where tables have no finalizers
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = f
    return proxy
  end
  return setmetatable({}, {__gc = f})
end
