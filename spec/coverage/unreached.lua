-- What `make coverage` does not list, and why. An entry is about the lines
-- with that text, in that function of that file; where one of these is not
-- named, about all.

local MEMORY = "needs failing memory: the sweep has each allocation fail"
local OTHER_LUA = "is for another version of Lua, whose specs reach it"
local NUMBERS = "needs millions of values: specs with the tag numbers"
local IMPOSSIBLE = "cannot happen, or the process is lost"
local RACE = "needs two threads at one moment: stress and model"
local TOOLS = "is for sanitizers and valgrind, which reach it"
local COPY = "spec/support/slabs.c has a copy, where it is reached"
local FORKED = "is in a child process that ends without a report"
local NO_THREAD = "needs a thread that cannot be started: the sweep does that"
local FINALIZER = "needs a finalizer that fails at one moment, before Lua 5.4"

return {
  {text = "NO_MEMORY", reason = MEMORY},
  {text = "no_memory", reason = MEMORY},
  {text = "raise_memory", reason = MEMORY},
  {text = "is_out_of_memory", reason = MEMORY},
  {text = "not enough memory", reason = MEMORY},
  {text = "OUT_OF_MEMORY", reason = MEMORY},
  {text = "LUA_ERRMEM", reason = MEMORY},
  {text = "return MTS_STOPPED;", reason = MEMORY},
  {text = "return false;", file = "src/value/encod", reason = MEMORY},
  {text = "lua_error(", reason = MEMORY},
  {text = "return NULL;", reason = MEMORY},
  {text = "free(", reason = MEMORY},
  {text = "failure_close(", reason = MEMORY},
  {text = "codec_clear(", reason = MEMORY},
  {within = "mts_failure_push_no_memory", reason = MEMORY},
  {within = "mts_decoder_raise_memory", reason = MEMORY},
  {within = "mts_encoder_stop_open", reason = MEMORY},
  {within = "grow_buffer", reason = MEMORY},
  {within = "mts_forkwork_begin", reason = MEMORY},
  {within = "raise_too_deep", reason = MEMORY},
  {within = "mts_traceback_write_text", reason = MEMORY},
  {within = "runs_hooks", text = "return false;", reason = MEMORY},
  {within = "runs_hooks", text = "lua_pop", reason = MEMORY},
  {within = "runs_hooks", text = "not known", reason = MEMORY},
  {within = "mts_interrupt_reach_others", text = "return;", reason = MEMORY},
  {within = "double_buckets", text = "return;", reason = MEMORY},
  {within = "fork_task", reason = MEMORY},
  {within = "mts_futureobject_push_answer", text = "raise", reason = MEMORY},
  {text = '"new state"', file = "src/lua/here.c", reason = MEMORY},
  {within = "show", text = "view->member", reason = MEMORY},
  {within = "promise_fail", text = "release", reason = MEMORY},
  {within = "call_state", text = '"call"', reason = MEMORY},
  {within = "add_plain_values", text = "return false;", reason = MEMORY},
  {within = "suspend_for_room", text = "return 0;", reason = MEMORY},

  {within = "mts_usage_start_tick", reason = NO_THREAD},
  {text = "mts_watch_is_on", reason = NO_THREAD},
  {within = "mts_watch_is_on", reason = NO_THREAD},
  {within = "start_watcher", text = "destroy", reason = NO_THREAD},
  {within = "wait_for_creation", text = "remove", reason = NO_THREAD},

  {within = "accept_callback", text = "report", reason = FINALIZER},

  {file = "src/core/preload.c", reason = OTHER_LUA},
  {within = "open_one_by_one", reason = OTHER_LUA},
  {within = "close_running", reason = OTHER_LUA},
  {within = "write_fenv", reason = OTHER_LUA},
  {within = "set_environment", reason = OTHER_LUA},
  {text = "_ENV", file = "src/value/", reason = OTHER_LUA},
  {text = "environment", file = "src/value/", reason = OTHER_LUA},
  {text = "'C'", file = "src/core/hook.c", reason = OTHER_LUA},
  {within = "interrupt_hook", text = "    return;", reason = OTHER_LUA},
  {within = "mts_memory_collect", text = "SETSTEPMUL", reason = OTHER_LUA},
  {within = "mts_memory_make_room", text = "lua_pop", reason = OTHER_LUA},
  {within = "push_waiting", text = "lua_replace", reason = OTHER_LUA},
  {within = "check_upvalues", text = "no name", reason = OTHER_LUA},

  {within = "spill", reason = NUMBERS},
  {within = "mts_walk_unspill", reason = NUMBERS},
  {within = "mts_walk_grow", reason = NUMBERS},
  {text = "unspill", reason = NUMBERS},
  {text = "walk->older", reason = NUMBERS},

  {file = "src/base/slab", reason = COPY},
  {text = "VALGRIND", reason = TOOLS},
  {text = "plain", file = "src/base/heap.c", reason = TOOLS},
  {within = "resize", file = "src/base/heap.c", reason = TOOLS},
  {within = "mts_heap_open", reason = TOOLS},
  {within = "mts_heap_end_limit", reason = OTHER_LUA},
  {within = "mts_decoder_next_upvalue", reason = OTHER_LUA},
  {within = "mts_encoder_next_upvalue", reason = OTHER_LUA},
  {within = "panic", reason = IMPOSSIBLE},
  {text = "these are no values", reason = IMPOSSIBLE},

  {within = "await_node", reason = RACE},
  {within = "wait_for_source", reason = RACE},
  {within = "mts_deferral_begin", reason = RACE},
  {within = "mts_deferral_close_all", reason = RACE},
  {within = "mts_suspend_task", text = "end_wait", reason = RACE},
  {within = "mts_suspend_drop", reason = RACE},
  {within = "mts_room_begin", reason = RACE},
  {within = "run_notice", reason = RACE},

  {text = "abort();", reason = IMPOSSIBLE},
  {text = "fprintf(stderr", reason = IMPOSSIBLE},
  {text = "__LINE__", reason = IMPOSSIBLE},
  {text = "there is nothing to be done", reason = IMPOSSIBLE},
  {within = "mts_state_end_leave", reason = IMPOSSIBLE},

  {within = "help_transit", reason = RACE},
  {text = "help_transit", reason = RACE},
  {within = "interrupt_hook", text = "NULL, 0, 0", reason = RACE},
  {within = "mts_interrupt_end_wait", text = "AIMED", reason = RACE},
  {within = "mts_registry_enlist", text = "release(found)", reason = RACE},
  {within = "mts_timelimit_take", text = "return 0;", reason = RACE},
  {within = "mts_traceback_try", text = "pause", reason = RACE},
  {within = "mts_state_try_retain", text = "return false;", reason = RACE},
  {within = "mts_state_park", reason = RACE},
  {text = "discard(object->state);", reason = RACE},
  {within = "drop", file = "src/lua/each.c", reason = RACE},
  {within = "mts_here_here", text = "raise_about", reason = RACE},
  {within = "finish_room", text = "drop_request", reason = RACE},
  {within = "forget_woken", reason = RACE},
  {within = "mts_thread_await_readers", reason = RACE},
  {text = "mts_thread_await_readers();", reason = RACE},

  {text = "MTS_FORKED", reason = FORKED},
  {within = "mts_registry_drop_owner", text = "unowned(s);", reason = FORKED},
}
