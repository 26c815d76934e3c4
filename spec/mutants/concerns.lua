-- The specs that concern a file: patterns of their names, for `make mutate`.
-- The first two are run first.

local LOCK = "lock_bursts ^call_spec ^deadlock_spec ^close_spec " ..
  "^close_function ^nesting ^quit ^requests_spec ^own_thread_spec ^018 " ..
  "^pool_end ^pool_close ^here_close ^tasks_one ^stress_spec"
local CALL = "^call_spec ^nesting ^transfer ^memory_spec ^close_function " ..
  "^receiver_spec ^newstate ^deep_spec ^deep_errors ^errors_spec ^notify " ..
  "^00[2367] ^029 ^interrupt_spec ^requests_errors ^here_calls ^class ^stats"
local STATE = "^close_spec ^close_function ^ownership ^nesting ^call_spec " ..
  "^here_close ^own_thread_spec ^pool_end ^interrupt_spec ^memory_spec " ..
  "^newstate ^018 ^005 ^tasks_one ^cancel_calls ^quit ^stacks ^stress_spec"
local INTERRUPT = "^interrupt_spec ^cancel_calls ^cancel_spec " ..
  "^cancel_waits ^close_timeout ^task_interrupt ^task_cancel_spec ^00[17] " ..
  "^0[12]%d_interrupt ^015 ^signals ^traceback ^memory_spec " ..
  "^task_hook ^here_close ^time_ ^stress_spec"
local REGISTRY = "^lookup_ ^singleton ^named_states ^ownership ^newstate " ..
  "^threads_spec ^close_spec ^close_function ^stats ^here_spec " ..
  "^deadlock_spec ^pool_end ^requests_close ^task_unowned ^time_spec"

local QUEUE = "^requests_ ^queue ^room ^logger ^stats ^notify " ..
  "^memory_spec ^pool_spec ^pool_turns ^sleep ^leaks"
local FUTURE = "^futures ^promise ^each ^deferred ^requests_timeout " ..
  "^cancel_several ^trace_spec ^leaks"
local TASK = "^task_ ^tasks_ ^sleep ^deferred ^traceback " ..
  "^stress_spec ^leaks"
local WORKER = "^workers ^replacements ^03[23] ^fairness ^requests_spec " ..
  "^lock_idle"
local CLOSING = "^close_ ^own_thread ^requests_close ^requests_exit ^exit_ " ..
  "^task_close ^shutdown ^trace_spec ^here_close ^pool_close"
local WAIT = "^deadlock ^task_deadlock ^cancel_waits ^cancel_calls ^room " ..
  "^futures_spec"
local VALUE = "^deep_ ^transfer ^receiver ^requests_receiver ^class " ..
  "^carray ^levels"

local concerns = {
  [LOCK] = "core/lock core/lockqueue core/lockword",
  [REGISTRY] = "core/registry core/statetable",
  [CALL] = "core/call core/exchange core/failure core/deep core/dispatch",
  [INTERRUPT] = "core/interrupt core/hook core/signal core/watch",
  [STATE] = "state core/thread core/anchor",
  [QUEUE] = "sched/queue sched/queueturn sched/room sched/queuelist " ..
    "sched/request sched/serve sched/notices sched/log",
  [FUTURE] = "sched/future sched/promise sched/arrivals",
  [TASK] = "sched/task sched/suspend sched/taskrun sched/blocker " ..
    "sched/deferral core/taskcall",
  [WORKER] = "sched/worker sched/pool sched/workerthread sched/monitor",
  [CLOSING] = "sched/closing sched/queueclose sched/ownthread sched/ending",
  [WAIT] = "core/wait core/waitgraph",
  [VALUE] = "value/codec value/format value/encode value/encoder " ..
    "value/encodecode value/encodemodule value/encodeobject value/identity " ..
    "value/decode value/decoder value/decodeobject value/walk value/way " ..
    "value/classes value/handle value/kinds value/transfer value/carray",
  ["^pool ^leaks ^task_deadlock_spec"] =
    "sched/team sched/teamcall sched/teamclose",
  ["^here ^fork_main ^shutdown"] = "sched/host",
  ["^timer ^sleep ^requests_timeout ^close_timeout"] = "sched/timer",
  ["^trace"] = "core/trace core/tracefile",
  ["^libs_spec ^task_coroutine ^traceback ^task_library ^interrupt_spec " ..
    "^0%d%d_interrupt"] =
    "core/coroutine",
  ["^time_ ^close_timeout ^watch_spec ^workers ^cancel_storm ^stacks"] =
    "core/timelimit core/catch",
  ["^traceback"] = "core/traceback",
  ["^memory ^stats ^gcpressure ^requests_memory ^newstate"] =
    "core/memory core/usage",
  ["^blocks ^event ^requests_spec"] = "base/blocks base/event",
  ["^slab ^memory ^own_threads_memory ^newstate ^stats"] =
    "base/heap base/slab base/slabpages base/pages",
}

local by_file = {
  default = "^call ^close_ ^requests_ ^task_spec ^futures ^deep_spec ^pool",
}
for specs, files in pairs(concerns) do
  for file in files:gmatch("%S+") do
    by_file["src/" .. file .. ".c"] = specs
  end
end
return by_file
