/*
 * insert_select.cpp: INSERT .. SELECT whose rows pass through this node.
 *
 * The child plan (custom_plans[0]) gives rows in the order of insert_columns; they go to the shards
 * as COPY. A child that reads other nodes is read to its end first, into a tuplestore that spills
 * to disk: its later statements must not see the rows that earlier batches wrote.
 */
#include "civitas/catalog/tables.h"
#include "civitas/executor/scan.h"
#include "civitas/executor/shard_copy.h"
#include "civitas/pg/compat.h"
#include "civitas/plan/remote_query.h"

CIVITAS_PG_BEGIN
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"
CIVITAS_PG_END

namespace civitas::executor {

struct InsertSelectState
{
	CustomScanState css;
	plan::RemoteQuery *query;
	bool done;
};

static InsertSelectState *state_of(CustomScanState *node)
{
	return reinterpret_cast<InsertSelectState *>(node);
}

static PlanState *source_of(InsertSelectState *state)
{
	return static_cast<PlanState *>(linitial(state->css.custom_ps));
}

/* --- the source's rows ------------------------------------------------------------------------ */

static bool has_custom_scan(PlanState *state, void *context)
{
	if (state == nullptr)
		return false;
	if (IsA(state, CustomScanState))
		return true;
	return pg::walk_plan_state(state, has_custom_scan, context);
}

static TupleTableSlot *next_source_row(PlanState *source)
{
	CHECK_FOR_INTERRUPTS();
	TupleTableSlot *slot = ExecProcNode(source);
	return TupIsNull(slot) ? nullptr : slot;
}

/* Reads the source to its end, then hands its rows on. */
static void copy_through_store(PlanState *source, ShardCopy *copy)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	while (TupleTableSlot *slot = next_source_row(source))
		tuplestore_puttupleslot(store, slot);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(ExecGetResultType(source), &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		shard_copy_slot(copy, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(store);
}

static uint64 insert_by_copy(InsertSelectState *state)
{
	PlanState *source = source_of(state);
	MemoryContext caller_context = MemoryContextSwitchTo(state->css.ss.ps.state->es_query_cxt);
	ShardCopy *copy =
		shard_copy_begin_rows(catalog::get_table(state->query->anchor),
							  state->query->insert_columns, ExecGetResultType(source));
	if (has_custom_scan(source, nullptr))
		copy_through_store(source, copy);
	else
		while (TupleTableSlot *slot = next_source_row(source))
			shard_copy_slot(copy, slot);
	const uint64 rows = shard_copy_finish(copy);
	MemoryContextSwitchTo(caller_context);
	return rows;
}

/* --- the node --------------------------------------------------------------------------------- */

static void begin_insert(CustomScanState *node, EState *estate, int eflags)
{
	InsertSelectState *state = state_of(node);
	auto *scan = castNode(CustomScan, node->ss.ps.plan);
	state->query = plan::remote_query_of(scan);
	auto *source = static_cast<Plan *>(linitial(scan->custom_plans));
	node->custom_ps = list_make1(ExecInitNode(source, estate, eflags));
}

/* Whether the statement ends with its rows: no ON CONFLICT, no RETURNING. */
static bool is_plain_insert(const plan::RemoteQuery *query)
{
	if (query->returns_rows)
		return false;
	for (const char *rest = strVal(llast(query->pieces)); *rest; rest++)
		if (*rest != ' ' && *rest != '\n')
			return false;
	return true;
}

static TupleTableSlot *exec_insert(CustomScanState *node)
{
	InsertSelectState *state = state_of(node);
	if (state->done)
		return nullptr;
	state->done = true;
	if (!is_plain_insert(state->query))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("INSERT .. SELECT with ON CONFLICT or RETURNING is not supported "
							   "for these tables")));
	node->ss.ps.state->es_processed += insert_by_copy(state);
	return nullptr;
}

static void end_insert(CustomScanState *node)
{
	ExecEndNode(source_of(state_of(node)));
}

static void rescan_insert(CustomScanState *)
{
	ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("an INSERT cannot be run again")));
}

static void explain_insert(CustomScanState *node, List *, ExplainState *es)
{
	const plan::RemoteQuery *query = state_of(node)->query;
	ExplainPropertyText("Insert into", get_rel_name(query->anchor), es);
	ExplainPropertyText("Method", is_plain_insert(query) ? "COPY to shards" : "INSERT by shard",
						es);
}

static const CustomExecMethods insert_select_exec_methods = {
	.CustomName = "Citus Insert Select",
	.BeginCustomScan = begin_insert,
	.ExecCustomScan = exec_insert,
	.EndCustomScan = end_insert,
	.ReScanCustomScan = rescan_insert,
	.ExplainCustomScan = explain_insert,
};

static Node *create_insert_state(CustomScan *)
{
	auto *state = static_cast<InsertSelectState *>(palloc0(sizeof(InsertSelectState)));
	state->css.ss.ps.type = T_CustomScanState;
	state->css.methods = &insert_select_exec_methods;
	return reinterpret_cast<Node *>(state);
}

const CustomScanMethods insert_select_methods = {
	.CustomName = "Citus Insert Select",
	.CreateCustomScanState = create_insert_state,
};

} // namespace civitas::executor
