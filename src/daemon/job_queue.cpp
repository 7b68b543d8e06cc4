/*
 * job_queue.cpp: background jobs are started here.
 *
 * Three kinds of process. The launcher (maintenance.cpp) starts a queue in a database whose jobs
 * have changed, and in every database once after the server's start. The queue looks at the rows of
 * jobs and tasks, decides what may run, and starts an executor for each task (job_executor.cpp); it
 * goes away when nothing runs and nothing can be started. The executor runs as the owner of its
 * task.
 *
 * The queue's loop: settle (tasks whose executor is gone; tasks that become runnable, or never
 * will; states of jobs), pick, start, wait for an executor's end or a change of jobs.
 *
 * Invariants
 * - One queue a database: it holds JobLock::Queue. An executor holds JobLock::Task of its task, so
 *   that a new queue knows which tasks of an earlier one still run.
 * - A task is `running` before its executor is registered; a task that is `running` without an
 *   executor was interrupted and is tried again. So jobs survive a restart, which costs a task none
 *   of its attempts.
 * - Only the queue settles, so that two tasks that end at the same moment cannot overlook each
 *   other.
 * - "There may be work" is set after the commit that made it, and cleared before the queue looks.
 */
#include "civitas/pg/server.h"

#include "job_queue.h"

#include "civitas/catalog/nodes.h"
#include "civitas/cluster/jobs.h"
#include "civitas/pg/shared_memory.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PGDLLEXPORT void civitas_job_queue(Datum database);
CIVITAS_PG_END

namespace civitas::daemon {

namespace {

int queue_interval; /* ms; -1: no jobs run */
int max_executors;
int max_executors_per_node;

constexpr int MAX_DATABASES = 128;
/* Between two starts of a queue in one database, ms: an error of a queue must not become a busy
 * loop. */
constexpr int MIN_RESTART = 200;

/* What is known of a database's jobs. */
struct JobEntry
{
	Oid database; /* InvalidOid: free */
	bool seen;	  /* a queue has looked since the server's start */
	bool changed; /* jobs changed since a queue looked */
	bool waiting; /* a queue left tasks behind that wait for their time */
	Latch *queue; /* of the queue that runs; null: none */
	TimestampTz started;
};

struct SharedJobs
{
	slock_t mutex;
	Latch *launcher;
	JobEntry databases[MAX_DATABASES];
};

SharedJobs *shared;

Size shared_size()
{
	return sizeof(SharedJobs);
}

void attach()
{
	bool fresh;
	shared = static_cast<SharedJobs *>(
		pg::shared_struct("civitas background jobs", shared_size(), &fresh));
	if (!fresh)
		return;
	SpinLockInit(&shared->mutex);
}

pg::SharedMemory memory = {shared_size, attach, nullptr, nullptr};

/* The entry of a database, made if there is room; else null. The mutex is held. */
JobEntry *find_entry(Oid database)
{
	JobEntry *unused = nullptr;
	for (JobEntry& entry : shared->databases)
	{
		if (entry.database == database)
			return &entry;
		if (entry.database == InvalidOid && unused == nullptr)
			unused = &entry;
	}
	if (unused != nullptr)
		*unused = {database, false, false, false, nullptr, 0};
	return unused;
}

/* After the commit of a change of jobs. */
void jobs_changed()
{
	SpinLockAcquire(&shared->mutex);
	JobEntry *entry = find_entry(MyDatabaseId);
	Latch *queue = nullptr;
	if (entry != nullptr)
	{
		entry->changed = true;
		queue = entry->queue;
	}
	Latch *launcher = shared->launcher;
	SpinLockRelease(&shared->mutex);
	/* A queue's own changes do not concern it. */
	if (queue == MyLatch)
		return;
	if (queue != nullptr)
		SetLatch(queue);
	else if (launcher != nullptr)
		SetLatch(launcher);
}

/* How long after its last start a queue may be started again, ms; -1: there is no reason to. */
int restart_time(const JobEntry& entry)
{
	if (entry.queue != nullptr)
		return -1;
	if (entry.changed || !entry.seen)
		return MIN_RESTART;
	return !entry.waiting ? -1 : queue_interval > MIN_RESTART ? queue_interval : MIN_RESTART;
}

/* ms until then; -1: never. */
long time_until_start(const JobEntry& entry, TimestampTz now)
{
	const int pause = restart_time(entry);
	if (pause < 0 || entry.started == 0)
		return pause < 0 ? -1 : 0;
	const long gone = TimestampDifferenceMilliseconds(entry.started, now);
	return gone >= pause ? 0 : pause - gone;
}

/* Frees the entries of databases that are gone. */
void forget_missing(const List *databases)
{
	for (JobEntry& entry : shared->databases)
	{
		SpinLockAcquire(&shared->mutex);
		const Oid database = entry.database;
		SpinLockRelease(&shared->mutex);
		if (database == InvalidOid || list_member_oid(databases, database))
			continue;
		SpinLockAcquire(&shared->mutex);
		if (entry.database == database)
			entry.database = InvalidOid;
		SpinLockRelease(&shared->mutex);
	}
}

/* --- the queue --- */

void leave_launcher(int code, Datum argument)
{
	SpinLockAcquire(&shared->mutex);
	shared->launcher = nullptr;
	SpinLockRelease(&shared->mutex);
}

void leave_queue(int code, Datum argument)
{
	SpinLockAcquire(&shared->mutex);
	for (JobEntry& entry : shared->databases)
		if (entry.database == MyDatabaseId && entry.queue == MyLatch)
			entry.queue = nullptr;
	Latch *launcher = shared->launcher;
	SpinLockRelease(&shared->mutex);
	if (launcher != nullptr)
		SetLatch(launcher);
}

/* What changes from here on is not seen by the look that follows, perhaps. */
void begin_look()
{
	SpinLockAcquire(&shared->mutex);
	JobEntry *entry = find_entry(MyDatabaseId);
	if (entry != nullptr)
	{
		entry->changed = entry->waiting = false;
		entry->seen = true;
		entry->queue = MyLatch;
	}
	SpinLockRelease(&shared->mutex);
}

void note_waiting()
{
	SpinLockAcquire(&shared->mutex);
	JobEntry *entry = find_entry(MyDatabaseId);
	if (entry != nullptr)
		entry->waiting = true;
	SpinLockRelease(&shared->mutex);
}

/* An executor that this queue started. */
struct Executor
{
	int64 task_id;
	BackgroundWorkerHandle *handle;
};

/* All that the queue remembers; in TopMemoryContext. */
struct Queue
{
	pg::Vec<Executor> executors;
};

bool has_ended(const Executor& executor)
{
	pid_t pid;
	return GetBackgroundWorkerPid(executor.handle, &pid) == BGWH_STOPPED;
}

/* Whether a process holds the lock of a task. */
bool is_held(int64 task_id)
{
	const LOCKTAG tag = cluster::job_lock_tag(cluster::JobLock::Task, task_id);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ExclusiveLock, true);
	return false;
}

bool is_ours(const Queue& queue, int64 task_id)
{
	for (const Executor& executor : queue.executors)
		if (executor.task_id == task_id)
			return true;
	return false;
}

void forget_ended(Queue& queue)
{
	for (int i = 0; i < queue.executors.size();)
	{
		if (!has_ended(queue.executors[i]))
		{
			i++;
			continue;
		}
		pfree(queue.executors[i].handle);
		queue.executors[i] = queue.executors.back();
		queue.executors.pop();
	}
}

/* Tasks that should run and have no process. */
void settle_interrupted(const Queue& queue)
{
	List *ids = cluster::job_sql("SELECT task_id FROM pg_dist_background_task "
								 "WHERE status IN ('running', 'cancelling') ORDER BY task_id");
	ListCell *cell;
	foreach (cell, ids)
	{
		const int64 task_id = strtoll(static_cast<char *>(lfirst(cell)), nullptr, 10);
		if (is_ours(queue, task_id) || is_held(task_id))
			continue;
		pg::Str sql;
		sql.raw("SELECT citus_internal.interrupt_task(").num(task_id).raw(", ");
		sql.num(first_retry_pause()).ch(')');
		cluster::job_sql(sql.c_str());
	}
}

pg::Vec<Assignment> pick_tasks(const Queue& queue, MemoryContext context)
{
	pg::Vec<Assignment> picks(context);
	pg::Str sql;
	sql.raw("SELECT task_id || ' ' || owner::oid FROM citus_internal.start_tasks(")
		.num(max_executors)
		.raw(", ")
		.num(max_executors_per_node)
		.raw(")");
	ListCell *cell;
	foreach (cell, cluster::job_sql(sql.c_str()))
	{
		char *rest;
		const int64 task_id = strtoll(static_cast<char *>(lfirst(cell)), &rest, 10);
		picks.push({task_id, static_cast<Oid>(strtoul(rest, nullptr, 10))});
	}
	return picks;
}

bool start_executor(Queue& queue, const Assignment& pick)
{
	BackgroundWorker worker = new_worker("Citus Background Task Executor", "civitas_job_executor");
	snprintf(worker.bgw_name, sizeof(worker.bgw_name),
			 "Citus Background Task Executor: %u/" INT64_FORMAT, MyDatabaseId, pick.task_id);
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	memcpy(worker.bgw_extra, &pick, sizeof(pick));
	static_assert(sizeof(Assignment) <= BGW_EXTRALEN);
	BackgroundWorkerHandle *handle;
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	const bool registered = RegisterDynamicBackgroundWorker(&worker, &handle);
	MemoryContextSwitchTo(caller);
	if (!registered)
		return false;
	queue.executors.push({pick.task_id, handle});
	return true;
}

/* Tasks of which no process could be started are runnable again. */
void put_back(const pg::Vec<Assignment>& picks, int from)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	for (int i = from; i < picks.size(); i++)
		cluster::job_sql(psprintf(
			"UPDATE pg_dist_background_task SET status = CASE status WHEN 'running' THEN "
			"'runnable'::citus_task_status ELSE 'cancelled' END WHERE task_id = " INT64_FORMAT
			" AND status IN ('running', 'cancelling')",
			picks[i].task_id));
	PopActiveSnapshot();
	CommitTransactionCommand();
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no background worker is free for %d background tasks", picks.size() - from),
			 errhint("They are tried again. Raise max_worker_processes if this stays.")));
}

/* One look. False when there is nothing to wait for here. */
bool look(Queue& queue, MemoryContext context)
{
	forget_ended(queue);
	begin_look();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	const bool usable =
		catalog::extension_usable() && catalog::is_coordinator() && queue_interval >= 0;
	pg::Vec<Assignment> picks(context);
	bool open = false;
	if (usable)
	{
		settle_interrupted(queue);
		cluster::job_sql("SELECT citus_internal.settle_jobs()");
		picks = pick_tasks(queue, context);
		open = cluster::job_sql("SELECT 1 FROM pg_dist_background_task WHERE status IN "
								"('blocked', 'runnable', 'running', 'cancelling') LIMIT 1") != NIL;
	}
	PopActiveSnapshot();
	CommitTransactionCommand();

	for (int i = 0; i < picks.size(); i++)
		if (!start_executor(queue, picks[i]))
		{
			put_back(picks, i);
			break;
		}
	if (open)
		note_waiting();
	return usable && !queue.executors.empty();
}

bool hold_queue_lock()
{
	const LOCKTAG tag = cluster::job_lock_tag(cluster::JobLock::Queue);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void run_queue()
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "civitas job queue", ALLOCSET_DEFAULT_SIZES);
	Queue queue = {pg::Vec<Executor>(TopMemoryContext)};
	for (;;)
	{
		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		pgstat_report_activity(STATE_RUNNING, "looking at background jobs");
		const bool more = look(queue, context);
		pgstat_report_activity(STATE_IDLE, nullptr);
		if (!more)
			return;
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, queue_interval,
				  PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}

} // namespace

int first_retry_pause()
{
	return queue_interval > 0 ? queue_interval : MIN_RESTART;
}

void use_plain_transactions()
{
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_deferrable", "off", PGC_SUSET, PGC_S_SESSION);
}

void look_names_up_safely()
{
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_SESSION);
}

BackgroundWorker new_worker(const char *type, const char *function)
{
	BackgroundWorker worker;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "citus", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_type, type, sizeof(worker.bgw_type));
	worker.bgw_notify_pid = MyProcPid;
	return worker;
}

void join_job_queue()
{
	SpinLockAcquire(&shared->mutex);
	shared->launcher = MyLatch;
	SpinLockRelease(&shared->mutex);
	before_shmem_exit(leave_launcher, 0);
}

void start_job_queues(const List *databases)
{
	if (queue_interval < 0)
		return;
	forget_missing(databases);
	const TimestampTz now = GetCurrentTimestamp();
	ListCell *cell;
	foreach (cell, databases)
	{
		const Oid database = lfirst_oid(cell);
		SpinLockAcquire(&shared->mutex);
		JobEntry *entry = find_entry(database);
		const bool due = entry == nullptr || time_until_start(*entry, now) == 0;
		if (due && entry != nullptr)
			entry->started = now;
		SpinLockRelease(&shared->mutex);
		if (!due)
			continue;
		BackgroundWorker worker =
			new_worker("Citus Background Task Queue Monitor", "civitas_job_queue");
		snprintf(worker.bgw_name, sizeof(worker.bgw_name),
				 "Citus Background Task Queue Monitor: %u", database);
		worker.bgw_main_arg = ObjectIdGetDatum(database);
		BackgroundWorkerHandle *handle;
		/* No free slot: the next cycle tries again. */
		if (RegisterDynamicBackgroundWorker(&worker, &handle))
			pfree(handle);
	}
}

long job_queue_wait()
{
	if (queue_interval < 0)
		return -1;
	const TimestampTz now = GetCurrentTimestamp();
	long wait = -1;
	SpinLockAcquire(&shared->mutex);
	for (const JobEntry& entry : shared->databases)
	{
		const long until = entry.database == InvalidOid ? -1 : time_until_start(entry, now);
		if (until >= 0 && (wait < 0 || until < wait))
			wait = until;
	}
	SpinLockRelease(&shared->mutex);
	return wait;
}

void job_queue_init()
{
	DefineCustomIntVariable(
		"citus.background_task_queue_interval",
		"Time between two looks at background tasks that wait, and the first pause before a task "
		"that failed is tried again; -1 keeps background jobs from running.",
		nullptr, &queue_interval, 5000, -1, 604800000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr,
		nullptr);
	DefineCustomIntVariable(
		"citus.max_background_task_executors", "Background tasks that run at the same time.",
		"Raise it to let moves of a rebalance run side by side; each takes a background worker of "
		"max_worker_processes.",
		&max_executors, 1, 1, 1000, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable(
		"citus.max_background_task_executors_per_node",
		"Background tasks that put work on the same node at the same time.",
		"Raise it, together with citus.max_background_task_executors, when nodes have bandwidth to "
		"spare while shards move.",
		&max_executors_per_node, 1, 1, 128, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
	pg::use_shared_memory(&memory);
	cluster::jobs_changed_hook = jobs_changed;
}

} // namespace civitas::daemon

using namespace civitas;

void civitas_job_queue(Datum database)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	daemon::look_names_up_safely();
	daemon::use_plain_transactions();
	if (!daemon::hold_queue_lock())
		return;
	before_shmem_exit(daemon::leave_queue, 0);
	daemon::run_queue();
}
