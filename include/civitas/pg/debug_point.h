/*
 * debug_point.h: named places where tests make this process fail.
 *
 * citus.debug_point = 'name:action' (superusers) takes effect where the code says
 * CIVITAS_DEBUG_POINT("name"). Actions: error raises XX000, wait sleeps until the file
 * citus_debug_continue is in the data directory or it is cancelled (the file
 * citus_debug_at.NAME.PID is there meanwhile), crash kills the process. Compiled with
 * CIVITAS_DEBUG_POINTS only.
 */
#pragma once

namespace civitas::pg {

#ifdef CIVITAS_DEBUG_POINTS
extern char *debug_point_setting;
void reach_debug_point(const char *name);
#define CIVITAS_DEBUG_POINT(name)                                                                  \
	do                                                                                             \
	{                                                                                              \
		if (::civitas::pg::debug_point_setting != nullptr &&                                       \
			::civitas::pg::debug_point_setting[0] != '\0')                                         \
			::civitas::pg::reach_debug_point(name);                                                \
	} while (false)
#else
#define CIVITAS_DEBUG_POINT(name) ((void) 0)
#endif

/* Registers the setting. */
void debug_point_init();

} // namespace civitas::pg
