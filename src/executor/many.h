/*
 * many.h: what many.cpp, which runs tasks side by side, shares with many_wait.cpp, which waits for
 * news of them.
 */
#pragma once

#include "execution.h"

#include "civitas/pg/clock.h"

CIVITAS_PG_BEGIN
#include "storage/latch.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::executor {

/* A node that tasks run on. */
struct ManyNode
{
	GroupId group;
	const catalog::Node *node; /* null where the group has no primary: every attempt fails */
	remote::Endpoint endpoint;
	int task_count;			 /* tasks that may begin here */
	remote::Session *opened; /* started before flow asked for it; see take_first_sessions() */
};

struct Many
{
	flow::Flow *flow;
	WaitEventSet *wait_set;
	int wait_room;		 /* for how many more sockets */
	bool wait_set_stale; /* a socket in it has gone: to be made anew */
	int phase_begin;	 /* first task of the running phase */
	int phase_end;
	int current;			 /* worker read last */
	remote::Session *failed; /* why a node could not be reached */
	bool failed_to_connect;
	pg::Vec<ManyNode> nodes;
	pg::Vec<Worker> workers;
	pg::Vec<int> flow_workers; /* flow's number of a session -> index into workers, or -1 */
	pg::Vec<int> task_numbers; /* flow's number of a task -> index into Execution::tasks */
};

inline int64 now_us()
{
	return pg::monotonic_now();
}

/* The socket of a worker had something (or may have). */
void advance(Execution *execution, Worker& worker);
/* A worker's session could not be opened. */
void report_failed(Execution *execution, Worker& worker);
/* Waits for the latch and the workers' sockets, at most as long as flow says, and takes note of
 * what has come. */
void wait_for_events(Execution *execution);

} // namespace civitas::executor
