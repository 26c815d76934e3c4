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
---| mtstates.promise # for a service

---Runs once in a new state and returns the callback: Lua code, or a Lua
---function. For a classic state that has no upvalues; a service gets copies.
---@alias mtstates.setup
---| string
---| fun(...): function, ...
---| fun(...): table, ... # of a service: functions; `__close` runs last

---An options table, also an empty one, stands in the place of `libs` and makes
---the state a service: tables, functions, objects and states cross, and error
---values that are no strings arrive as they are.
---@class mtstates.options
---@field libs boolean? # false: most standard libraries wait for `require`
---@field memory number? # bytes that the state and its queue may take
---@field own_thread boolean? # true: an OS thread of its own runs it (false)
---@field queue number? # requests that may wait (1000); math.huge: no limit
---@field tasks number? # requests that may be under way (math.huge); 1: one is
---# finished, its waits included, before anything else begins
---@field time number? # seconds that setup or callback may take (math.huge)

---The options of `mtstates.thread`.
---@class mtstates.threadoptions : mtstates.options
---@field name string? # of the state and of the thread

---The options of `mtstates.pool`.
---@class mtstates.pooloptions : mtstates.options
---@field n integer? # how many members (as many as there are workers)

---What `state:stats` gives.
---@class mtstates.statestats
---@field id integer
---@field name string?
---@field owners integer # how many there are
---@field queue integer # requests that wait
---@field tasks integer # requests under way, suspended ones included
---@field calls integer # how often the callback was called
---@field errors integer # calls that failed
---@field waiting integer # threads that wait to get in
---@field busy number? # seconds that the present call has been running
---@field thread integer? # that runs it, as the system numbers it
---@field time number # seconds that the state has been in use
---@field memory integer # bytes that the Lua state uses
---@field peak integer # the most that it was
---@field members mtstates.statestats[]? # of a pool

---What `mtstates.stats` gives.
---@class mtstates.modulestats
---@field workers integer # how many there are to be
---@field replacements integer # threads beyond these
---@field idle integer # threads that have nothing to do
---@field requests integer # that wait or are under way
---@field messages integer # requests that wait
---@field timers integer # suspended tasks whose wait has an end in time
---@field memory integer # bytes that the Lua states of the module use

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
---timeout it waits until there is one; a task is suspended meanwhile.
---
---Errors: `unknown_object`, `ambiguous_name`, `out_of_memory`; of the wait
---`cancelled`, `object_closed`.
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

---Creates n states from one setup, behind one queue and one name: a request or
---call goes to any that is free. They are closed together.
---
---Errors: those of `newstate`.
---@param name string?
---@param n integer|mtstates.pooloptions|nil
---@param setup mtstates.setup
---@param ... mtstates.value # arguments for each setup
---@return mtstates.state pool
---@overload fun(code: string): mtstates.state
---@overload fun(setup: function, ...: mtstates.value): mtstates.state
---@overload fun(name: string?, setup: mtstates.setup, ...: mtstates.value): mtstates.state
---@overload fun(n: integer|mtstates.pooloptions, setup: mtstates.setup, ...: mtstates.value): mtstates.state
---@nodiscard
function mtstates.pool(name, n, setup, ...) end

---Runs `f(...)` on an OS thread of its own, from now on, in a new service that
---has no owner. It is closed when it has nothing more to do; until then its
---callback calls its first argument with the others. `code` is a string of Lua
---code, which gets the arguments as `...`.
---
---Errors: `out_of_memory`.
---@param options mtstates.threadoptions?
---@param f function|string
---@param ... mtstates.value # arguments for f
---@return mtstates.future future
---@return mtstates.state state # a reference
---@overload fun(f: function|string, ...: mtstates.value): mtstates.future, mtstates.state
function mtstates.thread(options, f, ...) end

---Has the state that runs this code run `f(...)`, too, as a task: when the one
---that runs waits or ends. In a main program forks run while it waits. Nothing
---is copied but the results.
---@param f function
---@param ... any
---@return mtstates.future future
function mtstates.fork(f, ...) end

---The state of the Lua state that runs this code and was not made by the
---module: a main program, or a thread of another library. Its requests, its
---calls and its tasks are run by its own thread: in `run`, and whenever it
---waits. It stays open until it or its Lua state is closed. One table alone is
---the table of functions. Called again it gives the same state; then only a
---callback can be given that was not given before. In a state of the module: a
---reference to that, without arguments.
---
---Errors: `out_of_memory`.
---@param name string?
---@param options mtstates.options? # queue and tasks; no others
---@param callback function|table|nil # runs requests; a table of functions
---@return mtstates.state state # an owner
---@overload fun(callback: function|table): mtstates.state
---@overload fun(name: string?, callback: function|table|nil): mtstates.state
---@overload fun(options: mtstates.options, callback: function|table|nil): mtstates.state
function mtstates.here(name, options, callback) end

---A future, and what answers it by hand.
---@return mtstates.future future
---@return mtstates.promise promise
---@nodiscard
function mtstates.promise() end

---A loop over futures in the order in which they are answered:
---`for future, ok, ... in mtstates.each(list)`. Each turn gets a future, then
---true and the results, or false and the error.
---@param futures mtstates.future|mtstates.future[]
---@param ... mtstates.future
---@return fun(): mtstates.future?, boolean?, ... iterator
---@return nil
---@return nil
---@return any closing
---@nodiscard
---@overload fun(): fun()
function mtstates.each(futures, ...) end

---Closes the state that runs this code when the running task or outermost call
---has ended. An error where no state of the module runs the code.
function mtstates.quit() end

---Closes all services, the youngest first, as by `close(timeout)` with one
---timeout for all, or as by `close()`; then interrupts what still runs.
---
---Errors: `concurrent_access` inside of a state of the module.
---@param timeout number? # in seconds; math.huge: no limit
---@return boolean done # whether all are closed
function mtstates.shutdown(timeout) end

---The id of the state that runs this code; nil where the running Lua state was
---not made by this module.
---@return integer? id
---@nodiscard
function mtstates.id() end

---`"mtstates.state"`, `"mtstates.future"`, `"mtstates.promise"`,
---`"mtstates.error"`, the registered class name of other userdata, else what
---`type(value)` says.
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

---Sleeps at least so long. A task is suspended: its state does other things
---meanwhile, and it holds no thread.
---
---Errors: `cancelled` or `object_closed`, if that ends it early;
---`out_of_memory`.
---@param seconds number # 0 or less: lets others run
function mtstates.sleep(seconds) end

---The time of a clock that is never set.
---@return number seconds
---@nodiscard
function mtstates.now() end

---How much the workers have to do.
---@return mtstates.modulestats stats
---@nodiscard
function mtstates.stats() end

---What there is to tell of each open state, the oldest first; members of
---pools are in the tables of their pools.
---
---Errors: `out_of_memory`.
---@return mtstates.statestats[] states
---@nodiscard
function mtstates.states() end

---From now on writes what every thread does to that file, as Chrome trace
---events, which Perfetto shows; nil ends that. Another trace ends, too.
---@param path string? # nil has to be given
function mtstates.trace(path) end

---A state as others see it, through an owner or a reference. From Lua 5.4
---on, an owner in a to-be-closed variable closes the state at the end of the
---scope. Two objects are equal if they refer to the same state.
---@class mtstates.state
local state = {}

---The answer to a request, there or still to come. From Lua 5.4 on, one in a
---to-be-closed variable is cancelled at the end of the scope. Two are equal if
---they are the same future.
---@class mtstates.future
local future = {}

---Waits for the answer. Gives the results, new copies each time, as often as
---one likes.
---
---Errors: those of `state:call`, `cancelled`, `abandoned`.
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

---Takes the request back if it has not begun; else its own code raises
---`cancelled`, once: from a wait, or at its next operation. The answer is that
---error, unless the code catches it. A promise is answered with it.
---@return boolean cancelled # false: the answer is there already
function future:cancel() end

---Answers a future by hand. When the last one is gone, the future is answered
---with the error `abandoned`. Two are equal if they answer the same future.
---@class mtstates.promise
local promise = {}

---Answers with these values.
---
---Errors: `out_of_memory`.
---@param ... mtstates.value # as for a service
---@return boolean answered # false: it was answered already
function promise:set(...) end

---Answers with an error: `await` raises this very value.
---
---Errors: `out_of_memory`.
---@param err mtstates.value # as for a service
---@return boolean answered # false: it was answered already
function promise:fail(err) end

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
---service has a table of functions, the first argument chooses one. If the
---callback returns one future only, waits for its answer, which is the result.
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

---Of the state that `mtstates.here` has given to this Lua state: begins the
---requests and tasks that are due by now, but none after a millisecond. Inside
---one of them it runs nothing.
---
---Errors: `object_closed`; for other states an argument error.
---@param timeout number? # how long it waits for the first, in seconds
---@return integer count # how many it ran
function state:run(timeout) end

---A file descriptor that is readable when `run` has something to do, timers
---included. It lives as long as the state; only `run` may read from it.
---
---Errors: those of `run`; `out_of_memory`.
---@return integer fd
---@nodiscard
function state:fd() end

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

---A loop over items and their results, in the order of the items, while
---workers do those that follow: `for item, result in state:map(list)`. An
---iterator is called as in a `for`; the callback gets all of its values. A
---string in front of it is given to the callback before them.
---@param name string
---@param items table|function # a list, or what is called as an iterator
---@param invariant any
---@param control any
---@param closing any
---@return fun(): ... iterator
---@return nil
---@return nil
---@return any closing
---@nodiscard
---@overload fun(self, items: table|function, ...): fun(): ...
function state:map(name, items, invariant, control, closing) end

---Has a worker run the callback, and waits for the results. A task that waits
---is suspended.
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

---Where its code is; nil if none runs and no task is suspended. Running code
---tells that itself, at its next operation.
---
---Errors: `object_closed`, `out_of_memory`; that the time was not enough;
---`cancelled`.
---@param timeout number? # seconds to wait for it (1)
---@return string? text
---@nodiscard
function state:traceback(timeout) end

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
---Without a timeout, requests that have not begun or are suspended fail; one
---that runs is done first, but can wait no longer. With one, what was sent
---before is done first; if that takes longer, the state is closed as without.
---
---Errors: `concurrent_access`.
---@param timeout number? # in seconds; math.huge: no limit
---@return boolean? done # with a timeout: whether all was done in time
function state:close(timeout) end

---The names of this module's errors, which are strings that start with one of
---them. Called with what `pcall` returned, it takes that apart; nil if it is
---no error of this module. To ask for one of them:
---`if e and e:cause() == mtstates.error.deadlock`.
---@class mtstates.errors
---@overload fun(err: any): mtstates.error?
---The last promise of the future is gone.
---@field abandoned "mtstates.error.abandoned"
---Several open states have the name.
---@field ambiguous_name "mtstates.error.ambiguous_name"
---The request was cancelled.
---@field cancelled "mtstates.error.cancelled"
---`close()` while a call is in progress, or by the state itself; `shutdown()`
---inside of a state.
---@field concurrent_access "mtstates.error.concurrent_access"
---Waiting would never end.
---@field deadlock "mtstates.error.deadlock"
---The code was interrupted.
---@field interrupted "mtstates.error.interrupted"
---An error inside the other state: its message and traceback follow.
---@field invoking_state "mtstates.error.invoking_state"
---The state is closed, or its code waits while it is being closed.
---@field object_closed "mtstates.error.object_closed"
---No memory for the state, for a value that crosses or for a request, or none
---within the option `memory`; no thread; or too many nested calls.
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
