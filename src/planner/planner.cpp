/*
 * planner.cpp: the planner hook.
 *
 * A statement that names no table of the metadata is PostgreSQL's alone. Others try, in order: the
 * plan of the same statement with other constants (statement_cache.cpp), fast path and router
 * (router.cpp), writes to shard groups (modify.cpp, insert.cpp), and PostgreSQL's planner over
 * remote relations (general.cpp).
 */
#include "civitas/planner/planner.h"

#include "internal.h"

#include "civitas/catalog/node_session.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/propagation.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/planner.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

planner_hook_type next_planner = nullptr;

/* Whether the statement reads tables of the metadata, or changes them. Hides shards in it. */
bool is_sharded(Query *query, ParamListInfo params, PlanDependencies *dependencies)
{
	if (query->commandType == CMD_UTILITY || !IsTransactionState() ||
		catalog::propagation_suspended || !catalog::extension_installed())
		return false;
	hide_shards(query);
	if (!mentions_sharded(query) && !inline_functions(query, params, dependencies))
		return false;
	catalog::check_extension_version();
	return true;
}

PlannedStmt *plan_command(Query *query, const char *text, int options, ParamListInfo params)
{
	if (query->commandType == CMD_SELECT)
		return plan_select(query, text, options, params);
	Facts facts;
	collect_facts(query, &facts);
	switch (query->commandType)
	{
	case CMD_UPDATE:
	case CMD_DELETE:
		return plan_modify(query, facts, text, options, params);
	case CMD_INSERT:
		return plan_insert(query, facts, text, options, params);
	case CMD_MERGE:
		return plan_merge(query, facts, text, options, params);
	default:
		raise_unsupported("It is a kind of statement that is not known.");
	}
}

PlannedStmt *plan_sharded(Query *query, const char *text, int options, ParamListInfo params)
{
	PlanDependencies dependencies = {};
	inline_functions(query, params, &dependencies);
	leave_policies_to_shards(query, &dependencies);
	inline_ctes(query);
	pg::resolve_groups(query);
	pg::spell_out_returning(query);
	PlannedStmt *statement = plan_command(query, text, options, params);
	add_dependencies(statement, dependencies);
	return statement;
}

/*
 * A cursor that is declared without [NO] SCROLL goes backwards where its plan can. What PostgreSQL
 * would read a table's rows by can; ours keeps them.
 */
int scrolling(const Query *query, int options)
{
	constexpr int said = CURSOR_OPT_SCROLL | CURSOR_OPT_NO_SCROLL;
	const bool declared = (options & CURSOR_OPT_FAST_PLAN) != 0;
	return declared && (options & said) == 0 && query->rowMarks == NIL ? options | CURSOR_OPT_SCROLL
																	   : options;
}

/* The hook. What it returns may belong to the cache. */
PlannedStmt *plan_client(Query *query, const char *text, int options, ParamListInfo params)
{
	PlanDependencies dependencies = {};
	if (!is_sharded(query, params, &dependencies))
	{
		if (query->rowMarks != NIL && catalog::is_node_session())
			catalog::let_deleters_lock(query);
		return plan_locally(query, text, options, params);
	}
	leave_policies_to_shards(query, &dependencies);
	PlannedStmt *statement =
		plan_with_cache(query, scrolling(query, options), params, plan_sharded, text);
	if (dependencies.items != NIL || dependencies.role)
		add_dependencies(statement, dependencies);
	return statement;
}

/* Rows of a remote query come once; a cursor that goes backwards keeps them. */
PlannedStmt *scrollable(PlannedStmt *statement)
{
	Plan *keep = materialize_finished_plan(statement->planTree);
	ListCell *cell;
	keep->targetlist = castNode(List, copyObjectImpl(keep->targetlist));
	foreach (cell, keep->targetlist)
		reinterpret_cast<Var *>(lfirst_node(TargetEntry, cell)->expr)->varno = OUTER_VAR;
	statement->planTree = keep;
	return statement;
}

} // namespace

PlannedStmt *plan_any(Query *query, const char *text, int options, ParamListInfo params)
{
	PlanDependencies dependencies = {};
	if (!is_sharded(query, params, &dependencies))
		return plan_locally(query, text, options, params);
	leave_policies_to_shards(query, &dependencies);
	PlannedStmt *statement = plan_sharded(query, text, options, params);
	add_dependencies(statement, dependencies);
	return statement;
}

PlannedStmt *plan_below(Query *query, const char *text, int options, ParamListInfo params)
{
	return next_planner ? next_planner(query, text, options, params)
						: standard_planner(query, text, options, params);
}

PlannedStmt *plan_select(Query *query, const char *text, int options, ParamListInfo params)
{
	Facts facts;
	collect_facts(query, &facts);
	if (facts.relations == NIL)
		return plan_locally(query, text, options, params);
	const char *reason = nullptr;
	PlannedStmt *routed = plan_router(query, facts, params, &reason);
	if (routed)
		return options & CURSOR_OPT_SCROLL ? scrollable(routed) : routed;
	ereport(DEBUG2, (errmsg_internal("not a router query: %s", reason)));
	if (writes_in_with(query))
		return plan_steps(query, facts, text, options, params);
	return plan_general(query, facts, text, options, params, reason);
}

void planner_init()
{
	next_planner = planner_hook;
	planner_hook = plan_client;
	general_init();
}

} // namespace civitas::planner
