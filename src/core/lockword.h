/*
** lockword.h - the word that tells which thread holds something
**
** The word is 0, or the thread that holds it, plus flags in the lowest bits.
** A thread is a number that no other living thread has: the address of its
** mts_Thread, which is aligned so that the flags fit in.
**
** CONTENDED  The thread that leaves has to take the mutex of the lock and look
**            at the queue.  Set and cleared under the mutex.
** REQUESTED  The thread that leaves has to report that, or to close the lock.
**            Set under the mutex, while a thread holds the lock; cleared by
**            leaving.
** CLOSING    No other thread gets in, and the thread that leaves has to close
**            the lock.  Set under the mutex, while a thread holds the lock;
**            final but for CLOSED, which follows.
** CLOSED     Set under the mutex and final: no thread holds the lock again.
**
** All operations are sequentially consistent.
*/
#ifndef MTS_LOCKWORD_H
#define MTS_LOCKWORD_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

MTS_BEGIN_HIDDEN

typedef atomic_uintptr_t mts_LockWord;

#define MTS_WORD_CONTENDED ((uintptr_t)1)
#define MTS_WORD_CLOSING ((uintptr_t)2)
#define MTS_WORD_CLOSED ((uintptr_t)4)
#define MTS_WORD_REQUESTED ((uintptr_t)8)
#define MTS_WORD_FLAGS ((uintptr_t)15)

/* What threads have to be aligned to. */
#define MTS_WORD_ALIGNMENT (MTS_WORD_FLAGS + 1)

/* The thread that a value of the word names, or 0. */
static inline uintptr_t mts_lockword_holder(uintptr_t value)
{
  return value & ~MTS_WORD_FLAGS;
}

/* Whether no thread gets in any more. */
static inline bool mts_lockword_is_ending(uintptr_t value)
{
  return (value & (MTS_WORD_CLOSING | MTS_WORD_CLOSED)) != 0;
}

/*
** Makes the thread the holder if there is none.
** Returns: MTS_OK, MTS_BUSY (another thread holds it), MTS_CLOSED.
*/
static inline mts_Status mts_lockword_take(mts_LockWord *word,
                                           uintptr_t thread)
{
  uintptr_t value = atomic_load(word);
  do {
    if (mts_lockword_is_ending(value))
      return MTS_CLOSED;
    if (mts_lockword_holder(value) != 0)
      return MTS_BUSY;
  } while (!atomic_compare_exchange_weak(word, &value, value | thread));
  return MTS_OK;
}

/*
** Sets CONTENDED if a thread holds it: as long as the caller has the mutex,
** that thread cannot leave.  Returns: that thread, or 0.
*/
static inline uintptr_t mts_lockword_pin(mts_LockWord *word)
{
  uintptr_t value = atomic_load(word);
  while (
      mts_lockword_holder(value) != 0 &&
      !atomic_compare_exchange_weak(word, &value, value | MTS_WORD_CONTENDED))
    ;
  return mts_lockword_holder(value);
}

/*
** Stores the last value, CLOSED or a thread with CLOSING, if no thread holds
** it; parker counts as none.
** Returns: MTS_OK, MTS_BUSY, MTS_CLOSED (before).
*/
static inline mts_Status mts_lockword_close(mts_LockWord *word,
                                            uintptr_t parker, uintptr_t last)
{
  uintptr_t value = atomic_load(word);
  do {
    if (value & MTS_WORD_CLOSED)
      return MTS_CLOSED;
    if (mts_lockword_holder(value) != 0 &&
        mts_lockword_holder(value) != parker)
      return MTS_BUSY;
  } while (!atomic_compare_exchange_weak(word, &value, last));
  return MTS_OK;
}

MTS_END_HIDDEN

#endif
