/*
** statetable.h - open states by id and by name; a part of registry.c
**
** Locks: all functions are called with the mutex that guards the table.
*/
#ifndef MTS_STATETABLE_H
#define MTS_STATETABLE_H

#include "base/compiler.h"

#include "state.h"

MTS_BEGIN_HIDDEN

typedef mts_State *mts_Bucket;

#define MTS_FIRST_BUCKETS 64 /* a power of 2, as all that follow */

/* To be initialised with MTS_STATETABLE_INIT. */
typedef struct mts_StateTable {
  mts_Bucket *ids;
  mts_Bucket *names;
  size_t buckets; /* of each */
  size_t count;   /* states */
  mts_Bucket first_ids[MTS_FIRST_BUCKETS];
  mts_Bucket first_names[MTS_FIRST_BUCKETS];
} mts_StateTable;

/* table: the variable that is initialised. */
#define MTS_STATETABLE_INIT(table)                                            \
  {                                                                           \
    .ids = (table).first_ids, .names = (table).first_names,                   \
    .buckets = MTS_FIRST_BUCKETS                                              \
  }

/* Adds s, which is not in the table; cannot fail. */
void mts_statetable_add(mts_StateTable *table, mts_State *s);

/* Removes s if it is in the table. */
void mts_statetable_remove(mts_StateTable *table, mts_State *s);

/* The state with that id, or NULL. */
mts_State *mts_statetable_find_id(const mts_StateTable *table, lua_Integer id);

/* Stores all states, in no order; there is a place for table->count. */
void mts_statetable_list(const mts_StateTable *table, mts_State **states);

/*
** A state with that name, or NULL.  If there are several states of that name,
** mts_statetable_has_twin is true for each of them.
*/
mts_State *mts_statetable_find_name(const mts_StateTable *table,
                                    const char *name, size_t length,
                                    size_t hash);

static inline bool mts_statetable_has_twin(const mts_State *s)
{
  return s->registry.next_twin != s;
}

/* Whether s has that name; in the table or not. */
bool mts_statetable_has_name(const mts_State *s, const char *name,
                             size_t length, size_t hash);

MTS_END_HIDDEN

#endif
