/*
** carray.h - arrays of C numbers among the values that cross
*/
#ifndef MTS_CARRAY_H
#define MTS_CARRAY_H

#include "base/compiler.h"

#include <stdbool.h>

#include "mtstates/carray_capi.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* An array found in a Lua state, valid as long as its object is there. */
typedef struct mts_Carray {
  const carray_capi *capi;
  const carray *array;
  carray_info info;
} mts_Carray;

/*
** Finds the array at index.
** Returns: false if there is none.
** Stack: [-0, +0, m]
*/
bool mts_carray_find(lua_State *L, int index, mts_Carray *found);

/*
** Copies the elements of an array, as many as there were when it was found.
** Returns: false if it has shrunk since.
*/
bool mts_carray_read(const mts_Carray *source, void *elements);

/*
** Pushes a copy of an array that may be in another Lua state; the module
** "carray" of L makes it.
** Errors: what require raises, and errors of its own.
** Stack: [-0, +1, e]
*/
void mts_carray_push_copy(lua_State *L, const mts_Carray *source);

/*
** Pushes a new array with count elements from data; as above.
*/
void mts_carray_push_new(lua_State *L, carray_type type, size_t count,
                         const void *data);

/* Returns: the bytes of an element; 0 if there is no such type. */
size_t mts_carray_element_size(carray_type type);

MTS_END_HIDDEN

#endif
