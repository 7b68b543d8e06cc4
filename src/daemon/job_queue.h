/*
 * job_queue.h: what starts the processes that run background jobs.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "postmaster/bgworker.h"
CIVITAS_PG_END

namespace civitas::daemon {

/* Settings, shared memory, hooks: in the postmaster. */
void job_queue_init();

/* --- for the launcher --- */

/* From here on changes of jobs wake this process. */
void join_job_queue();
/* Starts the queue's process in each database that may have work and has none. */
void start_job_queues(const List *databases);
/* In how many ms that should be called again: 0 now, -1 no need. */
long job_queue_wait();

/* --- for the processes --- */

/* A task that an executor is to run: its bgw_extra. */
struct Assignment
{
	int64 task_id;
	Oid owner;
};

/* Whatever the defaults of the database and the role are. */
void use_plain_transactions();
/* For processes that are superusers. */
void look_names_up_safely();

/* The first pause before a task that failed is tried again, ms. */
int first_retry_pause();

/* What a worker's start needs, filled in but for its name and arguments. */
BackgroundWorker new_worker(const char *type, const char *function);

} // namespace civitas::daemon
