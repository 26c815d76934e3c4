/*
** arrivals.c - futures in the order in which they are answered
**
** There is a node for each future, with a wait record that is in the list of
** waits of the future (wait.c).  When that wait is over, the node appends
** itself to the list of those that have arrived.  Who wants the next one and
** finds none waits for a future of its own, the bell, which the next node that
** arrives answers, to make a new one for the next time.  So threads and tasks
** wait in no way that is new, and however many wait for the same bell, each
** looks again what there is.
**
** Invariants, with the mutex free:
**
** 1. If there is a bell, no node has arrived that was not taken since, and not
**    all are taken.
** 2. Each node whose wait is open, or was ended by its future, and has not
**    arrived, has a reference to it all, which is given back when it arrives.
**
** mts_arrivals_end ends the waits that are open, as a future would, and then
** removes them from there; a node whose future was faster is about to arrive,
** and finds that it is over.  It does not use its future any more, which is
** why all of these can be given back.
**
** The mutex is a leaf.
*/
#include "sched/arrivals.h"

#include <assert.h>
#include <stdlib.h>

#include "sched/request.h"
#include "sched/worker.h"

typedef struct Node {
  mts_Wait wait; /* in the list of the future */
  mts_Arrivals *arrivals;
  mts_Future *future; /* with a reference; NULL: not set, or taken */
  struct Node *next;  /* of those that have arrived */
} Node;

struct mts_Arrivals {
  atomic_size_t references;
  mts_Mutex mutex;    /* guards what follows, up to count */
  Node *first, *last; /* that have arrived */
  size_t left;        /* that are not taken */
  mts_Future *bell;   /* or NULL */
  bool has_ended;

  size_t count; /* constant */
  Node nodes[]; /* their futures are for the thread that takes */
};

/* Gives so many references back. */
static void release(mts_Arrivals *arrivals, size_t count)
{
  if (atomic_fetch_sub_explicit(&arrivals->references, count,
                                memory_order_acq_rel) == count) {
    mts_mutex_destroy(&arrivals->mutex);
    free(arrivals);
  }
}

/* ======================================================================= */
/* The bell                                                                */
/* ======================================================================= */

/* Gives a reference to the bell, which is made if there is none. */
static mts_Status keep_bell(mts_Arrivals *arrivals, mts_Future **bell)
    MTS_REQUIRES(arrivals->mutex)
{
  if (!arrivals->bell) {
    mts_Request *request = mts_request_new_asked(NULL);
    if (!request)
      return MTS_NO_MEMORY;
    arrivals->bell = &request->future;
  }
  mts_future_retain(arrivals->bell);
  *bell = arrivals->bell;
  return MTS_BUSY;
}

/* Takes the bell, to be rung without the mutex. */
static mts_Future *take_bell(mts_Arrivals *arrivals)
    MTS_REQUIRES(arrivals->mutex)
{
  mts_Future *bell = arrivals->bell;
  arrivals->bell = NULL;
  return bell;
}

/* Those who wait for the bell look again. */
static void ring(mts_Future *bell)
{
  if (bell) {
    mts_future_answer(bell);
    mts_future_release(bell);
  }
}

/* ======================================================================= */
/* Nodes                                                                   */
/* ======================================================================= */

static void append(mts_Arrivals *arrivals, Node *node)
    MTS_REQUIRES(arrivals->mutex)
{
  node->next = NULL;
  if (arrivals->last)
    arrivals->last->next = node;
  else
    arrivals->first = node;
  arrivals->last = node;
}

/* The future of the node is answered. */
static void arrive(mts_Wait *wait)
{
  Node *node = (Node *)wait;
  mts_Arrivals *arrivals = node->arrivals;
  mts_Future *bell = NULL;
  mts_mutex_lock(&arrivals->mutex);
  if (!arrivals->has_ended) {
    append(arrivals, node);
    bell = take_bell(arrivals);
  }
  mts_mutex_unlock(&arrivals->mutex);
  ring(bell);
  release(arrivals, 1);
}

/* Has the node, whose wait is open, arrive when its future is answered. */
static void await_node(mts_Arrivals *arrivals, Node *node)
{
  atomic_fetch_add_explicit(&arrivals->references, 1, memory_order_relaxed);
  if (!mts_future_enlist(node->future, &node->wait) &&
      mts_wait_decide(&node->wait, MTS_OK))
    arrive(&node->wait);
}

/*
** Ends the wait of the node, unless it is over.
** Returns: whether that was so: then the reference of the node is left.
*/
static bool forget_node(Node *node)
{
  const bool is_ended = mts_wait_decide(&node->wait, MTS_CLOSED);
  if (is_ended)
    mts_future_delist(node->future, &node->wait);
  return is_ended;
}

/* ======================================================================= */
/* All of them                                                             */
/* ======================================================================= */

mts_Arrivals *mts_arrivals_new(size_t count)
{
  mts_Arrivals *arrivals =
      calloc(1, sizeof(*arrivals) + count * sizeof(arrivals->nodes[0]));
  size_t i;
  if (!arrivals)
    return NULL;
  atomic_init(&arrivals->references, 1);
  mts_mutex_init(&arrivals->mutex);
  arrivals->left = arrivals->count = count;
  for (i = 0; i < count; i++) {
    Node *node = &arrivals->nodes[i];
    node->arrivals = arrivals;
    node->wait.go_on = arrive;
    atomic_init(&node->wait.outcome, MTS_OK);
  }
  return arrivals;
}

void mts_arrivals_set(mts_Arrivals *arrivals, size_t number,
                      mts_Future *future)
{
  assert(number < arrivals->count && !arrivals->nodes[number].future);
  mts_future_retain(future);
  arrivals->nodes[number].future = future;
}

/* Takes those that are answered; the waits of the others are open then. */
static void begin_answered(mts_Arrivals *arrivals)
{
  size_t i;
  mts_mutex_lock(&arrivals->mutex);
  for (i = 0; i < arrivals->count; i++) {
    Node *node = &arrivals->nodes[i];
    if (mts_future_is_answered(node->future))
      append(arrivals, node);
    else
      atomic_store(&node->wait.outcome, MTS_WAIT_OPEN);
  }
  mts_mutex_unlock(&arrivals->mutex);
}

void mts_arrivals_begin(mts_Arrivals *arrivals)
{
  size_t i;
  begin_answered(arrivals);
  for (i = 0; i < arrivals->count; i++) {
    Node *node = &arrivals->nodes[i];
    if (atomic_load(&node->wait.outcome) == MTS_WAIT_OPEN)
      await_node(arrivals, node);
  }
}

/* The one that is next, or NULL. */
static Node *take_node(mts_Arrivals *arrivals) MTS_REQUIRES(arrivals->mutex)
{
  Node *node = arrivals->first;
  if (node) {
    arrivals->first = node->next;
    if (!node->next)
      arrivals->last = NULL;
    arrivals->left--;
  }
  return node;
}

mts_Status mts_arrivals_take(mts_Arrivals *arrivals, size_t *number,
                             mts_Future **future)
{
  mts_Status status = MTS_OK;
  Node *node;
  *future = NULL;
  if (mts_worker_is_forked()) /* only the parent gets the answers */
    return MTS_FORKED;
  mts_mutex_lock(&arrivals->mutex);
  node = take_node(arrivals);
  if (node) {
    *number = (size_t)(node - arrivals->nodes);
    *future = node->future;
    node->future = NULL;
  }
  else if (arrivals->left > 0 && !arrivals->has_ended)
    status = keep_bell(arrivals, future);
  mts_mutex_unlock(&arrivals->mutex);
  return status;
}

void mts_arrivals_end(mts_Arrivals *arrivals)
{
  mts_Future *bell;
  size_t i, references = 1;
  if (mts_worker_is_forked()) /* others may have been at it */
    return;
  mts_mutex_lock(&arrivals->mutex);
  arrivals->has_ended = true;
  arrivals->first = arrivals->last = NULL;
  bell = take_bell(arrivals);
  mts_mutex_unlock(&arrivals->mutex);
  ring(bell);
  for (i = 0; i < arrivals->count; i++) {
    Node *node = &arrivals->nodes[i];
    if (node->future) {
      references += forget_node(node);
      mts_future_release(node->future);
    }
  }
  release(arrivals, references);
}
