/*
 * debug_point.cpp: what happens at a debug point.
 *
 * A process that waits says so by a file of the data directory: a test that goes on when it sees
 * the file does not depend on how long the way to the point takes. The file is gone when the
 * process goes on, whatever ended its wait.
 */
#include "civitas/pg/server.h"

#include "civitas/pg/debug_point.h"

CIVITAS_PG_BEGIN
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

#include <csignal>
#include <fcntl.h>
#include <unistd.h>

namespace civitas::pg {

#ifdef CIVITAS_DEBUG_POINTS

char *debug_point_setting;

namespace {

/* A file of the data directory that ends every wait. */
constexpr const char *CONTINUE_FILE = "citus_debug_continue";

/* Longer than any test runs: a wait must not end because the machine was slow. */
constexpr int LONGEST_WAIT = 15 * 60 * 1000;

/* The process stands in the data directory. */
void wait_for_continue_file()
{
	const TimestampTz begun = GetCurrentTimestamp();
	while (access(CONTINUE_FILE, F_OK) != 0 &&
		   !TimestampDifferenceExceeds(begun, GetCurrentTimestamp(), LONGEST_WAIT))
	{
		const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH, 100L,
									 PG_WAIT_EXTENSION);
		/* The server was killed: so is who stands here, without a last word to other nodes. */
		if ((events & WL_POSTMASTER_DEATH) != 0)
			kill(getpid(), SIGKILL);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void wait_at(const char *name)
{
	char *marker = psprintf("citus_debug_at.%s.%d", name, static_cast<int>(getpid()));
	const int file = open(marker, O_CREAT | O_WRONLY, 0600);
	if (file >= 0)
		close(file);
	PG_TRY();
	{
		wait_for_continue_file();
	}
	PG_FINALLY();
	{
		unlink(marker);
	}
	PG_END_TRY();
	pfree(marker);
}

} // namespace

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
		wait_at(name);
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
