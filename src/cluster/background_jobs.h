/*
 * background_jobs.h: jobs and tasks as rows: making, cancelling and waiting for them. What runs
 * them is in daemon/job_queue.cpp.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

#include <span>

namespace civitas::cluster {

/* Inserts a job and returns its id. It runs from the commit of this transaction on. */
int64 create_job(const char *type, const char *description);
/* Adds a task to a job of this transaction: an SQL command that runs as the current user. It waits
 * until those that it depends on are done; `nodes` are those that it puts work on. Returns its id.
 */
int64 add_task(int64 job_id, const char *command, std::span<const int64> depends_on,
			   std::span<const NodeId> nodes);

/* The job of a type that has not ended; 0: there is none. */
int64 find_open_job(const char *type);
/* Cancels what is left of a job. 42704 where there is none, 42501 for tasks of somebody else. */
void cancel_job(int64 job_id);
/* Waits until the job has ended or is in the `desired` state (null: none), whatever the
 * transaction's isolation level is. Returns its state's label, in CurrentMemoryContext. */
char *wait_for_job(int64 job_id, const char *desired);

void background_jobs_init();

} // namespace civitas::cluster
