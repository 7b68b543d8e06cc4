/*
 * local_end.cpp: what can still go wrong here once the transaction callback has decided.
 *
 * PostgreSQL calls the callback in the middle of its commit: deferred triggers and constraints have
 * run, open portals are closed. What it does afterwards and may fail at, in its order:
 *
 *   other libraries' callbacks       those that were registered before ours: of libraries that
 * stand before citus in shared_preload_libraries. Nothing tells us of them. ON COMMIT of temporary
 * tables    truncates and drops; seen by the flag that temporary objects were used LISTEN, NOTIFY
 * the queue may be full serializable transactions        a cycle of reads and writes with others on
 * this server the transaction's own record     only where it has an id, so where something was
 * written here
 *
 * A node that has been told COMMIT cannot be called back. So a transaction with any of it ends in
 * two phases even if a single node was written; but for serializable ones without, whose check can
 * be made first: it passes for good, because it marks the transaction as prepared, and from then on
 * it is others that give way.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

CIVITAS_PG_BEGIN
#include "commands/async.h"
#include "storage/predicate.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

/*
 * LISTEN, UNLISTEN or NOTIFY are to be done at commit. The server tells nobody but PREPARE
 * TRANSACTION, whose check looks at two variables and raises where there is something, no more: its
 * error needs no subtransaction to be forgotten.
 */
bool notices_are_pending()
{
	volatile bool pending = false;
	MemoryContext context = CurrentMemoryContext;
	PG_TRY();
	{
		AtPrepare_Notify();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		pending = true;
	}
	PG_END_TRY();
	return pending;
}

} // namespace

bool local_end_can_fail()
{
	return current.local_write || TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		   (MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE) != 0 || notices_are_pending();
}

void pass_local_checks()
{
	if (XactIsoLevel == XACT_SERIALIZABLE)
		PreCommit_CheckForSerializationFailure();
}

} // namespace civitas::txn
