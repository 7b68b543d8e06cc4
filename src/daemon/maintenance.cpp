/*
 * maintenance.cpp: background work, database by database.
 *
 * One launcher a server; it has no database of its own. Each cycle it lists the databases and
 * starts, one after another, a short-lived worker for each one that is due: the worker connects,
 * does its duty (recovery of prepared transactions, clean-up after moves, or the search for
 * deadlocks across nodes) and exits. Nothing stays connected, so DROP DATABASE, CREATE DATABASE ..
 * TEMPLATE and DROP EXTENSION need not know about it, and an error or a crash of a duty costs one
 * cycle.
 *
 * Deadlocks have a rhythm of their own: where no transaction has waited long, a look into shared
 * memory is all. Background jobs have processes of their own: see job_queue.cpp.
 *
 * A database without the extension is looked at once after the server's start, and again when
 * somebody starts a distributed transaction in it (the nudge). What is known of databases lives in
 * shared memory, because workers report there; when more databases exist than it has room for, the
 * rest is looked at in every cycle.
 */
#include "civitas/pg/server.h"

#include "civitas/catalog/nodes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/daemon/maintenance.h"
#include "civitas/pg/shared_memory.h"
#include "civitas/remote/session.h"
#include "civitas/txn/transaction.h"
#include "job_queue.h"

CIVITAS_PG_BEGIN
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

#include <climits>

CIVITAS_PG_BEGIN
PGDLLEXPORT void civitas_maintenance_launcher(Datum argument);
PGDLLEXPORT void civitas_maintenance_worker(Datum database);
CIVITAS_PG_END

namespace civitas::daemon {

namespace {

/* ms; -1: never. */
int recovery_interval;
int clean_up_interval;
/* Times deadlock_timeout; not positive: never. */
double deadlock_factor;

/* The answers of nodes in the search for deadlocks must be there by then, ms. */
constexpr int SEARCH_TIMEOUT = 10000;
constexpr int SEARCH_CONNECT_TIMEOUT = 3000;

enum class Duty : char
{
	Recovery = 'r',
	CleanUp = 'c',
	Nodes = 'n',
	Deadlocks = 'd'
};

constexpr int MAX_DATABASES = 128;
/* Until nodes that could not be told of a change of the nodes are tried again, ms: longer each time. */
constexpr int FIRST_RETRY = 500;
constexpr int LAST_RETRY = 5000;
/* How often the launcher looks for databases that are due, ms, unless the interval is shorter. */
constexpr int CYCLE = 5000;

enum class Presence : int
{
	Unknown,
	Absent,
	Installed
};

/* What is known of a database. */
struct DatabaseEntry
{
	Oid database; /* InvalidOid: free */
	Presence presence;
	TimestampTz last_run;
	TimestampTz last_clean_up;
	bool littered; /* there may be something to clean up */
	bool recovery_wanted;
	TimestampTz tell_nodes_at; /* 0: all know the nodes */
	int retry;				   /* ms, until they are told again */
	bool changed_again;		   /* since a worker went to tell them */
};

struct SharedMaintenance
{
	slock_t mutex;
	Latch *launcher; /* null: it does not run */
	bool urgent;	 /* an entry wants recovery, or has nodes to be told */
	DatabaseEntry databases[MAX_DATABASES];
};

SharedMaintenance *shared;

Size shared_size()
{
	return sizeof(SharedMaintenance);
}

void attach()
{
	bool fresh;
	shared = static_cast<SharedMaintenance *>(
		pg::shared_struct("civitas maintenance", shared_size(), &fresh));
	if (!fresh)
		return;
	SpinLockInit(&shared->mutex);
}

pg::SharedMemory memory = {shared_size, attach, nullptr, nullptr};

/* The entry of a database, made if there is room; null where there is none. The mutex is held. */
DatabaseEntry *find_entry(Oid database)
{
	DatabaseEntry *unused = nullptr;
	for (DatabaseEntry& entry : shared->databases)
	{
		if (entry.database == database)
			return &entry;
		if (entry.database == InvalidOid && unused == nullptr)
			unused = &entry;
	}
	if (unused != nullptr)
		*unused = {database, Presence::Unknown, 0, 0, true, false, 0, FIRST_RETRY, false};
	return unused;
}

void set_presence(Oid database, Presence presence)
{
	SpinLockAcquire(&shared->mutex);
	DatabaseEntry *entry = find_entry(database);
	if (entry != nullptr)
		entry->presence = presence;
	SpinLockRelease(&shared->mutex);
}

/* The nudge: a distributed transaction begins in a database that may have been found without the
 * extension. */
void note_distributed_use()
{
	static bool noted;
	if (noted)
		return;
	noted = true;
	SpinLockAcquire(&shared->mutex);
	DatabaseEntry *entry = find_entry(MyDatabaseId);
	if (entry != nullptr && entry->presence == Presence::Absent)
		entry->presence = Presence::Unknown;
	SpinLockRelease(&shared->mutex);
}

/* Whether a database is due; if so its run starts now. */
bool take_run(Oid database, TimestampTz now)
{
	SpinLockAcquire(&shared->mutex);
	DatabaseEntry *entry = find_entry(database);
	bool due = true;
	if (entry != nullptr)
	{
		const bool rested = entry->last_run == 0 ||
							TimestampDifferenceExceeds(entry->last_run, now, recovery_interval);
		due = (rested || entry->recovery_wanted) && entry->presence != Presence::Absent;
		if (due)
		{
			entry->last_run = now;
			entry->recovery_wanted = false;
		}
	}
	SpinLockRelease(&shared->mutex);
	return due;
}

void set_littered(Oid database, bool littered)
{
	SpinLockAcquire(&shared->mutex);
	DatabaseEntry *entry = find_entry(database);
	if (entry != nullptr)
		entry->littered = littered;
	SpinLockRelease(&shared->mutex);
}

/* An operation of this backend is about to make temporary objects. */
void note_litter()
{
	set_littered(MyDatabaseId, true);
}

/* Whether a database is to be cleaned up; if so that starts now. */
bool take_clean_up(Oid database, TimestampTz now)
{
	SpinLockAcquire(&shared->mutex);
	DatabaseEntry *entry = find_entry(database);
	bool due = true;
	if (entry != nullptr)
	{
		const bool rested =
			entry->last_clean_up == 0 ||
			TimestampDifferenceExceeds(entry->last_clean_up, now, clean_up_interval);
		due = rested && entry->littered && entry->presence != Presence::Absent;
		if (due)
			entry->last_clean_up = now;
	}
	SpinLockRelease(&shared->mutex);
	return due;
}

/* After a change of nodes: what was prepared at the old places is to be found at the new ones, and who could not be told is to
 * be told. */
void nodes_changed(bool someone_behind)
{
	SpinLockAcquire(&shared->mutex);
	DatabaseEntry *entry = find_entry(MyDatabaseId);
	if (entry != nullptr)
	{
		entry->presence = Presence::Installed;
		entry->recovery_wanted = true;
		if (someone_behind)
		{
			entry->tell_nodes_at = GetCurrentTimestamp();
			entry->retry = FIRST_RETRY;
			entry->changed_again = true;
		}
		shared->urgent = true;
	}
	Latch *launcher = shared->launcher;
	SpinLockRelease(&shared->mutex);
	if (launcher != nullptr)
		SetLatch(launcher);
}

/* The result of a worker that told the nodes. */
void note_told(Oid database, int behind)
{
	SpinLockAcquire(&shared->mutex);
	DatabaseEntry *entry = find_entry(database);
	/* What came meanwhile counts again. */
	if (entry != nullptr && !entry->changed_again)
	{
		entry->tell_nodes_at =
			behind > 0 ? TimestampTzPlusMilliseconds(GetCurrentTimestamp(), entry->retry) : 0;
		shared->urgent = shared->urgent || behind > 0;
	}
	SpinLockRelease(&shared->mutex);
}

/* A database whose nodes are to be told now; that starts now. */
Oid take_nodes_to_tell(TimestampTz now)
{
	Oid found = InvalidOid;
	SpinLockAcquire(&shared->mutex);
	for (DatabaseEntry& entry : shared->databases)
		if (found == InvalidOid && entry.database != InvalidOid && entry.tell_nodes_at != 0 &&
			entry.tell_nodes_at <= now)
		{
			found = entry.database;
			/* Unless the worker comes to its end. */
			entry.tell_nodes_at = TimestampTzPlusMilliseconds(now, entry.retry);
			entry.retry = entry.retry * 2 > LAST_RETRY ? LAST_RETRY : entry.retry * 2;
			entry.changed_again = false;
		}
	SpinLockRelease(&shared->mutex);
	return found;
}

/* A database that wants recovery at once. */
Oid take_wanted_recovery(TimestampTz now)
{
	Oid found = InvalidOid;
	SpinLockAcquire(&shared->mutex);
	for (DatabaseEntry& entry : shared->databases)
		if (found == InvalidOid && entry.database != InvalidOid && entry.recovery_wanted)
		{
			found = entry.database;
			entry.recovery_wanted = false;
			entry.last_run = now;
		}
	SpinLockRelease(&shared->mutex);
	return found;
}

/* Until somebody is to be told of nodes, ms; -1: nobody. */
long time_until_nodes_are_told()
{
	if (!shared->urgent)
		return -1;
	TimestampTz first = 0;
	bool wanted = false;
	SpinLockAcquire(&shared->mutex);
	for (const DatabaseEntry& entry : shared->databases)
	{
		if (entry.database == InvalidOid)
			continue;
		wanted = wanted || entry.recovery_wanted;
		if (entry.tell_nodes_at != 0 && (first == 0 || entry.tell_nodes_at < first))
			first = entry.tell_nodes_at;
	}
	shared->urgent = wanted || first != 0;
	SpinLockRelease(&shared->mutex);
	if (first == 0)
		return -1;
	const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), first);
	return left < 1 ? 1 : left;
}

/* Frees the entries of databases that are gone. */
void forget_missing(const List *databases)
{
	for (DatabaseEntry& entry : shared->databases)
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

/* Oids of the databases that can be connected to. In `context`. */
List *connectable_databases(MemoryContext context)
{
	List *databases = NIL;
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	Relation relation = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
	for (HeapTuple tuple; (tuple = heap_getnext(scan, ForwardScanDirection)) != nullptr;)
	{
		const FormData_pg_database *row =
			reinterpret_cast<FormData_pg_database *>(GETSTRUCT(tuple));
		if (!row->datallowconn || row->datistemplate)
			continue;
		MemoryContext old = MemoryContextSwitchTo(context);
		databases = lappend_oid(databases, row->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/* Time between two looks for deadlocks, ms: with the wait before a look concerns itself with it, a
 * deadlock ends within twice deadlock_timeout times the factor. -1: never. */
long deadlock_interval()
{
	if (deadlock_factor <= 0)
		return -1;
	const double interval = DeadlockTimeout * deadlock_factor * 0.75;
	return static_cast<long>(interval < 10 ? 10 : interval > INT_MAX ? INT_MAX : interval);
}

/* Whether `interval` ms (-1: never) have passed since then; starts anew if so. */
bool passed(TimestampTz *since, long interval)
{
	const TimestampTz now = GetCurrentTimestamp();
	if (interval < 0 || !TimestampDifferenceExceeds(*since, now, static_cast<int>(interval)))
		return false;
	*since = now;
	return true;
}

long remaining(TimestampTz since, long interval)
{
	if (interval < 0)
		return CYCLE;
	const long gone = TimestampDifferenceMilliseconds(since, GetCurrentTimestamp());
	return gone >= interval ? 1 : interval - gone;
}

/* When the launcher last looked for deadlocks. */
TimestampTz last_look;
/* What it allocates; reset in each cycle. */
MemoryContext launcher_context;

void do_what_is_due();

/* Until the next look for deadlocks or start of a job queue, ms. */
long time_until_due()
{
	const long look = remaining(last_look, deadlock_interval());
	const long jobs = job_queue_wait();
	const long nodes = time_until_nodes_are_told();
	const long least = jobs >= 0 && jobs < look ? jobs : look;
	return nodes >= 0 && nodes < least ? nodes : least;
}

/* A recovery may wait long for a node that is lost; what else is due goes on meanwhile. */
void wait_for_worker(BackgroundWorkerHandle *handle, Duty duty)
{
	if (duty == Duty::Deadlocks || duty == Duty::Nodes)
	{
		WaitForBackgroundWorkerShutdown(handle);
		return;
	}
	for (;;)
	{
		do_what_is_due();
		pid_t pid;
		if (GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED)
			return;
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, time_until_due(),
				  PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Runs a worker in a database and waits for it: one at a time, so that a server with many databases
 * keeps its worker slots. */
void run_worker(Oid database, Duty duty)
{
	BackgroundWorker worker;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "citus", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "civitas_maintenance_worker",
			sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "Citus Maintenance Daemon: %u", database);
	strlcpy(worker.bgw_type, "Citus Maintenance Daemon", sizeof(worker.bgw_type));
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_extra[0] = static_cast<char>(duty);
	worker.bgw_notify_pid = MyProcPid;

	BackgroundWorkerHandle *handle;
	/* No free slot: the next cycle tries again. */
	if (RegisterDynamicBackgroundWorker(&worker, &handle))
		wait_for_worker(handle, duty);
}

void launch_cycle(MemoryContext context)
{
	List *databases = connectable_databases(context);
	start_job_queues(databases);
	forget_missing(databases);
	ListCell *cell;
	foreach (cell, databases)
	{
		CHECK_FOR_INTERRUPTS();
		const TimestampTz now = GetCurrentTimestamp();
		if (recovery_interval >= 0 && !ShutdownRequestPending && take_run(lfirst_oid(cell), now))
			run_worker(lfirst_oid(cell), Duty::Recovery);
		if (clean_up_interval >= 0 && !ShutdownRequestPending &&
			take_clean_up(lfirst_oid(cell), now))
			run_worker(lfirst_oid(cell), Duty::CleanUp);
	}
}

void look_for_deadlocks()
{
	ListCell *cell;
	foreach (cell, txn::databases_with_waits(DeadlockTimeout))
	{
		CHECK_FOR_INTERRUPTS();
		if (!ShutdownRequestPending)
			run_worker(lfirst_oid(cell), Duty::Deadlocks);
	}
}

void do_what_is_due()
{
	if (shared->urgent && !ShutdownRequestPending)
	{
		const Oid database = take_nodes_to_tell(GetCurrentTimestamp());
		if (database != InvalidOid)
			run_worker(database, Duty::Nodes);
	}
	if (passed(&last_look, deadlock_interval()))
		look_for_deadlocks();
	if (job_queue_wait() == 0)
		start_job_queues(connectable_databases(launcher_context));
}

/* Recovery that somebody waits for; not while another one runs. */
void recover_where_wanted()
{
	if (!shared->urgent || recovery_interval < 0 || ShutdownRequestPending)
		return;
	for (Oid database; (database = take_wanted_recovery(GetCurrentTimestamp())) != InvalidOid;)
		run_worker(database, Duty::Recovery);
}

void leave_launcher(int code, Datum argument)
{
	SpinLockAcquire(&shared->mutex);
	shared->launcher = nullptr;
	SpinLockRelease(&shared->mutex);
}

/* From here on changes of nodes wake this process. */
void join_as_launcher()
{
	SpinLockAcquire(&shared->mutex);
	shared->launcher = MyLatch;
	SpinLockRelease(&shared->mutex);
	before_shmem_exit(leave_launcher, 0);
}

/* Time until the next cycle, ms. */
long cycle_time()
{
	long cycle = CYCLE;
	for (const int interval : {recovery_interval, clean_up_interval})
		if (interval >= 0 && interval < cycle)
			cycle = interval + 10;
	return cycle;
}

void register_launcher()
{
	BackgroundWorker worker;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, "citus", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "civitas_maintenance_launcher",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "Citus Maintenance Launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "Citus Maintenance Launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

/* Drops what operations left; what it leaves, or an error keeps it from, is for the next cycle. */
void clean_up(Oid database)
{
	/* What comes meanwhile counts again. */
	set_littered(database, false);
	volatile bool clean = false;
	PG_TRY();
	{
		clean = cluster::clean_up_in_background();
	}
	PG_FINALLY();
	{
		if (!clean)
			set_littered(database, true);
	}
	PG_END_TRY();
}

/* The duty of a worker. Errors end it and are in the log; the next cycle tries again. */
void do_duty(Oid database, Duty duty)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	const bool installed = catalog::extension_usable();
	if (duty == Duty::Recovery)
		set_presence(database,
					 catalog::extension_installed() ? Presence::Installed : Presence::Absent);
	if (installed && duty == Duty::Recovery && recovery_interval >= 0)
	{
		pgstat_report_activity(STATE_RUNNING, "recovering prepared transactions");
		const int finished = txn::recover_transactions();
		if (finished > 0)
			ereport(LOG, (errmsg("recovery finished %d prepared transactions on other nodes",
								 finished)));
	}
	if (duty == Duty::CleanUp)
	{
		pgstat_report_activity(STATE_RUNNING, "cleaning up after moves");
		if (installed && catalog::is_coordinator())
			clean_up(database);
		else
			set_littered(database, false);
	}
	if (installed && duty == Duty::Recovery && recovery_interval >= 0)
		note_told(database, cluster::sync_nodes());
	if (duty == Duty::Nodes)
	{
		pgstat_report_activity(STATE_RUNNING, "telling nodes about the nodes");
		if (installed)
			note_told(database, cluster::sync_nodes());
	}
	if (installed && duty == Duty::Deadlocks)
	{
		pgstat_report_activity(STATE_RUNNING, "looking for deadlocks across nodes");
		remote::set_connection_timeout(SEARCH_CONNECT_TIMEOUT);
		enable_timeout_after(STATEMENT_TIMEOUT, SEARCH_TIMEOUT);
		txn::end_deadlocks(false);
		disable_timeout(STATEMENT_TIMEOUT, false);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, nullptr);
}

} // namespace

void maintenance_init()
{
	DefineCustomIntVariable(
		"citus.recover_2pc_interval",
		"Time between two looks for prepared transactions to finish on other nodes; "
		"-1 turns it off.",
		nullptr, &recovery_interval, 60000, -1, 604800000, PGC_SIGHUP, GUC_UNIT_MS, nullptr,
		nullptr, nullptr);
	DefineCustomIntVariable(
		"citus.defer_shard_delete_interval",
		"Time between two looks for what moves and splits of shards have left to be dropped; "
		"-1 turns it off.",
		nullptr, &clean_up_interval, 15000, -1, 604800000, PGC_SIGHUP, GUC_UNIT_MS, nullptr,
		nullptr, nullptr);
	DefineCustomRealVariable(
		"citus.distributed_deadlock_detection_factor",
		"Time between two looks for deadlocks across nodes, in multiples of deadlock_timeout; "
		"-1 turns it off.",
		nullptr, &deadlock_factor, 2, -1, 1000, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
	pg::use_shared_memory(&memory);
	txn::first_use_hook = note_distributed_use;
	cluster::litter_hook = note_litter;
	cluster::nodes_changed_hook = nodes_changed;
	job_queue_init();
	/* What pg_upgrade does to databases bears no other sessions in them. */
	if (!IsBinaryUpgrade)
		register_launcher();
}

} // namespace civitas::daemon

using namespace civitas;

void civitas_maintenance_launcher(Datum argument)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);

	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "civitas maintenance", ALLOCSET_DEFAULT_SIZES);
	TimestampTz last_cycle = 0;
	daemon::last_look = GetCurrentTimestamp();
	daemon::launcher_context = context;
	daemon::join_job_queue();
	daemon::join_as_launcher();
	for (;;)
	{
		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		if (daemon::passed(&last_cycle, daemon::cycle_time()))
			daemon::launch_cycle(context);
		daemon::do_what_is_due();
		daemon::recover_where_wanted();
		const long cycle = daemon::remaining(last_cycle, daemon::cycle_time());
		const long look = daemon::time_until_due();
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
				  cycle < look ? cycle : look, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}

void civitas_maintenance_worker(Datum database)
{
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	daemon::look_names_up_safely();
	txn::ignore_pauses();
	daemon::do_duty(DatumGetObjectId(database),
					static_cast<daemon::Duty>(MyBgworkerEntry->bgw_extra[0]));
}
