/*
 * restore_point.cpp: citus_create_restore_point(): one point in the WAL of every node.
 *
 * A transaction that wrote on several nodes is committed by its record in pg_dist_transaction of
 * the node where it began (txn/commit.cpp): its parts are prepared before, and told to commit after
 * the local commit of that record. Writing a record takes a lock on that catalog until the local
 * transaction has ended. So with that catalog locked against writers on every node no transaction
 * can be committed while the points are written, and each one is either committed before all
 * points: where it is not committed yet, it is prepared, or not committed before any point: it is
 * prepared or open on some nodes, and no record speaks for it. When all nodes are restored to the
 * point, recover_prepared_transactions() commits what is prepared in the first case and rolls it
 * back in the second.
 *
 * Transactions of one node are not held up, nor are reads; those that are about to commit on
 * several nodes wait for as long as it takes to write one WAL record on each.
 */
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/relations.h"
#include "civitas/pg/debug_point.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "civitas/remote/session.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/xlog.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

/* Without a header of its own that C++ can include. */
extern Datum pg_create_restore_point(PG_FUNCTION_ARGS);
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

using Sessions = pg::Vec<remote::Session *>;

/* PostgreSQL's own limit (access/xlog_internal.h). */
constexpr int MAX_NAME_LENGTH = 64;

/* Sends the same statements to all and waits for all; raises the first error. */
void run_on_all(const Sessions& sessions, const char *sql)
{
	for (remote::Session *session : sessions.span())
		remote::send_simple(session, sql);
	for (remote::Session *session : sessions.span())
		remote::drain(session);
}

void connect_all(Sessions& sessions)
{
	/* Sessions of their own: the locks must go when the points are written, not with the caller's
	 * transaction. */
	for (const catalog::Node& node : catalog::other_metadata_nodes())
	{
		remote::Session *session = remote::start_connect(txn::endpoint_of(node));
		remote::set_claimed(session, true);
		sessions.push(session);
	}
	remote::finish_connects({sessions.data(), static_cast<size_t>(sessions.size())});
}

void close_all(const Sessions& sessions)
{
	for (remote::Session *session : sessions.span())
	{
		if (remote::busy(session))
			remote::send_cancel(session);
		remote::close(session);
	}
}

/* No transaction on several nodes commits from here on. */
void hold_commits(const Sessions& sessions)
{
	pg::Str sql;
	sql.raw("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = ")
		.num(LockTimeout)
		.raw("; LOCK TABLE ONLY pg_catalog.pg_dist_transaction IN EXCLUSIVE MODE");
	run_on_all(sessions, sql.c_str());
}

Datum write_points(const Sessions& sessions, Datum name)
{
	pg::Str sql;
	sql.raw("SELECT pg_catalog.pg_create_restore_point(")
		.literal(TextDatumGetCString(name))
		.ch(')');
	run_on_all(sessions, sql.c_str());
	CIVITAS_DEBUG_POINT("restore_point");
	return DirectFunctionCall1(pg_create_restore_point, name);
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_create_restore_point);
PGDLLEXPORT Datum citus_create_restore_point(PG_FUNCTION_ARGS)
{
	catalog::check_extension_version();
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only superusers may create restore points")));
	catalog::require_coordinator();
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("recovery is in progress"),
						errhint("Restore points are created on the primary.")));
	if (!XLogIsNeeded())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("WAL level is not sufficient for creating a restore point"),
						errhint("Set wal_level to replica or logical.")));
	const Datum name = PG_GETARG_DATUM(0);
	if (VARSIZE_ANY_EXHDR(DatumGetPointer(name)) >= MAX_NAME_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a restore point must be shorter than %d bytes", MAX_NAME_LENGTH)));

	catalog::lock_nodes(catalog::NodeLock::Define);
	const Oid records = catalog::relation_oid(catalog::Catalog::Transaction);
	Sessions sessions;
	/* What an error leaves of these is closed at the end of the transaction. */
	connect_all(sessions);
	volatile Datum point = 0;
	PG_TRY();
	{
		/* An error releases this one with the transaction. */
		LockRelationOid(records, ExclusiveLock);
		hold_commits(sessions);
		point = write_points(sessions, name);
		UnlockRelationOid(records, ExclusiveLock);
		run_on_all(sessions, "COMMIT");
	}
	PG_FINALLY();
	{
		close_all(sessions);
	}
	PG_END_TRY();
	PG_RETURN_DATUM(point);
}

CIVITAS_PG_END

} // namespace civitas::cluster
