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

add {
  name = "lock-request-unheard",
  says = "Who holds a state is not asked to report that it leaves.",
  file = "src/core/lock.c",
  old = "is_held = mts_lock_pin(lock) != 0 &&",
  new = "is_held = mts_lock_pin(lock) == 0 &&",
  specs = "lock_idle",
}
add {
  name = "lock-forgets-successor",
  says = "Who gives up waiting does not look after the next in the queue.",
  file = "src/core/lockqueue.c",
  old = "    if (lock->first)\n      start_first(lock);\n",
  new = "",
  specs = "lock_bursts",
}
add {
  name = "lock-forgets-successor-stress",
  says = "The same, which the stress has to find, too.",
  file = "src/core/lockqueue.c",
  old = "    if (lock->first)\n      start_first(lock);\n",
  new = "",
  specs = "^stress_spec", seconds = 40,
}
add {
  name = "lock-passes-quitting",
  says = "A state that quits is kept for a suspended task.",
  file = "src/core/lock.c",
  old = "mts_lockword_is_ending(word) ||\n" ..
    "        atomic_load(&lock->quits))\n" ..
    "      return false;",
  new = "mts_lockword_is_ending(word))\n" ..
    "      return false;",
  specs = "^quit_spec", filter = "that a task keeps", seconds = 40,
}
add {
  name = "lock-closing-wakes-one",
  says = "Of those that wait to get in one is told that the state is closing.",
  file = "src/core/lockqueue.c",
  old = "  for (waiter = lock->first; waiter; waiter = waiter->next)\n" ..
    "    mts_cond_signal(&waiter->wake_up);",
  new = "  waiter = lock->first;\n  if (waiter)\n" ..
    "    mts_cond_signal(&waiter->wake_up);",
  specs = "requests_close", filter = "sends all away", seconds = 60,
}
add {
  name = "lock-handed-wants-mutex",
  says = "Who was handed a state counts as about to take its mutex for ever.",
  file = "src/core/lockqueue.c",
  old = "  if (status == MTS_OK)\n" ..
    "    atomic_store(&lock->holder_wants_mutex, false);\n",
  new = "",
  specs = "^interrupt_spec", filter = "waited for the state", seconds = 60,
}
add {
  name = "lock-waits-with-last-worker",
  says = "A worker waits to get in though no other one can be had.",
  file = "src/core/lock.c",
  old = "  if (!mts_thread_begin_wait())\n" ..
    "    return MTS_NO_MEMORY;",
  new = "  (void)mts_thread_begin_wait();",
  specs = "requests_memory", filter = "to get in", seconds = 60,
}

-------------------------------------------------------------------------------
-- The registry
-------------------------------------------------------------------------------

add {
  name = "publish-wakes-some",
  says = "Not all threads are woken that wait for a state of that name.",
  file = "src/core/registry.c",
  old = "  while (wakes.count == MTS_WAKES) {\n    wakes",
  new = "  while (wakes.count > MTS_WAKES) {\n    wakes",
  specs = "lookup_wait", filter = "however many",
}
add {
  name = "id-loses-bucket",
  says = "A state that is added by its id loses others of its bucket.",
  file = "src/core/statetable.c",
  old = "  s->registry.next_by_id = *bucket;\n",
  new = "",
  specs = "lookup_spec", filter = "between whose ids",
}
add {
  name = "twin-heir-alone",
  says = "Who follows a closed state of its name loses the bucket.",
  file = "src/core/statetable.c",
  old = "      heir->registry.next_by_name = node->next_by_name;\n",
  new = "",
  specs = "lookup_spec", filter = "others of their name",
}
add {
  name = "lookup-retains-late",
  says = "A state that was found gets its reference without the mutex.",
  file = "src/core/registry.c",
  old = "  mts_state_retain(s);\n  *found = s;\n  return MTS_OK;",
  new = "  mts_mutex_unlock(&registry_mutex);\n  mts_state_retain(s);\n" ..
    "  mts_mutex_lock(&registry_mutex);\n  *found = s;\n  return MTS_OK;",
  specs = "lookup_dying",
}

add {
  name = "lookup-holds",
  says = "A task that looks up a state waits with its thread.",
  file = "src/lua/lookup.c",
  old = "if (may_suspend && mts_waiting_can_suspend(waiting)) {",
  new = "if (false && may_suspend && mts_waiting_can_suspend(waiting)) {",
  specs = "lookup_task", filter = "lets the request begin",
}

add {
  name = "lookup-wakes-one",
  says = "A state that is published ends the wait of one that looks for it.",
  file = "src/core/registry.c",
  old = "search = next;",
  new = "search = is_found(search, s) ? NULL : next;",
  specs = "lookup_task", filter = "when another one is made",
}

-------------------------------------------------------------------------------
-- Queues
-------------------------------------------------------------------------------

add {
  name = "queue-schedules-blocked",
  says = "A request makes a blocked queue count as scheduled.",
  file = "src/sched/queueturn.h",
  old = "if (was_idle)\n    queue->status = MTS_QUEUE_SCHEDULED;",
  new = "queue->status = MTS_QUEUE_SCHEDULED;",
  specs = "requests_spec", filter = "waits while a call runs",
}
add {
  name = "queue-blind-turn-end",
  says = "The end of a turn does not look whether there are more requests.",
  file = "src/sched/queueturn.c",
  old = "if (!has_something_to_run(queue) ||\n      ((queue",
  new = "if (mts_queue_notices(queue) == 0 ||\n      ((queue",
  specs = "requests_spec",
}
add {
  name = "queue-withdraw-keeps-room",
  says = "The room of a request that is withdrawn is given to nobody.",
  file = "src/sched/queue.c",
  old = "if (is_queued) {\n    mts_queue_remove(queue, request);\n" ..
    "    mts_room_grant(queue);",
  new = "if (is_queued) {\n    mts_queue_remove(queue, request);",
  specs = "room", seconds = 60,
}
add {
  name = "queue-close-forgets-senders",
  says = "Closing leaves senders that wait for room.",
  file = "src/sched/queueclose.c",
  old = "  mts_room_dismiss(queue);\n",
  new = "",
  specs = "queue_spec", filter = "that is closed",
}
add {
  name = "queue-unowned-under-way",
  says = "A state without owners is closed though a request is under way.",
  file = "src/sched/queueclose.c",
  old = "is_busy = mts_queue_is_busy(queue);",
  new = "is_busy = queue->first != NULL;",
  specs = "requests_close",
}
add {
  name = "queue-closed-while-blocked",
  says = "A state that is closed while a request waits for its call is kept.",
  file = "src/sched/queueclose.c",
  old = "  if (queue->status == MTS_QUEUE_BLOCKED)\n" ..
    "    queue->status = MTS_QUEUE_IDLE;\n",
  new = "",
  specs = "quit_spec", filter = "keeps nothing",
}
add {
  name = "queue-first-log-only",
  says = "What the logger has not got is lost behind its other requests.",
  file = "src/sched/queue.c",
  old = "  while (request && !request->is_log)\n    request = request->next;",
  new = "  if (request && !request->is_log)\n    request = NULL;",
  specs = "requests_exit", filter = "behind other requests",
}
add {
  name = "queue-self-waits",
  says = "A state that sends to itself needs room.",
  file = "src/sched/queue.c",
  old = "return sender == s || (sender &&",
  new = "return (sender &&",
  specs = "queue_spec", filter = "sends to itself",
}
add {
  name = "queue-close-is-silent",
  says = "Nobody is warned of sent requests that fail.",
  file = "src/sched/queueclose.c",
  old = "has_send |= request->is_send;",
  new = "has_send &= request->is_send;",
  specs = "logger_spec", filter = "gets a warning",
}
add {
  name = "room-dismisses-some",
  says = "Closing tells the first ones only of many that wait for room.",
  file = "src/sched/room.c",
  old = "      tell_sender(queue, MTS_CLOSED, &wakes);\n" ..
    "    mts_mutex_unlock(&queue->mutex);\n    mts_wakes_wake(&wakes);\n" ..
    "  } while (wakes.count == MTS_WAKES);",
  new = "      tell_sender(queue, MTS_CLOSED, &wakes);\n" ..
    "    mts_mutex_unlock(&queue->mutex);\n    mts_wakes_wake(&wakes);\n" ..
    "  } while (false);",
  specs = "room_spec", filter = "however many",
}

add {
  name = "room-tells-some",
  says = "Of many who have got room only the first ones are told.",
  file = "src/sched/room.c",
  old = "    mts_room_tell(queue, &wakes);\n    " ..
    "mts_mutex_unlock(&queue->mutex);\n    mts_wakes_wake(&wakes);\n" ..
    "  } while (wakes.count == MTS_WAKES);",
  new = "    mts_room_tell(queue, &wakes);\n    " ..
    "mts_mutex_unlock(&queue->mutex);\n    mts_wakes_wake(&wakes);\n" ..
    "  } while (false);",
  specs = "room_spec", filter = "it has got room", seconds = 90,
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
  old = "end_search(worker);\n  mts_pool_give_token(worker);",
  new = "mts_pool_give_token(worker);",
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
  name = "wait-counts-for-ever",
  says = "A worker that has waited counts as one that waits.",
  file = "src/sched/worker.c",
  old = "  mts_pool.waiting--;\n  mts_pool_take_token(mts_self.worker);",
  new = "  mts_pool_take_token(mts_self.worker);",
  specs = "replacements", filter = "as few threads",
}

add {
  name = "workers-keep-tokens",
  says = "Fewer workers have as many tokens.",
  file = "src/sched/worker.c",
  old = "  mts_pool.idle += (int)count - mts_pool.wanted;\n",
  new = "",
  specs = "workers_spec", filter = "can be lowered", seconds = 30,
}

add {
  name = "workers-sleep-on",
  says = "Workers that are too many are not told.",
  file = "src/sched/worker.c",
  old = "    wake_parked();\n    start",
  new = "    start",
  specs = "workers_spec", filter = "can be lowered", seconds = 30,
}

add {
  name = "workers-start-late",
  says = "More workers are not started at once.",
  file = "src/sched/worker.c",
  old = "    start_missing();\n  }\n  after",
  new = "  }\n  after",
  specs = "workers_spec", filter = "can be lowered",
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
  name = "ended-takes-others",
  says = "A worker that ends takes younger ones out of the list with it.",
  file = "src/sched/workerthread.c",
  old = "  if (mts_pool.first)\n    mts_pool.first->previous = worker;\n",
  new = "",
  specs = "workers_spec", filter = "can be lowered", seconds = 40,
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
  specs = "room", seconds = 60,
}
add {
  name = "monitor-without-limit",
  says = "There is no limit to how many workers are replaced.",
  file = "src/sched/monitor.c",
  old = "if (mts_pool.replaced < MOST_REPLACED) {",
  new = "if (mts_pool.replaced >= 0) {",
  specs = "replacements", filter = "64 times",
}

add {
  name = "monitor-counts-for-ever",
  says = "Workers that were replaced once count as stuck for ever.",
  file = "src/sched/monitor.c",
  old = "    mts_pool.replaced--;\n",
  new = "",
  specs = "replacements", filter = "64 times", seconds = 20,
}

add {
  name = "monitor-leaves-timers",
  says = "Timers are not looked at while all workers compute.",
  file = "src/sched/monitor.c",
  old = "  mts_timer_look();\n",
  new = "",
  specs = "replacements", filter = "that sleeps is to go on", seconds = 20,
}

add {
  name = "monitor-forgets-timers",
  says = "The monitor ends though timers have to be looked at.",
  file = "src/sched/monitor.c",
  old = " || lacks_keeper();",
  new = ";",
  specs = "replacements", filter = "that sleeps is to go on", seconds = 20,
}

add {
  name = "monitor-warns-nobody",
  says = "A logger that is a state does not get the warning.",
  file = "src/sched/monitor.c",
  old = "    atomic_store(&has_warning, true);\n",
  new = "    ;\n",
  specs = "replacements", filter = "a logger gets the warning", seconds = 20,
}

-------------------------------------------------------------------------------
-- Turns
-------------------------------------------------------------------------------

add {
  name = "serve-never-in-line",
  says = "A worker that was refused twice does not wait in line.",
  file = "src/sched/serve.c",
  old = "if (queue->was_refused)\n    status",
  new = "if (queue->was_refused && s->depth > 100)\n    status",
  specs = "fairness", filter = "threads call",
}
add {
  name = "serve-turn-without-end",
  says = "A turn goes on as long as there are requests.",
  file = "src/sched/serve.c",
  old = "count < limit.most &&\n           !is_over(&clock, count) &&",
  new = "\n           !(is_over(&clock, count) && false) &&",
  specs = "fairness", filter = "sends to itself",
}

add {
  name = "serve-owned-again",
  says = "A state that has an owner again does not go on with its forks.",
  file = "src/sched/serve.c",
  old = "    mts_registry_close_unowned(s);\n    " ..
    "mts_queueturn_schedule_ready(queue); /* it may have an owner " ..
    "again */",
  new = "    mts_registry_close_unowned(s);",
  specs = "task_unowned", filter = "goes on with its forks",
}

-------------------------------------------------------------------------------
-- Futures
-------------------------------------------------------------------------------

add {
  name = "late-wait-runs-no-forks",
  says = "A wait that is over before it begins lets no forks run.",
  file = "src/core/wait.c",
  old = "                                : patience->deadline > 0;",
  new = "                                " ..
    ": patience->deadline > mts_clock_now();",
  specs = "fork_main_spec", filter = "over before they begin",
}
add {
  name = "late-wait-runs-forks-for-ever",
  says = "A wait that is over lets forks run as long as there are any.",
  file = "src/lua/waiting.c",
  old = "  waiting->patience.was_attached = true;",
  new = "",
  specs = "fork_main_spec", filter = "others for ever lets waits end",
}
add {
  name = "wait-wakes-nobody",
  says = "Threads that wait are not woken by what they wait for.",
  file = "src/core/wait.c",
  old = "for (i = 0; i < wakes->count; i++)\n" ..
    "    mts_event_wake(wakes->events[i]);",
  new = "for (i = 0; i < wakes->count; i++)\n    (void)wakes->events[i];",
  specs = "futures_spec",
}
add {
  name = "future-wakes-some",
  says = "Of many threads that await a future only the first ones are woken.",
  file = "src/sched/future.c",
  old = "  } while (wakes.count == MTS_WAKES);",
  new = "  } while (false);",
  specs = "futures_spec", filter = "any number of threads",
}
add {
  name = "waits-lose-their-last",
  says = "Behind a wait that has ended in the list others are not found.",
  file = "src/core/wait.c",
  old = "  else\n    list->last = wait->previous;\n",
  new = "",
  specs = "^futures_spec", filter = "behind one that gave up", seconds = 30,
}
add {
  name = "future-hides-error",
  says = "An error that nobody has read is not logged.",
  file = "src/sched/future.c",
  old = "if (text)\n    mts_log_error(",
  new = "if (text && !future->state)\n    mts_log_error(",
  specs = "futures_unread",
}
add {
  name = "future-logs-read-error",
  says = "An error that somebody has read is logged, too.",
  file = "src/sched/future.c",
  old = "  atomic_store_explicit(&future->is_read, true, " ..
    "memory_order_relaxed);\n  return future;",
  new = "  return future;",
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
  name = "request-keeps-pool",
  says = "What a pool has answered keeps the pool.",
  file = "src/sched/request.c",
  old = "    if (request->asked.pool)\n      " ..
    "mts_state_release(request->asked.pool);\n",
  new = "",
  specs = "leaks_spec", filter = "pools that have answered",
}

add {
  name = "request-keeps-state",
  says = "What a state has answered keeps the state.",
  file = "src/sched/request.c",
  old = "    if (future->state)\n      mts_state_release(future->state);\n",
  new = "",
  specs = "leaks_spec", filter = "states that have answered",
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
  name = "scope-leaves-request",
  says = "The end of a future's scope does not cancel it.",
  file = "src/lua/futureobject.c",
  old = "  if (future)\n    (void)cancel_future(L, future);",
  new = "",
  specs = "futures_spec",
}
add {
  name = "cancelled-keeps-arguments",
  says = "The arguments of a request that never begins stay.",
  file = "src/sched/future.c",
  old = "  mts_codec_free(&future->values); " ..
    "/* the arguments, which nobody reads */\n",
  new = "",
  specs = "^futures_spec", filter = "keeps no arguments",
}

-------------------------------------------------------------------------------
-- Waits, cancel, deadlocks
-------------------------------------------------------------------------------

add {
  name = "interrupt-stays",
  says = "An interrupt that has hit is not taken back.",
  file = "src/core/hook.c",
  old = "    atomic_fetch_and(level, ~MTS_INTERRUPT_PLAIN);\n",
  new = "",
  specs = "^stress_spec", seconds = 40,
}
add {
  name = "interrupt-stays-on",
  says = "An interrupt that has hit becomes one that hits always.",
  file = "src/core/hook.c",
  old = "    atomic_fetch_and(level, ~MTS_INTERRUPT_PLAIN);\n",
  new = "    atomic_store(level, MTS_INTERRUPT_ALWAYS);\n",
  specs = "^interrupt_spec", filter = "nothing runs, once",
}
add {
  name = "interrupt-takes-cancel-back",
  says = "Who interrupts, or does not any more, takes a cancel back.",
  file = "src/core/interrupt.c",
  old = "(int)level | (before & ~MTS_INTERRUPT_PLAIN));",
  new = "(int)level);",
  specs = "^cancel_spec", filter = "with an interrupt",
}
add {
  name = "signal-lost-for-good",
  says = "A signal that got lost is not sent again.",
  file = "src/core/signal.c",
  old = " ||\n      (now.is_known && !now.is_pending))",
  new = ")",
  specs = "^signals", filter = "signal in another way",
}
add {
  name = "signal-of-those-that-wait",
  says = "A signal is used that is blocked, though another one is free.",
  file = "src/core/signal.c",
  old = "      if (!is_blocked_here(number))\n" ..
    "        return number;",
  new = "      return number;",
  specs = "^signals_spec", filter = "none that is blocked",
}
add {
  name = "aim-at-any-task",
  says = "Who cancels a request hits whatever the state runs.",
  file = "src/core/interrupt.c",
  old = "is_running = atomic_load(&s->interrupt.task) == task;",
  new = "is_running = task != NULL;",
  specs = "cancel_storm", seconds = 60,
}
add {
  name = "aim-outlives-task",
  says = "A cancel that was not noticed hits the next request.",
  file = "src/core/interrupt.c",
  old = "  atomic_store(&s->interrupt.task, NULL);\n  if (is_aimed(s)) {",
  new = "  atomic_store(&s->interrupt.task, NULL);\n  if (!s) {",
  specs = "cancel_storm", seconds = 60,
}
add {
  name = "hook-hits-nested-call",
  says = "A cancelled request is hit inside a call that is nested in it.",
  file = "src/core/hook.c",
  old = "(before & MTS_INTERRUPT_AIMED) && s->depth == 1",
  new = "(before & MTS_INTERRUPT_AIMED) && s->depth > 0",
  specs = "cancel_calls",
}
add {
  name = "hook-spares-for-good",
  says = "The hook is not set again after a nested call that it has spared.",
  file = "src/state.c",
  old = "  mts_interrupt_check(s);\n",
  new = "  (void)s;\n",
  specs = "cancel_calls",
}
add {
  name = "cancel-leaves-wait",
  says = "Cancel does not end the wait of the request.",
  file = "src/core/interrupt.c",
  old = "if (cancel_wait(s->interrupt.wait, &wakes))",
  new = "if (cancel_wait(NULL, &wakes))",
  specs = "cancel_waits",
}
add {
  name = "time-hits-next",
  says = "Code is stopped though its time is not over.",
  file = "src/core/timelimit.c",
  old = "runtime->stage != MTS_TIME_OVER && ran < runtime->limit",
  new = "runtime->stage != MTS_TIME_OVER && ran <= 0",
  specs = "time_spec", filter = "hits no call before",
}
add {
  name = "time-runs-in-waits",
  says = "The time of code goes on while it waits.",
  file = "src/core/timelimit.c",
  old = "  runtime->started = mts_clock_now();\n",
  new = "  if (runtime->started == 0)\n" ..
    "    runtime->started = mts_clock_now();\n",
  specs = "time_spec", filter = "does not count waits",
}
add {
  name = "time-runs-in-calls",
  says = "The time of code goes on while it calls another state.",
  file = "src/core/timelimit.c",
  old = "outer && outer->state == s && outer->pauses == 0",
  new = "outer && outer->pauses == 0",
  specs = "time_spec", filter = "does not count calls of other",
}
add {
  name = "time-is-caught",
  says = "pcall catches the error of code that was stopped.",
  file = "src/core/catch.c",
  old = "if ((int)mts_timelimit_stage() > (int)(context % STAGES))",
  new = "if (mts_timelimit_stage() > STAGES)",
  specs = "time_spec", filter = "same again for clean.up",
}
add {
  name = "time-not-armed",
  says = "The watcher does not learn of a deadline after its watch went off.",
  file = "src/core/watch.c",
  old = "  return !atomic_load(&watch->is_on) || due <",
  new = "  return !watch->try_again || due <",
  specs = "time_spec", filter = "goes on after waits",
}
add {
  name = "time-is-used-up",
  says = "A call begins with the time that the task before it has used.",
  file = "src/sched/task.c",
  old = "if (queue->state->time_limit)",
  new = "if (queue->state->time_limit && !task->runtime->limit)",
  specs = "time_spec", filter = "of a loop stops it",
}
add {
  name = "time-is-caught-by-resume",
  says = "Code that was stopped goes on by resume, if its clean-up waits.",
  file = "src/core/coroutine.c",
  old = "lua_pushinteger(L, (lua_Integer)stage);",
  new = "lua_pushinteger(L, MTS_TIME_OVER);",
  specs = "time_edges", filter = "waits in a coroutine",
}
add {
  name = "time-hook-is-taken-away",
  says = "Code that is to be stopped takes the hook away, all the time.",
  file = "src/core/catch.c",
  old = "  if (s)\n    mts_interrupt_check(s);\n",
  new = "",
  specs = "time_edges", filter = "takes hooks away all",
}
add {
  name = "time-fork-starts-afresh",
  says = "A fork that was stopped has its whole time again after a wait.",
  file = "src/sched/taskrun.c",
  old = "task->is_fork && runtime->stage == MTS_TIME_LEFT",
  new = "task->is_fork",
  specs = "time_edges", filter = "a fork for good",
}
add {
  name = "time-results-stay",
  says = "What a task that was stopped has returned is given to the next one.",
  file = "src/sched/taskrun.c",
  old = "  lua_settop(task->co, 0);\n  return status;",
  new = "  return status;",
  specs = "^time_spec", filter = "C code that catches",
}

add {
  name = "wait-ends-anyway",
  says = "A thread whose time is over does not see that it has what it wants.",
  file = "src/core/wait.c",
  old = "  if (mts_wait_decide(&wait->wait, reason))\n    return reason;",
  new = "  if (mts_wait_decide(&wait->wait, reason) || " ..
    "reason == MTS_BUSY)\n    return reason;",
  specs = "room_spec",
}
add {
  name = "wait-ignores-closing",
  says = "Closing a state does not end the wait of its request.",
  file = "src/core/interrupt.c",
  old = "mts_wait_finish(s->interrupt.wait, MTS_ENDING, &wakes);",
  new = "mts_wakes_wake(&wakes);",
  specs = "close_timeout",
}
add {
  name = "edge-never-added",
  says = "Awaits are not in the graph of waits.",
  file = "src/core/wait.c",
  old = "= s && patience->deadline == MTS_FOREVER;",
  new = "= s && patience->deadline < 0;",
  specs = "deadlock_requests",
}
add {
  name = "edge-without-outcome",
  says = "A wait that is over, and has not noticed, counts as one.",
  file = "src/core/waitgraph.c",
  old = "atomic_load(edge->outcome) != MTS_WAIT_OPEN)",
  new = "atomic_load(edge->outcome) < MTS_WAIT_OPEN)",
  specs = "deadlock_races", seconds = 60,
}

-------------------------------------------------------------------------------
-- Promises
-------------------------------------------------------------------------------

add {
  name = "promise-first-abandons",
  says = "The first promise that is dropped abandons the future.",
  file = "src/sched/promise.c",
  old = "memory_order_acq_rel) == 1;",
  new = "memory_order_acq_rel) >= 1;",
  specs = "promise_crossing",
}
add {
  name = "promise-never-abandons",
  says = "When the last promise is dropped nothing happens.",
  file = "src/sched/promise.c",
  old = "memory_order_acq_rel) == 1;",
  new = "memory_order_acq_rel) == 0;",
  specs = "promise_crossing",
}
add {
  name = "queue-request-runs-later",
  says = "A request that was taken counts as running only when it has ended.",
  file = "src/sched/queue.h",
  old = "  mts_queue_note_run(queue);\n  atomic_store_explicit(count,",
  new = "  atomic_store_explicit(count,",
  specs = "036", filter = "closed behind that", seconds = 10,
}
add {
  name = "queue-never-pauses",
  says = "Calls of an own thread count what has ended as running.",
  file = "src/sched/queue.h",
  old = "  mts_queue_note_pause(queue);\n  if (is_fork)",
  new = "  if (is_fork)",
  specs = "036", filter = "lets the next call in",
}
add {
  name = "opening-error-is-callbacks",
  says = "What arguments do not find is told as an error of the callback.",
  file = "src/core/taskcall.c",
  old = "if (stretch->opening && !*is_idle) {",
  new = "if (stretch->opening && *is_idle) {",
  specs = "requests_errors",
}
add {
  name = "promise-keeps-though-shared",
  says = "A promise that others can answer keeps the task that waits.",
  file = "src/lua/promiseobject.c",
  old = "promise->future && !mts_promise_is_shared(promise->future)",
  new = "promise->future",
  specs = "041_awaited_promise",
}

add {
  name = "promise-keeps-though-answered",
  says = "A promise that is answered keeps the task that asks for it.",
  file = "src/lua/futureobject.c",
  old = "if (!mts_future_is_answered(check_live_future(L)) &&\n      ",
  new = "if (",
  specs = "041_awaited_promise",
}
add {
  name = "tawait-suspends-without-time",
  says = "A tawait of no time lets others into the state.",
  file = "src/lua/futureobject.c",
  old = "may_suspend && pending.deadline > 0 &&",
  new = "may_suspend &&",
  specs = "^task_spec",
}
add {
  name = "fork-has-no-room",
  says = "The arguments of a fork overflow its stack.",
  file = "src/lua/forkwork.c",
  old = "mts_protect_grow(task->co, 0, count + FRAME_SLOTS)",
  new = "mts_protect_grow(task->co, 0, FRAME_SLOTS)",
  specs = "^fork_spec",
}
add {
  name = "fork-refused-leaks",
  says = "The request of a fork that is refused is not freed.",
  file = "src/lua/forkwork.c",
  old = "  if (request)\n    mts_request_free(request);\n",
  new = "",
  specs = "^fork_errors", filter = "leaves nothing",
}
add {
  name = "singleton-holds-overtaken",
  says = "A singleton that is not needed stays held by its creator.",
  file = "src/lua/creation.c",
  old = "  discard(object->state);\n  mts_state_release",
  new = "  mts_state_release",
  specs = "singleton",
}
add {
  name = "message-frees-elsewhere",
  says = "The host does not know where garbage runs finalizers of others.",
  file = "src/lua/arguments.c",
  old = "if (message->handles) {",
  new = "if (message->handles && !L) {",
  specs = "nesting",
}
add {
  name = "error-without-end",
  says = "The text of an error object goes on with what was in memory.",
  file = "src/lua/errorobject.c",
  old = "memcpy(object->text, text, length + 1)",
  new = "memcpy(object->text, text, length)",
  specs = "^errors_spec", filter = "where it ends",
}
add {
  name = "objects-are-no-pressure",
  says = "The collector is not told of objects of states and futures.",
  file = "src/lua/gcpressure.c",
  old = "if (++pressure->objects >= OBJECTS) {",
  new = "if (++pressure->objects < 0) {",
  specs = "^gcpressure",
}
add {
  name = "pressure-is-told-again",
  says = "The collector is told of the same states again and again.",
  file = "src/lua/gcpressure.c",
  old = "    pressure->untold = 0;\n",
  new = "",
  specs = "^gcpressure",
}
add {
  name = "each-finds-twice",
  says = "What a loop has found and not given is lost.",
  file = "src/lua/each.c",
  old = "if (loop->arrivals && !loop->next) {",
  new = "if (loop->arrivals) {",
  specs = "each_spec",
}

add {
  name = "promise-keeps-though-sent",
  says = "A promise that crosses goes on keeping the task that waits.",
  file = "src/value/encodeobject.c",
  old = "  if (class->share)\n    class->share(e->L);\n",
  new = "",
  specs = "041_awaited_promise",
}

add {
  name = "promise-answers-twice",
  says = "A promise can be answered again.",
  file = "src/sched/promise.c",
  old = "!atomic_exchange(&mts_request_asked(future)->is_claimed, true);",
  new = "!atomic_load(&mts_request_asked(future)->is_claimed);",
  specs = "promise_spec",
}

add {
  name = "promise-kept-by-misfit",
  says = "A promise that was given what cannot cross is never abandoned.",
  file = "src/lua/promiseobject.c",
  old = "    release_promise(L, future);\n    mts_arguments_raise(",
  new = "    mts_arguments_raise(",
  specs = "^promise_spec", filter = "what cannot cross", seconds = 60,
}

add {
  name = "promise-keeps-second",
  says = "A second answer stays.",
  file = "src/sched/promise.c",
  old = "    mts_codec_free(values);\n    return false;",
  new = "    return false;",
  specs = "leaks_spec", filter = "answered twice",
}
add {
  name = "promise-abandoned-unlogged",
  says = "It is not logged that a promise was dropped.",
  file = "src/sched/future.c",
  old = "else if (future->status == MTS_ABANDONED)",
  new = "else if (future->status == MTS_UNKNOWN)",
  specs = "promise_crossing", filter = "is logged",
}

add {
  name = "promise-finalized-equal",
  says = "Two promises that are finalized are equal.",
  file = "src/lua/promiseobject.c",
  old = "a && b && a->future && a->future == b->future",
  new = "a && b && a->future == b->future",
  specs = "^promise_spec", filter = "finalized is equal",
}

add {
  name = "promise-set-in-child",
  says = "A promise is answered in a child process.",
  file = "src/lua/promiseobject.c",
  old = "  if (mts_worker_is_forked())\n" ..
    "    mts_error_raise_status(L, MTS_FORKED, \"promise\");\n",
  new = "",
  specs = "requests_host", filter = "no workers",
  seconds = 20,
}

-------------------------------------------------------------------------------
-- Own threads, closing
-------------------------------------------------------------------------------

add {
  name = "own-thread-not-woken",
  says = "The thread of a state is not told that the state is closed.",
  file = "src/sched/queueclose.c",
  old = "  if (queue->has_own_thread)\n    mts_ownthread_wake(queue);\n",
  new = "",
  specs = "own_thread_spec",
}
add {
  name = "own-thread-keeps-lock",
  says = "The thread of a state does not close what it was handed.",
  file = "src/sched/ownthread.c",
  old = "mts_lock_is_held(&s->lock, mts_thread_id()))",
  new = "mts_lock_is_held(&s->lock, 0))",
  specs = "own_thread_spec",
}

add {
  name = "own-thread-keeps-state",
  says = "The thread of a state keeps it when it ends.",
  file = "src/sched/ownthread.c",
  old = "  mts_state_release(s);\n  return NULL;\n}\n\n",
  new = "  return NULL;\n}\n\n",
  specs = "leaks_spec", filter = "threads of their own",
}

add {
  name = "own-thread-takes-signals",
  says = "The thread of a state takes signals while it sleeps.",
  file = "src/sched/ownthread.c",
  old = "    mts_signal_block_all();\n    (void)mts",
  new = "    (void)mts",
  specs = "workers_spec", filter = "block all signals", seconds = 60,
}
add {
  name = "last-not-by-request",
  says = "__close does not run where a request was under way.",
  file = "src/core/lock.c",
  old = "if (!lock->is_kept && !atomic_load(&lock->quits)) {",
  new = "if (!atomic_load(&lock->quits)) {",
  specs = "close_function",
}
add {
  name = "last-again-and-again",
  says = "__close runs each time that the lock is left.",
  file = "src/core/call.c",
  old = "  s->last_ref = LUA_NOREF;\n",
  new = "  mts_lock_keep_for_closing(&s->lock);\n",
  specs = "here_close",
}
add {
  name = "last-of-nobody",
  says = "A table without __close has one that is nil.",
  file = "src/core/call.c",
  old = "result != LUA_OK || lua_isnil(callee, -1)",
  new = "result != LUA_OK && lua_isnil(callee, -1)",
  specs = "close_function",
}
add {
  name = "quit-leaves-at-once",
  says = "Code that has quit leaves the state as if it had not.",
  file = "src/core/lock.c",
  old = "  atomic_fetch_or(&lock->word, MTS_WORD_REQUESTED);" ..
    " /* not left at once */\n",
  new = "",
  specs = "quit_spec",
}
add {
  name = "close-accepts-requests",
  says = "A state that is about to be closed takes requests.",
  file = "src/sched/queue.c",
  old = "if (atomic_load(&queue->is_closed) || queue->closers > 0)",
  new = "if (atomic_load(&queue->is_closed))",
  specs = "close_timeout",
}
add {
  name = "close-not-told",
  says = "Who waits to close a state is not told that it is idle.",
  file = "src/sched/queueturn.c",
  old = "has_closers = queue->closing.first && !mts_queue_has_work(queue);",
  new = "has_closers = false;",
  specs = "close_timeout",
}

add {
  name = "close-leaves-findable",
  says = "A state that is to be closed when a call ends can still be found.",
  file = "src/sched/closing.c",
  old = "    mts_registry_withdraw(s);\n",
  new = "",
  specs = "pool_end", filter = "hides a member",
}

add {
  name = "close-leaves-closers",
  says = "Who waits to close a state is not told that another one has.",
  file = "src/sched/queueclose.c",
  old = "  if (is_idle)\n    mts_queueclose_tell_closers(queue);\n",
  new = "",
  specs = "close_timeout", filter = "somebody else closes", seconds = 60,
}

add {
  name = "close-tells-some",
  says = "Of many who wait to close a state only the first ones are told.",
  file = "src/sched/queueclose.c",
  old = "  } while (wakes.count == MTS_WAKES);",
  new = "  } while (false);",
  specs = "close_timeout", filter = "by many at once", seconds = 90,
}

add {
  name = "shutdown-waits-for-itself",
  says = "shutdown waits for the state of the program that calls it.",
  file = "src/sched/closing.c",
  old = " &&\n             !is_own_host(services->states[i]);",
  new = ";",
  specs = "shutdown", filter = "main program",
}
add {
  name = "host-hook-lost",
  says = "A call that a hook of the program stops was just busy.",
  file = "src/sched/host.c",
  old = "      call.status = report_hook(s, running, failure);",
  new = "      call.status = MTS_BUSY;",
  specs = "here_calls", filter = "that a hook of the program",
}
add {
  name = "host-forks-and-leaves",
  says = "A fork lets others into a state that a task keeps.",
  file = "src/sched/host.c",
  old = "    queue->is_parked = mts_queue_keeps_state(queue) && " ..
    "mts_state_park(s);",
  new = "    queue->is_parked = false;",
  specs = "here_calls", filter = "has forked",
}

add {
  name = "own-call-takes-room",
  says = "A call of a state with an own thread takes room of its queue.",
  file = "src/sched/queue.c",
  old = "!is_own_sender(sender, s) && !request->is_call",
  new = "!is_own_sender(sender, s)",
  specs = "own_thread_calls", filter = "takes no room",
}

add {
  name = "shut-forks-go-on",
  says = "A state that is shut waits for forks that are always ready.",
  file = "src/sched/queueturn.c",
  old = "((queue->closes_when_idle || queue->is_shut) &&\n       !mts",
  new = "((queue->closes_when_idle) &&\n       !mts",
  specs = "shutdown", filter = "forks that go on",
  seconds = 25,
}

add {
  name = "cancelled-fork-ends-twice",
  says = "A cancelled fork of a state that quits is counted as ended.",
  file = "src/sched/taskrun.c",
  old = "  if (task->has_begun || request) /* else it was cancelled */\n" ..
    "    mts_queue_end",
  new = "    mts_queue_end",
  specs = "tasks_exit", filter = "when its state quits",
  seconds = 20,
}

add {
  name = "scope-swallows-ctrl-c",
  says = "Ctrl-C is lost in the wait at the end of a scope.",
  file = "src/lua/stateobject.c",
  old = "return status == MTS_DISTURBED ? lua_error(L) : 0;",
  new = "return 0;",
  specs = "ctrl_c", filter = "the end of a scope",
  seconds = 40,
}

-------------------------------------------------------------------------------
-- Notices
-------------------------------------------------------------------------------

add {
  name = "notice-takes-all",
  says = "One run of the callback takes all notices.",
  file = "src/sched/notices.h",
  old = "notices - MTS_NOTICE))",
  new = "notices % MTS_NOTICE))",
  specs = "requests_notify",
}
add {
  name = "notice-never-first",
  says = "The first notice does not have the queue served.",
  file = "src/sched/notices.c",
  old = "if (notices == 0) {",
  new = "if (notices == MTS_NOTICE) {",
  specs = "requests_notify",
}
add {
  name = "notice-enlists-once",
  says = "A queue that was in the watcher's list is never in it again.",
  file = "src/sched/notices.c",
  old = "    atomic_store(&queue->is_noticed, false); " ..
    "/* it may be added again */\n",
  new = "",
  specs = "requests_notify",
}

add {
  name = "notice-first-only",
  says = "Of several states with notices the first one is served.",
  file = "src/sched/notices.c",
  old = "    queue = next;\n",
  new = "    queue = NULL;\n    (void)next;\n",
  specs = "requests_notify", filter = "many states",
}

add {
  name = "notices-not-in-queue",
  says = "Notices that wait are not counted in the queue.",
  file = "src/sched/queue.c",
  old = "stats.waiting = queue->waiting + mts_queue_notices(queue);",
  new = "stats.waiting = queue->waiting;",
  specs = "requests_notify", filter = "neither waits",
}

-------------------------------------------------------------------------------
-- Log, end of the process
-------------------------------------------------------------------------------

add {
  name = "log-of-itself",
  says = "A logger gets its own failures.",
  file = "src/sched/log.c",
  old = "return to == s || (s &&",
  new = "return false && (s &&",
  specs = "logger_spec", filter = "own failure",
}

add {
  name = "log-of-own-pool",
  says = "A pool of loggers gets its own failures.",
  file = "src/sched/log.c",
  old = "  return to == s || (s && s->team && s->team == to->team);",
  new = "  return to == s;",
  specs = "logger_spec", filter = "a pool of loggers",
}

add {
  name = "log-cuts-texts",
  says = "What follows a zero byte in a text is not written.",
  file = "src/sched/log.c",
  old = "  fwrite(text, 1, length, stderr);",
  new = "  fputs(text, stderr); (void)length;",
  specs = "logger_spec", filter = "zero byte",
}

add {
  name = "log-cuts-names",
  says = "The logger gets the name of a state up to a zero byte.",
  file = "src/sched/log.c",
  old = "mts_codec_add_string(message, s->name, s->name_length)",
  new = "mts_codec_add_string(message, s->name, strlen(s->name))",
  specs = "logger_spec", filter = "kind, text, name and id",
}

add {
  name = "log-keeps-refused",
  says = "What the logger has no room for stays.",
  file = "src/sched/log.c",
  old = "  mts_request_free(request);\n  return false;",
  new = "  return false;",
  specs = "leaks_spec", filter = "no room for",
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

add {
  name = "ending-forgets-closing",
  says = "The process does not wait for states that are being closed.",
  file = "src/sched/queuelist.c",
  old = "(is_unowned || (word & MTS_WORD_CLOSING))",
  new = "(is_unowned || (word & 0))",
  specs = "exit_services", filter = "last tasks end", seconds = 30,
}

add {
  name = "ending-forgets-unowned",
  says = "The process does not wait for states that have lost their owners.",
  file = "src/sched/queuelist.c",
  old = "(is_unowned || (word & MTS_WORD_CLOSING))",
  new = "((is_unowned && word == 1) || (word & MTS_WORD_CLOSING))",
  specs = "exit_services", filter = "until another worker", seconds = 30,
}

add {
  name = "ending-waits-for-pool",
  says = "The process waits for pools whose members are busy.",
  file = "src/sched/queuelist.c",
  old = "      queue->closes_when_idle && !queue->first && " ..
    "!queue->team; /* see those */",
  new = "      queue->closes_when_idle && !queue->first;",
  specs = "requests_exit", filter = "pool without owners", seconds = 20,
}

add {
  name = "ending-forgets-own-threads",
  says = "Own threads that run are not interrupted at the end.",
  file = "src/sched/ending.c",
  old = " + mts_ownthread_count_running() > 0",
  new = " > 0",
  specs = "requests_exit", filter = "of an own thread", seconds = 20,
}

add {
  name = "ending-counts-no-forks",
  says = "Forks are not lost at the end of the process.",
  file = "src/sched/queuelist.c",
  old = " + stats.forks + stats.deferred",
  new = " + stats.deferred",
  specs = "tasks_exit", filter = "tells of forks",
}

add {
  name = "ending-counts-no-deferred",
  says = "Answers that were to follow are not lost at the end.",
  file = "src/sched/queuelist.c",
  old = " + stats.forks + stats.deferred",
  new = " + stats.forks",
  specs = "tasks_exit", filter = "tells of forks",
}
add {
  name = "ending-closes-state",
  says = "Requests fail, and so wake others, if a task ends the process.",
  file = "src/sched/serve.c",
  old = "    mts_queueclose_freeze(atomic_load(&s->queue));",
  new = "    mts_queueclose_close(atomic_load(&s->queue));",
  specs = "requests_exit", filter = "state that ends it",
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
  name = "blocks-counts-up",
  says = "The depot of blocks counts those that were taken from it.",
  file = "src/base/blocks.c",
  old = "      depot.count--;\n",
  new = "",
  specs = "blocks", filter = "kept again",
}
add {
  name = "blocks-thread-keeps",
  says = "A thread that ends keeps its blocks.",
  file = "src/base/blocks.c",
  old = "  free_batch(own->first);\n",
  new = "",
  specs = "blocks",
}

-------------------------------------------------------------------------------
-- Tasks
-------------------------------------------------------------------------------

add {
  name = "task-without-hook",
  says = "Debug hooks of users do not see requests.",
  file = "src/sched/taskrun.c",
  old = "  mts_taskcall_copy_hook(queue->state, task->co);\n",
  new = "",
  specs = "task_hook",
}

add {
  name = "task-hook-stays",
  says = "A hook that a request has set sees the next ones.",
  file = "src/sched/taskrun.c",
  old = "    mts_taskcall_clear_hook(task->co);\n",
  new = "",
  specs = "task_hook", filter = "does not see the next",
}
add {
  name = "fork-known-before",
  says = "A fork lies on a coroutine that code can know until it begins.",
  file = "src/sched/task.c",
  old = "is_fork || !tasks->idle",
  new = "!tasks->idle",
  specs = "fork_spec", filter = "by who knows its coroutine",
}
add {
  name = "fork-keeps-reference",
  says = "A fork that gets another coroutine keeps what refers to its own.",
  file = "src/sched/task.c",
  old = "  fork->reference = idle->reference;\n",
  new = "",
  specs = "fork_main_spec", filter = "others for ever lets waits end",
}

add {
  name = "fork-cancelled-still-runs",
  says = "A cancelled fork counts as running when it was passed over.",
  file = "src/sched/taskrun.c",
  old = "    mts_queue_note_pause(queue);\n    mts_task_retire",
  new = "    mts_task_retire",
  specs = "own_thread_calls", filter = "cancelled fork",
}
add {
  name = "task-aim-stays",
  says = "Cancel of a suspended task does not end its wait.",
  file = "src/sched/task.c",
  old = "           !mts_wait_finish(&task->wait, MTS_CANCELLED, &wakes))",
  new = "           !task)",
  specs = "task_cancel_spec", seconds = 60,
}

add {
  name = "fork-cancelled-still-counts",
  says = "A fork that is cancelled before it begins is counted for ever.",
  file = "src/sched/task.c",
  old = "    atomic_fetch_sub(&queue->tasks.forks, 1);\n",
  new = "",
  specs = "tasks_exit", filter = "loses no fork",
}
add {
  name = "task-timer-stays",
  says = "A wait that was answered leaves its timer in the heap.",
  file = "src/sched/suspend.c",
  old = "outcome != MTS_BUSY)\n    mts_timer_stop(&task->timer);",
  new = "outcome == MTS_ENDING)\n    mts_timer_stop(&task->timer);",
  specs = "timer_spec", seconds = 60,
}
add {
  name = "task-wait-stays",
  says = "A wait that timed out stays in the list of its future.",
  file = "src/sched/suspend.c",
  old = "  if (pending->future && outcome != MTS_OK)",
  new = "  if (pending->future && outcome == MTS_ENDING)",
  specs = "task.*_spec", seconds = 120,
}
add {
  name = "task-room-begins",
  says = "Requests begin while a task of the state waits for room.",
  file = "src/sched/queue.h",
  old = "  return queue->tasks.room_waits == 0 &&\n         ",
  new = "  return ",
  specs = "task_room", seconds = 60,
}
add {
  name = "task-one-leaves",
  says = "With tasks = 1 the state is left while its task waits.",
  file = "src/sched/queue.h",
  old = "  return queue->tasks.limit == 1 && atomic_load",
  new = "  return queue->tasks.limit == 0 && atomic_load",
  specs = "tasks_one", seconds = 60,
}
add {
  name = "task-deadlock-unseen",
  says = "A suspended task does not look whether it waits for itself.",
  file = "src/sched/suspend.c",
  old = "  if (pending->deadline != MTS_FOREVER)\n    return true;",
  new = "  if (pending->deadline > 0)\n    return true;",
  specs = "task_deadlock", seconds = 60,
}

add {
  name = "task-deadlock-behind-room",
  says = "A request behind a task that waits for room counts as one " ..
    "that begins.",
  file = "src/sched/suspend.c",
  old = " &&\n         queue->tasks.room_waits == 0;",
  new = ";",
  specs = "task_deadlock_spec", filter = "to a state whose task waits",
}

add {
  name = "task-deadlock-one-of-many",
  says = "Of tasks that wait for room only the last one is looked at.",
  file = "src/sched/blocker.c",
  old = "#define MOST_HINDRANCES 100",
  new = "#define MOST_HINDRANCES 1",
  specs = "task_deadlock_spec", filter = "to a state whose task waits",
}

add {
  name = "task-deadlock-any-task",
  says = "Any task of a state whose task waits for room keeps requests.",
  file = "src/sched/blocker.c",
  old = "    if (task->pending.sender) {",
  new = "    if (task) {",
  specs = "task_deadlock_spec", filter = "beside one that awaits it",
}

add {
  name = "task-deadlock-behind-fork",
  says = "A fork always begins, though a request keeps the state.",
  file = "src/sched/suspend.c",
  old = " && host->task_limit != 1;",
  new = ";",
  specs = "task_deadlock_spec", filter = "awaited by it",
}

add {
  name = "task-deadlock-fork-elsewhere",
  says = "A fork always begins, though its state is another one.",
  file = "src/sched/suspend.c",
  old = "request->future.state == host && request->is_fork",
  new = "request->is_fork",
  specs = "task_deadlock_spec", filter = "awaited by another state",
}
add {
  name = "task-not-closed",
  says = "Tasks of a state that is closed are dropped, not closed.",
  file = "src/sched/taskrun.c",
  old = "    mts_taskcall_close(&stretch);\n",
  new = "",
  specs = "task_variables", seconds = 60,
}

add {
  name = "task-keeps-what-it-awaits",
  says = "A task that is closed keeps what it has waited for.",
  file = "src/sched/suspend.c",
  old = "  if (pending->future)\n    mts_future_release(pending->future);\n",
  new = "",
  specs = "leaks_spec", filter = "while they await",
}
add {
  name = "timer-early",
  says = "Timers are run before they are due.",
  file = "src/sched/timer.c",
  old = "mts_clock_now();\n  while (run_some(now))",
  new = "mts_clock_now() + 0.002;\n  while (run_some(now))",
  specs = "timer_spec", seconds = 60,
}
add {
  name = "timer-heap-broken",
  says = "What takes the place of a stopped timer moves the wrong way.",
  file = "src/sched/timer.c",
  old = "if (i > 0 && last.deadline <",
  new = "if (i > 0 && last.deadline >",
  specs = "timer_spec", filter = "when others are stopped",
}
add {
  name = "timer-ended-is-next",
  says = "A timer that has ended counts as the next one: workers never sleep.",
  file = "src/sched/timer.c",
  old = "      sink(i, last);\n  }\n  note_next();",
  new = "      sink(i, last);\n  }",
  specs = "timer_spec", filter = "workers sleep",
}
add {
  name = "deferral-not-cancelled",
  says = "Cancel does not reach a request whose answer is deferred.",
  file = "src/sched/deferral.c",
  old = "request->is_deferred && mts_wait_decide(wait_of(request), MTS_CAN",
  new = "!queue && mts_wait_decide(wait_of(request), MTS_CAN",
  specs = "deferred", seconds = 60,
}

add {
  name = "deferral-keeps-source",
  says = "A deferred answer that fails keeps the one that it waits for.",
  file = "src/sched/deferral.c",
  old = "  mts_future_fail(&request->future, status);\n  " ..
    "mts_future_release(source);",
  new = "  mts_future_fail(&request->future, status);\n  (void)source;",
  specs = "leaks_spec", filter = "deferred answers",
}

add {
  name = "deferral-end-untold",
  says = "Nobody looks whether the last deferred answer was waited for.",
  file = "src/sched/deferral.c",
  old = "  if (is_last)\n    (void)mts_queueturn_schedule(queue);\n",
  new = "",
  specs = "deferred_end", filter = "the last thing", seconds = 30,
}

add {
  name = "deferral-stays-listed",
  says = "A deferred answer that was cancelled stays in the list of " ..
    "its source.",
  file = "src/sched/deferral.c",
  old = "  mts_future_delist(atomic_load(&request->asked.source), " ..
    "wait_of(request));\n  drop",
  new = "  drop",
  specs = "deferred_end", filter = "nothing to its future",
}

add {
  name = "deferral-list-backwards",
  says = "A deferred answer that ends takes later ones out of the list " ..
    "with it.",
  file = "src/sched/deferral.c",
  old = "  if (tasks->first_deferred)\n    " ..
    "tasks->first_deferred->previous = request;\n",
  new = "",
  specs = "deferred_end", filter = "whichever", seconds = 30,
}
add {
  name = "resume-what-waits",
  says = "A coroutine that waits in a task can be resumed by others.",
  file = "src/core/coroutine.c",
  old = "  return lua_status(co) == LUA_YIELD && !is_waiting(co);",
  new = "  return lua_status(co) == LUA_YIELD;",
  specs = "task_library", seconds = 60,
}
add {
  name = "here-wait-not-disturbed",
  says = "A wait of a main program does not look whether there is something "
    .. "to run already.",
  file = "src/sched/host.c",
  old = "  if (wait && has_something_to_do(queue))",
  new = "  if (wait && !wait->list && queue->is_shut)",
  specs = "here_spec", seconds = 60,
}
add {
  name = "here-descriptor-stale",
  says = "The descriptor stays readable when there is nothing more to do.",
  file = "src/sched/host.c",
  old = "!queue->host_runs && has_something_to_do(queue));",
  new = "true);",
  specs = "here_fd", seconds = 60,
}
add {
  name = "here-descriptor-once",
  says = "What a turn has left does not make the descriptor readable.",
  file = "src/sched/host.c",
  old = "  return queue->status == MTS_QUEUE_SCHEDULED ||\n         mts_lock",
  new = "  return queue->first ||\n         mts_lock",
  specs = "here_fd", seconds = 60,
}
add {
  name = "here-closed-by-others",
  says = "The thread that closes the state of a main program touches its "
    .. "Lua state.",
  file = "src/state.c",
  old = "  if (s->is_host)\n    return mts_lock_parker(&s->lock);",
  new = "  if (s->is_host)\n    return mts_thread_id();",
  specs = "here_close", seconds = 60,
}
add {
  name = "here-hook-innermost",
  says = "The hook looks for a main program among the innermost state only.",
  file = "src/core/hook.c",
  old = "    s = s->outer_held;\n  return s;",
  new = "    ;\n  return s;",
  specs = "here_close", filter = "cancelled and interrupted",
}
add {
  name = "here-nests-on-suspended",
  says = "Nobody notes which coroutine of a main program calls others.",
  file = "src/lua/stateobject.h",
  old = "  return mts_userdata_state(L);\n}",
  new = "  return NULL;\n}",
  specs = "here_calls", seconds = 60,
}
add {
  name = "here-runs-on",
  says = "run goes on when its millisecond is over.",
  file = "src/sched/serve.c",
  old = "  const TurnLimit limit = {most, 1};",
  new = "  const TurnLimit limit = {most, MTS_TURN_REQUESTS};",
  specs = "here_spec", seconds = 60,
}

add {
  name = "here-counts-no-notices",
  says = "run does not begin all notices that are due.",
  file = "src/sched/host.c",
  old = " + mts_queue_notices(queue) +\n",
  new = " +\n",
  specs = "here_spec", filter = "notices and forks",
}

add {
  name = "here-counts-no-forks",
  says = "run does not begin all forks that are due.",
  file = "src/sched/host.c",
  old = " +\n          mts_task_count_ready(queue, MTS_TURN_MOST);",
  new = ";",
  specs = "here_spec", filter = "notices and forks",
}
add {
  name = "host-stays-with-first-thread",
  says = "Which thread runs the Lua state of a host now is not noted.",
  file = "src/sched/host.c",
  old = "  atomic_store(&s->own_thread, mts_thread_id());\n" ..
    "  mts_self.has_host = true;\n  frame",
  new = "  mts_self.has_host = true;\n  frame",
  specs = "requests_host", filter = "another thread run",
}

add {
  name = "fork-moved-without-room",
  says = "The arguments of a fork are moved to where there is no room.",
  file = "src/sched/task.c",
  old = "!mts_protect_grow(idle->co, 0, count)",
  new = "!idle->co",
  specs = "^fork_spec", filter = "any number of arguments",
}

add {
  name = "task-coroutines-stay",
  says = "Coroutines of tasks that are not used again are never freed.",
  file = "src/sched/task.c",
  old = "  luaL_unref(L, LUA_REGISTRYINDEX, task->reference);\n",
  new = "",
  specs = "task_many", filter = "bounded number",
}

add {
  name = "running-fork-not-begun",
  says = "A fork that runs is taken for one that has not begun.",
  file = "src/sched/task.c",
  old = "      task->request->has_begun = true;\n",
  new = "",
  specs = "task_deadlock_spec", filter = "awaits a fork that runs",
}

add {
  name = "cancel-told-twice",
  says = "A cancel that was late is told in the next wait, too.",
  file = "src/sched/taskrun.c",
  old = "return request && !request->is_send && atomic_load(&request->i" ..
    "s_untold) &&\n" ..
    "         atomic_exchange(&request->is_untold, false);",
  new = "return request && !request->is_send && atomic_load(&request->i" ..
    "s_untold);",
  specs = "task_cancel_spec", filter = "is over raises once",
}

add {
  name = "scope-forgets-deferred",
  says = "The end of a scope closes a state that has to answer yet.",
  file = "src/sched/serve.c",
  old = "stats.forks > 0 ||\n         stats.deferred > 0",
  new = "stats.forks > 0",
  specs = "deferred_end", filter = "behind the scope",
}

add {
  name = "scope-forgets-forks",
  says = "The end of a scope closes a state with forks and another owner.",
  file = "src/sched/serve.c",
  old = "stats.forks > 0 ||\n",
  new = "",
  specs = "task_unowned", filter = "left to its other owners",
}

add {
  name = "room-request-stays",
  says = "A request whose wait for room was cancelled stays.",
  file = "src/lua/staterequest.c",
  old = "  if (!pending->sender->is_granted)\n" ..
    "    mts_request_free(request);\n" ..
    "  else if",
  new = "  if (!pending->sender->is_granted)\n    (void)request;\n  else if",
  specs = "task_room", filter = "are cancelled",
  seconds = 30,
}

-------------------------------------------------------------------------------
-- Loops over futures
-------------------------------------------------------------------------------

add {
  name = "each-forgets-bell",
  says = "A future that arrives wakes nobody who waits in the loop.",
  file = "src/sched/arrivals.c",
  old = "    bell = take_bell(arrivals);\n  }\n",
  new = "  }\n",
  specs = "each_spec", seconds = 60,
}
add {
  name = "each-stays-registered",
  says = "A loop that has ended gives no futures back.",
  file = "src/sched/arrivals.c",
  old = "    if (node->future) {\n      references",
  new = "    if (node->future && i > arrivals->count) {\n      references",
  specs = "each_spec", seconds = 60,
}

add {
  name = "each-forgets-references",
  says = "A loop that is left with answers that nobody took is never freed.",
  file = "src/sched/arrivals.c",
  old = "      references += forget_node(node);",
  new = "      (void)forget_node(node);\n      references++;",
  specs = "leaks_spec", filter = "loops that are left",
}

add {
  name = "each-stays-in-lists",
  says = "A loop that has ended stays in the lists of its futures.",
  file = "src/sched/arrivals.c",
  old = "  if (is_ended)\n    mts_future_delist",
  new = "  if (false)\n    mts_future_delist",
  specs = "each_spec", filter = "of a loop that has ended",
}

add {
  name = "map-keeps-requests",
  says = "What never begins as a map is left is not freed.",
  file = "src/lua/map.c",
  old = "      mts_future_release(future); /* for the request */",
  new = "      (void)future;",
  specs = "^leaks_spec", filter = "maps that are left",
}
add {
  name = "map-closing-item",
  says = "An item of a map takes the place of its closing value.",
  file = "src/lua/map.c",
  old = "#define CLOSING (MOST + 1)",
  new = "#define CLOSING MOST",
  specs = "map_spec", filter = "has to close",
}
add {
  name = "map-replaces-none",
  says = "A turn of a map asks for further items only where it has to wait.",
  file = "src/lua/map.c",
  old = "(!loop->has_kept || !head ||",
  new = "(!head ||",
  specs = "map_spec", seconds = 60,
}
add {
  name = "map-cancels-none",
  says = "When a map is left, what has not begun begins all the same.",
  file = "src/lua/map.c",
  old = "if (!mts_future_is_answered(future) && mts_future_withdraw(future))",
  new = "if (loop->first > MOST && mts_future_withdraw(future))",
  specs = "map_spec", seconds = 60,
}
add {
  name = "map-counts-name",
  says = "In a map with a name, that counts as the first value of an item.",
  file = "src/lua/map.c",
  old = "index - argument - 2",
  new = "index - 3",
  specs = "map_spec", seconds = 60,
}
add {
  name = "map-error-nowhere",
  says = "An argument error of a map is raised in code of the module.",
  file = "src/lua/loop.c",
  old = "strcmp(ar.source, CHUNK) == 0",
  new = "strcmp(ar.source, CHUNK) == 1",
  specs = "map_spec", seconds = 60,
}

-------------------------------------------------------------------------------
-- Traces
-------------------------------------------------------------------------------

add {
  name = "trace-blind-end",
  says = "An end whose begin was before the trace is written.",
  file = "src/core/trace.c",
  old = "buffer->trace == number && buffer->depth > 0)",
  new = "buffer->trace == number)",
  specs = "trace_spec", filter = "leaves out what had begun before",
}
add {
  name = "trace-leaves-open",
  says = "What has not ended does not end with the trace.",
  file = "src/core/trace.c",
  old = "  while (buffer->open > 0)",
  new = "  while (buffer->open > 9)",
  specs = "trace_", filter = "begun before",
}
add {
  name = "trace-drops-thread",
  says = "What a thread did is lost when it ends.",
  file = "src/core/trace.c",
  old = "    write_events(buffer);\n    end_open",
  new = "    end_open",
  specs = "trace_spec", filter = "that have ended",
}
add {
  name = "trace-old-buffer",
  says = "A buffer of the trace before goes on in the next one.",
  file = "src/core/trace.c",
  old = "    else if (number == current())\n      start_buffer(buffer);",
  new = "    else if (number == current() && is_new)\n" ..
    "      start_buffer(buffer);\n    buffer->trace = number;",
  specs = "trace_spec", seconds = 60,
}
add {
  name = "trace-in-child",
  says = "The child of a fork goes on with the trace of the parent.",
  file = "src/core/trace.c",
  old = "  if (current() != 0)\n    mts_tracefile_forget();\n" ..
    "  atomic_store(&mts_trace_number, 0);\n",
  new = "",
  specs = "trace_exit", filter = "forks", seconds = 60,
}
add {
  name = "trace-late-resume",
  says = "The end of a wait is written whose begin was before the trace.",
  file = "src/core/trace.c",
  old = "if (number != 0 && number == current())\n    (void)add(number,",
  new = "if (number + 1 != 0 && current() != 0)\n    (void)add(current(),",
  specs = "trace_spec", filter = "leaves out waits",
}
add {
  name = "trace-silent-failure",
  says = "Nobody hears that a trace cannot be written.",
  file = "src/core/trace.c",
  old = "  if (error != 0)\n    atomic_store(&failure, error);",
  new = "  (void)error;",
  specs = "trace_spec", filter = "with a warning", seconds = 40,
}
add {
  name = "trace-forgets-names",
  says = "Names of states are lost when there are many.",
  file = "src/core/tracefile.c",
  old = "    if (file.names[i].id != 0)\n",
  new = "    if (false)\n",
  specs = "trace_spec", filter = "has all names",
}
add {
  name = "trace-mislays-names",
  says = "When there are more names some are put where nobody looks.",
  file = "src/core/tracefile.c",
  old = "*find_place(names, places, file.names[i].id) = file.names[i];",
  new = "names[i] = file.names[i];",
  specs = "^trace_spec", filter = "has all names",
}
add {
  name = "trace-overrun",
  says = "A line of a trace with two long names has no room.",
  file = "src/core/tracefile.c",
  old = "if (TEXT_SIZE - file.length < LINE_SIZE)",
  new = "if (TEXT_SIZE - file.length < LINE_SIZE / 2)",
  specs = "^trace_spec", filter = "many long lines",
}
add {
  name = "trace-any-first-byte",
  says = "A name is written as UTF-8 that it is not.",
  file = "src/core/tracefile.c",
  old = " || bytes[0] > 0xf4 ",
  new = " ",
  specs = "^trace_spec", filter = "string of JSON",
}
add {
  name = "trace-written-by-child",
  says = "A child process writes what the stream of its parent has held " ..
    "back.",
  file = "src/core/tracefile.c",
  old = "  setvbuf(file.stream, NULL, _IONBF, 0);\n",
  new = "",
  specs = "trace_exit", filter = "parent alone",
}

-------------------------------------------------------------------------------
-- Pools
-------------------------------------------------------------------------------

add {
  name = "pool-hides-requests",
  says = "A member that cannot take requests tells no other one of them.",
  file = "src/sched/team.c",
  old = "if (has_requests && !is_free && !is_runnable)",
  new = "if (has_requests && !is_free && !is_runnable && !shared->team)",
  specs = "pool_spec", filter = "that is called directly",
}
add {
  name = "pool-forgets-idle",
  says = "A member whose turn has ended does not become an idle one.",
  file = "src/sched/team.c",
  old = "if (is_free && !has_requests)",
  new = "if (is_free && !has_requests && !shared->team)",
  specs = "pool_spec", filter = "each once",
}

add {
  name = "pool-wakes-scheduled",
  says = "A request of a pool waits for a member that has something " ..
    "else to run.",
  file = "src/sched/team.c",
  old = "    is_made = mts_queueturn_schedule(atomic_load(&s->queue));",
  new = "    is_made = true;\n    " ..
    "(void)mts_queueturn_schedule(atomic_load(&s->queue));",
  specs = "pool_spec", filter = "sent one directly",
}

add {
  name = "pool-unhindered",
  says = "A member that waits for room counts as one that begins requests.",
  file = "src/sched/team.c",
  old = "atomic_load(&queue->tasks.room_waits) == 0;\n}\n\nbool " ..
    "mts_team_may_begin",
  new = "atomic_load(&queue->tasks.room_waits) < 100;\n}\n\nbool " ..
    "mts_team_may_begin",
  specs = "task_deadlock_spec", filter = "to a pool whose task",
}
add {
  name = "pool-keeps-member",
  says = "A member that a call gives back goes to nobody in line.",
  file = "src/sched/teamcall.c",
  old = "if (has_callers && !mts_lock_request",
  new = "if (has_callers && !&caller && !mts_lock_request",
  specs = "pool_calls_spec", filter = "in the order of the line",
}
add {
  name = "pool-asks-no-lock",
  says = "A caller in line does not ask that members report when left.",
  file = "src/sched/teamcall.c",
  old = "if (!mts_lock_request(&s->lock) &&",
  new = "if (mts_lock_is_free(&s->lock) &&",
  specs = "pool_calls_spec", filter = "until any member gets free",
}
add {
  name = "pool-takes-kept-member",
  says = "A worker enters a member that is kept for a call.",
  file = "src/sched/serve.c",
  old = "s->team && atomic_load(&mts_team_member_of(s)->is_kept)",
  new = "s->team && s->depth > 100",
  specs = "pool_calls_spec", filter = "of the next turn",
}
add {
  name = "pool-refused-again",
  says = "A worker is never faster than the calls that members are kept for.",
  file = "src/sched/serve.c",
  old = "if (queue->was_refused)",
  new = "if (queue->was_refused && !is_kept_for_call(s))",
  specs = "pool_turns_spec", filter = "though callers stand in line",
}
add {
  name = "pool-passes-nothing",
  says = "A member that has to do with its own wakes no other one.",
  file = "src/sched/serve.c",
  old = "if (mts_queue_has_shared(queue))\n    mts_team_wake",
  new = "if (mts_queue_has_shared(queue) && !queue->shared->team)\n" ..
    "    mts_team_wake",
  specs = "pool_turns_spec", filter = "to do with their own",
}

add {
  name = "pool-begins-after-quit",
  says = "A member that quits begins a request of its pool.",
  file = "src/sched/serve.c",
  old = " || !may_go_on(s) ||\n      !mts_queue_may_begin_now(queue))\n" ..
    "    return 0;",
  new = " ||\n      !mts_queue_may_begin_now(queue))\n    return 0;",
  specs = "requests_notify", filter = "request of the pool",
}
add {
  name = "pool-begins-busy",
  says = "A call of an own thread counts as begun if a member is in the list.",
  file = "src/sched/team.c",
  old = "while (member && !is_unused(member))",
  new = "while (member && !is_unused(member) && !team->idle)",
  specs = "pool_turns_spec", filter = "for longer than they may",
}
add {
  name = "pool-without-limit",
  says = "What waits in the queue of a pool may take any memory.",
  file = "src/lua/poolobject.c",
  old = "  pool->heap.limit = setup->memory_limit; /* for what waits */\n",
  new = "",
  specs = "^memory_spec", filter = "of a pool is one more",
}
add {
  name = "pool-begins-nothing",
  says = "The queue of a pool has a limit of tasks: that of none.",
  file = "src/lua/poolobject.c",
  old = "pool->task_limit = MTS_STATE_NO_LIMIT;",
  new = "pool->task_limit = 0;",
  specs = "039_pool_calls_begin",
}
add {
  name = "pool-begins-too-many",
  says = "A member that has as many tasks as it may have counts as free.",
  file = "src/sched/team.c",
  old = "atomic_load(&queue->tasks.under_way) < queue->tasks.limit",
  new = "queue->tasks.limit > 0",
  specs = "039_pool_calls_begin",
}
add {
  name = "pool-deadlock-of-few",
  says = "A search in the wait graph meets so much, and no more.",
  file = "src/core/knot.c",
  old = "knot->count == knot->room && !enlarge_nodes(knot)",
  new = "knot->count == knot->room",
  specs = "pool_deadlock_spec", filter = "many members",
}
add {
  name = "pool-deadlock-of-one",
  says = "One member that waits in a circle makes a wait for a pool hopeless.",
  file = "src/core/knot.c",
  old = "node->blocker.kind == MTS_BLOCKER_POOL",
  new = "node->blocker.kind > MTS_BLOCKER_MEMBER",
  specs = "pool_deadlock_spec", filter = "one member is going to be free",
}
add {
  name = "pool-deadlock-mistakes-member",
  says = "Members are taken for one another.",
  file = "src/core/knot.c",
  old = "(a->kind <= MTS_BLOCKER_REQUEST || a->state == b->state);",
  new = "true;",
  specs = "pool_deadlock_spec", filter = "one of many members",
}
add {
  name = "deadlock-forgets-neighbours",
  says = "A thread that ceases to wait takes others out of the table.",
  file = "src/core/waitgraph.c",
  old = "  while (*link != edge)\n    link = &(*link)->next;\n" ..
    "  *link = edge->next;",
  new = "  *link = edge->next;",
  specs = "^deadlock_spec", filter = "ceased to wait", seconds = 60,
}
add {
  name = "deadlock-of-call-behind-room",
  says = "A task that waits for room keeps calls of an own thread, too.",
  file = "src/sched/blocker.c",
  old = "visit_state(queue, task, !request->is_call, visitor);",
  new = "visit_state(queue, task, true, visitor);",
  specs = "042_deadlock_steps", filter = "no call of a state",
}
add {
  name = "deadlock-misses-room-of-members",
  says = "Tasks of a member that wait for room keep no request of its pool.",
  file = "src/sched/blocker.c",
  old = "visit_state(queue, NULL, request != NULL, &visitor);",
  new = "visit_state(queue, NULL, false, &visitor);",
  specs = "pool_deadlock_spec", filter = "wait for room where it waits",
}
add {
  name = "deadlock-misses-end-of-kept",
  says = "Who waits for the end of a state with tasks = 1 waits for nobody.",
  file = "src/sched/blocker.c",
  old = "queue->tasks.limit != 1 ||\n      " ..
    "mts_lockword_is_ending(atomic_load(&s->lock.word)))",
  new = "queue->tasks.limit != 1)",
  specs = "042_deadlock_steps", filter = "the end of a pool",
}
add {
  name = "deadlock-misses-what-cannot-go-on",
  says = "A task whose wait is over, or timed, can always go on.",
  file = "src/sched/blocker.c",
  old = "  visit_wait(task, visitor);\n" ..
    "  visit_state(queue, task, false, visitor);",
  new = "  visit_wait(task, visitor);",
  specs = "042_deadlock_steps", filter = "a member of a pool waits for",
}
add {
  name = "deadlock-follows-one-way",
  says = "What needs several things to go on needs the first one only.",
  file = "src/core/knot.c",
  old = "if (node->needs == 0 ||",
  new = "if (true ||",
  specs = "042_deadlock_steps", filter = "whose wait is going to end",
}
add {
  name = "deadlock-misses-room-behind-keeper",
  says = "Who looks at what keeps a state forgets what waits for room there.",
  file = "src/sched/blocker.c",
  old = "if (needs_rest && !own)",
  new = "if (needs_rest && !own && queue->tasks.limit != 1)",
  specs = "042_deadlock_steps", filter = "more than one task",
}
add {
  name = "deadlock-of-what-ends",
  says = "A request whose answer is just being given counts as not begun.",
  file = "src/sched/blocker.c",
  old = "else if (request->has_begun)",
  new = "else if (request->has_begun &&\n           " ..
    "atomic_load(&queue->state->interrupt.task) == request)",
  specs = "042_deadlock_steps", filter = "of another task when a request",
}
add {
  name = "deadlock-of-fork",
  says = "A suspended fork keeps a state with tasks = 1.",
  file = "src/sched/blocker.c",
  old = "  while (task && task->is_fork)\n" ..
    "    task = task->next;\n",
  new = "",
  specs = "042_deadlock_steps", filter = "which keeps nothing",
}
add {
  name = "deadlock-of-fork-behind-room",
  says = "A task that waits for room keeps forks from beginning.",
  file = "src/sched/blocker.c",
  old = "if (needs_rest && !own)",
  new = "if (needs_rest)",
  specs = "042_deadlock_steps", filter = "a fork from beginning",
}
add {
  name = "deadlock-of-pool-call-behind-room",
  says = "The same of calls of a pool.",
  file = "src/sched/blocker.c",
  old = "visit_state(queue, NULL, request != NULL, &visitor);",
  new = "visit_state(queue, NULL, true, &visitor);",
  specs = "042_deadlock_steps", filter = "a call of a pool from beginning",
}
add {
  name = "deadlock-misses-keeping-notice",
  says = "The task of a notice keeps its state, and nobody is told.",
  file = "src/sched/blocker.c",
  old = "  if (task)\n    visit_task(visitor, task);\n}",
  new = "  if (task && task->request)\n    visit_task(visitor, task);\n}",
  specs = "042_deadlock_steps", filter = "the state that it keeps",
}
add {
  name = "deadlock-misses-notice-itself",
  says = "The task of a notice does not find out that it waits for itself.",
  file = "src/sched/suspend.c",
  old = "if (mts_waitgraph_ends_task(",
  new = "if (request && mts_waitgraph_ends_task(",
  specs = "042_deadlock_steps", filter = "told to itself",
}
add {
  name = "deadlock-misses-room-of-notice",
  says = "The task of a notice waits for room, and nobody is told.",
  file = "src/sched/blocker.c",
  old = "if (task->pending.sender) {\n      visit_task",
  new = "if (task->pending.sender && task->request) {\n      visit_task",
  specs = "042_deadlock_steps", filter = "where it waits for room",
}
add {
  name = "pool-deadlock-of-bystander",
  says = "Who waits for tasks that are a deadlock is told of it.",
  file = "src/core/knot.c",
  old = "knot->nodes[i].is_others = !knot->nodes[i].goes_on;",
  new = "knot->nodes[i].is_others = false;",
  specs = "040_deadlock_bystander",
}
add {
  name = "pool-closes-unowned-early",
  says = "A pool without owners is closed while members are busy.",
  file = "src/sched/teamclose.c",
  old = "mts_queue_has_work(queue);\n  mts_mutex_unlock",
  new = "false;\n  mts_mutex_unlock",
  specs = "pool_close_spec", filter = "the loss of the last owner",
}

add {
  name = "pool-keeps-members",
  says = "A pool whose members have ended keeps them.",
  file = "src/sched/teamclose.c",
  old = "  while (count > 0)\n    " ..
    "mts_state_release(team->members[--count].state);\n",
  new = "",
  specs = "leaks_spec", filter = "pools that have answered",
}

add {
  name = "pool-dismisses-some",
  says = "Of many callers in line only the first ones learn that a " ..
    "pool is closed.",
  file = "src/sched/teamcall.c",
  old = "  } while (wakes.count == MTS_WAKES);",
  new = "  } while (false);",
  specs = "pool_close", filter = "callers, however many",
}

add {
  name = "pool-members-accept",
  says = "Members take requests while their pool is about to be closed.",
  file = "src/sched/teamclose.c",
  old = "  (void)for_members(pool, refuse_member, NULL);\n",
  new = "",
  specs = "pool_close", filter = "sent to members, too",
}
add {
  name = "pool-closes-members-itself",
  says = "Who closes a pool runs the last functions of its members.",
  file = "src/state.c",
  old = "if (own == 0 && s->team && mts_upcalls.has_workers())",
  new = "if (own == 0 && s->team && !mts_upcalls.has_workers())",
  specs = "pool_end_spec", filter = "that drops the owner",
}
add {
  name = "pool-awaits-no-own-thread",
  says = "close() of a pool does not wait for threads that close members.",
  file = "src/core/lock.c",
  old = "!(lock->is_taken && holder != mts_thread_id()) &&",
  new = "",
  specs = "pool_end_spec", filter = "waits for that",
}
add {
  name = "pool-forgets-closers",
  says = "Closers of a pool are told only when a member has nothing to run.",
  file = "src/sched/team.c",
  old = "shared->closing.first && !has_requests",
  new = "shared->closing.first && !has_requests && !is_runnable",
  specs = "pool_end_spec", filter = "a timeout is not kept off by forks",
}

add {
  name = "shutdown-leaves-pools",
  says = "A pool stays open when the time of shutdown is over.",
  file = "src/sched/teamclose.c",
  old = "  if (status == MTS_OK || status == MTS_BUSY)\n" ..
    "    mts_closing_stop(pool);\n  if",
  new = "  if (status == MTS_OK)\n    mts_closing_stop(pool);\n  if",
  specs = "shutdown", filter = "pool whose time is over",
  seconds = 20,
}

add {
  name = "pool-closing-keeps-notices-off",
  says = "A pool whose closing was cancelled takes no notices any more.",
  file = "src/sched/teamclose.c",
  old = "  mts_queueclose_accept_notices(atomic_load(&s->queue));\n",
  new = "",
  specs = "pool_close", filter = "notices again",
}

add {
  name = "pool-closes-inside",
  says = "Who closes a pool with a timeout inside a member waits for it.",
  file = "src/sched/teamclose.c",
  old = "  if (for_members(pool, check_not_inside, NULL) != MTS_OK)\n" ..
    "    return MTS_BUSY;\n",
  new = "",
  specs = "pool_close", filter = "refused while a call",
}

add {
  name = "pool-own-thread-borrowed",
  says = "A call inside an own thread enters a member with another one.",
  file = "src/sched/teamcall.c",
  old = "  else if (!team->has_own_threads &&\n           (!team",
  new = "  else if ((!team",
  specs = "pool_calls_spec", filter = "though others are free",
}

add {
  name = "pool-child-tries-one",
  says = "In a child process only the first member of a pool is called.",
  file = "src/sched/teamcall.c",
  old = "status == MTS_BUSY && i < team->count; i++)",
  new = "status == MTS_BUSY && i < 1; i++)",
  specs = "requests_host", filter = "not busy at the fork",
  seconds = 20,
}

-------------------------------------------------------------------------------
-- Looking inside
-------------------------------------------------------------------------------

add {
  name = "usage-misses-short-calls",
  says = "The time of short calls is lost if there are pauses between.",
  file = "src/core/usage.c",
  old = "  return now + 1;\n}",
  new = "  return now;\n}",
  specs = "stats_spec", filter = "pauses between",
}
add {
  name = "usage-misses-short-requests",
  says = "The same for requests, which begin a use while there is one.",
  file = "src/core/usage.h",
  old = "tick, memory_order_relaxed) + 1) {",
  new = "tick, memory_order_relaxed)) {",
  specs = "stats_spec", filter = "pauses between",
}
add {
  name = "usage-starts-thread",
  says = "A program with one thread gets the watcher by calling a state.",
  file = "src/core/thread.c",
  old = "if (atomic_exchange(&has_first, true))",
  new = "if (!atomic_exchange(&has_first, true))",
  specs = "stats_spec", filter = "no other one",
}
add {
  name = "usage-tells-less",
  says = "The time that a state has run can be less than was told before.",
  file = "src/core/usage.c",
  old = "return (double)(told < total ? total : told) * 1e-9;",
  new = "return (double)total * 1e-9;",
  specs = "stats_spec", filter = "less time than before",
}
add {
  name = "usage-stops-in-child",
  says = "After a fork a state seems to take no time.",
  file = "src/core/usage.c",
  old = "void mts_usage_after_fork_in_child(void)\n" ..
    "{\n  atomic_store(&has_no_thread, true);\n" ..
    "  atomic_store(&mts_usage_tick, 0);\n",
  new = "void mts_usage_after_fork_in_child(void)\n" ..
    "{\n",
  specs = "requests_host", filter = "stops code whose time",
}
add {
  name = "watch-lost-in-child",
  says = "After a fork nothing is tried again.",
  file = "src/core/watch.c",
  old = "  atomic_store(&has_thread, false);\n" ..
    "  watcher",
  new = "  watcher",
  specs = "requests_host", filter = "stops code whose time", seconds = 30,
}
add {
  name = "watch-heap-loses-trees",
  says = "Most watches of a heap are lost when its root is taken.",
  file = "src/core/watch.c",
  old = "    all = meld(all, pair);\n",
  new = "    all = meld(pair, NULL);\n",
  specs = "^watch_spec", filter = "one of many",
}
add {
  name = "traceback-needs-own-code",
  says = "The hook is set in no state but the one that is looked at.",
  file = "src/core/interrupt.c",
  old = "(is_looked_at && atomic_load(&s->innermost))",
  new = "(is_looked_at && !s)",
  specs = "traceback_spec", filter = "whose code calls others",
}
add {
  name = "traceback-of-no-wait",
  says = "A thread does not say that it waits.",
  file = "src/core/thread.h",
  old = "  atomic_store(&mts_self.wait_state, MTS_THREAD_WAITS);\n",
  new = "",
  specs = "traceback_spec", filter = "at once of a thread that waits",
}
add {
  name = "wait-hangs-behind-hook",
  says = "A hook that was run is new for ever: waits behind it never end.",
  file = "src/lua/waiting.c",
  old = "  waiting->hook = lua_gethook(main);\n  return result",
  new = "  return result",
  specs = "ctrl_c", filter = "what every hook means",
}
add {
  name = "hook-borrowed-for-good",
  says = "A coroutine that waits keeps the hook of the main Lua thread.",
  file = "src/lua/waiting.c",
  old = "    lua_sethook(L, NULL, 0, 0);\n  }\n",
  new = "  }\n",
  specs = "ctrl_c", filter = "what every hook means",
}
add {
  name = "cancel-lost-in-finalizer",
  says = "A task is not cancelled if only its finalizer has waited.",
  file = "src/lua/waiting.c",
  old = "host && !host->is_host &&\n",
  new = "host && host->is_host &&\n",
  specs = "task_hook", filter = "keep cancel off", seconds = 20,
}
add {
  name = "sleep-outlives-state",
  says = "A task that only lets others run keeps its state from closing.",
  file = "src/lua/modulework.c",
  old = "!(mts_self.task && mts_wait_is_refused(&waiting.patience))) {",
  new = "!(mts_self.task && !mts_self.task)) {",
  specs = "task_close", filter = "only lets others run", seconds = 60,
}
add {
  name = "close-interrupted-before",
  says = "What was to interrupt the next call hits __close.",
  file = "src/state.c",
  old = "  (void)mts_interrupt_request(s, MTS_INTERRUPT_NONE); /* that was",
  new = "  (void)0; /* that was",
  specs = "close_function",
}
add {
  name = "unpark-measures-nothing",
  says = "The time of waits counts for a task that keeps the state.",
  file = "src/state.c",
  old = "  mts_state_hold(s);\n  mts_usage_begin(&s->usage);\n" ..
    "  mts_self.nesting++;\n  return true;",
  new = "  mts_state_hold(s);\n  mts_self.nesting++;\n  return true;",
  specs = "stats_spec", filter = "no time of waits",
}
add {
  name = "receiver-frees-nothing",
  says = "The writer that there was no memory for must not be freed.",
  file = "src/capi/receiver.c",
  old = "  if (writer) {\n    mts_buffer_free",
  new = "  {\n    mts_buffer_free",
  specs = "^receiver_spec", filter = "freed with content",
}
add {
  name = "receiver-leaks-refused",
  says = "What native code sends in vain is not freed.",
  file = "src/capi/receiver.c",
  old = "    if (status != MTS_OK)\n      mts_request_free(request);\n",
  new = "",
  specs = "requests_receiver", filter = "of what is refused",
}

add {
  name = "traceback-of-outer-wait",
  says = "It is not known in which Lua thread code waits, if C resumed that.",
  file = "src/lua/waiting.c",
  old = "  waiting->patience.L = L;\n",
  new = "",
  specs = "traceback_spec", filter = "that C code has resumed",
}
add {
  name = "traceback-takes-hook",
  says = "The hook that code has set is lost.",
  file = "src/core/hook.c",
  old = "lua_sethook(L, found.hook, found.mask, found.count);",
  new = "lua_sethook(L, NULL, 0, 0);",
  specs = "traceback_spec", filter = "keeps the hook",
}
add {
  name = "traceback-brings-hook-back",
  says = "A hook that code has removed meanwhile is set again.",
  file = "src/core/hook.c",
  old = "else if (!hook && stands_for_user(node, L))",
  new = "else if (!hook && stands_for_user(node, L) && !L)",
  specs = "traceback_spec", filter = "bring back",
}
add {
  name = "traceback-takes-outer-hook",
  says = "The hook of a coroutine is lost if another one has got ours, too.",
  file = "src/core/hook.c",
  old = "    s->interrupt.user = resume->user;\n",
  new = "    return;\n",
  specs = "traceback_spec", filter = "keeps the hooks of coroutines",
}
add {
  name = "traceback-asks-no-worker",
  says = "Nobody serves a state whose suspended tasks are looked at.",
  file = "src/core/traceback.c",
  old = "    mts_upcalls.serve(s);\n",
  new = "    return status;\n",
  specs = "traceback_spec", filter = "what each suspended task",
}
add {
  name = "stats-forget-errors",
  says = "Requests that fail are not counted.",
  file = "src/sched/taskrun.c",
  old = "if (!task->is_fork &&\n        (ending->status == MTS_RAISED ||",
  new = "if (task->is_fork &&\n        (ending->status == MTS_RAISED ||",
  specs = "stats_spec", filter = "those that failed",
}
add {
  name = "stats-keep-states",
  says = "The stats of the module keep all states that they have summed up.",
  file = "src/lua/looking.c",
  old = "&states[i]->heap);\n    mts_state_release(states[i]);",
  new = "&states[i]->heap);",
  specs = "stats_spec", filter = "keeps nothing",
}
add {
  name = "states-list-members",
  says = "Members of pools are listed beside their pools, too.",
  file = "src/lua/looking.c",
  old = "if ((!s->team || mts_state_is_pool(s)) && push_stats(L, view, s))",
  new = "if (push_stats(L, view, s))",
  specs = "stats_spec", filter = "members with their pools",
}

-------------------------------------------------------------------------------
-- Memory of states
-------------------------------------------------------------------------------

add {
  name = "slab-shortens-in-place",
  says = "A block that gets smaller keeps the class that it had.",
  file = "src/base/slab.c",
  old = "  shorten(slab, block, old_size, size);\n",
  new = "",
  specs = "^slab_spec",
}
add {
  name = "slab-loses-rest",
  says = "What is left of a page when the next one is taken is lost.",
  file = "src/base/slab.c",
  old = "  cut(slab, slab->rest, slab->rest_end);\n",
  new = "",
  specs = "^slab_spec",
}
add {
  name = "slab-drops-nothing",
  says = "Blocks of pages that are given back stay on the lists.",
  file = "src/base/slabpages.c",
  old = "  drop_blocks_of_free_pages(slab);\n",
  new = "",
  specs = "^slab_spec",
}
add {
  name = "slab-never-purges",
  says = "No page is given back.",
  file = "src/base/slabpages.c",
  old = "slab->pages * PAGE / 4 + slab->small_size + slab->large;",
  new = "0;",
  specs = "^slab_spec",
}
add {
  name = "slab-pages-stay-used",
  says = "Pages that are given back count as used ones of their chunk.",
  file = "src/base/slabpages.c",
  old = "      chunk->used_pages--;\n",
  new = "",
  specs = "^slab_spec",
}
add {
  name = "slab-large-forgotten",
  says = "Large blocks that are made after a purge was planned put it off.",
  file = "src/base/slab.c",
  old =
    "  if (slab->purge_below > 0)\n    slab->purge_below += size - ol" ..
    "d_size;\n",
  new = "",
  specs = "^slab_spec", filter = "since then",
}
add {
  name = "pages-stay",
  says = "Pages that are given back stay in memory.",
  file = "src/base/pages.c",
  old = "  (void)madvise((void *)begin, end - begin, MADV_DONTNEED);",
  new = "  (void)begin;",
  specs = "^slab_spec", filter = "no more memory",
}
add {
  name = "heap-peak-shrinks",
  says = "The peak is that of after a block got smaller.",
  file = "src/base/heap.c",
  old = "  note_peak(heap, used);\n  note_use(heap, others + size);",
  new = "  note_use(heap, others + size);",
  specs = "^memory_spec", filter = "gets smaller",
}
add {
  name = "heap-peak-given-back",
  says = "The peak is that of after a block was given back.",
  file = "src/base/heap.c",
  old = "  note_peak(heap, used);\n  note_use(heap, used - size);",
  new = "  note_use(heap, used - size);",
  specs = "^memory_spec", filter = "blocks that are given back",
}
add {
  name = "heap-lowest-forgotten",
  says = "What was given back does not make the limit more distant.",
  file = "src/base/heap.c",
  old = "  if (has_limit)\n    note_lowest(heap, used - size);\n",
  new = "  (void)has_limit;\n",
  specs = "^memory_spec", filter = "and taken again",
}
add {
  name = "descriptor-inherited",
  says = "Programs that are started get the descriptor of here.",
  file = "src/base/descriptor.c",
  old = "EFD_NONBLOCK | EFD_CLOEXEC",
  new = "EFD_NONBLOCK",
  specs = "^here_fd",
}
add {
  name = "ready-keeps-files",
  says = "Each look at a thread leaves a file open.",
  file = "src/base/process.c",
  old = "  if (file)\n    fclose(file);\n",
  new = "",
  specs = "^osthreads", filter = "as often",
}
add {
  name = "condition-by-wall-clock",
  says = "Waits with a deadline go by another clock than that.",
  file = "src/async_util.c",
  old = "  CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));\n",
  new = "",
  specs = "^osthreads", filter = "clock",
}
add {
  name = "condition-cancelled",
  says = "A thread that is cancelled ends while it waits with a deadline.",
  file = "src/async_util.c",
  old = "  cancel_state = mts_cancel_disable();\n  error = timed_wait",
  new = "  cancel_state = PTHREAD_CANCEL_ENABLE;\n  error = timed_wait",
  specs = "^osthreads", filter = "until",
}
add {
  name = "heap-sums-overflow",
  says = "A block of nearly all numbers is taken for a small one.",
  file = "src/base/heap.c",
  old = "(size > MOST_BYTES || (has_limit && !may_grow(heap, used + size)))",
  new = "(has_limit && !may_grow(heap, used + size))",
  specs = "^memory_edges_spec", filter = "where sizes overflow",
}
add {
  name = "memory-senders-wait-for-ever",
  says = "A state that nobody calls does not collect for senders.",
  file = "src/sched/serve.c",
  old = "    mts_memory_answer(s);\n",
  new = "",
  specs = "^memory_edges_spec", filter = "for senders when an idle",
}

-------------------------------------------------------------------------------
-- Limits of memory
-------------------------------------------------------------------------------

add {
  name = "memory-queue-keeps",
  says = "What a request that begins has taken is not given back.",
  file = "src/sched/queue.h",
  old = "mts_heap_set_waiting(queue->heap, mts_heap_waiting(queue->heap) -",
  new = "mts_heap_set_waiting(queue->heap, mts_heap_waiting(queue->heap) - " ..
    "0 *",
  specs = "^memory_spec", filter = "stops all senders",
}
add {
  name = "memory-queue-is-free",
  says = "Code that runs may take what is taken by requests that wait.",
  file = "src/base/heap.c",
  old = "mts_heap_allows(heap, used + heap->reserve);",
  new = "used + heap->reserve <= heap->limit;",
  specs = "^memory_spec", filter = "holds for the code that runs",
}
add {
  name = "memory-granted-blindly",
  says = "A sender that gets room does not need memory.",
  file = "src/sched/room.c",
  old = "mts_queue_has_memory(queue, sender->request);",
  new = "true;",
  specs = "^memory_spec", filter = "a sender that waits for room",
}
add {
  name = "memory-refused-untold",
  says = "A sender that gets room, but no memory, is not told.",
  file = "src/sched/room.c",
  old = "sender->is_refused = !has_memory;",
  new = "sender->is_refused = false;",
  specs = "^memory_spec", filter = "a sender that waits for room",
}
add {
  name = "memory-full-of-garbage",
  says = "Nothing is collected when code has ended.",
  file = "src/core/memory.c",
  old = "if (s->depth > 1)",
  new = "if (s->depth > 0)",
  specs = "^memory_spec", filter = "that C functions have made",
}
add {
  name = "memory-finalizers-wait",
  says = "The allocator does not have garbage collected near the limit.",
  file = "src/core/memory.c",
  old = "    mts_hook_set_everywhere(s);",
  new = "    (void)s;",
  specs = "^memory_spec", filter = "garbage: finalized values",
}
add {
  name = "memory-collects-once",
  says = "What has finalizers stays when room is made for others.",
  file = "src/core/memory.c",
  old = "  if (mts_heap_used(heap) > heap->limit / 2)\n" ..
    "    lua_gc(L, LUA_GCCOLLECT, 0);\n",
  new = "",
  specs = "^memory_spec", filter = "garbage has finalizers",
}
add {
  name = "memory-hooks-of-users",
  says = "The hook of interrupts takes the place of one of the user.",
  file = "src/core/hook.c",
  old = "  if (!mts_hook_is_foreign(L))\n    lua_sethook(",
  new = "  if (L)\n    lua_sethook(",
  specs = "^memory_spec", filter = "hook of users",
}

-------------------------------------------------------------------------------
-- Options
-------------------------------------------------------------------------------

add {
  name = "options-of-all",
  says = "Each function takes the options of all others.",
  file = "src/lua/options.c",
  old = "(option->takers & taker) && ",
  new = "taker && ",
  specs = "options_spec",
}
add {
  name = "options-count-any",
  says = "A pool takes numbers of members that it cannot have.",
  file = "src/lua/options.c",
  old = "if (!(count >= 1 && count <= MTS_OPTIONS_MOST_MEMBERS) ||\n      ",
  new = "if (",
  specs = "^pool_spec",
}
add {
  name = "setup-message-stays",
  says = "The arguments of a setup own states until garbage is collected.",
  file = "src/lua/creation.c",
  old = "  if (setup->message)\n    mts_codec_free(setup->message);\n",
  new = "",
  specs = "deep_ways", filter = "until it was read",
}
add {
  name = "setup-behind-nil",
  says = "nil in the place of the options is the setup.",
  file = "src/lua/setupread.c",
  old = "(type == LUA_TNIL && lua_gettop(L) > index)",
  new = "(type == LUA_TNIL && lua_gettop(L) < index)",
  specs = "newstate_spec",
}
add {
  name = "setup-knows-no-paths",
  says = "A new state finds modules where its creator does not.",
  file = "src/lua/setupread.c",
  old = "setup->cpath = push_package_field(L, \"cpath\");",
  new = "setup->cpath = setup->path;",
  specs = "newstate_spec",
}
add {
  name = "thread-name-in-options",
  says = "The name of a thread is that in its options, which can change.",
  file = "src/lua/setupread.c",
  old = "  lua_replace(L, 1);\n" ..
    "  setup->name = lua_tolstring(L, 1, &setup->name_length);\n",
  new = "  setup->name = lua_tolstring(L, -1, &setup->name_length);\n" ..
    "  lua_pop(L, 1);\n",
  specs = "^thread_spec", filter = "that it was given",
}
add {
  name = "thread-code-to-zero",
  says = "The code of a thread ends at a byte that is zero.",
  file = "src/lua/setupread.c",
  old = "luaL_loadbuffer(L, code, length, code);",
  new = "luaL_loadbuffer(L, code, strlen(code), code);",
  specs = "^thread_spec", filter = "any bytes",
}

-------------------------------------------------------------------------------
-- Values
-------------------------------------------------------------------------------

add {
  name = "transfer-without-handler",
  says = "Where __transfer fails in a result nobody learns.",
  file = "src/core/call.c",
  old = "  call->handler = handler;\n",
  new = "",
  specs = "deep_own_types",
}
add {
  name = "raised-nan-breaks-handler",
  says = "An error value that is not a number breaks the message handler.",
  file = "src/core/deep.c",
  old = "if (lua_isnil(L, index) || !lua_rawequal(L, index, index))",
  new = "if (lua_isnil(L, index))",
  specs = "^deep_raised", filter = "not a number",
}
add {
  name = "raised-conversion-hides-error",
  says = "Whose __transfer fails as an error value is told by that error.",
  file = "src/core/deep.c",
  old = "  if (encoding == MTS_ENCODING_RAISED)\n" ..
    "    lua_pop(call->callee, 1);\n",
  new = "",
  specs = "^deep_raised", filter = "cannot be converted",
}
add {
  name = "raised-value-kept",
  says = "A state keeps the error values that it has reported.",
  file = "src/core/deep.c",
  old = "  lua_pushnil(callee);\n  lua_rawset(callee, 2);\n" ..
    "  return 1;",
  new = "  return 1;",
  specs = "^deep_raised", filter = "not kept by the state",
}
add {
  name = "answer-on-small-stack",
  says = "Answers need no room on the stack.",
  file = "src/core/deep.c",
  old = "(int)message->count + 2)",
  new = "2)",
  specs = "^futures_spec", filter = "however small the stack",
}
add {
  name = "answer-leaves-error",
  says = "The error of the decoder stays below the one that is raised.",
  file = "src/core/deep.c",
  old = "  lua_pop(L, 1);\n  return status;\n" ..
    "}\n\nmts_Status mts_deep_push_results",
  new = "  return status;\n}\n\nmts_Status mts_deep_push_results",
  specs = "^each_spec", filter = "one error where",
}
add {
  name = "failure-leaves-error",
  says = "The same of an error value.",
  file = "src/core/failure.c",
  old = "    return MTS_OK;\n  lua_pop(L, 1);\n",
  new = "    return MTS_OK;\n",
  specs = "^each_spec", filter = "one error where",
}
add {
  name = "request-keeps-frames",
  says = "What decoded deep arguments of a request is not freed.",
  file = "src/core/taskcall.c",
  old = "  if (stretch->opening)\n" ..
    "    mts_decode_close(&stretch->opening->decoder);\n",
  new = "",
  specs = "^deep_spec", filter = "however deep",
}
add {
  name = "task-leaves-hook",
  says = "The hook that a task has set is that of the next one, too.",
  file = "src/core/taskcall.c",
  old = "  if (!MTS_HOOKS_ARE_GLOBAL && lua_gethook(co))\n",
  new = "  if (MTS_HOOKS_ARE_GLOBAL && lua_gethook(co))\n",
  specs = "^task_hook", filter = "does not see the next",
}
add {
  name = "task-yielded-not-closed",
  says = "To-be-closed variables of a task that C code yields stay open.",
  file = "src/core/taskcall.c",
  old = "      (void)lua_closethread(stretch->co, L);\n",
  new = "      (void)L;\n",
  specs = "task_library", filter = "that C code yields",
}
add {
  name = "task-closing-errors-lost",
  says = "Errors of to-be-closed variables of suspended tasks are lost.",
  file = "src/core/taskcall.c",
  old = "    mts_upcalls.report(s, text, length);\n",
  new = "    (void)text;\n",
  specs = "task_close_spec", filter = "logs errors", seconds = 30,
}
add {
  name = "dispatch-extra-argument",
  says = "A chosen function gets one argument more in a task: nil.",
  file = "src/core/dispatch.c",
  old = "  return lua_gettop(L) - function + 1;",
  new = "  return count + 1;",
  specs = "^functions_spec", filter = "behind the choice",
}
add {
  name = "choice-of-nothing",
  says = "A call without arguments chooses nothing, and not nil.",
  file = "src/core/dispatch.c",
  old = "  if (lua_gettop(L) == 0)\n    lua_pushnil(L);\n",
  new = "",
  specs = "^functions_spec", filter = "without arguments",
}
add {
  name = "failure-kept",
  says = "The text of an error that native code has got is not freed.",
  file = "src/core/call.c",
  old = "    mts_call_tell(s, status, &failure, handler, data);\n" ..
    "  mts_failure_close(&failure);\n  return",
  new = "    mts_call_tell(s, status, &failure, handler, data);\n  return",
  specs = "^notify_spec", filter = "frees the text",
}
add {
  name = "native-hears-of-busy",
  says = "That a state is busy is told as an error, too.",
  file = "src/core/call.c",
  old = "status != MTS_CLOSED && status != MTS_BUSY)",
  new = "status != MTS_CLOSED)",
  specs = "^receiver_spec", filter = "when the state is busy",
}
add {
  name = "string-unprotected",
  says = "A string is copied without a protected call of its new state.",
  file = "src/value/kinds.h",
  old = "X(STRING, LUA_TSTRING, true, MTS_NEED_MEMORY)",
  new = "X(STRING, LUA_TSTRING, true, MTS_NEED_NOTHING)",
  specs = "^memory_spec", seconds = 20,
}
add {
  name = "error-value-stays",
  says = "What was encoded of an error value that cannot cross is kept.",
  file = "src/core/deep.c",
  old = "  mts_codec_free(&failure->value);\n  if (encoding",
  new = "  if (encoding",
  specs = "deep_errors", filter = "leak no memory",
}
add {
  name = "way-runs-together",
  says = "Nothing is between a result and what is wrong behind it.",
  file = "src/value/way.c",
  old = "    way->place = IN_FIELD; " ..
    "/* what it is a part of stands in front */\n",
  new = "    way->place = AT_START;\n",
  specs = "^deep_errors", filter = "state_result as results",
}
add {
  name = "module-of-data",
  says = "Tables in package.loaded that hold no function cross by name.",
  file = "src/value/encodemodule.c",
  old = "    lua_pop(L, 1);\n  }\n  return false;\n",
  new = "    lua_pop(L, 1);\n  }\n  return true;\n",
  specs = "deep_modules", filter = "without functions",
}
add {
  name = "environment-lost",
  says = "An environment that is an instance becomes the globals.",
  file = "src/value/encodecode.c",
  old = "  if (class)\n    return false;",
  new = "  if (class)\n    return true;",
  specs = "deep_functions", filter = "an environment with a metatable",
}
add {
  name = "walk-older-unset",
  says = "Where older slots go is what the C stack happens to have.",
  file = "src/value/walk.c",
  old = "  walk->older = 0;\n",
  new = "",
  specs = "^levels", filter = "levels cross", seconds = 60,
}
add {
  name = "array-keeps-strings",
  says = "Strings are referred to that finalizers have dropped meanwhile.",
  file = "src/value/encodeobject.c",
  old =
    "  is_array = mts_carray_find(e->L, -1, &array);\n  mts_encoder_f" ..
    "orget_strings(e);",
  new = "  is_array = mts_carray_find(e->L, -1, &array);",
  specs = "deep_running", filter = "in finalizers",
}
add {
  name = "array-shrinks-unseen",
  says = "An array that has been shortened is sent as it was.",
  file = "src/value/encodeobject.c",
  old = "if (!mts_carray_read(&array, elements))",
  new = "if (!mts_carray_read(&array, elements) && false)",
  specs = "deep_running", filter = "shorten an array",
}
add {
  name = "copy-shrinks-unseen",
  says = "The same of a classic state, whose copy has any elements then.",
  file = "src/value/carray.c",
  old = "  if (!mts_carray_read(source, elements)) /* loading",
  new = "  if (!mts_carray_read(source, elements) && false) /* loading",
  specs = "^carray_spec", filter = "by finalizers",
}
add {
  name = "long-key-not-held",
  says = "A long string that is a key is not kept while the caller waits.",
  file = "src/value/encode.c",
  old = "      lua_pushvalue(L, index);\n      return mts_encoder_append_far",
  new = "      lua_pushvalue(L, -1);\n      return mts_encoder_append_far",
  specs = "deep_strings", filter = "has dropped them",
}
add {
  name = "request-holds-nothing",
  says = "Long strings of requests and answers are not copied.",
  file = "src/value/encoder.h",
  old = "return e->values->holds_strings && e->needs == 0 &&",
  new = "return e->needs == 0 &&",
  specs = "deep_strings", filter = "are copies",
}
add {
  name = "held-string-off-by-one",
  says = "A long string takes the place of what lies below its slots.",
  file = "src/value/encoder.c",
  old = "e->holder + ++e->held",
  new = "e->holder + e->held++",
  specs = "deep_strings", filter = "other arguments",
}
add {
  name = "function-is-variable",
  says = "A function is another one, whose variable had its address.",
  file = "src/value/encoder.c",
  old = "      MTS_IDENTITY_UPVALUE(old_number) == 0)",
  new = "      true)",
  specs = "deep_functions", filter = "replace",
}
add {
  name = "finalized-object-sent",
  says = "A finalized object of the module is sent.",
  file = "src/value/encodeobject.c",
  old =
    "  if (!object)\n    return mts_encoder_refuse(e, \"finalized obj" ..
    "ect\");\n",
  new = "",
  specs = "deep_errors", filter = "finalized",
}
add {
  name = "arguments-are-kept",
  says = "What is shared among arguments is kept while the callback runs.",
  file = "src/value/decode.c",
  old = "  if (d->has_shared || d->walk.has_older) {",
  new = "  if (d->walk.has_older) {",
  specs = "^deep_spec", filter = "has dropped them",
}
add {
  name = "names-without-room",
  says = "There is no room on the stack for short strings that are kept.",
  file = "src/value/decode.c",
  old = "3 + (int)message->slots + (int)message->count +",
  new = "3 + (int)message->count +",
  specs = "^deep_spec", filter = "for new states",
}
add {
  name = "receive-without-room",
  says = "There is no room on the stack for the arguments of __receive.",
  file = "src/value/decodeobject.c",
  old =
    "  luaL_checkstack(L, count + 1, \"too many arguments of __receive\");\n",
  new = "",
  specs = "deep_own_types", filter = "in new states",
}
add {
  name = "instance-runs-code",
  says = "The content of an instance is set by its __newindex.",
  file = "src/value/decode.c",
  old = "      lua_rawset(L, -3);\n",
  new = "      lua_settable(L, -3);\n",
  specs = "deep_class", filter = "raw",
}
add {
  name = "answer-lets-all-go",
  says = "An answer with its own future holds nothing else either.",
  file = "src/value/handle.c",
  old = "handle->object == object && handle->is_held",
  new = "(object || true) && handle->is_held",
  specs = "^promise_spec", filter = "with its own future",
}
add {
  name = "call-finalized-holds",
  says = "A call holds what was sent to a state finalized meanwhile.",
  file = "src/lua/statecall.c",
  old = "    mts_arguments_free(L, &message);\n",
  new = "",
  specs = "^deep_running", filter = "state that is asked",
}
add {
  name = "tcall-above-arguments",
  says = "tcall gives what keeps its arguments instead of true.",
  file = "src/lua/statecall.c",
  old = "    lua_copy(L, success, below);\n",
  new = "    (void)below;\n",
  specs = "^043",
}
add {
  name = "protect-keeps-job",
  says = "The function of protected calls can be called while it runs.",
  file = "src/luaapi/protect.c",
  old = "  next_job = NULL;\n",
  new = "",
  specs = "^009",
}
add {
  name = "protect-loses-job",
  says = "A protected call of a hook takes the job of the next one.",
  file = "src/luaapi/protect.c",
  old = "  next_job = outer;\n",
  new = "  next_job = outer == &job ? outer : NULL;\n",
  specs = "^009", filter = "made other calls",
}
add {
  name = "strings-each-anew",
  says = "A message has each short string as often as it is met.",
  file = "src/value/encoder.c",
  old = "  e->with_string |= bit;\n",
  new = "",
  specs = "^memory_spec", filter = "a short string once",
}

-------------------------------------------------------------------------------
-- C stacks, the end of Lua states
-------------------------------------------------------------------------------

add {
  name = "held-keeps-outer",
  says = "A state that is left before an inner one is held for ever.",
  file = "src/state.c",
  old = "  inner->outer_held = s->outer_held;\n",
  new = "",
  specs = "stacks_spec",
}
add {
  name = "time-keeps-outer",
  says = "The time of a call that has ended goes on when an inner one ends.",
  file = "src/core/timelimit.c",
  old = "    inner->outer = runtime->outer;",
  new = "    ;",
  specs = "stacks_spec",
}
add {
  name = "here-not-closed-at-last",
  says = "What a finalizer makes by mtstates.here is never closed.",
  file = "src/lua/here.c",
  old = "  if (context->here_state)\n" ..
    "    end_state(L, context, context->here_kept);\n",
  new = "",
  specs = "037_here",
}
add {
  name = "here-made-behind-its-end",
  says = "A finalizer behind that of a here state gets a new one.",
  file = "src/lua/here.c",
  old = "  *kept = NULL;\n  context->has_ended = true;\n",
  new = "  *kept = NULL;\n",
  specs = "here_close", filter = "made anew by finalizers",
}
add {
  name = "here-run-outlives-state",
  says = "run waits on though the state was closed meanwhile.",
  file = "src/lua/here.c",
  old = "!waiting.patience.attach || mts_lock_is_closed(&s->lock))",
  new = "!waiting.patience.attach)",
  specs = "here_close", filter = "own thread when a nested call",
}
add {
  name = "here-refuses-no-callback",
  says = "here() without arguments is refused if there is a callback.",
  file = "src/lua/here.c",
  old = "  if (arguments->callback == 0)\n    return;\n",
  new = "",
  specs = "here_spec",
}
add {
  name = "lookup-stops-time",
  says = "A wait for a state is not ended: its time is not measured any more.",
  file = "src/core/registry.c",
  old = "    mts_wait_end(&wait, waited);\n",
  new = "",
  specs = "^time_spec", filter = "look.up stops", seconds = 20,
}
add {
  name = "singleton-stops-time",
  says = "The time of code stops when that has looked for a singleton.",
  file = "src/core/registry.c",
  old = "mts_util_hash(name, length), found);\n" ..
    "  mts_mutex_unlock(&registry_mutex);\n" ..
    "  mts_timelimit_resume();\n",
  new = "mts_util_hash(name, length), found);\n" ..
    "  mts_mutex_unlock(&registry_mutex);\n",
  specs = "^time_spec", filter = "look for a singleton", seconds = 20,
}
add {
  name = "time-xpcall-loses-arguments",
  says = "In a state with a limit of time xpcall passes one argument on.",
  file = "src/core/catch.c",
  old = "lua_pcallk(L, count - 2, LUA_MULTRET, 2,",
  new = "lua_pcallk(L, count > 2, LUA_MULTRET, 2,",
  specs = "^time_spec", filter = "all arguments",
}
add {
  name = "pressure-misses-outer",
  says = "Near the limit of memory only the running coroutine collects.",
  file = "src/core/hook.c",
  old = "    set_unless_foreign(resume->from);",
  new = "    ;",
  specs = "^memory_spec", filter = "in coroutines",
}
add {
  name = "traceback-leaves-others",
  says = "Who gives up asking for a traceback removes others, too.",
  file = "src/core/traceback.c",
  old = "    link = &(*link)->next;",
  new = "    break;",
  specs = "^traceback_spec", filter = "still ask", seconds = 20,
}
add {
  name = "traceback-misses-outer-call",
  says = "After a nested call nothing seems to run.",
  file = "src/core/call.c",
  old = ".outer = atomic_load_explicit(&s->innermost, memory_order_relaxed),",
  new = ".outer = NULL,",
  specs = "^traceback_spec", filter = "a nested one",
}
add {
  name = "traceback-of-former-wait",
  says = "Where a thread has waited counts as where it waits.",
  file = "src/core/wait.c",
  old = "  mts_thread_end_wait();\n  note_waiting(wait, NULL);",
  new = "  mts_thread_end_wait();",
  specs = "^traceback_spec", filter = "not where it did",
}

return list
