/*
** receiver_capi.h - the Receiver C API, version 2.0.0
**
** Lets native code send messages, lists of plain values, to a Lua object
** from any thread and without a lua_State.  An object offers the API through
** its metatable: under the key RECEIVER_CAPI_ID_STRING stands a full userdata
** that holds a pointer to a struct receiver_capi, directly followed by the
** key as a zero terminated string.  The layout is shared by independently
** compiled modules and never changes within a major version.
*/
#ifndef RECEIVER_CAPI_H
#define RECEIVER_CAPI_H

#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#define RECEIVER_CAPI_ID_STRING "_capi_receiver"

#define RECEIVER_CAPI_VERSION_MAJOR 2
#define RECEIVER_CAPI_VERSION_MINOR 0
#define RECEIVER_CAPI_VERSION_PATCH 0

typedef struct receiver_object receiver_object; /* opaque */
typedef struct receiver_writer receiver_writer; /* opaque */
typedef struct receiver_capi receiver_capi;

enum receiver_array_type {
  RECEIVER_UCHAR = 1,
  RECEIVER_SCHAR = 2,
  RECEIVER_SHORT = 3,
  RECEIVER_USHORT = 4,
  RECEIVER_INT = 5,
  RECEIVER_UINT = 6,
  RECEIVER_LONG = 7,
  RECEIVER_ULONG = 8,
  RECEIVER_FLOAT = 9,
  RECEIVER_DOUBLE = 10,
  RECEIVER_LLONG = 11,
  RECEIVER_ULLONG = 12
};
typedef enum receiver_array_type receiver_array_type;

/* Gets the message of a failed delivery; valid during the call only.  It
** should return: if it leaves by longjmp or an exception, the message leaks.
*/
typedef void (*receiver_error_handler)(void *ehdata, const char *msg,
                                       size_t msglen);

struct receiver_capi {
  int version_major;
  int version_minor;
  int version_patch;

  /* NULL or a struct of another major version, to be searched next. */
  void *next_capi;

  /* The receiver at this stack index, or NULL.  It lives as long as the Lua
  ** object, longer only if it is retained. */
  receiver_object *(*toReceiver)(lua_State *L, int index);

  /* Thread safe.  The last release frees the receiver. */
  void (*retainReceiver)(receiver_object *receiver);
  void (*releaseReceiver)(receiver_object *receiver);

  /* A writer collects one message.  It is used by one thread at a time.
  ** growFactor 0: it never grows beyond initialCapacity (in bytes).  NULL if
  ** there is no memory, which freeWriter takes, too. */
  receiver_writer *(*newWriter)(size_t initialCapacity, float growFactor);
  void (*freeWriter)(receiver_writer *writer);

  /* Thread safe.  Delivers the message and clears the writer; on failure the
  ** writer keeps its content.  0: done; 1: the receiver is closed and stays
  ** so, release it; 2: aborted; 3: nonblock was given and the receiver is
  ** busy; 6: no memory; other values: failed, and eh, if it is not NULL, got
  ** the message. */
  int (*msgToReceiver)(receiver_object *receiver, receiver_writer *writer,
                       int clear, int nonblock, receiver_error_handler eh,
                       void *ehdata);

  void (*clearWriter)(receiver_writer *writer);

  /* These return 0, or another value if there is no room. */
  int (*addBooleanToWriter)(receiver_writer *writer, int b);
  int (*addIntegerToWriter)(receiver_writer *writer, lua_Integer i);
  int (*addNumberToWriter)(receiver_writer *writer, lua_Number n);
  int (*addStringToWriter)(receiver_writer *writer, const char *s, size_t len);
  /* Each byte becomes one integer argument. */
  int (*addBytesToWriter)(receiver_writer *writer, const unsigned char *s,
                          size_t len);

  /* Adds one array; returns where its elements are to be put, valid until
  ** the writer is used again, or NULL on failure. */
  void *(*addArrayToWriter)(receiver_writer *writer, receiver_array_type type,
                            size_t elementCount);
};

/*
** Offers capi through the metatable at index.  Called by the module that
** implements the API.  Stack: [-0, +0, m]
*/
static inline void receiver_set_capi(lua_State *L, int index,
                                     const receiver_capi *capi)
{
  const void *pointer = capi;
  char *block;
  lua_pushvalue(L, index);
  lua_pushliteral(L, RECEIVER_CAPI_ID_STRING);
  block = (char *)lua_newuserdata(L, sizeof(pointer) +
                                         sizeof(RECEIVER_CAPI_ID_STRING));
  memcpy(block, &pointer, sizeof(pointer));
  memcpy(block + sizeof(pointer), RECEIVER_CAPI_ID_STRING,
         sizeof(RECEIVER_CAPI_ID_STRING));
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/*
** The API that the object at index offers, or NULL and, if reason is not
** NULL, in *reason: 1 if only other versions are offered, 2 if none is.
** Stack: [-0, +0, m]
*/
static inline const receiver_capi *receiver_get_capi(lua_State *L, int index,
                                                     int *reason)
{
  const receiver_capi *capi = NULL;
  const size_t size = sizeof(capi) + sizeof(RECEIVER_CAPI_ID_STRING);
  int why = 2;
  if (luaL_getmetafield(L, index, RECEIVER_CAPI_ID_STRING)) {
    const char *block = (const char *)lua_touserdata(L, -1);
#if LUA_VERSION_NUM >= 502
    size_t length = lua_rawlen(L, -1);
#else
    size_t length = lua_objlen(L, -1);
#endif
    if (block && lua_type(L, -1) == LUA_TUSERDATA && length >= size &&
        memcmp(block + sizeof(capi), RECEIVER_CAPI_ID_STRING,
               sizeof(RECEIVER_CAPI_ID_STRING)) == 0) {
      why = 1;
      memcpy(&capi, block, sizeof(capi));
      while (capi && (capi->version_major != RECEIVER_CAPI_VERSION_MAJOR ||
                      capi->version_minor < RECEIVER_CAPI_VERSION_MINOR))
        capi = (const receiver_capi *)capi->next_capi;
    }
    lua_pop(L, 1);
  }
  if (!capi && reason)
    *reason = why;
  return capi;
}

#endif
