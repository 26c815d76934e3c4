-- The specs that concern a file: patterns of their names, for `make mutate`.

local LOCK = "lock_bursts ^call_spec ^deadlock_spec ^close_spec " ..
  "^close_function ^nesting ^quit ^requests_spec ^own_thread_spec ^018 " ..
  "^pool_end ^pool_close ^here_close ^tasks_one ^stress_spec"
local CALL = "^call_spec ^nesting ^transfer ^memory_spec ^close_function " ..
  "^receiver_spec ^newstate ^deep_spec ^deep_errors ^errors_spec ^notify " ..
  "^00[2367] ^029 ^interrupt_spec ^requests_errors ^here_calls ^class"
local STATE = "^close_spec ^close_function ^ownership ^nesting ^call_spec " ..
  "^here_close ^own_thread_spec ^pool_end ^interrupt_spec ^memory_spec " ..
  "^newstate ^018 ^005 ^tasks_one ^cancel_calls ^quit ^stress_spec"
local INTERRUPT = "^interrupt_spec ^cancel_calls ^cancel_spec " ..
  "^cancel_waits ^close_timeout ^task_interrupt ^task_cancel_spec ^00[17] " ..
  "^0[12]%d_interrupt ^015 ^signals ^stress_spec"
local REGISTRY = "^lookup_ ^singleton ^named_states ^ownership ^newstate " ..
  "^threads_spec ^close_spec ^close_function ^stats ^here_spec " ..
  "^deadlock_spec ^pool_end ^requests_close ^task_unowned"

return {
  ["src/core/lock.c"] = LOCK,
  ["src/core/lockqueue.c"] = LOCK,
  ["src/core/lockword.c"] = LOCK,
  ["src/core/registry.c"] = REGISTRY,
  ["src/core/statetable.c"] = REGISTRY,
  ["src/core/call.c"] = CALL,
  ["src/core/exchange.c"] = CALL,
  ["src/core/interrupt.c"] = INTERRUPT,
  ["src/core/hook.c"] = INTERRUPT,
  ["src/state.c"] = STATE,
  default = "^call ^close_ ^requests_ ^task ^future ^timer ^deep_ ^pool",
}
