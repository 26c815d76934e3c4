-- The specs that concern a file: patterns of their names, for `make mutate`.

local LOCK = "lock_bursts ^call_spec ^close_ ^nesting ^threads_spec " ..
  "^deadlock_spec ^quit ^interrupt_spec ^requests_spec ^own_thread ^018"
local CALL = "^call_spec ^nesting ^transfer ^memory_spec ^close_function " ..
  "^receiver_spec ^newstate ^deep_spec ^deep_errors ^errors ^notify ^levels " ..
  "^006 ^007 ^interrupt_spec ^trace_spec ^002 ^003 ^requests_errors"
local STATE = "^close_ ^ownership ^nesting ^call_spec ^levels ^here_close " ..
  "^own_thread ^pool_end ^interrupt_spec ^memory_spec ^newstate ^006 ^trace_spec"
local INTERRUPT = "^interrupt_spec ^cancel_ ^close_timeout ^task_interrupt " ..
  "^signals ^task_cancel ^00[17] ^0[12]%d_interrupt ^015 ^fork_spec"
local REGISTRY = "^lookup_ ^singleton ^named_states ^ownership ^threads_spec " ..
  "^close_ ^newstate ^stats ^here_spec ^deadlock_spec ^pool_end"

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
