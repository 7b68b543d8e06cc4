/*
 * job_executor.cpp: the process that runs one background task.
 *
 * It connects as the owner of the task, takes the task's lock, writes its pid into the row (for
 * cancelling) and runs the command like a client's. The row becomes `done` in the command's own
 * transaction, so that what the command did and that it was done are committed together: a move
 * that was committed is never run again. After an error the row says what happened; the queue does
 * the rest.
 *
 * Cancelling a job sends SIGINT, as to any backend. Where the process is lost, the row stays
 * `running` and the queue finds it so.
 */
#include "civitas/pg/server.h"

#include "job_queue.h"

#include "civitas/catalog/nodes.h"
#include "civitas/cluster/jobs.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/debug_point.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/portal.h"
#include "utils/ps_status.h"
#include "utils/snapmgr.h"

PGDLLEXPORT void civitas_job_executor(Datum database);
CIVITAS_PG_END

namespace civitas::daemon {

namespace {

void begin_transaction()
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

void commit_transaction()
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* The command, in `context`; null when the task is not to be run. The row says afterwards who runs
 * it. */
char *take_task(int64 task_id, MemoryContext context)
{
	begin_transaction();
	char *command = nullptr;
	if (catalog::extension_usable())
	{
		List *texts = cluster::job_sql(
			psprintf("UPDATE pg_dist_background_task SET pid = %d WHERE task_id = " INT64_FORMAT
					 " AND status = 'running' RETURNING command",
					 MyProcPid, task_id));
		if (texts != NIL)
			command = MemoryContextStrdup(context, static_cast<char *>(linitial(texts)));
		else
			cluster::job_sql(psprintf("UPDATE pg_dist_background_task SET status = 'cancelled' "
									  "WHERE task_id = " INT64_FORMAT " AND status = 'cancelling'",
									  task_id));
	}
	commit_transaction();
	return command;
}

/* One statement, as the simple protocol runs it. */
void run_statement(RawStmt *statement, const char *command, bool alone)
{
	const bool needs_snapshot = analyze_requires_snapshot(statement);
	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	List *queries = pg_analyze_and_rewrite_fixedparams(statement, command, nullptr, 0, nullptr);
	List *plans = pg_plan_queries(queries, command, CURSOR_OPT_PARALLEL_OK, nullptr);
	if (needs_snapshot)
		PopActiveSnapshot();

	Portal portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, nullptr, command, CreateCommandTag(statement->stmt), plans, nullptr);
	PortalStart(portal, nullptr, 0, InvalidSnapshot);
	DestReceiver *receiver = CreateDestReceiver(DestNone);
	pg::run_portal(portal, alone, receiver);
	receiver->rDestroy(receiver);
	PortalDrop(portal, false);
	CommandCounterIncrement();
}

void run_command(const char *command, MemoryContext context)
{
	debug_query_string = command;
	pgstat_report_activity(STATE_RUNNING, command);
	MemoryContextSwitchTo(context);
	List *statements = pg_parse_query(command);
	ListCell *cell;
	foreach (cell, statements)
	{
		MemoryContextSwitchTo(context);
		run_statement(lfirst_node(RawStmt, cell), command, list_length(statements) == 1);
	}
}

void mark_done(int64 task_id)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	List *marked = cluster::job_sql(
		psprintf("UPDATE pg_dist_background_task SET status = 'done', pid = NULL, message = '', "
				 "not_before = NULL WHERE task_id = " INT64_FORMAT
				 " AND status IN ('running', 'cancelling') RETURNING task_id",
				 task_id));
	if (marked == NIL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("task " INT64_FORMAT " is not to be run any more", task_id)));
	PopActiveSnapshot();
}

/* Whether trying again can help: not with what is wrong with the command itself or its owner's
 * rights. */
bool is_worth_retrying(int code)
{
	const int category = ERRCODE_TO_CATEGORY(code);
	return category != ERRCODE_FEATURE_NOT_SUPPORTED && category != ERRCODE_DATA_EXCEPTION &&
		   category != MAKE_SQLSTATE('4', '2', '0', '0', '0');
}

/* As psql shows an error where VERBOSITY is verbose: the SQLSTATE is what programs look for. */
char *describe(const ErrorData *error)
{
	pg::Str text;
	text.raw("ERROR: ").raw(unpack_sql_state(error->sqlerrcode)).raw(": ");
	text.raw(error->message != nullptr ? error->message : "unknown error");
	if (error->detail != nullptr)
		text.raw("\nDETAIL: ").raw(error->detail);
	if (error->hint != nullptr)
		text.raw("\nHINT: ").raw(error->hint);
	return text.c_str();
}

void mark_failed(int64 task_id, const ErrorData *error)
{
	begin_transaction();
	pg::Str sql;
	sql.raw("SELECT citus_internal.finish_task(")
		.num(task_id)
		.raw(", ")
		.literal(describe(error))
		.raw(", ")
		.boolean(is_worth_retrying(error->sqlerrcode))
		.raw(", ")
		.num(first_retry_pause())
		.raw(")");
	cluster::job_sql(sql.c_str());
	commit_transaction();
}

void run_task(int64 task_id)
{
	const LOCKTAG tag = cluster::job_lock_tag(cluster::JobLock::Task, task_id);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return;
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "civitas background task", ALLOCSET_DEFAULT_SIZES);
	char *command = take_task(task_id, context);
	if (command == nullptr)
		return;
	CIVITAS_DEBUG_POINT("task_taken");
	PG_TRY();
	{
		StartTransactionCommand();
		run_command(command, context);
		mark_done(task_id);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		ErrorData *error = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		mark_failed(task_id, error);
	}
	PG_END_TRY();
	pgstat_report_activity(STATE_IDLE, nullptr);
}

} // namespace

} // namespace civitas::daemon

using namespace civitas;

void civitas_job_executor(Datum database)
{
	daemon::Assignment assignment;
	memcpy(&assignment, MyBgworkerEntry->bgw_extra, sizeof(assignment));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), assignment.owner, 0);
	daemon::use_plain_transactions();
	daemon::run_task(assignment.task_id);
}
