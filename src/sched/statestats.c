/*
** statestats.c - what there is to tell of a state
**
** Each figure is right for itself; they are not of the same moment.  The
** thread that holds the state writes some of them, see core/usage.h; nobody
** waits for it.
*/
#include "sched/statestats.h"

#include "core/registry.h"
#include "sched/team.h"
#include "sched/teamcall.h"
#include "sched/worker.h"

/* Where no allocator counts, the collector does, if nobody uses the state. */
static void note_memory(mts_State *s)
{
  if (!s->heap.is_counted && !s->is_host && mts_state_enter(s, 0) == MTS_OK) {
    if (s->L)
      mts_state_note_memory(s, s->L);
    mts_state_leave(s);
  }
}

/* Of one state, which is no pool, and not of its members. */
static void read_state(mts_State *s, mts_StateStats *stats)
{
  note_memory(s);
  *stats = (mts_StateStats){.queue = mts_queue_stats(s),
                            .calls = atomic_load(&s->usage.calls),
                            .errors = atomic_load(&s->usage.errors),
                            .memory = mts_heap_used(&s->heap),
                            .peak = mts_heap_peak(&s->heap)};
  stats->is_busy = atomic_load(&s->innermost) != NULL;
  if (stats->is_busy)
    stats->busy = mts_usage_present(&s->usage);
  stats->time = mts_usage_total(&s->usage, stats->is_busy);
  if (!mts_worker_is_forked())
    mts_lock_look(&s->lock, &stats->waiting, &stats->thread);
  stats->waiting += stats->queue.calls;
}

static void add_queue(mts_QueueStats *sum, const mts_QueueStats *queue)
{
  sum->waiting += queue->waiting;
  sum->calls += queue->calls;
  sum->under_way += queue->under_way;
  sum->forks += queue->forks;
  sum->deferred += queue->deferred;
}

static void add_member(mts_StateStats *sum, mts_State *s)
{
  mts_StateStats stats;
  read_state(s, &stats);
  add_queue(&sum->queue, &stats.queue);
  sum->waiting += stats.waiting;
  sum->calls += stats.calls;
  sum->errors += stats.errors;
  sum->memory += stats.memory;
  sum->peak += stats.peak;
  sum->time += stats.time;
  sum->is_busy = sum->is_busy || stats.is_busy;
  if (stats.busy > sum->busy)
    sum->busy = stats.busy;
}

static void read_pool(mts_State *pool, mts_StateStats *stats)
{
  mts_State *member;
  size_t i;
  *stats = (mts_StateStats){.queue = mts_queue_stats(pool)};
  if (mts_worker_is_forked())
    return;
  stats->waiting = stats->queue.calls + mts_teamcall_count(pool);
  for (i = 0; (member = mts_team_keep_member(pool, i)) != NULL; i++) {
    add_member(stats, member);
    mts_state_release(member);
  }
}

mts_Status mts_statestats_read(mts_State *s, mts_StateStats *stats)
{
  mts_usage_open();
  if (mts_state_is_pool(s))
    read_pool(s, stats);
  else
    read_state(s, stats);
  return mts_registry_count_owners(s, &stats->owners);
}
