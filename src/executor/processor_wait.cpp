/*
 * processor_wait.cpp: whether a node has processors to spare, from the node's backend to the one
 * that asked.
 *
 * Another session helps only where a processor is free for it. The asking node cannot see that: a
 * task that takes long may be long or may be kept waiting. The backend that runs the task knows how
 * long the kernel had it wait for a processor, and says so with the answer, as a parameter status:
 * a number that tells reports apart, and the share of the time in which it could have run, %. Such
 * messages are ordinary protocol and cost no round trip. Quick statements say nothing, so point
 * queries do not pay; where the kernel does not tell, nobody says anything.
 *
 * What was seen of a node, this and how long sessions take to open, is kept here between the
 * executions of this backend, for flow to judge by.
 */
#include "execution.h"

#include "civitas/pg/compat.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "executor/executor.h"
#include "libpq/pqformat.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

namespace civitas::executor {

namespace {

constexpr const char REPORT_NAME[] = "citus_processor_wait";
/* Statements that take less are not reported. */
constexpr int64 SHORTEST_US = 1000;

/* --- the node that is asked ------------------------------------------------------------------ */

ExecutorRun_hook_type previous_run;

/* How long the kernel has had this process wait for a processor, ns; -1: it does not say. */
int64 waited_ns()
{
#ifdef __linux__
	char text[96];
	const int file = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	const ssize_t length = read(file, text, sizeof(text) - 1);
	close(file);
	if (length <= 0)
		return -1;
	text[length] = '\0';
	/* Time on a processor, time waiting for one, turns. */
	const char *second = strchr(text, ' ');
	return second != nullptr ? strtoll(second, nullptr, 10) : -1;
#else
	return -1;
#endif
}

int64 ran_ns()
{
	timespec time;
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0)
		return 0;
	return time.tv_sec * INT64CONST(1000000000) + time.tv_nsec;
}

void send_report(int number, int percent)
{
	char value[32];
	snprintf(value, sizeof(value), "%d %d", number, percent);
	StringInfoData message;
	pq_beginmessage(&message, 'S');
	pq_sendstring(&message, REPORT_NAME);
	pq_sendstring(&message, value);
	pq_endmessage(&message);
}

/* Runs before CommandComplete is sent, so the asking node has it when the task is over there. */
void report_processor_wait()
{
	static TimestampTz last_report;
	static int64 waited_before;
	static int64 ran_before;
	static int number;

	if (!txn::is_internal_session())
		return;
	const TimestampTz now = GetCurrentTimestamp();
	const TimestampTz begun = GetCurrentStatementStartTimestamp();
	if (now - begun < SHORTEST_US || now - last_report < SHORTEST_US)
		return;
	last_report = now;
	const int64 waited = waited_ns();
	if (waited < 0)
		return;
	const int64 ran = ran_ns();
	const int64 could_run = ran - ran_before + waited - waited_before;
	if (could_run > 0)
		send_report(++number, static_cast<int>(100 * (waited - waited_before) / could_run));
	waited_before = waited;
	ran_before = ran;
}

void run_executor(CIVITAS_RUN_PARAMETERS)
{
	if (previous_run != nullptr)
		previous_run(CIVITAS_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(CIVITAS_RUN_ARGUMENTS);
	if (whereToSendOutput == DestRemote && MyBackendType == B_BACKEND)
		report_processor_wait();
}

/* --- the node that asks ---------------------------------------------------------------------- */

struct Seen
{
	NodeId node;
	flow::Experience experience;
};

pg::Vec<Seen> *seen_nodes;

Seen *find_seen(NodeId node)
{
	if (seen_nodes != nullptr)
		for (Seen& seen : *seen_nodes)
			if (seen.node == node)
				return &seen;
	return nullptr;
}

} // namespace

void processor_wait_init()
{
	previous_run = ExecutorRun_hook;
	ExecutorRun_hook = run_executor;
}

int processor_wait(remote::Session *session, int *number)
{
	const char *value = PQparameterStatus(remote::connection(session), REPORT_NAME);
	if (value == nullptr)
		return -1;
	char *rest;
	const int told = static_cast<int>(strtol(value, &rest, 10));
	if (told == *number)
		return -1;
	*number = told;
	return static_cast<int>(strtol(rest, nullptr, 10));
}

flow::Experience experience_of(NodeId node)
{
	const Seen *seen = find_seen(node);
	return seen != nullptr ? seen->experience : flow::Experience{};
}

void keep_experience(NodeId node, const flow::Experience& experience)
{
	Seen *seen = find_seen(node);
	if (seen != nullptr)
	{
		seen->experience = experience;
		return;
	}
	if (seen_nodes == nullptr)
		seen_nodes = new (MemoryContextAlloc(TopMemoryContext, sizeof(*seen_nodes)))
			pg::Vec<Seen>(TopMemoryContext);
	seen_nodes->push({node, experience});
}

} // namespace civitas::executor
