/*
** carray.c - arrays of C numbers among the values that cross
**
** Uses the Carray C API of the module "carray", which is not part of this
** project and is only loaded where an array arrives.  Takes no locks.
*/
#include "value/carray.h"

#include <string.h>

static const size_t element_sizes[] = {
    [CARRAY_UCHAR] = sizeof(unsigned char),
    [CARRAY_SCHAR] = sizeof(signed char),
    [CARRAY_SHORT] = sizeof(short),
    [CARRAY_USHORT] = sizeof(unsigned short),
    [CARRAY_INT] = sizeof(int),
    [CARRAY_UINT] = sizeof(unsigned int),
    [CARRAY_LONG] = sizeof(long),
    [CARRAY_ULONG] = sizeof(unsigned long),
    [CARRAY_FLOAT] = sizeof(float),
    [CARRAY_DOUBLE] = sizeof(double),
    [CARRAY_LLONG] = sizeof(long long),
    [CARRAY_ULLONG] = sizeof(unsigned long long),
};

size_t mts_carray_element_size(carray_type type)
{
  size_t i = (size_t)type;
  return i < sizeof(element_sizes) / sizeof(*element_sizes) ? element_sizes[i]
                                                            : 0;
}

bool mts_carray_find(lua_State *L, int index, mts_Carray *found)
{
  found->capi = carray_get_capi(L, index, NULL);
  found->array = found->capi
                     ? found->capi->toReadableCarray(L, index, &found->info)
                     : NULL;
  return found->array != NULL;
}

/* Stack: [-0, +0, e] */
static const carray_capi *require_capi(lua_State *L)
{
  const carray_capi *capi;
  int reason = 0;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "carray");
  lua_call(L, 1, 1);
  capi = carray_get_capi(L, -1, &reason);
  if (!capi)
    luaL_error(L, "module 'carray' has %s C API",
               reason == 1 ? "another version of the" : "no");
  lua_pop(L, 1);
  return capi;
}

/*
** Pushes a new array and returns where its elements are to be put.
** Stack: [-0, +1, e]
*/
static void *make_array(lua_State *L, carray_type type, size_t count)
{
  void *elements = NULL;
  if (!require_capi(L)->newCarray(L, type, CARRAY_DEFAULT, count, &elements))
    luaL_error(L, "module 'carray' cannot create an array");
  return elements;
}

bool mts_carray_read(const mts_Carray *source, void *elements)
{
  const size_t count = source->info.elementCount;
  const void *data;
  if (count == 0)
    return true;
  data = source->capi->getReadableElementPtr(source->array, 0, count);
  if (data)
    memcpy(elements, data, count * source->info.elementSize);
  return data != NULL;
}

void mts_carray_push_copy(lua_State *L, const mts_Carray *source)
{
  const carray_info *info = &source->info;
  void *elements = make_array(L, info->elementType, info->elementCount);
  if (!mts_carray_read(source, elements)) /* loading a module runs any code */
    luaL_error(L, "the array has shrunk while it was copied");
}

void mts_carray_push_new(lua_State *L, carray_type type, size_t count,
                         const void *data)
{
  void *elements = make_array(L, type, count);
  if (count > 0)
    memcpy(elements, data, count * mts_carray_element_size(type));
}
