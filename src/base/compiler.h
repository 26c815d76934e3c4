/*
** compiler.h - what the compiler is told in the source and not by flags
**
** Who builds the module need not know any flags, and luarocks could not pass
** them.  Every header of ours includes this one before all others.
*/
#ifndef MTS_COMPILER_H
#define MTS_COMPILER_H

/*
** If Lua was compiled as C++, its errors are C++ exceptions, and our functions
** need tables so that these can pass through.  Most compilers make them for
** any code; for some processors, 32-bit ARM among them, they are not made for
** C, and the first error ends the process.  -fexceptions makes them; this does
** in gcc what the flag does.  clang has nothing like it.
*/
#if defined(__GNUC__) && !defined(__clang__) && !defined(__EXCEPTIONS)
#pragma GCC optimize("exceptions")
#endif

/*
** Around the declarations of a header, behind its includes: what is declared
** between the two can be used in all files of the module and is not exported.
** Other modules in the process can have functions of the same names.
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

#define MTS_ALWAYS_INLINE __attribute__((always_inline))

#endif
