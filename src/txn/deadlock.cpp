/*
 * deadlock.cpp: transactions that wait for each other on several nodes.
 *
 * Every server looks for the sake of the transactions it initiated, when one of them has waited for
 * a while: it asks all nodes for their waits, twice (see commit/wait_graph.h), and makes those of
 * its own transactions give way that the search names. Every server comes to the same names, so
 * each deadlock has one victim without anybody being in charge.
 *
 * A victim is marked in shared memory. Its wait for other nodes sees the mark and raises 40P01; a
 * wait for a lock of this server is cancelled like by pg_cancel_backend(), and the error is given
 * its true code on its way out.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/commit/wait_graph.h"
#include "civitas/pg/core_call.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "executor/spi.h"
#include "funcapi.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/elog.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

emit_log_hook_type previous_emit_log_hook;

constexpr const char MESSAGE[] = "the transaction was canceled to end a deadlock across nodes";
constexpr const char DETAIL[] =
	"Transactions waited for each other on several nodes; this one began last.";
constexpr const char DETAIL_FIRST[] =
	"Transactions waited for each other on several nodes; this one gives way to those of "
	"applications.";
constexpr const char HINT[] = "Run the transaction again.";

const char *why_this_one()
{
	return gives_way_first() ? DETAIL_FIRST : DETAIL;
}

/* In waits for other nodes. */
void give_way()
{
	check_group_left();
	if (!must_give_way(true))
		return;
	ereport(ERROR, (errcode(ERRCODE_T_R_DEADLOCK_DETECTED), errmsg(MESSAGE),
					errdetail_internal("%s", why_this_one()), errhint(HINT)));
}

/* The cancellation of a wait for a lock of this server gets its true reason. */
void explain_cancellation(ErrorData *error)
{
	if (error->elevel == ERROR && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
	{
		MemoryContext old = MemoryContextSwitchTo(error->assoc_context);
		if (must_give_way(true))
		{
			error->sqlerrcode = ERRCODE_T_R_DEADLOCK_DETECTED;
			error->message = pstrdup(MESSAGE);
			error->detail = pstrdup(why_this_one());
			error->hint = pstrdup(HINT);
		}
		else if (must_leave_group())
		{
			error->sqlerrcode = ERRCODE_T_R_SERIALIZATION_FAILURE;
			error->message = pstrdup(LEAVE_MESSAGE);
			error->hint = pstrdup(LEAVE_HINT);
		}
		MemoryContextSwitchTo(old);
	}
	if (previous_emit_log_hook != nullptr)
		previous_emit_log_hook(error);
}

int64 column(HeapTuple row, int number)
{
	bool is_null;
	const Datum value = SPI_getbinval(row, SPI_tuptable->tupdesc, number, &is_null);
	return is_null ? 0 : DatumGetInt64(value);
}

/* The waits of all nodes now. Timestamps are int64 like the other columns. */
pg::Vec<commit::WaitEdge> ask_nodes(MemoryContext context)
{
	pg::Vec<commit::WaitEdge> edges(context);
	if (SPI_execute("SELECT waiting_vertex, waiting_gpid, waiting_number, waiting_stamp, "
					"blocking_vertex, blocking_gpid, blocking_number, blocking_stamp, wait_start "
					"FROM citus_internal.global_wait_edges("
					"current_setting('deadlock_timeout')::interval)",
					false, 0) != SPI_OK_SELECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read waits")));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		const HeapTuple row = SPI_tuptable->vals[i];
		edges.push(
			{{column(row, 1), column(row, 2), static_cast<uint64>(column(row, 3)), column(row, 4)},
			 {column(row, 5), column(row, 6), static_cast<uint64>(column(row, 7)), column(row, 8)},
			 column(row, 9)});
	}
	SPI_freetuptable(SPI_tuptable);
	return edges;
}

pg::Vec<commit::Victim> search(MemoryContext context)
{
	pg::Vec<commit::Victim> victims(context);
	const pg::Vec<commit::WaitEdge> first = ask_nodes(context);
	if (first.empty())
		return victims;
	commit::Victim *found =
		static_cast<commit::Victim *>(palloc(sizeof(commit::Victim) * first.size()));
	const std::span<commit::Victim> room = {found, static_cast<size_t>(first.size())};
	int count = 0;
	pg::call_core([&] { count = commit::find_victims(first.span(), first.span(), room); });
	if (count == 0)
		return victims;
	const pg::Vec<commit::WaitEdge> second = ask_nodes(context);
	pg::call_core([&] { count = commit::find_victims(first.span(), second.span(), room); });
	for (int i = 0; i < count && i < first.size(); i++)
		victims.push(found[i]);
	return victims;
}

/* Has the node that the transaction began on make it give way. */
void tell_initiator(const commit::Victim& victim)
{
	pg::Str sql;
	sql.raw("SELECT citus_internal.end_deadlock(").num(victim.vertex).raw(", ");
	sql.num(static_cast<int64>(victim.number)).raw(")");
	if (SPI_execute(sql.c_str(), false, 0) != SPI_OK_SELECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not end a deadlock")));
}

} // namespace

void deadlock_init()
{
	remote::interrupt_hook = give_way;
	previous_emit_log_hook = emit_log_hook;
	emit_log_hook = explain_cancellation;
}

int end_deadlocks(bool anywhere)
{
	MemoryContext context = CurrentMemoryContext;
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read waits")));
	int ended = 0;
	const int32 here = node_of(global_pid());
	for (const commit::Victim& victim : search(context))
	{
		if (node_of(victim.vertex) == here)
		{
			if (!make_give_way(pid_of(victim.vertex), victim.number))
				continue;
			ereport(LOG, (errmsg("canceling process %d to end a deadlock across nodes",
								 pid_of(victim.vertex))));
		}
		else if (anywhere)
			tell_initiator(victim);
		else
			continue;
		ended++;
	}
	SPI_finish();
	return ended;
}

} // namespace civitas::txn

using namespace civitas;

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(check_distributed_deadlocks);
PG_FUNCTION_INFO_V1(citus_internal_end_local_deadlock);

/* check_distributed_deadlocks() → whether there was one; its victims are cancelled. */
PGDLLEXPORT Datum check_distributed_deadlocks(PG_FUNCTION_ARGS)
{
	if (!superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be superuser to end deadlocks")));
	PG_RETURN_BOOL(txn::end_deadlocks(true) > 0);
}

/* end_local_deadlock(pid, number) → false: the transaction is over. */
PGDLLEXPORT Datum citus_internal_end_local_deadlock(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(txn::make_give_way(PG_GETARG_INT32(0), static_cast<uint64>(PG_GETARG_INT64(1))));
}

CIVITAS_PG_END
