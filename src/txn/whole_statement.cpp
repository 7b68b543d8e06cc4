/*
 * whole_statement.cpp: is the running statement all there is to its transaction?
 *
 * If so, and it touches one node, that node's implicit transaction is enough. The answer must never
 * be a wrong yes: a write would be committed there while the rest can still fail. The client's
 * portal tells: it holds the plan that came from the client, and functions, triggers, DO and
 * EXPLAIN run other plans. Which plan is being run is known from the executor's hooks. In the
 * extended protocol more statements may follow before the Sync that ends the transaction; only a
 * Sync that has arrived already is believed.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "executor/executor.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

/* The plan that the executor is starting or running, the innermost one. Compared, never followed.
 */
const PlannedStmt *innermost;

ExecutorStart_hook_type previous_start;
ExecutorRun_hook_type previous_run;

void start_executor(QueryDesc *query, int flags)
{
	const PlannedStmt *outer = innermost;
	innermost = query->plannedstmt;
	use_held_snapshot(query);
	if (previous_start != nullptr)
		previous_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	innermost = outer;
}

/* After an error `innermost` stays behind: it then matches no portal's plan, until the transaction
 * ends. */
void run_executor(CIVITAS_RUN_PARAMETERS)
{
	const PlannedStmt *outer = innermost;
	innermost = query->plannedstmt;
	if (previous_run != nullptr)
		previous_run(CIVITAS_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(CIVITAS_RUN_ARGUMENTS);
	innermost = outer;
}

/* In the extended protocol: the statement's Sync has arrived behind it. Does not wait. */
bool sync_follows()
{
	return pg::client_input_waits() && pq_peekbyte() == 'S';
}

} // namespace

void forget_running_statement()
{
	innermost = nullptr;
}

bool statement_is_whole_transaction()
{
	if (current.used || current.local_write || IsTransactionBlock() || IsSubTransaction() ||
		XactIsoLevel != XACT_READ_COMMITTED || XactReadOnly ||
		(MyXactFlags & XACT_FLAGS_PIPELINING) != 0 || MyBackendType != B_BACKEND)
		return false;
	/* Cursors of functions have names, and are followed by the rest of the function. */
	if (innermost == nullptr || ActivePortal == nullptr || ActivePortal->name[0] != '\0' ||
		list_length(ActivePortal->stmts) != 1 || linitial(ActivePortal->stmts) != innermost)
		return false;
	/* Portals of the simple protocol are invisible; several statements in one text are a
	 * transaction block. */
	return !ActivePortal->visible || sync_follows();
}

void whole_statement_init()
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	previous_run = ExecutorRun_hook;
	ExecutorRun_hook = run_executor;
}

} // namespace civitas::txn
