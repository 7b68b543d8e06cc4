/*
 * insert_select.cpp: INSERT .. SELECT whose rows pass through this node, and UPDATE and DELETE of
 * rows that were found and locked first.
 *
 * The child plan (custom_plans[0]) gives rows in the order of insert_columns; they go to the shards
 * as COPY, or as VALUES of a statement for each shard. A child that reads other nodes is read to
 * its end first, into a tuplestore that spills to disk: its later statements must not see the rows
 * that earlier batches wrote.
 *
 * Rows that an UPDATE of the distribution column moves to another shard are deleted there and
 * inserted here, by two more statements (planner/move_rows.cpp).
 */
#include "civitas/executor/scan.h"
#include "civitas/executor/shard_copy.h"
#include "civitas/pg/compat.h"
#include "execution.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

/* A batch of INSERT .. VALUES ends at either bound. */
constexpr int BATCH_ROWS = 1000;
constexpr size_t BATCH_BYTES = 4 * 1024 * 1024;

} // namespace

struct InsertSelectState
{
	ScanState scan;
	Tuplestorestate *returned; /* RETURNING's rows */
	TupleTableSlot *returned_slot;
	HTAB *seen; /* rows that are changed already, where they may come several times */
	bool done;
};

/* A row of the table that is changed. */
struct RowIdentity
{
	int32 shard_index;
	Oid partition;
	ItemPointerData ctid;
	uint16 unused; /* zero */
};

namespace {

InsertSelectState *state_of(CustomScanState *node)
{
	return reinterpret_cast<InsertSelectState *>(node);
}

PlanState *source_of(InsertSelectState *state)
{
	return static_cast<PlanState *>(linitial(state->scan.css.custom_ps));
}

/* --- the source's rows ------------------------------------------------------------------------ */

bool has_custom_scan(PlanState *state, void *context)
{
	if (state == nullptr)
		return false;
	if (IsA(state, CustomScanState))
		return true;
	return pg::walk_plan_state(state, has_custom_scan, context);
}

TupleTableSlot *next_plan_row(PlanState *source)
{
	CHECK_FOR_INTERRUPTS();
	TupleTableSlot *slot = ExecProcNode(source);
	return TupIsNull(slot) ? nullptr : slot;
}

} // namespace

/* The rows of the child, straight or through a store. */
struct Source
{
	PlanState *plan;
	Tuplestorestate *store; /* null where rows come straight */
	TupleTableSlot *slot;
};

namespace {

Source open_source(InsertSelectState *state)
{
	Source source = {source_of(state), nullptr, nullptr};
	if (!has_custom_scan(source.plan, nullptr))
		return source;
	source.store = tuplestore_begin_heap(false, false, work_mem);
	while (TupleTableSlot *slot = next_plan_row(source.plan))
		tuplestore_puttupleslot(source.store, slot);
	source.slot = MakeSingleTupleTableSlot(ExecGetResultType(source.plan), &TTSOpsMinimalTuple);
	return source;
}

TupleTableSlot *next_source_row(Source *source)
{
	if (source->store == nullptr)
		return next_plan_row(source->plan);
	CHECK_FOR_INTERRUPTS();
	const bool found = tuplestore_gettupleslot(source->store, true, false, source->slot);
	return found ? source->slot : nullptr;
}

void close_source(Source *source)
{
	if (source->store == nullptr)
		return;
	ExecDropSingleTupleTableSlot(source->slot);
	tuplestore_end(source->store);
}

/* --- as COPY ---------------------------------------------------------------------------------- */

uint64 insert_by_copy(InsertSelectState *state)
{
	Source source = open_source(state);
	const plan::RemoteQuery *query = state->scan.query;
	ShardCopy *copy = shard_copy_begin_rows(catalog::get_table(query->anchor),
											query->insert_columns, ExecGetResultType(source.plan));
	while (TupleTableSlot *slot = next_source_row(&source))
		shard_copy_slot(copy, slot);
	close_source(&source);
	return shard_copy_finish(copy);
}

/* --- as INSERT .. VALUES ---------------------------------------------------------------------- */

/* A row as constants, as the machinery for VALUES wants it. */
List *constants_of_row(const plan::RemoteQuery *query, TupleTableSlot *slot, size_t *bytes)
{
	List *row = NIL;
	slot_getallattrs(slot);
	ListCell *cell;
	foreach (cell, query->insert_types)
	{
		const int column = foreach_current_index(cell);
		const Oid type = lfirst_oid(cell);
		int16 length;
		bool by_value;
		get_typlenbyval(type, &length, &by_value);
		const bool is_null = slot->tts_isnull[column];
		Datum value = slot->tts_values[column];
		if (!is_null && !by_value)
		{
			value = length == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(value))
								 : datumCopy(value, by_value, length);
			*bytes += datumGetSize(value, by_value, length);
		}
		*bytes += sizeof(Const);
		row = lappend(
			row, makeConst(type, -1, get_typcollation(type), length, value, is_null, by_value));
	}
	return row;
}

/* Runs one batch; the rows that it returns are kept. Rows changed. */
uint64 run_batch(ScanState *scan, List *rows, Tuplestorestate *returned)
{
	scan->rows = rows;
	Execution *execution = begin_execution(scan);
	/* One batch of several must not be a transaction of its own. */
	execution->sole_node = false;
	materialize(execution);
	if (scan->query->returns_rows)
	{
		TupleTableSlot *slot = scan->css.ss.ss_ScanTupleSlot;
		while (next_row(execution, slot))
			tuplestore_puttupleslot(returned, slot);
		ExecClearTuple(slot);
	}
	const uint64 affected = execution->affected;
	end_execution(execution);
	scan->execution = nullptr;
	scan->rows = NIL;
	return affected;
}

/* Whether this row of the target comes for the first time. */
bool is_first_match(InsertSelectState *state, TupleTableSlot *slot)
{
	if (state->seen == nullptr)
		return true;
	const plan::RemoteQuery *query = state->scan.query;
	slot_getallattrs(slot);
	RowIdentity row;
	memset(&row, 0, sizeof(row));
	if (OidIsValid(query->anchor) && query->distribution_position >= 0)
	{
		const catalog::Table& table = catalog::get_table(query->anchor);
		row.shard_index =
			catalog::shard_index_of_value(table, slot->tts_values[query->distribution_position],
										  slot->tts_isnull[query->distribution_position]);
	}
	if (query->tableoid_position >= 0)
		row.partition = DatumGetObjectId(slot->tts_values[query->tableoid_position]);
	row.ctid = *reinterpret_cast<ItemPointer>(DatumGetPointer(slot->tts_values[0]));
	bool found;
	hash_search(state->seen, &row, HASH_ENTER, &found);
	return !found;
}

HTAB *make_seen_rows(const plan::RemoteQuery *query)
{
	if (!query->rows_repeat)
		return nullptr;
	HASHCTL control;
	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(RowIdentity);
	control.entrysize = sizeof(RowIdentity);
	control.hcxt = CurrentMemoryContext;
	return hash_create("changed rows", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

} // namespace

[[noreturn]] static void raise_too_many_rows(const plan::RemoteQuery *query)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many rows change what they are known by on the replicas of table \"%s\"",
					get_rel_name(query->anchor)),
			 errhint("Change fewer rows in one statement.")));
}

namespace {

/* Runs the statement of `scan` for all rows of the source, in batches. Rows changed. */
uint64 change_rows(InsertSelectState *state, ScanState *scan, Source *source,
				   Tuplestorestate *returned)
{
	MemoryContext batch_context =
		AllocSetContextCreate(CurrentMemoryContext, "insert select batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller_context = CurrentMemoryContext;
	const plan::RemoteQuery *query = scan->query;
	const bool at_once = query->rows_at_once && !query->row_by_row;
	const int columns = list_length(query->insert_columns);
	const int most =
		(MAX_STATEMENT_PARAMETERS - list_length(scan->parameters)) / (columns > 0 ? columns : 1);
	const int batch_rows = query->row_by_row ? 1 : BATCH_ROWS;
	uint64 affected = 0;
	bool first = true;
	bool more = true;
	while (more)
	{
		List *rows = NIL;
		size_t bytes = 0;
		while (at_once || (list_length(rows) < batch_rows && bytes < BATCH_BYTES))
		{
			TupleTableSlot *slot = next_source_row(source);
			more = slot != nullptr;
			if (!more)
				break;
			if (!is_first_match(state, slot))
				continue;
			if (at_once && list_length(rows) >= most)
				raise_too_many_rows(query);
			MemoryContextSwitchTo(batch_context);
			rows = lappend(rows, constants_of_row(query, slot, &bytes));
			MemoryContextSwitchTo(caller_context);
		}
		if (first && more)
			lock_before_batches(query);
		first = false;
		if (rows != NIL)
			affected += run_batch(scan, rows, returned);
		MemoryContextReset(batch_context);
	}
	MemoryContextDelete(batch_context);
	return affected;
}

/* --- rows that move to another shard ---------------------------------------------------------- */

/* Whether the new value of the distribution column belongs to another shard than the old one. */
bool moves_away(const plan::RemoteQuery *query, TupleTableSlot *slot)
{
	const catalog::Table& table = catalog::get_table(query->anchor);
	slot_getallattrs(slot);
	const auto shard = [&](int position) {
		return catalog::shard_index_of_value(table, slot->tts_values[position],
											 slot->tts_isnull[position]);
	};
	return shard(query->distribution_position) != shard(query->moved_position);
}

Source empty_source(TupleDesc row_type)
{
	return {nullptr, tuplestore_begin_heap(false, false, work_mem),
			MakeSingleTupleTableSlot(row_type, &TTSOpsMinimalTuple)};
}

/* The type of the rows that are found, without what only their SELECT needs. */
TupleDesc found_row_type(const plan::RemoteQuery *query)
{
	TupleDesc type = CreateTemplateTupleDesc(list_length(query->insert_columns));
	ListCell *cell;
	foreach (cell, query->insert_types)
	{
		const AttrNumber number = static_cast<AttrNumber>(foreach_current_index(cell) + 1);
		TupleDescInitEntry(type, number,
						   strVal(list_nth(query->insert_columns, foreach_current_index(cell))),
						   lfirst_oid(cell), -1, 0);
	}
	return type;
}

/*
 * The rows that move leave their shards first, before others are given values that they had, and
 * arrive last. Rows changed.
 */
uint64 update_and_move(InsertSelectState *state, Source *source)
{
	const plan::RemoteQuery *query = state->scan.query;
	const TupleDesc source_type = ExecGetResultType(source->plan);
	Source staying = empty_source(source_type);
	Source leaving = empty_source(source_type);
	while (TupleTableSlot *slot = next_source_row(source))
		if (is_first_match(state, slot))
			tuplestore_puttupleslot(moves_away(query, slot) ? leaving.store : staying.store, slot);
	state->seen = nullptr;

	const TupleDesc row_type = found_row_type(query);
	ScanState leave = state->scan;
	leave.query = static_cast<plan::RemoteQuery *>(linitial(query->moves));
	leave.css.ss.ss_ScanTupleSlot = MakeSingleTupleTableSlot(row_type, &TTSOpsVirtual);
	ScanState arrive = state->scan;
	arrive.query = static_cast<plan::RemoteQuery *>(lsecond(query->moves));
	Source arriving = empty_source(row_type);
	(void) change_rows(state, &leave, &leaving, arriving.store);
	uint64 affected = change_rows(state, &state->scan, &staying, state->returned);
	affected += change_rows(state, &arrive, &arriving, state->returned);
	ExecDropSingleTupleTableSlot(leave.css.ss.ss_ScanTupleSlot);
	for (Source *used : {&staying, &leaving, &arriving})
		close_source(used);
	return affected;
}

uint64 insert_by_values(InsertSelectState *state)
{
	const plan::RemoteQuery *query = state->scan.query;
	if (query->returns_rows)
	{
		state->returned = tuplestore_begin_heap(false, false, work_mem);
		state->returned_slot = MakeSingleTupleTableSlot(
			state->scan.css.ss.ss_ScanTupleSlot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
	}
	Source source = open_source(state);
	state->seen = make_seen_rows(query);
	/* The versions that were locked may be younger than the statement's snapshot. */
	const bool fresh = query->command != CMD_INSERT && !IsolationUsesXactSnapshot();
	if (fresh)
		PushActiveSnapshot(GetLatestSnapshot());
	const uint64 affected = query->moves != NIL
								? update_and_move(state, &source)
								: change_rows(state, &state->scan, &source, state->returned);
	if (fresh)
		PopActiveSnapshot();
	close_source(&source);
	return affected;
}

/* --- the node --------------------------------------------------------------------------------- */

void begin_insert(CustomScanState *node, EState *estate, int eflags)
{
	InsertSelectState *state = state_of(node);
	auto *scan = castNode(CustomScan, node->ss.ps.plan);
	state->scan.query = plan::remote_query_of(scan);
	state->scan.parameters = make_evaluators(plan::parameters_of(scan), &node->ss.ps);
	state->scan.eflags = eflags;
	auto *source = static_cast<Plan *>(linitial(scan->custom_plans));
	node->custom_ps = list_make1(ExecInitNode(source, estate, eflags));
}

/* Whether the statement ends with its rows: no ON CONFLICT, no RETURNING. */
bool is_plain_insert(const plan::RemoteQuery *query)
{
	if (query->returns_rows || query->command != CMD_INSERT || OidIsValid(query->run_as) ||
		check_enable_rls(linitial_oid(query->relations), InvalidOid, true) == RLS_ENABLED)
		return false;
	for (const char *rest = strVal(llast(query->pieces)); *rest; rest++)
		if (*rest != ' ' && *rest != '\n')
			return false;
	return true;
}

/* Inserts everything, in the first call. */
void run_insert(InsertSelectState *state)
{
	EState *estate = state->scan.css.ss.ps.state;
	if (state->scan.query->command == CMD_INSERT)
		count_insert_select(estate);
	MemoryContext caller_context = MemoryContextSwitchTo(estate->es_query_cxt);
	state->scan.triggers = before_statement(estate, state->scan.query);
	const uint64 affected =
		is_plain_insert(state->scan.query) ? insert_by_copy(state) : insert_by_values(state);
	after_statement(estate, state->scan.triggers);
	MemoryContextSwitchTo(caller_context);
	state->done = true;
	/* In a WITH the command tag counts something else. */
	if (estate->es_plannedstmt->planTree == state->scan.css.ss.ps.plan)
		estate->es_processed += affected;
}

TupleTableSlot *next_returned(::ScanState *node)
{
	auto *state = reinterpret_cast<InsertSelectState *>(node);
	if (!state->done)
		run_insert(state);
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	ExecClearTuple(slot);
	if (state->returned &&
		tuplestore_gettupleslot(state->returned, true, false, state->returned_slot))
		ExecCopySlot(slot, state->returned_slot);
	return slot;
}

bool recheck_returned(::ScanState *, TupleTableSlot *)
{
	return true;
}

TupleTableSlot *exec_insert(CustomScanState *node)
{
	return ExecScan(&node->ss, next_returned, recheck_returned);
}

void end_insert(CustomScanState *node)
{
	InsertSelectState *state = state_of(node);
	ExecEndNode(source_of(state));
	if (state->returned)
	{
		ExecDropSingleTupleTableSlot(state->returned_slot);
		tuplestore_end(state->returned);
	}
}

void rescan_insert(CustomScanState *)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR), errmsg("a change cannot be run a second time")));
}

void explain_insert(CustomScanState *node, List *, ExplainState *es)
{
	const plan::RemoteQuery *query = state_of(node)->scan.query;
	const char *table = get_rel_name(linitial_oid(query->relations));
	if (query->command != CMD_INSERT)
	{
		ExplainPropertyText(query->command == CMD_UPDATE ? "Update" : "Delete from", table, es);
		return;
	}
	ExplainPropertyText("Insert into", table, es);
	ExplainPropertyText("Method", is_plain_insert(query) ? "COPY to shards" : "INSERT by shard",
						es);
}

const CustomExecMethods insert_select_exec_methods = {
	.CustomName = "Citus Insert Select",
	.BeginCustomScan = begin_insert,
	.ExecCustomScan = exec_insert,
	.EndCustomScan = end_insert,
	.ReScanCustomScan = rescan_insert,
	.ExplainCustomScan = explain_insert,
};

Node *create_insert_state(CustomScan *)
{
	auto *state = static_cast<InsertSelectState *>(palloc0(sizeof(InsertSelectState)));
	NodeSetTag(state, T_CustomScanState);
	state->scan.css.methods = &insert_select_exec_methods;
	return reinterpret_cast<Node *>(state);
}

} // namespace

const CustomScanMethods insert_select_methods = {
	.CustomName = "Citus Insert Select",
	.CreateCustomScanState = create_insert_state,
};

const CustomScanMethods modify_rows_methods = {
	.CustomName = "Citus Modify Rows",
	.CreateCustomScanState = create_insert_state,
};

} // namespace civitas::executor
