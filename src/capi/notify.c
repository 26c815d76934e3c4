/*
** notify.c - state objects offer the Notify C API
**
** A notifier is a reference to a state, nothing more.  Any thread can call
** every function but toNotifier.
**
** Takes no locks of its own.
*/
#include "capi/notify.h"

#include "core/call.h"
#include "lua/stateobject.h"
#include "mtstates/notify_capi.h"

/* What notify returns. */
enum { NOTIFIED = 0, CLOSED = 1, FAILED = 2 };

static notify_notifier *to_notifier(lua_State *L, int index)
{
  return (notify_notifier *)mts_stateobject_to_state(L, index);
}

static void retain_notifier(notify_notifier *notifier)
{
  mts_state_retain((mts_State *)notifier);
}

static void release_notifier(notify_notifier *notifier)
{
  mts_state_release((mts_State *)notifier);
}

static int notify(notify_notifier *notifier, notifier_error_handler eh,
                  void *ehdata)
{
  mts_State *s = (mts_State *)notifier;
  switch (mts_call_native(s, NULL, MTS_FOREVER, eh, ehdata)) {
  case MTS_OK:
    return NOTIFIED;
  case MTS_CLOSED:
    return CLOSED;
  default:
    return FAILED;
  }
}

static const notify_capi notify_functions = {
    .version_major = NOTIFY_CAPI_VERSION_MAJOR,
    .version_minor = NOTIFY_CAPI_VERSION_MINOR,
    .version_patch = NOTIFY_CAPI_VERSION_PATCH,
    .next_capi = NULL,
    .toNotifier = to_notifier,
    .retainNotifier = retain_notifier,
    .releaseNotifier = release_notifier,
    .notify = notify,
};

void mts_notify_open(lua_State *L)
{
  luaL_getmetatable(L, MTS_STATE_CLASS);
  notify_set_capi(L, -1, &notify_functions);
  lua_pop(L, 1);
}
