/*
** handle.h - objects of this module among the values that cross
**
** The layers above have objects, such as states, that Lua code of several Lua
** states can refer to.  A message holds them until it has been read.
*/
#ifndef MTS_HANDLE_H
#define MTS_HANDLE_H

#include "base/compiler.h"

#include <stdbool.h>

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* What a layer above has to offer for a class of objects. */
typedef struct mts_HandleClass {
  /*
  ** Finds what the userdata in that block refers to.
  ** Returns: NULL if it does not refer to anything any more.
  */
  void *(*find)(const void *block);

  /*
  ** A message holds the object, or does not any more; thread safe.  hold
  ** returns, and unhold is told, whether the object is kept open.
  */
  bool (*hold)(void *object);
  void (*unhold)(void *object, bool is_kept_open);

  /*
  ** A message is going to hold what the userdata on top of the stack refers
  ** to; NULL: that changes nothing.  Allocates nothing.
  ** Stack: [-0, +0, -]
  */
  void (*share)(lua_State *L);

  /*
  ** Pushes a new userdata that refers to the object.
  ** Stack: [-0, +1, e]
  */
  void (*push)(lua_State *L, void *object);
} mts_HandleClass;

/* An object that a message holds. */
typedef struct mts_Handle {
  struct mts_Handle *next;
  const mts_HandleClass *class;
  void *object;
  bool is_kept_open;
  bool is_held; /* not if the object holds the message */
} mts_Handle;

/*
** Makes the class known under the name that its metatable has in the Lua
** registry.  Can be done again.
*/
void mts_handle_register(const char *name, const mts_HandleClass *class);

/* Returns: the class of that name, or NULL. */
const mts_HandleClass *mts_handle_find_class(const char *name);

/*
** Adds a handle for the object to the list.
** Returns: NULL if there is no memory.
*/
mts_Handle *mts_handle_add(mts_Handle **list, const mts_HandleClass *class,
                           void *object);

/*
** The object holds the list from now on, so what is in the list need not hold
** the object.
** Locks: no mutex may be held.
*/
void mts_handle_let_go(mts_Handle *list, const void *object);

/*
** Empties the list.
** Locks: no mutex may be held: states can be closed.
*/
void mts_handle_release(mts_Handle **list);

MTS_END_HIDDEN

#endif
