/*
** compiler.h - attributes and pragmas, for each compiler
**
** They are in the source so that the module is right however it is built:
** luarocks could not pass flags for them.  Every header of the module includes
** this one before all others.
*/
#ifndef MTS_COMPILER_H
#define MTS_COMPILER_H

#include <stdint.h> /* __GLIBC__ */

/*
** If Lua was compiled as C++, its errors are C++ exceptions, and our functions
** need unwind tables so that these can pass through.  Most compilers make the
** tables for any code; for some processors, 32-bit ARM among them, they are
** not made for C, and the first error would end the process.  The flag
** -fexceptions makes them, and in gcc so does this pragma.  clang has nothing
** like it.
*/
#if defined(__GNUC__) && !defined(__clang__) && !defined(__EXCEPTIONS)
#pragma GCC optimize("exceptions")
#endif

/*
** Around the declarations of a header, after its includes: what is declared
** between the two can be used in all files of the module and is not exported,
** since other modules in the process can have functions of the same names.
*/
#if defined(__GNUC__) && !defined(_WIN32)
#define MTS_BEGIN_HIDDEN _Pragma("GCC visibility push(hidden)")
#define MTS_END_HIDDEN _Pragma("GCC visibility pop")
#else
#define MTS_BEGIN_HIDDEN
#define MTS_END_HIDDEN
#endif

/* For the one function that is exported. */
#if defined(_WIN32)
#define MTS_EXPORT __declspec(dllexport)
#else
#define MTS_EXPORT __attribute__((visibility("default")))
#endif

/* For functions on the path of every call that have more than one caller. */
#define MTS_ALWAYS_INLINE __attribute__((always_inline))

/*
** For variables of which each thread has its own.  With the access model that
** compilers choose for a shared library, glibc allocates them when a thread
** first uses one, and ends the process if there is no memory.  So they have to
** fit into the few bytes that each thread keeps in reserve from its start.
*/
#if defined(__GLIBC__)
#define MTS_THREAD_LOCAL                                                      \
  __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define MTS_THREAD_LOCAL _Thread_local
#endif

/*
** Annotations for clang -Wthread-safety; nothing for other compilers.
*/
#if defined(__clang__)
#define MTS_ANNOTATE(x) __attribute__((x))
#else
#define MTS_ANNOTATE(x)
#endif
#define MTS_CAPABILITY MTS_ANNOTATE(capability("mutex"))
#define MTS_GUARDED_BY(m) MTS_ANNOTATE(guarded_by(m))
#define MTS_REQUIRES(...) MTS_ANNOTATE(requires_capability(__VA_ARGS__))
#define MTS_ACQUIRES(...) MTS_ANNOTATE(acquire_capability(__VA_ARGS__))
#define MTS_TRY_ACQUIRES(...) MTS_ANNOTATE(try_acquire_capability(__VA_ARGS__))
#define MTS_RELEASES(...) MTS_ANNOTATE(release_capability(__VA_ARGS__))
#define MTS_UNCHECKED MTS_ANNOTATE(no_thread_safety_analysis)

#endif
