/*
** notify_capi.h - the Notify C API, version 0.0.2
**
** Lets native code run something inside a Lua object ("notify it") from any
** thread and without a lua_State.  An object offers the API through its
** metatable: under the key NOTIFY_CAPI_ID_STRING stands a full userdata that
** holds a pointer to a struct notify_capi, directly followed by the key as a
** zero terminated string.  The layout is shared by independently compiled
** modules and never changes within a major version.
*/
#ifndef NOTIFY_CAPI_H
#define NOTIFY_CAPI_H

#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#define NOTIFY_CAPI_ID_STRING "_capi_notify"

#define NOTIFY_CAPI_VERSION_MAJOR 0
#define NOTIFY_CAPI_VERSION_MINOR 0
#define NOTIFY_CAPI_VERSION_PATCH 2

typedef struct notify_notifier notify_notifier; /* opaque */
typedef struct notify_capi notify_capi;

/* Gets the message of a failed notification; valid during the call only.  It
** should return: if it leaves by longjmp or an exception, the message leaks.
*/
typedef void (*notifier_error_handler)(void *ehdata, const char *msg,
                                       size_t msglen);

struct notify_capi {
  int version_major;
  int version_minor;
  int version_patch;

  /* NULL or a struct of another major version, to be searched next. */
  void *next_capi;

  /* The notifier at this stack index, or NULL.  It lives as long as the Lua
  ** object, longer only if it is retained. */
  notify_notifier *(*toNotifier)(lua_State *L, int index);

  /* Thread safe.  The last release frees the notifier. */
  void (*retainNotifier)(notify_notifier *notifier);
  void (*releaseNotifier)(notify_notifier *notifier);

  /* Thread safe, from any native thread.  0: done; 1: the notifier is
  ** closed and stays so, release it; other values: failed, and eh, if it is
  ** not NULL, got the message. */
  int (*notify)(notify_notifier *notifier, notifier_error_handler eh,
                void *ehdata);
};

/*
** Offers capi through the metatable at index.  Called by the module that
** implements the API.  Stack: [-0, +0, m]
*/
static inline void notify_set_capi(lua_State *L, int index,
                                   const notify_capi *capi)
{
  const void *pointer = capi;
  char *block;
  lua_pushvalue(L, index);
  lua_pushliteral(L, NOTIFY_CAPI_ID_STRING);
  block = (char *)lua_newuserdata(L, sizeof(pointer) +
                                         sizeof(NOTIFY_CAPI_ID_STRING));
  memcpy(block, &pointer, sizeof(pointer));
  memcpy(block + sizeof(pointer), NOTIFY_CAPI_ID_STRING,
         sizeof(NOTIFY_CAPI_ID_STRING));
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/*
** The API that the object at index offers, or NULL and, if reason is not
** NULL, in *reason: 1 if only other versions are offered, 2 if none is.
** Stack: [-0, +0, m]
*/
static inline const notify_capi *notify_get_capi(lua_State *L, int index,
                                                 int *reason)
{
  const notify_capi *capi = NULL;
  const size_t size = sizeof(capi) + sizeof(NOTIFY_CAPI_ID_STRING);
  int why = 2;
  if (luaL_getmetafield(L, index, NOTIFY_CAPI_ID_STRING)) {
    const char *block = (const char *)lua_touserdata(L, -1);
#if LUA_VERSION_NUM >= 502
    size_t length = lua_rawlen(L, -1);
#else
    size_t length = lua_objlen(L, -1);
#endif
    if (block && lua_type(L, -1) == LUA_TUSERDATA && length >= size &&
        memcmp(block + sizeof(capi), NOTIFY_CAPI_ID_STRING,
               sizeof(NOTIFY_CAPI_ID_STRING)) == 0) {
      why = 1;
      memcpy(&capi, block, sizeof(capi));
      while (capi && (capi->version_major != NOTIFY_CAPI_VERSION_MAJOR ||
                      capi->version_minor < NOTIFY_CAPI_VERSION_MINOR))
        capi = (const notify_capi *)capi->next_capi;
    }
    lua_pop(L, 1);
  }
  if (!capi && reason)
    *reason = why;
  return capi;
}

#endif
