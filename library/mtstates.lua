---@meta mtstates

-- The module as lua-language-server sees it: only annotations, never run.
-- `make lint` compares it with what the module offers.

---What crosses between states, as a copy. To and from classic states only
---plain values cross; the others need a service. What is inside of tables, and
---the upvalues of functions, must be able to cross, too.
---@alias mtstates.value
---| nil
---| boolean
---| integer
---| number
---| string
---| lightuserdata
---| userdata # an array of the module carray; for a service: with `__transfer`
---| table # for a service: without a metatable, or an object of a class
---| function # for a service: a Lua function, or a C function of a module
---| mtstates.state # for a service: arrives as a reference
---| mtstates.future # for a service

---Runs once in a new state and returns the callback: Lua code, or a Lua
---function. For a classic state that has no upvalues; a service gets copies.
---@alias mtstates.setup
---| string
---| fun(...): function, ...
---| fun(...): table, ... # of a service: a table of functions

---An options table, also an empty one, stands in the place of `libs` and makes
---the state a service: tables, functions, objects and states cross, and error
---values that are no strings arrive as they are.
---@class mtstates.options
---@field libs boolean? # false: most standard libraries wait for `require`
---@field queue number? # requests that may wait (1000); math.huge: no limit

---What `state:stats` gives.
---@class mtstates.statestats
---@field id integer
---@field name string?
---@field owners integer # how many there are
---@field queue integer # requests that wait
---@field tasks integer # requests that are under way

---What `mtstates.stats` gives.
---@class mtstates.modulestats
---@field workers integer # how many there are to be
---@field replacements integer # threads beyond these
---@field idle integer # threads that have nothing to do
---@field requests integer # that wait or are under way

---Many Lua states in one process, and every thread can call them.
---@class mtstates
---@field _VERSION string
---How threads and atomics were built.
---@field _INFO string
---@field error mtstates.errors
local mtstates = {}

---Creates a state and runs `setup(...)` in it. The state object is an owner:
---when the last owner is collected, the state is closed. A string in the first
---place is the name if anything follows it.
---
---Errors: `invoking_state`, `state_result`, `unknown_class`, `out_of_memory`;
---from the setup of a service also values that are no strings.
---@param name string? # not necessarily unique
---@param libs boolean|mtstates.options|nil # as the option libs
---@param setup mtstates.setup
---@param ... mtstates.value # arguments for setup
---@return mtstates.state state
---@return any ... # what setup returned after the callback
---@overload fun(code: string): mtstates.state, ...
---@overload fun(setup: function, ...: mtstates.value): mtstates.state, ...
---@overload fun(name: string?, setup: mtstates.setup, ...: mtstates.value): mtstates.state, ...
---@overload fun(libs: boolean|mtstates.options, setup: mtstates.setup, ...: mtstates.value): mtstates.state, ...
---@nodiscard
function mtstates.newstate(name, libs, setup, ...) end

---A reference to the open state with this id or name; it owns nothing. With a
---timeout it waits until there is one.
---
---Errors: `unknown_object`, `ambiguous_name`, `out_of_memory`.
---@param key number|string # an id (a float will do, too) or a name
---@param timeout number? # in seconds; math.huge: no limit
---@return mtstates.state state
---@nodiscard
function mtstates.state(key, timeout) end

---An owner of the open state with this name. Only if there is none, it is
---created as by `newstate`; threads that ask at the same time get the same.
---Without a setup a missing state is an argument error.
---
---Errors: those of `newstate`, `ambiguous_name`, `deadlock`.
---@param name string
---@param libs boolean|mtstates.options|nil
---@param setup mtstates.setup
---@param ... mtstates.value # arguments for setup
---@return mtstates.state state
---@return any ... # if it was created: what setup returned after the callback
---@overload fun(name: string, setup?: mtstates.setup, ...: mtstates.value): mtstates.state, ...
---@overload fun(name: string, libs: boolean|mtstates.options|nil): mtstates.state
---@nodiscard
function mtstates.singleton(name, libs, setup, ...) end

---The id of the state that runs this code; nil where the running Lua state was
---not made by this module.
---@return integer? id
---@nodiscard
function mtstates.id() end

---`"mtstates.state"`, `"mtstates.future"`, `"mtstates.error"`, the registered
---class name of other userdata, else what `type(value)` says.
---@param value any
---@return string name
---@nodiscard
function mtstates.type(value) end

---Makes a metatable known by a name in this Lua state, and sets its `__name`.
---Without `metatable`: the one with that name, made if it is missing. Objects
---with this metatable cross to services that know a class of the same name.
---Its field `__transfer`, a function, gives the values that cross in the place
---of an object; `__receive` of the other side makes the object of them.
---@param name string
---@param metatable table?
---@return table metatable
function mtstates.class(name, metatable) end

---How many workers there are to be, without replacements; by default as many
---as the environment variable MTSTATES_WORKERS says, or as the processors that
---the process may use. Sets that, too.
---@param n integer? # from 1 to 1000
---@return integer workers
function mtstates.workers(n) end

---Where errors go that nobody sees, and warnings: to stderr by default. A
---state is sent the kind (`"error"` or `"warning"`), the text, and name and id
---of the state that it is about; the module is its owner. A function is copied
---into a service of its own.
---
---Errors: `object_closed`; those of `newstate` for a function.
---@param logger mtstates.state|function|nil # nil: stderr
function mtstates.logger(logger) end

---Sleeps at least so long. A state whose callback sleeps stays busy.
---
---Errors: `out_of_memory`.
---@param seconds number # 0 or less: lets other threads run
function mtstates.sleep(seconds) end

---The time of a clock that is never set.
---@return number seconds
---@nodiscard
function mtstates.now() end

---How much the workers have to do.
---@return mtstates.modulestats stats
---@nodiscard
function mtstates.stats() end

---A state as others see it, through an owner or a reference. From Lua 5.4
---on, an owner in a to-be-closed variable closes the state at the end of the
---scope. Two objects are equal if they refer to the same state.
---@class mtstates.state
local state = {}

---The answer to a request, there or still to come. From Lua 5.4 on, one in a
---to-be-closed variable is taken back at the end of the scope, if the request
---has not begun. Two are equal if they are the same future.
---@class mtstates.future
local future = {}

---Waits for the answer. Gives the results, new copies each time, as often as
---one likes.
---
---Errors: those of `state:call`, `cancelled`.
---@return any ... # results of the callback
function future:await() end

---The same, for so long at most.
---
---Errors: those of `await`.
---@param timeout number # in seconds; 0 or less: none; math.huge: no limit
---@return boolean answered
---@return any ... # results of the callback
function future:tawait(timeout) end

---Whether `await` would not wait.
---@return boolean ready
---@nodiscard
function future:ready() end

---An integer that no other state of the process ever has.
---@return integer id
---@nodiscard
function state:id() end

---@return string? name
---@nodiscard
function state:name() end

---Another owner of the same state. Makes an owner of a reference, as that of
---a state object that has arrived in a service.
---
---Errors: `object_closed`.
---@return mtstates.state owner
---@nodiscard
function state:own() end

---Whether the object came from `newstate`, `singleton` or `own`.
---@return boolean isowner
---@nodiscard
function state:isowner() end

---Runs the callback. Waits while another thread's call is in progress. If a
---service has a table of functions, the first argument chooses one.
---
---Errors: `invoking_state`, `state_result`, `unknown_class`, `object_closed`,
---`deadlock`, `out_of_memory`; from a service also values that are no strings.
---@param ... mtstates.value # arguments for the callback
---@return any ... # results of the callback
function state:call(...) end

---Runs the callback, unless other threads keep the state busy for the whole
---timeout. The timeout does not limit how long the callback runs.
---
---Errors: those of `call`.
---@param timeout number # in seconds; 0 or less: none; math.huge: no limit
---@param ... mtstates.value # arguments for the callback
---@return boolean called # false: the state stayed busy
---@return any ... # results of the callback
function state:tcall(timeout, ...) end

---Has a worker run the callback; waits for room in the queue only. An error
---of the callback goes to the logger.
---
---Errors: `object_closed`, `out_of_memory`.
---@param ... mtstates.value # arguments for the callback
function state:send(...) end

---The same, but waits for room for so long at most.
---@param timeout number # in seconds; 0 or less: none; math.huge: no limit
---@param ... mtstates.value # arguments for the callback
---@return boolean sent # false: there was no room
function state:tsend(timeout, ...) end

---Has a worker run the callback; waits for room in the queue only.
---
---Errors: `object_closed`, `out_of_memory`.
---@param ... mtstates.value # arguments for the callback
---@return mtstates.future future
---@nodiscard
function state:async(...) end

---Has a worker run the callback, and waits for the results: for ever, if two
---states await each other.
---
---Errors: those of `call`.
---@param ... mtstates.value # arguments for the callback
---@return any ... # results of the callback
function state:await(...) end

---The same, for so long at most, room in the queue included. A request that
---has not begun by then never begins; one that has goes on.
---
---Errors: those of `call`.
---@param timeout number # in seconds; 0 or less: nothing begins
---@param ... mtstates.value # arguments for the callback
---@return boolean answered
---@return any ... # results of the callback
function state:tawait(timeout, ...) end

---How much there is to do.
---
---Errors: `object_closed`.
---@return mtstates.statestats stats
---@nodiscard
function state:stats() end

---Makes Lua code of the state raise `interrupted` at its next operation. Any
---thread can do this at any time. `false` switches `true` off, and takes back
---a single interrupt that has not hit yet.
---
---Not for a state that runs a luv loop: luv ends the process when an error
---leaves a callback. Let the callback call another state, and interrupt that.
---
---Errors: `object_closed`.
---@param flag? boolean # nil: once; true: until false; false: not any more
function state:interrupt(flag) end

---Closes the state and frees its memory. Closing a closed state does nothing.
---Requests that have not begun fail; one that a worker runs is done first.
---
---Errors: `concurrent_access`.
function state:close() end

---The names of this module's errors, which are strings that start with one of
---them. Called with what `pcall` returned, it takes that apart; nil if it is
---no error of this module. To ask for one of them:
---`if e and e:cause() == mtstates.error.deadlock`.
---@class mtstates.errors
---@overload fun(err: any): mtstates.error?
---Several open states have the name.
---@field ambiguous_name "mtstates.error.ambiguous_name"
---The request was taken back before it had begun.
---@field cancelled "mtstates.error.cancelled"
---`close()` while a call is in progress.
---@field concurrent_access "mtstates.error.concurrent_access"
---Waiting would never end.
---@field deadlock "mtstates.error.deadlock"
---The code was interrupted.
---@field interrupted "mtstates.error.interrupted"
---An error inside the other state: its message and traceback follow.
---@field invoking_state "mtstates.error.invoking_state"
---The state is closed.
---@field object_closed "mtstates.error.object_closed"
---No memory for the state or for a value that crosses, or too many nested
---calls.
---@field out_of_memory "mtstates.error.out_of_memory"
---Setup or callback returned what cannot be used or transferred.
---@field state_result "mtstates.error.state_result"
---A class, module or C function that crosses is not known on the other side.
---@field unknown_class "mtstates.error.unknown_class"
---No open state has this id or name.
---@field unknown_object "mtstates.error.unknown_object"

---An error of this module, taken apart. Two are equal if their names are.
---@class mtstates.error
local e = {}

---As in the table `mtstates.error`, with the prefix `mtstates.error.`.
---@return string name
---@nodiscard
function e:name() end

---The message without name and traceback.
---@return string details
---@nodiscard
function e:details() end

---The traceback in the state that the error came out of, if there is one.
---@return string? traceback
---@nodiscard
function e:traceback() end

---The name of the innermost error of this module that is not
---`invoking_state`; nil if another error was raised inside the state.
---@return string? cause
---@nodiscard
function e:cause() end

---The innermost message as it was raised, without names and states, and up
---to a line `stack traceback:`.
---@return string text
---@nodiscard
function e:text() end

---The whole string, as is `tostring(e)`.
---@return string message
---@nodiscard
function e:message() end

return mtstates
