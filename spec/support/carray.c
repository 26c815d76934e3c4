/*
** carray: stands in for the module carray, a separate project. It implements
** all of the Carray C API with real arrays of C numbers, so that specs can
** send arrays through mtstates, and a few Lua functions to make, fill and
** read them. The module table offers the API too: this is how
** require "carray" hands it out.
**
** An array is counted (retain, release) and may outlive its Lua object.
** Counters of what is alive and switches that make the next newCarray fail, or
** the next look-up collect garbage, are there for specs; they are per process.
*/
#define _GNU_SOURCE

#include "mtstates/carray_capi.h"
#include "support.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

SUPPORT_EXPORT int luaopen_carray(lua_State *L);

#define CLASS "spec.carray"

struct carray {
  atomic_long references;
  carray_info info;
  void *data;
  void (*release_data)(void *data, size_t count); /* NULL: data is ours */
};

enum { NEXT_NORMAL, NEXT_RAISES, NEXT_IS_NULL };

static atomic_long alive;
static atomic_int next_new;
static atomic_int collections;

static const char *const type_names[] = {
    "?",    "uchar", "schar", "short",  "ushort", "int",   "uint",
    "long", "ulong", "float", "double", "llong",  "ullong"};

static const size_t type_sizes[] = {0,
                                    sizeof(unsigned char),
                                    sizeof(signed char),
                                    sizeof(short),
                                    sizeof(unsigned short),
                                    sizeof(int),
                                    sizeof(unsigned int),
                                    sizeof(long),
                                    sizeof(unsigned long),
                                    sizeof(float),
                                    sizeof(double),
                                    sizeof(long long),
                                    sizeof(unsigned long long)};

static int is_valid_type(carray_type type)
{
  return (int)type >= CARRAY_UCHAR && (int)type <= CARRAY_ULLONG;
}

static unsigned char *element(const carray *a, size_t offset)
{
  return (unsigned char *)a->data + offset * a->info.elementSize;
}

/* ------------------------------------------------------------ C API -- */

/* Pushes an object without an array, so that nothing is lost on errors. */
static carray **push_object(lua_State *L)
{
  carray **object = support_newuserdata(L, sizeof *object);
  *object = NULL;
  luaL_getmetatable(L, CLASS);
  lua_setmetatable(L, -2);
  return object;
}

static carray *alloc_carray(carray_type type, carray_attr attr, size_t count)
{
  carray *a = calloc(1, sizeof *a);
  if (a != NULL) {
    atomic_init(&a->references, 1);
    a->info.elementType = type;
    a->info.attr = attr;
    a->info.elementSize = type_sizes[type];
    a->info.elementCount = count;
    a->info.elementCapacity = count;
    atomic_fetch_add(&alive, 1);
  }
  return a;
}

static void retain(const carray *a)
{
  atomic_fetch_add(&((carray *)a)->references, 1);
}

static void release(const carray *constant)
{
  carray *a = (carray *)constant;
  if (a != NULL && atomic_fetch_sub(&a->references, 1) == 1) {
    if (a->release_data != NULL) {
      a->release_data(a->data, a->info.elementCount);
    }
    else {
      free(a->data);
    }
    free(a);
    atomic_fetch_sub(&alive, 1);
  }
}

static carray *new_carray(lua_State *L, carray_type type, carray_attr attr,
                          size_t count, void **data)
{
  int what = atomic_exchange(&next_new, NEXT_NORMAL);
  if (what == NEXT_RAISES) {
    luaL_error(L, "carray: told to fail");
  }
  if (what == NEXT_IS_NULL || !is_valid_type(type) ||
      count > SIZE_MAX / 2 / type_sizes[type]) {
    return NULL;
  }
  carray **object = push_object(L);
  *object = alloc_carray(type, attr, count);
  if (*object != NULL) {
    (*object)->data = malloc(count * type_sizes[type] + 1);
  }
  if (*object == NULL || (*object)->data == NULL) {
    luaL_error(L, "carray: not enough memory");
  }
  if (data != NULL) {
    *data = (*object)->data;
  }
  return *object;
}

static carray *new_carray_ref(lua_State *L, carray_type type, carray_attr attr,
                              void *data, size_t count,
                              void (*release_data)(void *, size_t))
{
  if (!is_valid_type(type) || data == NULL || release_data == NULL) {
    return NULL;
  }
  carray **object = push_object(L);
  *object = alloc_carray(type, attr, count);
  if (*object == NULL) {
    luaL_error(L, "carray: not enough memory");
  }
  (*object)->data = data;
  (*object)->release_data = release_data;
  return *object;
}

/* The array at index or NULL; raises nothing. */
static carray *to_carray(lua_State *L, int index, carray_info *info)
{
  carray *a = NULL;
  carray **object = lua_touserdata(L, index);
  if (lua_type(L, index) == LUA_TUSERDATA && lua_getmetatable(L, index)) {
    luaL_getmetatable(L, CLASS);
    if (lua_rawequal(L, -1, -2)) {
      a = *object;
    }
    lua_pop(L, 2);
  }
  if (a != NULL && info != NULL) {
    *info = a->info;
  }
  return a;
}

/* It makes strings, so finalizers can run in the end. */
static const carray *to_readable(lua_State *L, int index, carray_info *info)
{
  const carray *a = to_carray(L, index, info);
  int rest = atomic_exchange(&collections, 0);
  for (; a != NULL && rest > 0; rest--) {
    lua_gc(L, LUA_GCCOLLECT, 0);
  }
  return a;
}

static carray *to_writable(lua_State *L, int index, carray_info *info)
{
  carray *a = to_carray(L, index, info);
  return a != NULL && a->info.attr == CARRAY_READONLY ? NULL : a;
}

static int has_elements(const carray *a, size_t offset, size_t count)
{
  return offset <= a->info.elementCount &&
         count <= a->info.elementCount - offset;
}

static const void *readable_ptr(const carray *a, size_t offset, size_t count)
{
  return has_elements(a, offset, count) ? element(a, offset) : NULL;
}

static void *writable_ptr(carray *a, size_t offset, size_t count)
{
  return a->info.attr != CARRAY_READONLY && has_elements(a, offset, count)
             ? element(a, offset)
             : NULL;
}

static void *resize(carray *a, size_t count, int reserve_percent)
{
  size_t size = a->info.elementSize;
  if (a->release_data != NULL || a->info.attr == CARRAY_READONLY ||
      count > SIZE_MAX / 4 / size) {
    return NULL;
  }
  if (count > a->info.elementCapacity || reserve_percent >= 0) {
    size_t percent = reserve_percent > 0 ? (size_t)reserve_percent : 0;
    size_t capacity = count + count / 100 * percent;
    void *data = realloc(a->data, capacity * size + 1);
    if (data == NULL) {
      return NULL;
    }
    a->data = data;
    a->info.elementCapacity = capacity;
  }
  a->info.elementCount = count;
  return a->data;
}

static void *insert(carray *a, size_t offset, size_t count,
                    int reserve_percent)
{
  size_t old_count = a->info.elementCount;
  if (offset > old_count || count > SIZE_MAX - old_count ||
      resize(a, old_count + count, reserve_percent) == NULL) {
    return NULL;
  }
  memmove(element(a, offset + count), element(a, offset),
          (old_count - offset) * a->info.elementSize);
  return element(a, offset);
}

static void remove_elements(carray *a, size_t offset, size_t count,
                            int reserve_percent)
{
  size_t old_count = a->info.elementCount;
  if (a->release_data == NULL && a->info.attr != CARRAY_READONLY &&
      has_elements(a, offset, count)) {
    memmove(element(a, offset), element(a, offset + count),
            (old_count - offset - count) * a->info.elementSize);
    resize(a, old_count - count, reserve_percent);
  }
}

static const carray_capi capi = {
    CARRAY_CAPI_VERSION_MAJOR,
    CARRAY_CAPI_VERSION_MINOR,
    CARRAY_CAPI_VERSION_PATCH,
    NULL,
    new_carray,
    new_carray_ref,
    to_readable,
    to_writable,
    retain,
    release,
    writable_ptr,
    readable_ptr,
    resize,
    insert,
    remove_elements,
};

/* An API of another major version: what is offered by carray.misfit(). */
static const carray_capi misfit_capi = {.version_major =
                                            CARRAY_CAPI_VERSION_MAJOR + 1};

/* ---------------------------------------------------- Lua functions -- */

static carray *check_carray(lua_State *L)
{
  carray *a = to_carray(L, 1, NULL);
  if (a == NULL) {
    luaL_argerror(L, 1, CLASS " expected");
  }
  return a;
}

static carray_type check_type(lua_State *L, int index)
{
  const char *name = luaL_checkstring(L, index);
  for (int i = CARRAY_UCHAR; i <= CARRAY_ULLONG; i++) {
    if (strcmp(name, type_names[i]) == 0) {
      return (carray_type)i;
    }
  }
  luaL_argerror(L, index, "unknown element type");
  return CARRAY_UCHAR;
}

static unsigned char *check_element(lua_State *L, const carray *a)
{
  lua_Number position = luaL_checknumber(L, 2);
  luaL_argcheck(L,
                position >= 1 && position <= (lua_Number)a->info.elementCount,
                2, "no such element");
  return element(a, (size_t)position - 1);
}

/* carray.new(type, count [, "readonly"]): all elements are 0. */
static int lua_new(lua_State *L)
{
  carray_type type = check_type(L, 1);
  size_t count = (size_t)luaL_checknumber(L, 2);
  int readonly = strcmp(luaL_optstring(L, 3, ""), "readonly") == 0;
  void *data;
  carray *a = new_carray(L, type, readonly ? CARRAY_READONLY : CARRAY_DEFAULT,
                         count, &data);
  if (a == NULL) {
    return luaL_error(L, "carray: cannot be made");
  }
  memset(data, 0, count * a->info.elementSize);
  return 1;
}

#define WRITE(ctype, value)                                                   \
  do {                                                                        \
    ctype written = (ctype)(value);                                           \
    memcpy(where, &written, sizeof written);                                  \
  } while (0)

/* array:set(i, v): also on read-only arrays, or specs could not fill them. */
static int lua_set(lua_State *L)
{
  const carray *a = check_carray(L);
  unsigned char *where = check_element(L, a);
  lua_Number n = luaL_checknumber(L, 3);
  long long i =
      lua_isinteger(L, 3) ? (long long)lua_tointeger(L, 3) : (long long)n;
  switch (a->info.elementType) {
  case CARRAY_UCHAR:
    WRITE(unsigned char, i);
    break;
  case CARRAY_SCHAR:
    WRITE(signed char, i);
    break;
  case CARRAY_SHORT:
    WRITE(short, i);
    break;
  case CARRAY_USHORT:
    WRITE(unsigned short, i);
    break;
  case CARRAY_INT:
    WRITE(int, i);
    break;
  case CARRAY_UINT:
    WRITE(unsigned int, i);
    break;
  case CARRAY_LONG:
    WRITE(long, i);
    break;
  case CARRAY_ULONG:
    WRITE(unsigned long, i);
    break;
  case CARRAY_FLOAT:
    WRITE(float, n);
    break;
  case CARRAY_DOUBLE:
    WRITE(double, n);
    break;
  case CARRAY_LLONG:
    WRITE(long long, i);
    break;
  case CARRAY_ULLONG:
    WRITE(unsigned long long, i);
    break;
  }
  return 0;
}

#define READ(ctype, push, pushed_type)                                        \
  do {                                                                        \
    ctype value;                                                              \
    memcpy(&value, where, sizeof value);                                      \
    push(L, (pushed_type)value);                                              \
  } while (0)

/* array:get(i) */
static int lua_get(lua_State *L)
{
  const carray *a = check_carray(L);
  const unsigned char *where = check_element(L, a);
  switch (a->info.elementType) {
  case CARRAY_UCHAR:
    READ(unsigned char, lua_pushinteger, lua_Integer);
    break;
  case CARRAY_SCHAR:
    READ(signed char, lua_pushinteger, lua_Integer);
    break;
  case CARRAY_SHORT:
    READ(short, lua_pushinteger, lua_Integer);
    break;
  case CARRAY_USHORT:
    READ(unsigned short, lua_pushinteger, lua_Integer);
    break;
  case CARRAY_INT:
    READ(int, lua_pushinteger, lua_Integer);
    break;
  case CARRAY_UINT:
    READ(unsigned int, lua_pushinteger, lua_Integer);
    break;
  case CARRAY_LONG:
    READ(long, lua_pushinteger, lua_Integer);
    break;
  case CARRAY_ULONG:
    READ(unsigned long, lua_pushinteger, lua_Integer);
    break;
  case CARRAY_FLOAT:
    READ(float, lua_pushnumber, lua_Number);
    break;
  case CARRAY_DOUBLE:
    READ(double, lua_pushnumber, lua_Number);
    break;
  case CARRAY_LLONG:
    READ(long long, lua_pushinteger, lua_Integer);
    break;
  case CARRAY_ULLONG:
    READ(unsigned long long, lua_pushinteger, lua_Integer);
    break;
  }
  return 1;
}

/* array:len() */
static int lua_len_(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)check_carray(L)->info.elementCount);
  return 1;
}

/* array:type() */
static int lua_type_(lua_State *L)
{
  lua_pushstring(L, type_names[check_carray(L)->info.elementType]);
  return 1;
}

/* array:resize(count) */
static int lua_resize(lua_State *L)
{
  size_t count = (size_t)luaL_checknumber(L, 2);
  lua_pushboolean(L, resize(check_carray(L), count, -1) != NULL);
  return 1;
}

static int lua_gc_(lua_State *L)
{
  carray **object = lua_touserdata(L, 1);
  release(*object);
  *object = NULL;
  return 0;
}

/* carray.alive(): how many arrays the process has. */
static int lua_alive(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)atomic_load(&alive));
  return 1;
}

/* carray.fail_next("raise" | "null"): what the next newCarray does. */
static int lua_fail_next(lua_State *L)
{
  int raises = strcmp(luaL_checkstring(L, 1), "raise") == 0;
  atomic_store(&next_new, raises ? NEXT_RAISES : NEXT_IS_NULL);
  return 0;
}

/* carray.collect_next(n): the next look-up collects garbage n times. */
static int lua_collect_next(lua_State *L)
{
  atomic_store(&collections, (int)luaL_checknumber(L, 1));
  return 0;
}

/* carray.misfit(): an object that offers another major version only. */
static int lua_misfit(lua_State *L)
{
  support_newuserdata(L, sizeof(void *));
  lua_newtable(L);
  carray_set_capi(L, lua_gettop(L), &misfit_capi);
  lua_setmetatable(L, -2);
  return 1;
}

static const luaL_Reg methods[] = {
    {"set", lua_set},    {"get", lua_get},       {"len", lua_len_},
    {"type", lua_type_}, {"resize", lua_resize}, {"__gc", lua_gc_},
    {NULL, NULL}};

static const luaL_Reg functions[] = {{"new", lua_new},
                                     {"alive", lua_alive},
                                     {"fail_next", lua_fail_next},
                                     {"collect_next", lua_collect_next},
                                     {"misfit", lua_misfit},
                                     {NULL, NULL}};

int luaopen_carray(lua_State *L)
{
  support_pin(L, &next_new);
  support_new_class(L, CLASS, methods);
  carray_set_capi(L, lua_gettop(L), &capi);
  lua_pop(L, 1);
  lua_newtable(L);
  support_set_functions(L, functions);
  lua_newtable(L);
  carray_set_capi(L, lua_gettop(L), &capi);
  lua_setmetatable(L, -2);
  return 1;
}
