/*
 * local_execution.cpp: tasks whose shard is on this node.
 *
 * The task's SQL is parsed, planned and run in this process, inside this transaction and as the
 * current user, as if the shard's table had been named by the client; its rows go to the
 * execution's store. It runs under the statement's own snapshot, so it sees what earlier statements
 * of the transaction did and nothing that this one does. An error speaks of shards, which the user
 * does not know: their names are turned back to the tables' before it flies on.
 */
#include "execution.h"

#include "civitas/catalog/logical_names.h"
#include "civitas/pg/compat.h"
#include "civitas/txn/transaction.h"
#include "values.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "executor/executor.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

/* Takes the rows of a local statement. */
struct StoreReceiver
{
	DestReceiver receiver; /* must be first */
	Execution *execution;
	Task *task;
};

bool receive_row(TupleTableSlot *slot, DestReceiver *receiver)
{
	StoreReceiver *self = reinterpret_cast<StoreReceiver *>(receiver);
	self->task->rows++;
	if (self->execution->merge)
	{
		slot_getallattrs(slot);
		merge_add(self->execution->merge,
				  static_cast<int>(self->task - self->execution->tasks.data()), slot->tts_values,
				  slot->tts_isnull);
	}
	else if (self->task->primary)
		tuplestore_puttupleslot(store_of(self->execution), slot);
	return true;
}

void receiver_startup(DestReceiver *, int, TupleDesc) {}

void receiver_end(DestReceiver *) {}

/* A row shaped like the plan says is what the store's slot will be read as. */
void check_shape(const Execution *execution, TupleDesc got)
{
	if (execution->query->returns_rows && got->natts != execution->row_type->natts)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("a local task returns %d columns where %d were expected", got->natts,
							   execution->row_type->natts)));
}

void run_statement(Execution *execution, Task& task, const Statement& statement)
{
	const char *sql;
	PlannedStmt *plan = plan_local_statement(statement, &sql);
	StoreReceiver receiver = {};
	receiver.receiver.receiveSlot = receive_row;
	receiver.receiver.rStartup = receiver_startup;
	receiver.receiver.rShutdown = receiver_end;
	receiver.receiver.rDestroy = receiver_end;
	receiver.receiver.mydest = DestTuplestore;
	receiver.execution = execution;
	receiver.task = &task;

	QueryDesc *description =
		CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot, &receiver.receiver,
						local_parameters(statement.values), nullptr, 0);
	ExecutorStart(description, 0);
	check_shape(execution, description->tupDesc);
	pg::run_executor(description);
	ExecutorFinish(description);
	if (execution->query->command != CMD_SELECT)
	{
		const uint64 count = description->estate->es_processed;
		task.affected += count;
		if (task.primary)
			execution->affected += count;
	}
	ExecutorEnd(description);
	FreeQueryDesc(description);
}

void run_statements(Execution *execution, Task& task)
{
	lock_local_replica(execution, task);
	if (sees_what_it_waited_for(execution))
		PushActiveSnapshot(GetTransactionSnapshot());
	else
		PushCopiedSnapshot(GetActiveSnapshot());
	for (int index = 0; index < task.statement_count; index++)
	{
		CHECK_FOR_INTERRUPTS();
		run_statement(execution, task, task.statements[index]);
	}
	PopActiveSnapshot();
}

/* The error that is being raised, in the user's terms. Does not return. */
[[noreturn]] void rethrow_in_logical_names(MemoryContext context)
{
	MemoryContextSwitchTo(context);
	ErrorData *error = CopyErrorData();
	FlushErrorState();
	catalog::use_logical_names(error);
	ReThrowError(error);
	pg_unreachable();
}

} // namespace

PlannedStmt *plan_local_statement(const Statement& statement, const char **sql)
{
	*sql = statement.sql;
	const int level = begin_whole_text(); /* as its constants were written */
	List *parsed = pg_parse_query(statement.sql);
	if (list_length(parsed) != 1)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("a task is not one statement")));
	RawStmt *raw = static_cast<RawStmt *>(linitial(parsed));
	List *queries = pg_analyze_and_rewrite_fixedparams(raw, statement.sql, statement.values->types,
													   statement.values->count, nullptr);
	end_whole_text(level);
	if (list_length(queries) != 1)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("rules on shards are not supported")));
	Query *query = linitial_node(Query, queries);
	if (query->rowMarks != NIL)
		catalog::let_deleters_lock(query);
	return pg_plan_query(query, statement.sql, CURSOR_OPT_PARALLEL_OK,
						 local_parameters(statement.values));
}

void run_local_task(Execution *execution, Task& task)
{
	MemoryContext context =
		AllocSetContextCreate(execution->context, "Civitas local task", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	INSTR_TIME_SET_CURRENT(task.started);
	task.ran_on = catalog::local_group_id();
	if (!execution->query->read_only)
		txn::note_local_write();
	PG_TRY();
	{
		run_statements(execution, task);
	}
	PG_CATCH();
	{
		rethrow_in_logical_names(old);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	instr_time now;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, task.started);
	task.ms = INSTR_TIME_GET_MILLISEC(now);
}

} // namespace civitas::executor
