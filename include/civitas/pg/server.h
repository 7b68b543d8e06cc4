/*
 * server.h: the first include of every server-zone file.
 *
 * PostgreSQL's headers are C; this one pulls in the base of them with C linkage and takes away
 * the macros that collide with C++ names. Further PostgreSQL headers are included by the file
 * that needs them, inside CIVITAS_PG_BEGIN / CIVITAS_PG_END.
 */
#pragma once

#define CIVITAS_PG_BEGIN extern "C" {
#define CIVITAS_PG_END }

CIVITAS_PG_BEGIN
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/elog.h"
#include "utils/memutils.h"
CIVITAS_PG_END

/* Before version 16 the macro is empty on Unix; the library is built with hidden visibility. */
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))

/* port.h maps the printf family to PostgreSQL's own; the C++ library declares the real ones. */
#undef snprintf
#undef vsnprintf
#undef sprintf
#undef vsprintf
#undef printf
#undef vprintf
#undef fprintf
#undef vfprintf
#undef strerror
#undef strerror_r
#undef gettext
#undef dgettext
#undef ngettext
#undef dngettext
/* Messages are not translated. */
#undef _
#undef Abs
#undef Min
#undef Max
/* Built on operators that only C has; the compiler checks types of the macros that use them
 * (ilist.h). */
#undef AssertVariableIsOfType
#undef AssertVariableIsOfTypeMacro
#define AssertVariableIsOfType(variable, type) ((void) 0)
#define AssertVariableIsOfTypeMacro(variable, type) ((void) 0)

#include <type_traits>

/*
 * Says, where a server-zone struct is defined, that it may live on a stack that an ereport(ERROR)
 * unwinds without running destructors.
 */
#define CIVITAS_SERVER_STATE(T)                                                                    \
	static_assert(std::is_trivially_destructible_v<T>,                                             \
				  #T " must survive a longjmp: no destructor may matter")
