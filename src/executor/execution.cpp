/*
 * execution.cpp: one run of a RemoteQuery, from its tasks to its last row.
 *
 * Rows stream: each is decoded from the result that libpq holds when the plan above asks for it,
 * and sockets are only read when rows are wanted, so memory stays bounded. Rows go to a tuplestore
 * (work_mem, then disk) only where they must: local tasks produce them all at once; changes run to
 * their end at once; a plan that will rewind; a session that somebody else needs (yield_session).
 *
 * Executions that hold sessions are in a list, newest first. What an execution holds outside of
 * memory contexts (a PGresult, a wait set, the flow object) goes with a callback of its context,
 * also after an error; the callback
 * gives up the claims too. Busy sessions are put right by the transaction callback.
 */
#include "execution.h"

#include "civitas/executor/shard_copy.h"
#include "civitas/pg/core_call.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>
#include <new>

namespace civitas::executor {

Identity become(const plan::RemoteQuery *query)
{
	Identity before;
	GetUserIdAndSecContext(&before.role, &before.context);
	if (OidIsValid(query->run_as) && query->run_as != before.role)
		SetUserIdAndSecContext(query->run_as, before.context | SECURITY_LOCAL_USERID_CHANGE);
	return before;
}

void back(const Identity& before)
{
	SetUserIdAndSecContext(before.role, before.context);
}

namespace {

/* Executions that hold sessions, newest first. */
Execution *newest_holder = nullptr;

void discard(void *argument)
{
	Execution *execution = static_cast<Execution *>(argument);
	release_sessions(execution);
	if (execution->result)
		PQclear(execution->result);
	execution->result = nullptr;
	if (execution->session)
		unclaim(execution->session);
	discard_many(execution);
}

/* Whether statements on other nodes can run in those nodes' implicit transactions. */
bool can_run_outside_transaction(const Execution *execution)
{
	if (!execution->alone || in_step())
		return false;
	if (execution->query->read_only)
		return true;
	/* The values of a statement are known by now; a function that made one may have written. */
	return execution->sole_node && execution->tasks.size() == 1 && !execution->tasks[0].local &&
		   !txn::local_end_can_fail();
}

/* The row context and the decoder are made when the first remote row arrives. */
void prepare_decoding(Execution *execution)
{
	if (execution->decoder)
		return;
	MemoryContext old = MemoryContextSwitchTo(execution->context);
	execution->row_context =
		AllocSetContextCreate(execution->context, "Civitas row", ALLOCSET_SMALL_SIZES);
	execution->decoder =
		make_decoder(execution->row_type, execution->query->binary_results &&
											  enable_binary_protocol && encodings_agree());
	MemoryContextSwitchTo(old);
}

bool next_remote(Execution *execution, Datum *values, bool *nulls)
{
	if (execution->remote_done)
		return false;
	const Identity before = become(execution->query);
	const bool got = execution->merge  ? next_merged(execution->merge, values, nulls)
					 : execution->many ? next_many(execution, values, nulls)
									   : next_single(execution, values, nulls);
	back(before);
	if (!got)
	{
		execution->remote_done = true;
		release_sessions(execution);
	}
	return got;
}

/* Every placement of a shard must have changed the same number of rows. */
void check_replicas(const Execution *execution)
{
	const pg::Vec<Task>& tasks = execution->tasks;
	const int firsts = execution->current_phase_end;
	if (firsts >= tasks.size())
		return;
	/* The tasks of the first phase by shard: the last one of each, and the one before it. */
	int shards = 0;
	for (const Task& task : tasks)
		shards = task.shard_index < shards ? shards : task.shard_index + 1;
	auto *last = static_cast<int *>(palloc(sizeof(int) * (shards + 1)));
	auto *before = static_cast<int *>(palloc(sizeof(int) * (firsts + 1)));
	for (int shard = 0; shard < shards; shard++)
		last[shard] = -1;
	for (int first = 0; first < firsts; first++)
	{
		if (tasks[first].shard_index < 0)
			continue;
		before[first] = last[tasks[first].shard_index];
		last[tasks[first].shard_index] = first;
	}
	for (int index = firsts; index < tasks.size(); index++)
	{
		const Task& replica = tasks[index];
		for (int first = replica.shard_index < 0 ? -1 : last[replica.shard_index]; first >= 0;
			 first = before[first])
		{
			if (tasks[first].affected == replica.affected)
				continue;
			ereport(
				ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("replicas of table \"%s\" differ", get_rel_name(execution->query->anchor)),
				 errdetail("The statement changed " UINT64_FORMAT
						   " rows on the node of group %d and " UINT64_FORMAT
						   " on that of group %d.",
						   tasks[first].affected, tasks[first].groups[0], replica.affected,
						   replica.groups[0]),
				 errhint("The statement was rolled back. Use expressions that give the same "
						 "answer on every node.")));
		}
	}
}

/*
 * A statement with values beside its text: the text comes again. Rows of an INSERT are values too;
 * how many there are differs. Each shard has a text of its own, so a statement over many shards
 * takes up a place for each of them in the sessions' lists of prepared statements, and must leave
 * room for others.
 */
bool worth_preparing(const ScanState *state, const Execution *execution)
{
	constexpr int MOST_TASKS = 64;
	const int count = execution->tasks.size();
	if (count == 0 || count > MOST_TASKS || list_length(state->rows) > (count == 1 ? 1 : 0))
		return false;
	const Task& task = execution->tasks[0];
	return task.statement_count == 1 && task.statements[0].values->count > 0;
}

/* Tasks start in begin_execution() for the first time a row is asked for. */
void start_tasks(Execution *execution)
{
	execution->started = true;
	if (execution->tasks.empty())
	{
		execution->remote_done = true;
		execution->materialized = true;
		return;
	}
	/* What follows in triggers must be able to fail. */
	execution->alone = !execution->fires_triggers && txn::statement_is_whole_transaction();
	execution->purpose = execution->query->read_only ? txn::purpose_of_reading(execution->alone)
													 : txn::Purpose::Write;
	if (XactIsoLevel != XACT_READ_COMMITTED)
		execution->snapshot_number = 0;
	execution->in_transaction =
		execution->snapshot_number != 0 || !can_run_outside_transaction(execution);
	/* Where few rows come, reading them costs less than the savepoint. */
	constexpr double MANY_ROWS = 500;
	execution->stoppable =
		execution->in_transaction && (execution->snapshot_number == 0 || execution->cursor) &&
		execution->query->read_only && execution->query->returns_rows &&
		execution->query->merge_columns == NIL && execution->expected_rows >= MANY_ROWS;
	if (execution->tasks.size() == 1)
	{
		if (execution->tasks[0].local)
		{
			run_local_task(execution, execution->tasks[0]);
			execution->remote_done = true;
			execution->materialized = true;
			return;
		}
		if (execution->tasks[0].group_count == 1)
		{
			start_single(execution);
			return;
		}
	}
	lock_shard_groups(execution);
	if (execution->query->merge_columns != NIL)
		execution->merge = begin_merge(execution);
	start_many(execution);
}

void start(Execution *execution)
{
	const Identity before = become(execution->query);
	start_tasks(execution);
	back(before);
}

/* Whether the statement reads these shard groups by other scans too, or by this one again. */
bool reads_again(const ScanState *state, const Execution *execution)
{
	if (state->scans == nullptr || !execution->query->read_only ||
		execution->query->target != plan::Target::ShardGroups || execution->anchor == nullptr)
		return false;
	if (state->plan_parameters != nullptr)
		return true;
	int scans = 0;
	ListCell *cell;
	foreach (cell, state->scans->colocations)
		scans += lfirst_int(cell) == static_cast<int>(execution->anchor->colocation_id);
	return scans > 1;
}

} // namespace

Execution *begin_execution(ScanState *state)
{
	EState *estate = state->css.ss.ps.state;
	MemoryContext context =
		AllocSetContextCreate(estate->es_query_cxt, "Civitas execution", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Execution *execution = new (palloc0(sizeof(Execution))) Execution{};
	execution->context = context;
	execution->owner = CurrentResourceOwner;
	execution->query = state->query;
	execution->expected_rows = state->css.ss.ps.plan->plan_rows;
	execution->row_type = state->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	execution->fires_triggers = state->triggers.fire();
	execution->write = !state->query->read_only && state->query->command != CMD_SELECT;
	execution->sole_node = estate->es_plannedstmt->planTree == state->css.ss.ps.plan &&
						   estate->es_plannedstmt->subplans == NIL;
	look_up_tables(state, execution);

	MemoryContextCallback *callback =
		static_cast<MemoryContextCallback *>(palloc(sizeof(MemoryContextCallback)));
	callback->func = discard;
	callback->arg = execution;
	MemoryContextRegisterResetCallback(context, callback);

	make_tasks(state, execution);
	execution->prepared = worth_preparing(state, execution);
	if (reads_again(state, execution))
		execution->snapshot_number = state->scans->number;
	MemoryContextSwitchTo(old);
	state->execution = execution;
	return execution;
}

void start_early(Execution *execution)
{
	MemoryContext old = MemoryContextSwitchTo(execution->context);
	prepare_decoding(execution);
	start(execution);
	MemoryContextSwitchTo(old);
}

Tuplestorestate *store_of(Execution *execution)
{
	if (execution->store)
		return execution->store;
	MemoryContext old = MemoryContextSwitchTo(execution->context);
	/* Its temporary file must outlive the statement that makes an older one put its rows aside. */
	ResourceOwner current = CurrentResourceOwner;
	CurrentResourceOwner = execution->owner;
	execution->store = tuplestore_begin_heap(true, false, work_mem);
	CurrentResourceOwner = current;
	execution->store_slot = MakeSingleTupleTableSlot(execution->row_type, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(old);
	return execution->store;
}

bool next_row(Execution *execution, TupleTableSlot *slot, bool forward)
{
	if (!execution->started)
	{
		MemoryContext old = MemoryContextSwitchTo(execution->context);
		prepare_decoding(execution);
		start(execution);
		MemoryContextSwitchTo(old);
		if (execution->write || execution->query->command != CMD_SELECT ||
			!execution->query->read_only)
			materialize(execution);
	}
	ExecClearTuple(slot);
	if (execution->store &&
		tuplestore_gettupleslot(execution->store, forward, false, execution->store_slot))
	{
		slot_getallattrs(execution->store_slot);
		for (int index = 0; index < execution->row_type->natts; index++)
		{
			slot->tts_values[index] = execution->store_slot->tts_values[index];
			slot->tts_isnull[index] = execution->store_slot->tts_isnull[index];
		}
		ExecStoreVirtualTuple(slot);
		return true;
	}
	if (execution->materialized)
		return false;
	Assert(forward);
	/* A store that was read to its end does not show what is added to it later: the rows that
	 * yield_session() puts aside, behind those of local tasks. */
	if (execution->store)
		tuplestore_clear(execution->store);

	MemoryContextReset(execution->row_context);
	MemoryContext old = MemoryContextSwitchTo(execution->row_context);
	const bool got = next_remote(execution, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(old);
	if (!got)
		return false;
	execution->streamed = true;
	ExecStoreVirtualTuple(slot);
	return true;
}

void materialize(Execution *execution)
{
	if (execution->materialized)
		return;
	prepare_decoding(execution);
	/* The row handed out last may still be in use: its plan node may be in the middle of a
	 * condition whose subplan wants the session. */
	execution->row_context =
		AllocSetContextCreate(execution->context, "Civitas row", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(execution->context);
	if (!execution->started)
		start(execution);
	const int count = execution->row_type->natts;
	Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * (count + 1)));
	bool *nulls = static_cast<bool *>(palloc(sizeof(bool) * (count + 1)));
	for (;;)
	{
		MemoryContextReset(execution->row_context);
		MemoryContextSwitchTo(execution->row_context);
		const bool got = next_remote(execution, values, nulls);
		MemoryContextSwitchTo(execution->context);
		if (!got)
			break;
		if (execution->query->returns_rows)
			tuplestore_putvalues(store_of(execution), execution->row_type, values, nulls);
	}
	MemoryContextSwitchTo(old);
	execution->materialized = true;
	if (execution->write)
		check_replicas(execution);
}

void rewind_rows(Execution *execution)
{
	if (execution->store)
		tuplestore_rescan(execution->store);
}

void stop_execution(Execution *execution)
{
	if (execution->started && !execution->remote_done)
	{
		execution->remote_done = true;
		if (execution->many)
			stop_many(execution);
		else
			stop_single(execution);
	}
	release_sessions(execution);
	execution->materialized = true;
}

void end_execution(Execution *execution)
{
	stop_execution(execution);
	if (execution->store_slot)
		ExecDropSingleTupleTableSlot(execution->store_slot);
	if (execution->merge)
		end_merge(execution->merge);
	if (execution->store)
		tuplestore_end(execution->store);
	execution->store = nullptr;
	execution->store_slot = nullptr;
	MemoryContextDelete(execution->context);
}

void unclaim(remote::Session *session)
{
	remote::for_each_session(
		[](remote::Session *open, void *wanted) {
			if (open == wanted)
				remote::set_claimed(open, false);
		},
		session);
}

/* --- who holds which session ----------------------------------------------------------------- */

void hold_sessions(Execution *execution)
{
	if (execution->listed)
		return;
	execution->listed = true;
	execution->newer = nullptr;
	execution->older = newest_holder;
	if (newest_holder)
		newest_holder->newer = execution;
	newest_holder = execution;
}

void release_sessions(Execution *execution)
{
	if (!execution->listed)
		return;
	execution->listed = false;
	if (execution->newer)
		execution->newer->older = execution->older;
	else
		newest_holder = execution->older;
	if (execution->older)
		execution->older->newer = execution->newer;
	execution->newer = execution->older = nullptr;
}

void yield_session(remote::Session *session)
{
	Execution *next;
	for (Execution *execution = newest_holder; execution; execution = next)
	{
		next = execution->older;
		if (execution->session == session || uses_session(execution, session))
			materialize(execution);
	}
	shard_copy_yield(session);
}

/* --- what single.cpp and many.cpp share
 * ----------------------------------------------------------- */

AffinityKey affinity_key(const Execution *execution, const Task& task)
{
	const catalog::Table *anchor = execution->anchor;
	if (anchor == nullptr)
		return {INVALID_COLOCATION_ID, 0};
	if (anchor->kind == catalog::TableKind::Reference || anchor->colocation_id == 0)
		return {INVALID_COLOCATION_ID, anchor->shards[task.shard_index].shard_id};
	return {anchor->colocation_id, task.shard_index};
}

namespace {

bool uses_reference_table(const Execution *execution)
{
	ListCell *cell;
	foreach (cell, execution->query->relations)
	{
		const catalog::Table *table = catalog::find_table(lfirst_oid(cell));
		if (table != nullptr && table->kind == catalog::TableKind::Reference)
			return true;
	}
	return false;
}

} // namespace

remote::Session *bound_session(const Execution *execution, const Task& task, GroupId group)
{
	const AffinityKey key = affinity_key(execution, task);
	remote::Session *session = txn::affinity(group, key.colocation, key.key);
	const remote::Session *pinned = txn::pinned_session(group);
	if (pinned != nullptr && session != pinned && uses_reference_table(execution))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot see all that this transaction has written"),
						errdetail("Shards of table \"%s\" and a reference table were written in "
								  "different sessions on a node.",
								  get_rel_name(execution->anchor->relid)),
						errhint("Write the reference table first.")));
	return session;
}

void note_task(Execution *execution, const Task& task, remote::Session *session)
{
	if (!execution->query->read_only)
		txn::note_write(session);
	else if (execution->snapshot_number == 0)
		return;
	if (execution->anchor == nullptr)
		return;
	const GroupId group = task.ran_on;
	const bool reference = execution->anchor->kind == catalog::TableKind::Reference;
	const AffinityKey key = affinity_key(execution, task);
	/* A task that waited may run after another scan of the statement locked rows of its shard
	 * group: their changes must find that scan's session. */
	if (execution->query->read_only && txn::affinity(group, key.colocation, key.key) != nullptr)
		return;
	txn::set_affinity(group, key.colocation, key.key, session);
	if (reference && !execution->query->read_only)
		txn::pin_node(group, session);
}

void note_result(Execution *execution, Task& task, const PGresult *result)
{
	if (execution->query->command == CMD_SELECT)
		return;
	const uint64 count = strtoull(PQcmdTuples(const_cast<PGresult *>(result)), nullptr, 10);
	task.affected += count;
	if (task.primary)
		execution->affected += count;
}

/* A read of a transaction block is cancelled without harm to the block: back to this savepoint. */
constexpr const char STOP_SAVEPOINT[] = "SAVEPOINT citus_stop";
constexpr const char STOP_RELEASE[] = "RELEASE SAVEPOINT citus_stop";
constexpr const char STOP_ROLLBACK[] =
	"ROLLBACK TO SAVEPOINT citus_stop; RELEASE SAVEPOINT citus_stop";

void queue_task(Execution *execution, Task& task, remote::Session *session, bool first)
{
	const bool in_transaction = execution->in_transaction ||
								PQtransactionStatus(remote::connection(session)) != PQTRANS_IDLE;
	INSTR_TIME_SET_CURRENT(task.started);
	if (in_transaction)
		note_task(execution, task, session);
	remote::begin_pipeline(session);
	const bool savepoint = txn::queue_preamble(session, in_transaction);
	const bool stoppable = execution->stoppable && first;
	if (stoppable)
		remote::queue_hidden(session, STOP_SAVEPOINT);
	/* Where one of several sessions fails, or gives the last row that is wanted, the others are
	 * cancelled; what the transaction did in them before must outlive that. */
	if (stoppable || (savepoint && execution->many != nullptr))
		remote::shield_queued(session);
	if (execution->snapshot_number != 0)
		txn::queue_statement_snapshot(session, execution->snapshot_number);
	if (locks_replica(execution))
		queue_replica_lock(execution, task, session);
	for (int index = 0; index < task.statement_count; index++)
	{
		const Statement& statement = task.statements[index];
		if (execution->prepared)
			remote::queue_prepared(session, statement.sql, encode(statement.values),
								   execution->decoder->binary);
		else
			remote::queue_query(session, statement.sql, encode(statement.values),
								execution->decoder->binary);
	}
}

void flush_tasks(const Execution *execution, remote::Session *session)
{
	if (execution->stoppable)
		remote::queue_hidden(session, STOP_RELEASE);
	remote::flush_pipeline(session);
}

/*
 * What has arrived is dropped; if that was not all, the rest is cancelled. Without a savepoint a
 * cancel would abort a transaction block, so there the rows are read to the end.
 */
void discard_rest(const Execution *execution, remote::Session *session, bool cancelled)
{
	constexpr int PATIENCE_MS = 10000;
	if (execution->in_transaction && !execution->stoppable)
	{
		remote::drain(session);
		return;
	}
	if (cancelled || !remote::discard_arrived(session))
	{
		if (remote::busy(session))
			txn::forget_settings(session);
		remote::drain_quietly(session, !cancelled, PATIENCE_MS);
	}
	if (!execution->in_transaction)
		return; /* one that had to be given up is dropped at its next look-up */
	if (remote::failed(session))
		remote::raise_connection_lost(session);
	if (PQtransactionStatus(remote::connection(session)) == PQTRANS_INERROR)
		remote::execute(session, STOP_ROLLBACK);
}

/* The error of what is hidden comes in place of the Sync. */
void await_sync(remote::Session *session)
{
	PGresult *result = nullptr;
	do
		result = remote::next_result(session);
	while (result == nullptr);
	if (PQresultStatus(result) != PGRES_PIPELINE_SYNC)
		remote::raise_remote_error(session, result);
	PQclear(result);
}

void send_task(Execution *execution, Task& task, remote::Session *session)
{
	queue_task(execution, task, session, true);
	flush_tasks(execution, session);
}

} // namespace civitas::executor
