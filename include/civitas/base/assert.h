/*
 * assert.h: assertions of the core, active where those of PostgreSQL are (USE_ASSERT_CHECKING) and
 * in the sanitized build. They say what a file's head promises; input from outside is never
 * asserted but refused.
 */
#pragma once

#ifdef USE_ASSERT_CHECKING
#include <cstdio>
#include <cstdlib>
#define CIVITAS_ASSERT(condition)                                                                  \
	((condition)                                                                                   \
		 ? (void) 0                                                                                \
		 : (std::fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #condition), \
			std::abort()))
#else
#define CIVITAS_ASSERT(condition) ((void) sizeof(!(condition)))
#endif
