/*
 * statement_snapshot.cpp: several remote statements that are one statement to the user.
 *
 * A plan with several scans of the same shard groups sends several statements to a node, and in
 * READ COMMITTED each would take a snapshot of its own. So each of them is preceded by
 * hold_snapshot(n) with the number of the user's statement: the first call with a number takes a
 * snapshot and keeps it, and the next statement of the client runs under the kept one. The executor
 * sees to it that the statements for one shard group come by one session.
 *
 * The snapshot is given up when another number comes and at the end of the transaction.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/catalog/node_session.h"

CIVITAS_PG_BEGIN
#include "executor/execdesc.h"
#include "fmgr.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

Snapshot held; /* registered with the transaction; null: none */
int64 held_number;
bool wanted; /* by the client's next statement */

} // namespace

void release_held_snapshot()
{
	if (held != nullptr)
		UnregisterSnapshotFromOwner(held, TopTransactionResourceOwner);
	forget_held_snapshot();
}

void forget_held_snapshot()
{
	held = nullptr;
	wanted = false;
}

void hold_snapshot(int64 number)
{
	if (held == nullptr || held_number != number)
	{
		release_held_snapshot();
		held = RegisterSnapshotOnOwner(GetLatestSnapshot(), TopTransactionResourceOwner);
		held_number = number;
	}
	wanted = true;
}

/* The plan is the client's, not that of a function that is called while it is being made. */
void use_held_snapshot(QueryDesc *query)
{
	if (!wanted || ActivePortal == nullptr || list_length(ActivePortal->stmts) != 1 ||
		linitial(ActivePortal->stmts) != query->plannedstmt)
		return;
	wanted = false;
	UnregisterSnapshot(query->snapshot);
	query->snapshot = RegisterSnapshot(held);
}

void queue_statement_snapshot(remote::Session *session, int64 number)
{
	char sql[80];
	snprintf(sql, sizeof(sql), "SELECT citus_internal.hold_snapshot(" INT64_FORMAT ")", number);
	remote::queue_hidden(session, sql);
}

} // namespace civitas::txn

using namespace civitas;

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_hold_snapshot);

/* hold_snapshot(number): the next statement runs under the snapshot of that number. */
PGDLLEXPORT Datum citus_internal_hold_snapshot(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	txn::hold_snapshot(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

CIVITAS_PG_END
