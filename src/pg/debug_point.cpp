/*
 * debug_point.cpp: what happens at a debug point.
 */
#include "civitas/pg/server.h"

#include "civitas/pg/debug_point.h"

CIVITAS_PG_BEGIN
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

#include <csignal>
#include <unistd.h>

namespace civitas::pg {

#ifdef CIVITAS_DEBUG_POINTS

char *debug_point_setting;

/* A file of the data directory that ends every wait. */
static constexpr const char *CONTINUE_FILE = "citus_debug_continue";

void reach_debug_point(const char *name)
{
	const size_t length = strlen(name);
	if (strncmp(debug_point_setting, name, length) != 0 || debug_point_setting[length] != ':')
		return;
	const char *action = debug_point_setting + length + 1;
	if (strcmp(action, "error") == 0)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("debug point %s", name)));
	else if (strcmp(action, "crash") == 0)
		kill(getpid(), SIGKILL);
	else if (strcmp(action, "wait") == 0)
	{
		/* The process stands in the data directory. */
		for (int round = 0; round < 600 && access(CONTINUE_FILE, F_OK) != 0; round++)
		{
			const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH,
										 100L, PG_WAIT_EXTENSION);
			/* The server was killed: so is who stands here, without a last word to other nodes. */
			if ((events & WL_POSTMASTER_DEATH) != 0)
				kill(getpid(), SIGKILL);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		}
	}
}

void debug_point_init()
{
	DefineCustomStringVariable("citus.debug_point",
							   "Makes this session fail at a named place, for tests.", nullptr,
							   &debug_point_setting, "", PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
}

#else

void debug_point_init() {}

#endif

} // namespace civitas::pg
