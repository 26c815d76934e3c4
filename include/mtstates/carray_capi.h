/*
** carray_capi.h - the Carray C API, version 1.0.0
**
** Native access to arrays of C numbers that live in Lua objects.  An object
** offers the API through its metatable: under the key CARRAY_CAPI_ID_STRING
** stands a full userdata that holds a pointer to a struct carray_capi,
** directly followed by the key as a zero terminated string.  The layout is
** shared by independently compiled modules and never changes within a major
** version.
*/
#ifndef CARRAY_CAPI_H
#define CARRAY_CAPI_H

#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#define CARRAY_CAPI_ID_STRING "_capi_carray"

#define CARRAY_CAPI_VERSION_MAJOR 1
#define CARRAY_CAPI_VERSION_MINOR 0
#define CARRAY_CAPI_VERSION_PATCH 0

typedef struct carray carray; /* opaque */
typedef struct carray_info carray_info;
typedef struct carray_capi carray_capi;

enum carray_type {
  CARRAY_UCHAR = 1,
  CARRAY_SCHAR = 2,
  CARRAY_SHORT = 3,
  CARRAY_USHORT = 4,
  CARRAY_INT = 5,
  CARRAY_UINT = 6,
  CARRAY_LONG = 7,
  CARRAY_ULONG = 8,
  CARRAY_FLOAT = 9,
  CARRAY_DOUBLE = 10,
  CARRAY_LLONG = 11,
  CARRAY_ULLONG = 12
};
typedef enum carray_type carray_type;

enum carray_attr { CARRAY_DEFAULT = 0, CARRAY_READONLY = 1 };
typedef enum carray_attr carray_attr;

struct carray_info {
  carray_type elementType;
  carray_attr attr;
  size_t elementSize; /* in bytes */
  size_t elementCount;
  size_t elementCapacity;
};

struct carray_capi {
  int version_major;
  int version_minor;
  int version_patch;

  /* NULL or a struct of another major version, to be searched next. */
  void *next_capi;

  /* Pushes a new array; *data gets its elements, not initialised.  May raise
  ** a Lua error; NULL on bad parameters. */
  carray *(*newCarray)(lua_State *L, carray_type type, carray_attr attr,
                       size_t elementCount, void **data);

  /* The same for elements that stay where they are; releaseCallback is
  ** called when the array is done with them. */
  carray *(*newCarrayRef)(lua_State *L, carray_type type, carray_attr attr,
                          void *dataRef, size_t elementCount,
                          void (*releaseCallback)(void *dataRef,
                                                  size_t elementCount));

  /* The array at this stack index and, if info is not NULL, its description;
  ** NULL if there is none (or, for the second, if it is read-only). */
  const carray *(*toReadableCarray)(lua_State *L, int index,
                                    carray_info *info);
  carray *(*toWritableCarray)(lua_State *L, int index, carray_info *info);

  void (*retainCarray)(const carray *array);
  void (*releaseCarray)(const carray *array);

  /* Where count elements from offset on are; NULL if there are not that
  ** many. */
  void *(*getWritableElementPtr)(carray *array, size_t offset, size_t count);
  const void *(*getReadableElementPtr)(const carray *array, size_t offset,
                                       size_t count);

  /* These move the elements; they return where the first concerned element
  ** is now, or NULL on failure. */
  void *(*resizeCarray)(carray *array, size_t newElementCount,
                        int reservePercent);
  void *(*insertElements)(carray *array, size_t offset, size_t insertCount,
                          int reservePercent);
  void (*removeElements)(carray *array, size_t offset, size_t count,
                         int reservePercent);
};

/*
** Offers capi through the metatable at index.  Called by the module that
** implements the API.  Stack: [-0, +0, m]
*/
static inline void carray_set_capi(lua_State *L, int index,
                                   const carray_capi *capi)
{
  const void *pointer = capi;
  char *block;
  lua_pushvalue(L, index);
  lua_pushliteral(L, CARRAY_CAPI_ID_STRING);
  block = (char *)lua_newuserdata(L, sizeof(pointer) +
                                         sizeof(CARRAY_CAPI_ID_STRING));
  memcpy(block, &pointer, sizeof(pointer));
  memcpy(block + sizeof(pointer), CARRAY_CAPI_ID_STRING,
         sizeof(CARRAY_CAPI_ID_STRING));
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/*
** The API that the object at index offers, or NULL and, if reason is not
** NULL, in *reason: 1 if only other versions are offered, 2 if none is.
** Stack: [-0, +0, m]
*/
static inline const carray_capi *carray_get_capi(lua_State *L, int index,
                                                 int *reason)
{
  const carray_capi *capi = NULL;
  const size_t size = sizeof(capi) + sizeof(CARRAY_CAPI_ID_STRING);
  int why = 2;
  if (luaL_getmetafield(L, index, CARRAY_CAPI_ID_STRING)) {
    const char *block = (const char *)lua_touserdata(L, -1);
#if LUA_VERSION_NUM >= 502
    size_t length = lua_rawlen(L, -1);
#else
    size_t length = lua_objlen(L, -1);
#endif
    if (block && lua_type(L, -1) == LUA_TUSERDATA && length >= size &&
        memcmp(block + sizeof(capi), CARRAY_CAPI_ID_STRING,
               sizeof(CARRAY_CAPI_ID_STRING)) == 0) {
      why = 1;
      memcpy(&capi, block, sizeof(capi));
      while (capi && (capi->version_major != CARRAY_CAPI_VERSION_MAJOR ||
                      capi->version_minor < CARRAY_CAPI_VERSION_MINOR))
        capi = (const carray_capi *)capi->next_capi;
    }
    lua_pop(L, 1);
  }
  if (!capi && reason)
    *reason = why;
  return capi;
}

#endif
