-- Mistakes that specs have to find, planted by `make mutants`.
--
-- name     what MUTANTS chooses
-- says     what the mistake is
-- file     where it is made
-- old      what stands there once,
-- new      and what stands there then
-- check    the command that must fail
-- seconds  for the check, which passes in less where there is no mistake; one
--          that takes longer hangs, and so has found it

local list = {}

-- The check is to run the specs of the files with this in their names; with a
-- filter, those with that in theirs.
local function add(mutant)
  local options = "-p " .. mutant.specs
  if mutant.filter then
    options = ("%s --filter='%s'"):format(options, mutant.filter)
  end
  mutant.check = ('make -s test LUA_VERSION=5.4 SPECS="%s"'):format(options)
  mutant.seconds = mutant.seconds or 10
  list[#list + 1] = mutant
end

-------------------------------------------------------------------------------
-- The lock of a state
-------------------------------------------------------------------------------

add {
  name = "lock-forgets-report",
  says = "Who leaves a state does not report what was requested.",
  file = "src/core/lock.c",
  old = "if (word & MTS_WORD_REQUESTED)",
  new = "if (word & MTS_WORD_REQUESTED & 0)",
  specs = "requests_spec", filter = "waits while a call runs",
}

-------------------------------------------------------------------------------
-- Queues
-------------------------------------------------------------------------------

add {
  name = "queue-schedules-blocked",
  says = "A request makes a blocked queue count as scheduled.",
  file = "src/sched/queue.c",
  old = "if (*is_runnable)\n    queue->status = MTS_QUEUE_SCHEDULED;",
  new = "queue->status = MTS_QUEUE_SCHEDULED;",
  specs = "requests_spec", filter = "waits while a call runs",
}
add {
  name = "queue-blind-turn-end",
  says = "The end of a turn does not look whether there are more requests.",
  file = "src/sched/queue.c",
  old = "if (!queue->first) {\n    queue->status = MTS_QUEUE_IDLE;",
  new = "if (true) {\n    queue->status = MTS_QUEUE_IDLE;",
  specs = "requests_spec",
}
add {
  name = "queue-withdraw-keeps-room",
  says = "The room of a request that is withdrawn is given to nobody.",
  file = "src/sched/queue.c",
  old = "if (is_queued) {\n    mts_queue_remove(queue, request);\n" ..
    "    mts_room_grant(queue);",
  new = "if (is_queued) {\n    mts_queue_remove(queue, request);",
  specs = "room",
}
add {
  name = "queue-close-forgets-senders",
  says = "Closing leaves senders that wait for room.",
  file = "src/sched/queue.c",
  old = "  mts_room_dismiss(queue);\n",
  new = "",
  specs = "queue_spec", filter = "that is closed",
}
add {
  name = "queue-unowned-under-way",
  says = "A state without owners is closed though a request is under way.",
  file = "src/sched/queue.c",
  old = "is_busy = queue->status != MTS_QUEUE_IDLE;",
  new = "is_busy = queue->first != NULL;",
  specs = "requests_close",
}
add {
  name = "queue-self-waits",
  says = "A state that sends to itself needs room.",
  file = "src/sched/queue.c",
  old = "request->is_counted = sender != s;",
  new = "request->is_counted = true || sender == s;",
  specs = "queue_spec", filter = "sends to itself",
}
add {
  name = "queue-close-is-silent",
  says = "Nobody is warned of sent requests that fail.",
  file = "src/sched/queue.c",
  old = "has_send |= request->is_send;",
  new = "has_send &= request->is_send;",
  specs = "logger_spec", filter = "gets a warning",
}
add {
  name = "room-first-waiting",
  says = "A sender that has lost patience remains the first without room.",
  file = "src/sched/room.c",
  old = "if (queue->first_waiting == sender)\n" ..
    "    queue->first_waiting = sender->next;",
  new = "",
  specs = "queue_spec",
}

-------------------------------------------------------------------------------
-- Workers
-------------------------------------------------------------------------------

add {
  name = "schedule-slot-unwatched",
  says = "Nobody looks after a slot that was filled.",
  file = "src/sched/worker.c",
  old = "mts_Aftermath aftermath = {NULL, true};",
  new = "mts_Aftermath aftermath = {NULL, false};",
  specs = "replacements", filter = "what it sends",
}
add {
  name = "park-without-balance",
  says = "Nobody looks after what a surplus worker leaves when it parks.",
  file = "src/sched/workerthread.c",
  old = "link_parked(worker);\n  aftermath = mts_pool_balance();",
  new = "link_parked(worker);\n  aftermath = (mts_Aftermath){NULL, false};",
  specs = "032", filter = "surplus", seconds = 4,
}
add {
  name = "slot-always-first",
  says = "The queue in the slot of a worker always has the next turn.",
  file = "src/sched/workerthread.c",
  old = "if (again && mts_pool.idle >= 0 && !mts_pool.is_ending)",
  new = "if (mts_pool.idle >= 0 && !mts_pool.is_ending)",
  specs = "033",
}
add {
  name = "park-still-searches",
  says = "A worker that parks at once goes on to count as the searcher.",
  file = "src/sched/workerthread.c",
  old = "bool is_woken = false;\n  end_search(worker);",
  new = "bool is_woken = false;",
  specs = "032", filter = "does not search",
}
add {
  name = "monitor-parked-replaced",
  says = "A worker that has a token and is not yet awake counts as blocked.",
  file = "src/sched/monitor.c",
  old = "if (!worker->has_token || !worker->is_serving)",
  new = "if (!worker->has_token)",
  specs = "workers_spec",
}
add {
  name = "wait-of-the-last",
  says = "The last worker waits, and nobody is there to do the work.",
  file = "src/sched/worker.c",
  old = "may_wait = has_worker_left() || mts_workerthread_start();",
  new = "may_wait = true || has_worker_left();",
  specs = "requests_memory",
}
add {
  name = "wait-keeps-slot",
  says = "What is in the slot waits with its worker.",
  file = "src/sched/worker.c",
  old = "mts_pool_flush(self);\n  mts_monitor_forget(self);",
  new = "mts_monitor_forget(self);",
  specs = "requests_spec",
}
add {
  name = "ended-is-counted",
  says = "A worker that has ended is still counted.",
  file = "src/sched/workerthread.c",
  old = "  mts_pool.threads--;\n",
  new = "",
  specs = "replacements", filter = "surplus workers end",
}
add {
  name = "park-keeps-mask",
  says = "A worker runs Lua code with all signals blocked.",
  file = "src/sched/workerthread.c",
  old = "  mts_signal_unblock();\n  return true;",
  new = "  return true;",
  specs = "workers_spec",
}

-------------------------------------------------------------------------------
-- Monitor
-------------------------------------------------------------------------------

add {
  name = "monitor-leaves-blocked",
  says = "Workers that block are never replaced.",
  file = "src/sched/monitor.c",
  old = "if (mts_pool.idle + blocked <= 0)",
  new = "if (mts_pool.idle + blocked <= MTS_WORKER_LIMIT)",
  specs = "replacements", filter = "silent pipe",
}
add {
  name = "monitor-leaves-computing",
  says = "Workers that compute are never replaced.",
  file = "src/sched/monitor.c",
  old = "if (computing && lacks_token() && ticks >= patience) {",
  new = "if (computing && lacks_token() && ticks < 0) {",
  specs = "replacements", filter = "that computes",
}
add {
  name = "monitor-leaves-senders",
  says = "Senders with room are not woken while a request takes long.",
  file = "src/sched/monitor.c",
  old = "if (atomic_exchange(&has_senders, false))",
  new = "if (atomic_exchange(&has_senders, false) && false)",
  specs = "room",
}
add {
  name = "monitor-without-limit",
  says = "There is no limit to how many workers are replaced.",
  file = "src/sched/monitor.c",
  old = "if (mts_pool.replaced < MOST_REPLACED) {",
  new = "if (mts_pool.replaced >= 0) {",
  specs = "replacements", filter = "64 times",
}

-------------------------------------------------------------------------------
-- Turns
-------------------------------------------------------------------------------

add {
  name = "serve-never-in-line",
  says = "A worker that was refused twice does not wait in line.",
  file = "src/sched/serve.c",
  old = "if (queue->was_refused) {",
  new = "if (queue->was_refused && false) {",
  specs = "fairness", filter = "threads call",
}
add {
  name = "serve-turn-without-end",
  says = "A turn goes on as long as there are requests.",
  file = "src/sched/serve.c",
  old = "while (count < MTS_TURN_REQUESTS && !is_over(&clock, count) &&",
  new = "while (!(is_over(&clock, count) && false) &&",
  specs = "fairness", filter = "sends to itself",
}

-------------------------------------------------------------------------------
-- Futures
-------------------------------------------------------------------------------

add {
  name = "future-answers-silently",
  says = "Threads that wait are not woken by the answer.",
  file = "src/sched/future.c",
  old = "for (i = 0; i < count; i++)\n      mts_event_wake(events[i]);",
  new = "for (i = 0; i < count; i++)\n      (void)events[i];",
  specs = "futures_spec",
}
add {
  name = "future-hides-error",
  says = "An error that nobody has read is not logged.",
  file = "src/sched/future.c",
  old = "if (is_unseen_error(future))",
  new = "if (is_unseen_error(future) && !future->state)",
  specs = "futures_unread",
}
add {
  name = "future-logs-read-error",
  says = "An error that somebody has read is logged, too.",
  file = "src/lua/futureobject.c",
  old = "  mts_future_note_read(future);\n",
  new = "",
  specs = "futures_unread",
}
add {
  name = "future-freed-by-recursion",
  says = "A chain of futures is freed on the C stack.",
  file = "src/sched/request.c",
  old = "  is_freeing = true;\n",
  new = "",
  specs = "032", filter = "any length", seconds = 60,
}
add {
  name = "tawait-leaves-request",
  says = "The request of a tawait whose time is over begins later.",
  file = "src/lua/staterequest.c",
  old = "if (mts_future_withdraw(future))",
  new = "if (!future)",
  specs = "requests_timeout",
}
add {
  name = "close-leaves-request",
  says = "The end of a future's scope does not keep it from beginning.",
  file = "src/lua/futureobject.c",
  old = "if (mts_future_withdraw(future))",
  new = "if (!future)",
  specs = "futures_spec",
}

-------------------------------------------------------------------------------
-- Log, end of the process
-------------------------------------------------------------------------------

add {
  name = "log-of-itself",
  says = "A logger gets its own failures.",
  file = "src/sched/log.c",
  old = "if (!to || to == s || !send(",
  new = "if (!to || !send(",
  specs = "logger_spec", filter = "own failure",
}
add {
  name = "log-lost-at-end",
  says = "What the logger has not yet got is lost at the end.",
  file = "src/sched/ending.c",
  old = "  mts_log_stop();\n",
  new = "",
  specs = "requests_exit", filter = "has not got",
}
add {
  name = "ending-without-interrupt",
  says = "Requests that run are not interrupted at the end of the process.",
  file = "src/sched/ending.c",
  old = "    mts_queuelist_interrupt();\n",
  new = "",
  specs = "requests_exit", filter = "interrupts Lua code",
}
add {
  name = "ending-is-silent",
  says = "A request that is lost is not mentioned.",
  file = "src/sched/ending.c",
  old = "if (lost > 0)",
  new = "if (lost > 1)",
  specs = "requests_exit", filter = "interrupts Lua code",
}

-------------------------------------------------------------------------------
-- Base
-------------------------------------------------------------------------------

add {
  name = "event-wakes-nobody",
  says = "Who sets an event does not see that somebody sleeps.",
  file = "src/base/event.c",
  old = "return atomic_exchange(&event->word, IS_SET) == SLEEPING;",
  new = "return atomic_exchange(&event->word, IS_SET) == IS_SET;",
  specs = "event_spec",
}
add {
  name = "event-stays-set",
  says = "An event is still set when a wait has seen it.",
  file = "src/base/event.c",
  old = "return atomic_exchange(&event->word, NOT_SET) == IS_SET;",
  new = "return atomic_load(&event->word) == IS_SET;",
  specs = "event_spec",
}
add {
  name = "blocks-batch-twice",
  says = "A batch of blocks is taken twice.",
  file = "src/base/blocks.c",
  old = "  pool->full = NULL;\n  pool->room = pool->first ? 0 : BATCH;",
  new = "  pool->room = pool->first ? 0 : BATCH;",
  specs = "blocks",
}
add {
  name = "blocks-thread-keeps",
  says = "A thread that ends keeps its blocks.",
  file = "src/base/blocks.c",
  old = "  free_batch(own->first);\n",
  new = "",
  specs = "blocks",
}

return list
