/*
** handle.c - objects of this module among the values that cross
**
** Classes are constant; each Lua state that loads the module registers the
** same ones, so the order does not matter and there is no lock.
*/
#include "value/handle.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "value/classes.h"

/* All that there can be. */
static const char *const class_names[] = {MTS_STATE_CLASS, MTS_FUTURE_CLASS,
                                          MTS_PROMISE_CLASS};

#define CLASSES (sizeof(class_names) / sizeof(*class_names))

static const mts_HandleClass *_Atomic handle_classes[CLASSES];

static size_t class_index(const char *name)
{
  size_t i = 0;
  while (i < CLASSES && strcmp(class_names[i], name) != 0)
    i++;
  return i;
}

void mts_handle_register(const char *name, const mts_HandleClass *class)
{
  const size_t i = class_index(name);
  assert(i < CLASSES);
  atomic_store(&handle_classes[i], class);
}

const mts_HandleClass *mts_handle_find_class(const char *name)
{
  size_t i = class_index(name);
  return i < CLASSES ? atomic_load(&handle_classes[i]) : NULL;
}

mts_Handle *mts_handle_add(mts_Handle **list, const mts_HandleClass *class,
                           void *object)
{
  mts_Handle *handle = malloc(sizeof(*handle));
  if (!handle)
    return NULL;
  *handle = (mts_Handle){.next = *list,
                         .class = class,
                         .object = object,
                         .is_kept_open = class->hold(object),
                         .is_held = true};
  *list = handle;
  return handle;
}

void mts_handle_let_go(mts_Handle *list, const void *object)
{
  mts_Handle *handle;
  for (handle = list; handle; handle = handle->next)
    if (handle->object == object && handle->is_held) {
      handle->is_held = false;
      handle->class->unhold(handle->object, handle->is_kept_open);
    }
}

void mts_handle_release(mts_Handle **list)
{
  while (*list) {
    mts_Handle *handle = *list;
    *list = handle->next;
    if (handle->is_held)
      handle->class->unhold(handle->object, handle->is_kept_open);
    free(handle);
  }
}
