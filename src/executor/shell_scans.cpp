/*
 * shell_scans.cpp: no plan reads or changes a shell.
 *
 * A shell is empty, and a row in it would be lost: a plan that opens one gives wrong answers
 * without a word. The planner's hooks see to it that there is none; but PostgreSQL's planner looks
 * into things after our hook has (it inlines functions), and other extensions plan too. So the
 * executor looks once more, at what a plan has opened when it is started.
 *
 * Our own statements about shells (constraints of a new shell are checked, rows are moved out
 * before a table is distributed) run with propagation suspended, and are left alone.
 */
#include "civitas/executor/shell_scans.h"

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

ExecutorStart_hook_type previous_start;

bool is_shell(Relation relation)
{
	return relation != nullptr && catalog::extension_installed() &&
		   catalog::find_table(RelationGetRelid(relation)) != nullptr;
}

void refuse(Relation relation)
{
	if (!is_shell(relation))
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_INTERNAL_ERROR),
		 errmsg("a plan uses the table \"%s.%s\" without its shards",
				get_namespace_name(RelationGetNamespace(relation)),
				RelationGetRelationName(relation)),
		 errdetail("The rows of a distributed table are in its shards; the table itself is empty."),
		 errhint("Another extension may have planned this statement: look at the libraries that "
				 "are loaded beside citus.")));
}

/* What a node of the plan reads or changes. Other relations are open for their rows' locks, or for
 * nothing. */
bool refuse_node(PlanState *state, void *context)
{
	switch (nodeTag(state))
	{
	case T_SeqScanState:
	case T_SampleScanState:
	case T_IndexScanState:
	case T_IndexOnlyScanState:
	case T_BitmapHeapScanState:
	case T_TidScanState:
	case T_TidRangeScanState:
	case T_ForeignScanState:
	case T_CustomScanState:
		refuse(reinterpret_cast<ScanState *>(state)->ss_currentRelation);
		break;
	case T_ModifyTableState: {
		const ModifyTableState *change = castNode(ModifyTableState, state);
		for (int i = 0; i < change->mt_nrels; i++)
			refuse(change->resultRelInfo[i].ri_RelationDesc);
		break;
	}
	default:
		break;
	}
	return pg::walk_plan_state(state, refuse_node, context);
}

/* The plan of most statements on distributed tables: one scan that opens nothing. */
bool is_remote_only(const PlannedStmt *statement)
{
	if (!IsA(statement->planTree, CustomScan) || statement->subplans != NIL)
		return false;
	const CustomScan *scan = castNode(CustomScan, statement->planTree);
	return scan->scan.scanrelid == 0 && scan->custom_plans == NIL;
}

void start_executor(QueryDesc *query, int flags)
{
	if (previous_start != nullptr)
		previous_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	if (is_remote_only(query->plannedstmt) || catalog::propagation_suspended)
		return;
	const EState *estate = query->estate;
	for (Index i = 0; i < estate->es_range_table_size; i++)
		if (estate->es_relations[i] != nullptr && is_shell(estate->es_relations[i]))
		{
			refuse_node(query->planstate, nullptr);
			return;
		}
}

} // namespace

void shell_scans_init()
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
}

} // namespace civitas::executor
