/*
 * background_jobs.cpp: background jobs as rows of pg_dist_background_job, _task and _task_depend.
 *
 *   job    scheduled --> running --> finished
 *                          |  \--> failing --> failed   (a task failed for good; the others go on)
 *                          \-----> cancelling --> cancelled
 *   task   blocked --> runnable --> running --> done
 *             |           |  ^---retry---|  \--> error
 *             |           |              \-----> cancelling --> cancelled
 *             |           \--------------------> cancelled
 *             \--> unscheduled (one that it depends on will never be done)
 *
 * The rows are the truth; whoever changes several tasks of a job locks the job's row first.
 * The catalogs belong to the superuser: rights are checked here, then the rows are written in its
 * name.
 */
#include "background_jobs.h"

#include "civitas/catalog/nodes.h"
#include "civitas/cluster/jobs.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "commands/trigger.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

namespace civitas::cluster {

void (*jobs_changed_hook)() = nullptr;

namespace {

/* Between two looks at a job that is waited for, ms. */
constexpr long FIRST_LOOK = 50;
constexpr long LAST_LOOK = 1000;

/* Whether this transaction changed jobs or tasks. */
bool changed;

const char *text_or_null(List *texts, int place)
{
	return place < list_length(texts) ? static_cast<const char *>(list_nth(texts, place)) : nullptr;
}

bool is_terminal(const char *state)
{
	return strcmp(state, "finished") == 0 || strcmp(state, "cancelled") == 0 ||
		   strcmp(state, "failed") == 0;
}

[[noreturn]] void raise_unknown_job(int64 job_id)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("job " INT64_FORMAT " does not exist", job_id),
					errhint("citus_job_list() shows the jobs.")));
}

/* Tasks run with the rights of their owner, so that only who has these may end them. */
void check_may_cancel(int64 job_id)
{
	pg::Str sql;
	sql.raw("SELECT DISTINCT owner::oid FROM pg_dist_background_task WHERE job_id = ").num(job_id);
	ListCell *cell;
	foreach (cell, job_sql(sql.c_str()))
	{
		const Oid owner = static_cast<Oid>(strtoul(static_cast<char *>(lfirst(cell)), nullptr, 10));
		if (!has_privs_of_role(GetUserId(), owner))
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("permission denied to cancel job " INT64_FORMAT, job_id),
							errdetail("Only its owner and superusers may.")));
	}
}

/* A task's process begins a session as its owner. */
void check_may_log_in()
{
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	const bool may =
		HeapTupleIsValid(tuple) && reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolcanlogin;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (!may)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" cannot own background tasks",
							   GetUserNameFromId(GetUserId(), true)),
						errdetail("They run in sessions of their owner, and it may not log in."),
						errhint("Start the job as a role with LOGIN.")));
}

void append_ids(pg::Str& sql, std::span<const NodeId> ids)
{
	sql.raw("ARRAY[");
	for (size_t i = 0; i < ids.size(); i++)
		sql.raw(i == 0 ? "" : ", ").num(ids[i]);
	sql.raw("]::integer[]");
}

void tell_at_end(bool committed)
{
	if (changed && committed && jobs_changed_hook != nullptr)
		jobs_changed_hook();
	changed = false;
}

} // namespace

List *job_sql(const char *sql, bool latest)
{
	Oid user;
	int context;
	GetUserIdAndSecContext(&user, &context);
	/* An error's abort puts the user back. */
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context | SECURITY_LOCAL_USERID_CHANGE);
	List *texts = latest ? pg::sql_texts_latest(sql) : pg::sql_texts(sql);
	SetUserIdAndSecContext(user, context);
	return texts;
}

void background_jobs_init()
{
	txn::transaction_end_hook = tell_at_end;
}

int64 create_job(const char *type, const char *description)
{
	pg::Str sql;
	sql.raw("INSERT INTO pg_dist_background_job (job_type, description) VALUES (")
		.literal(type)
		.raw(", ")
		.literal(description)
		.raw(") RETURNING job_id");
	return strtoll(text_or_null(job_sql(sql.c_str()), 0), nullptr, 10);
}

int64 add_task(int64 job_id, const char *command, std::span<const int64> depends_on,
			   std::span<const NodeId> nodes)
{
	check_may_log_in();
	pg::Str sql;
	sql.raw("INSERT INTO pg_dist_background_task (job_id, owner, status, command, nodes_involved) "
			"VALUES (")
		.num(job_id)
		.raw(", ")
		.oid(GetUserId())
		.raw(depends_on.empty() ? ", 'runnable', " : ", 'blocked', ")
		.literal(command)
		.raw(", ");
	append_ids(sql, nodes);
	sql.raw(") RETURNING task_id");
	const int64 task_id = strtoll(text_or_null(job_sql(sql.c_str()), 0), nullptr, 10);
	for (const int64 earlier : depends_on)
	{
		sql.clear();
		sql.raw("INSERT INTO pg_dist_background_task_depend (job_id, task_id, depends_on) VALUES (")
			.num(job_id)
			.raw(", ")
			.num(task_id)
			.raw(", ")
			.num(earlier)
			.raw(")");
		job_sql(sql.c_str());
	}
	return task_id;
}

int64 find_open_job(const char *type)
{
	pg::Str sql;
	sql.raw("SELECT job_id FROM pg_dist_background_job WHERE job_type = ")
		.literal(type)
		.raw(" AND state NOT IN ('finished', 'cancelled', 'failed') ORDER BY job_id LIMIT 1");
	const char *id = text_or_null(job_sql(sql.c_str()), 0);
	return id == nullptr ? 0 : strtoll(id, nullptr, 10);
}

void cancel_job(int64 job_id)
{
	catalog::require_coordinator();
	pg::Str sql;
	sql.raw("SELECT state FROM pg_dist_background_job WHERE job_id = ")
		.num(job_id)
		.raw(" FOR UPDATE");
	const char *state = text_or_null(job_sql(sql.c_str()), 0);
	if (state == nullptr)
		raise_unknown_job(job_id);
	check_may_cancel(job_id);
	if (is_terminal(state))
	{
		ereport(NOTICE, (errmsg("job " INT64_FORMAT " has ended already: %s", job_id, state)));
		return;
	}
	sql.clear();
	sql.raw("UPDATE pg_dist_background_task SET status = 'cancelled' "
			"WHERE status IN ('blocked', 'runnable') AND job_id = ")
		.num(job_id);
	job_sql(sql.c_str());
	sql.clear();
	sql.raw("UPDATE pg_dist_background_task SET status = 'cancelling' "
			"WHERE status IN ('running', 'cancelling') AND job_id = ")
		.num(job_id)
		.raw(" RETURNING pid");
	List *pids = job_sql(sql.c_str());
	sql.clear();
	sql.raw("UPDATE pg_dist_background_job j SET state = CASE WHEN EXISTS (SELECT FROM "
			"pg_dist_background_task t WHERE t.job_id = j.job_id AND t.status = 'cancelling') THEN "
			"'cancelling'::citus_job_status ELSE 'cancelled' END WHERE job_id = ")
		.num(job_id);
	job_sql(sql.c_str());
	sql.clear();
	sql.raw("UPDATE pg_dist_background_job SET finished_at = clock_timestamp() "
			"WHERE state = 'cancelled' AND job_id = ")
		.num(job_id);
	job_sql(sql.c_str());
	/* The executor's own look at its row waits for this transaction; one that has no pid yet finds
	 * its task cancelled. */
	ListCell *cell;
	foreach (cell, pids)
	{
		sql.clear();
		sql.raw("SELECT pg_cancel_backend(")
			.raw(static_cast<char *>(lfirst(cell)))
			.raw(
				") FROM pg_stat_activity WHERE backend_type = 'Citus Background Task Executor' AND "
				"pid = ")
			.raw(static_cast<char *>(lfirst(cell)));
		job_sql(sql.c_str());
	}
}

char *wait_for_job(int64 job_id, const char *desired)
{
	/* Nobody else sees what has changed before this transaction ends. */
	if (changed)
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("cannot wait for a job in a transaction that has changed jobs"),
						errhint("Commit first.")));
	pg::Str sql;
	sql.raw("SELECT state FROM pg_dist_background_job WHERE job_id = ").num(job_id);
	const MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "waiting for a job", ALLOCSET_SMALL_SIZES);
	const MemoryContext caller = CurrentMemoryContext;
	for (long pause = FIRST_LOOK;; pause = pause * 2 < LAST_LOOK ? pause * 2 : LAST_LOOK)
	{
		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		const char *state = text_or_null(job_sql(sql.c_str(), true), 0);
		MemoryContextSwitchTo(caller);
		if (state == nullptr)
			raise_unknown_job(job_id);
		if (is_terminal(state) || (desired != nullptr && strcmp(state, desired) == 0))
			return pstrdup(state);
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause,
				  PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_job_cancel);
PGDLLEXPORT Datum citus_job_cancel(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	cancel_job(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(citus_job_wait);
PGDLLEXPORT Datum citus_job_wait(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("jobid must not be NULL")));
	const int64 job_id = PG_GETARG_INT64(0);
	const char *desired = PG_ARGISNULL(1)
							  ? nullptr
							  : DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(1)));
	const char *state = wait_for_job(job_id, desired);
	if (desired != nullptr && strcmp(state, desired) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("job " INT64_FORMAT " is %s and will not be %s any more", job_id,
							   state, desired)));
	PG_RETURN_VOID();
}

/* Statement trigger of the catalogs of jobs: what runs jobs looks at them after the commit. */
PG_FUNCTION_INFO_V1(citus_internal_jobs_changed);
PGDLLEXPORT Datum citus_internal_jobs_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function must be called as a trigger")));
	changed = true;
	return PointerGetDatum(nullptr);
}

CIVITAS_PG_END

} // namespace civitas::cluster
