/*
 * scan.cpp: the CustomScan that runs a RemoteQuery.
 *
 * Begin compiles the expressions and starts nothing (EXPLAIN stops here). The first row that is
 * asked for evaluates them and runs the tasks; a change runs to its end in that call. Rescan runs
 * again when a parameter has changed, rewinds the kept rows otherwise.
 */
#include "civitas/executor/scan.h"

#include "civitas/executor/shell_scans.h"
#include "civitas/pg/compat.h"
#include "civitas/txn/transaction.h"
#include "execution.h"

CIVITAS_PG_BEGIN
#include "executor/executor.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

Node *create_scan_state(CustomScan *scan);
void begin_scan(CustomScanState *node, EState *estate, int eflags);
TupleTableSlot *exec_scan(CustomScanState *node);
void end_scan(CustomScanState *node);
void rescan(CustomScanState *node);

const CustomExecMethods exec_methods = {
	.CustomName = "Citus",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = explain_scan,
};

Node *create_scan_state(CustomScan *)
{
	ScanState *state = static_cast<ScanState *>(palloc0(sizeof(ScanState)));
	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return reinterpret_cast<Node *>(state);
}

/* As a plain scan would, so that this session cannot change a table whose rows a cursor or a query
 * around a function is still reading (55006). Closed with the executor. */
void open_tables(EState *estate, const plan::RemoteQuery *query)
{
	ListCell *cell;
	foreach (cell, estate->es_range_table)
	{
		const auto *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_RELATION && list_member_oid(query->relations, rte->relid))
			pg::open_range_table_relation(estate, foreach_current_index(cell) + 1);
	}
}

/* Statements that are running, the innermost first. */
StatementScans *statements;
int64 last_statement_number;

void forget_statement(void *argument)
{
	for (StatementScans **link = &statements; *link != nullptr; link = &(*link)->outer)
		if (*link == argument)
		{
			*link = (*link)->outer;
			return;
		}
}

/* The plan's tables that the metadata knows; ascending, each once. */
List *metadata_relations(const EState *estate)
{
	List *relations = NIL;
	ListCell *cell;
	foreach (cell, estate->es_range_table)
	{
		const auto *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_RELATION && catalog::find_table(rte->relid) != nullptr)
			relations = lappend_oid(relations, rte->relid);
	}
	list_sort(relations, list_oid_cmp);
	list_deduplicate_oid(relations);
	return relations;
}

StatementScans *scans_of(EState *estate)
{
	for (StatementScans *scans = statements; scans != nullptr; scans = scans->outer)
		if (scans->estate == estate)
			return scans;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	StatementScans *scans = static_cast<StatementScans *>(palloc(sizeof(StatementScans)));
	*scans = {estate,  statements, ++last_statement_number, NIL, metadata_relations(estate),
			  nullptr, 0};
	scans->tables = catalog::get_tables_at_once(InvalidOid, scans->relations) + 1;
	scans->generation = catalog::names_generation();
	MemoryContextCallback *callback =
		static_cast<MemoryContextCallback *>(palloc(sizeof(MemoryContextCallback)));
	callback->func = forget_statement;
	callback->arg = scans;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, callback);
	MemoryContextSwitchTo(old);
	statements = scans;
	return scans;
}

/* The table as the statement has found it; one that its range table does not list, as it is now. */
const catalog::Table *table_of(const StatementScans *scans, Oid relid)
{
	int low = 0;
	int high = list_length(scans->relations);
	while (low < high)
	{
		const int middle = low + (high - low) / 2;
		if (list_nth_oid(scans->relations, middle) < relid)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == list_length(scans->relations) || list_nth_oid(scans->relations, low) != relid)
		return &catalog::get_table(relid);
	return scans->tables[low];
}

/* Enters the scan among those of its statement, so that it is known which of them must see the same
 * state of a shard group. */
void enter_scan(ScanState *state, EState *estate)
{
	const plan::RemoteQuery *query = state->query;
	if (estate->es_plannedstmt->planTree == state->css.ss.ps.plan &&
		estate->es_plannedstmt->subplans == NIL)
		return;
	state->scans = scans_of(estate);
	if (query->target != plan::Target::ShardGroups || !OidIsValid(query->anchor))
		return;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	state->scans->colocations = lappend_int(state->scans->colocations,
											table_of(state->scans, query->anchor)->colocation_id);
	MemoryContextSwitchTo(old);
}

/* Collects the parameters that other parts of the plan set. */
bool find_plan_parameters(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Param) && castNode(Param, node)->paramkind == PARAM_EXEC)
	{
		Bitmapset **found = static_cast<Bitmapset **>(context);
		*found = bms_add_member(*found, castNode(Param, node)->paramid);
	}
	return pg::walk_children(node, find_plan_parameters, context);
}

void begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	ScanState *state = reinterpret_cast<ScanState *>(node);
	const CustomScan *scan = reinterpret_cast<const CustomScan *>(node->ss.ps.plan);
	state->query = plan::remote_query_of(scan);
	open_tables(estate, state->query);
	state->parameters = make_evaluators(plan::parameters_of(scan), &node->ss.ps);
	state->prune_keys = make_evaluators(plan::prune_keys_of(scan), &node->ss.ps);
	state->rows = plan::rows_of(scan);
	find_plan_parameters(reinterpret_cast<Node *>(plan::expressions_of(scan)),
						 &state->plan_parameters);
	find_plan_parameters(reinterpret_cast<Node *>(scan->custom_exprs), &state->plan_parameters);
	state->eflags = eflags;
	state->rewind = (eflags & (EXEC_FLAG_REWIND | EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK)) != 0;
	enter_scan(state, estate);
	if (opens_cursor(state))
		open_cursor(begin_execution(state), scans_of(estate)->number);
}

/* The plan's own command tag counts what this node changed, when it is the statement and not a part
 * of a WITH. */
void count_processed(ScanState *state)
{
	EState *estate = state->css.ss.ps.state;
	if (state->query->command != CMD_SELECT &&
		estate->es_plannedstmt->planTree == state->css.ss.ps.plan)
		estate->es_processed += state->execution->affected;
}

TupleTableSlot *next_slot(::ScanState *node)
{
	ScanState *state = reinterpret_cast<ScanState *>(node);
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	if (state->execution == nullptr)
	{
		state->triggers = before_statement(node->ps.state, state->query);
		begin_execution(state);
	}
	if (!state->execution->asked)
	{
		Execution *execution = state->execution;
		execution->asked = true;
		count_run(state, execution);
		if (state->rewind || state->query->command != CMD_SELECT)
		{
			materialize(execution);
			count_processed(state);
			after_statement(node->ps.state, state->triggers);
		}
	}
	if (!next_row(state->execution, slot, ScanDirectionIsForward(node->ps.state->es_direction)))
		ExecClearTuple(slot);
	return slot;
}

bool recheck(::ScanState *, TupleTableSlot *)
{
	return true;
}

TupleTableSlot *exec_scan(CustomScanState *node)
{
	return ExecScan(&node->ss, next_slot, recheck);
}

void end_scan(CustomScanState *node)
{
	ScanState *state = reinterpret_cast<ScanState *>(node);
	if (state->execution)
		end_execution(state->execution);
	state->execution = nullptr;
}

void rescan(CustomScanState *node)
{
	ScanState *state = reinterpret_cast<ScanState *>(node);
	ExecScanReScan(&node->ss);
	if (state->execution == nullptr)
		return;
	/* A correlated subquery changes what the conditions here compare with, not what the nodes sent.
	 */
	if (!bms_overlap(node->ss.ps.chgParam, state->plan_parameters))
	{
		/* Not announced, but here it is: from now on rows are kept. */
		state->rewind = true;
		if (state->execution->materialized && !state->execution->streamed)
		{
			rewind_rows(state->execution);
			return;
		}
		if (state->query->command != CMD_SELECT)
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("a change cannot be run a second time")));
	}
	end_execution(state->execution);
	state->execution = nullptr;
}

} // namespace

void look_up_tables(const ScanState *state, Execution *execution)
{
	const plan::RemoteQuery *query = state->query;
	const StatementScans *scans = state->scans;
	if (scans == nullptr)
	{
		const catalog::Table **tables = catalog::get_tables_at_once(query->anchor, query->holes);
		execution->generation = catalog::names_generation();
		execution->anchor = tables[0];
		execution->tables = tables + 1;
		return;
	}
	if (OidIsValid(query->anchor))
		execution->anchor = table_of(scans, query->anchor);
	auto **tables = static_cast<const catalog::Table **>(
		palloc0(sizeof(const catalog::Table *) * (list_length(query->holes) + 1)));
	ListCell *cell;
	foreach (cell, query->holes)
		if (OidIsValid(lfirst_oid(cell)))
			tables[foreach_current_index(cell)] = table_of(scans, lfirst_oid(cell));
	execution->tables = tables;
	execution->generation = scans->generation;
}

const CustomScanMethods remote_scan_methods = {
	.CustomName = "Citus",
	.CreateCustomScanState = create_scan_state,
};

void scan_init()
{
	register_settings();
	processor_wait_init();
	shell_scans_init();
	RegisterCustomScanMethods(&remote_scan_methods);
	txn::session_wanted_hook = yield_session;
	RegisterCustomScanMethods(&insert_select_methods);
	RegisterCustomScanMethods(&modify_rows_methods);
	RegisterCustomScanMethods(&steps_methods);
}

} // namespace civitas::executor
