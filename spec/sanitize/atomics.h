/*
** atomics.h - C11 atomics as helgrind understands them
**
** helgrind sees in an atomic operation only an access without a mutex.  This
** header, included before all others, tells it the truth: what a thread did
** before it stored is known to who loads afterwards, and atomic objects cannot
** have data races.  Relaxed operations tell nothing.
*/
#ifndef ATOMICS_H
#define ATOMICS_H

#include <stdatomic.h>
#include <valgrind/helgrind.h>

#define ATOMIC_OBJECT(object)                                                 \
  __auto_type object_ = (object);                                             \
  VALGRIND_HG_DISABLE_CHECKING(object_, sizeof *object_)

#define ATOMIC_CHANGE(object, operation)                                      \
  __extension__({                                                             \
    ATOMIC_OBJECT(object);                                                    \
    ANNOTATE_HAPPENS_BEFORE(object_);                                         \
    __auto_type result_ = operation;                                          \
    ANNOTATE_HAPPENS_AFTER(object_);                                          \
    result_;                                                                  \
  })

#undef atomic_init
#define atomic_init(object, value)                                            \
  __extension__({                                                             \
    ATOMIC_OBJECT(object);                                                    \
    atomic_store_explicit(object_, value, memory_order_relaxed);              \
  })

#undef atomic_load
#define atomic_load(object)                                                   \
  __extension__({                                                             \
    ATOMIC_OBJECT(object);                                                    \
    __auto_type result_ =                                                     \
        atomic_load_explicit(object_, memory_order_seq_cst);                  \
    ANNOTATE_HAPPENS_AFTER(object_);                                          \
    result_;                                                                  \
  })

#undef atomic_store
#define atomic_store(object, value)                                           \
  __extension__({                                                             \
    ATOMIC_OBJECT(object);                                                    \
    ANNOTATE_HAPPENS_BEFORE(object_);                                         \
    atomic_store_explicit(object_, value, memory_order_seq_cst);              \
  })

#undef atomic_exchange
#define atomic_exchange(object, value)                                        \
  ATOMIC_CHANGE(object, __atomic_exchange_n(object_, value, __ATOMIC_SEQ_CST))

#undef atomic_fetch_add
#define atomic_fetch_add(object, value)                                       \
  ATOMIC_CHANGE(object, __atomic_fetch_add(object_, value, __ATOMIC_SEQ_CST))

#undef atomic_fetch_sub
#define atomic_fetch_sub(object, value)                                       \
  ATOMIC_CHANGE(object, __atomic_fetch_sub(object_, value, __ATOMIC_SEQ_CST))

/* Acquire and release: as references are dropped. */
#undef atomic_fetch_sub_explicit
#define atomic_fetch_sub_explicit(object, value, order)                       \
  ATOMIC_CHANGE(object, __atomic_fetch_sub(object_, value, order))

#undef atomic_fetch_or
#define atomic_fetch_or(object, value)                                        \
  ATOMIC_CHANGE(object, __atomic_fetch_or(object_, value, __ATOMIC_SEQ_CST))

#undef atomic_fetch_and
#define atomic_fetch_and(object, value)                                       \
  ATOMIC_CHANGE(object, __atomic_fetch_and(object_, value, __ATOMIC_SEQ_CST))

#undef atomic_compare_exchange_strong
#define atomic_compare_exchange_strong(object, expected, value)               \
  ATOMIC_CHANGE(object, atomic_compare_exchange_strong_explicit(              \
                            object_, expected, value, memory_order_seq_cst,   \
                            memory_order_seq_cst))

#undef atomic_compare_exchange_weak
#define atomic_compare_exchange_weak(object, expected, value)                 \
  ATOMIC_CHANGE(object, atomic_compare_exchange_weak_explicit(                \
                            object_, expected, value, memory_order_seq_cst,   \
                            memory_order_seq_cst))

#endif
