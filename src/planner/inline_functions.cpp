/*
 * inline_functions.cpp: SQL functions in FROM as subqueries.
 *
 * PostgreSQL's planner turns a call of a simple SQL function in FROM into a subquery, after the
 * planner hook has looked for distributed tables. Where the function's body reads one, it is done
 * before, by PostgreSQL's own code and rules; the body's functions too. All others are left to
 * PostgreSQL.
 */
#include "internal.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

struct Inliner
{
	PlannerInfo *root; /* collects what the plan depends on; null until needed */
	ParamListInfo params;
	bool found;
};
CIVITAS_SERVER_STATE(Inliner);

void inline_in(Query *query, Inliner *inliner);

bool sublink_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		inline_in(castNode(Query, node), static_cast<Inliner *>(context));
		return false;
	}
	return pg::walk_children(node, sublink_walker, context);
}

/* A function that PostgreSQL may inline; it decides by more. */
bool may_be_inlined(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	const Form_pg_proc form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
	const bool may = form->prolang == SQLlanguageId && form->proretset && !form->prosecdef &&
					 form->provolatile != PROVOLATILE_VOLATILE;
	ReleaseSysCache(tuple);
	return may;
}

/* A subquery's alias names its columns, which are those of the function; dropped ones have none. */
void name_columns(RangeTblEntry *rte)
{
	List *names = NIL;
	ListCell *cell;
	foreach (cell, rte->eref->colnames)
	{
		char *name = strVal(lfirst(cell));
		if (name[0] == '\0')
			name = psprintf("........dropped.%d........", foreach_current_index(cell) + 1);
		names = lappend(names, makeString(pstrdup(name)));
	}
	rte->eref = makeAlias(rte->eref->aliasname, names);
	rte->alias = makeAlias(rte->eref->aliasname, names);
}

void inline_function(RangeTblEntry *rte, Inliner *inliner)
{
	if (rte->funcordinality || list_length(rte->functions) != 1)
		return;
	const Node *call = linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	if (!IsA(call, FuncExpr) || !may_be_inlined(reinterpret_cast<const FuncExpr *>(call)->funcid))
		return;
	if (inliner->root == nullptr)
	{
		inliner->root = makeNode(PlannerInfo);
		inliner->root->glob = makeNode(PlannerGlobal);
		inliner->root->glob->boundParams = inliner->params;
	}
	RangeTblEntry *copy = static_cast<RangeTblEntry *>(copyObjectImpl(rte));
	/* As the planner does: the arguments that the call leaves out are put in. */
	copy->functions = castNode(
		List, eval_const_expressions(inliner->root, reinterpret_cast<Node *>(copy->functions)));
	Query *body = inline_set_returning_function(inliner->root, copy);
	if (body == nullptr)
		return;
	inline_in(body, inliner);
	if (!mentions_sharded(body))
		return;
	inliner->found = true;
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = body;
	rte->security_barrier = false;
	rte->functions = NIL;
	name_columns(rte);
}

void inline_in(Query *query, Inliner *inliner)
{
	check_stack_depth();
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_FUNCTION)
			inline_function(rte, inliner);
		else if (rte->rtekind == RTE_SUBQUERY)
			inline_in(rte->subquery, inliner);
	}
	foreach (cell, query->cteList)
		inline_in(castNode(Query, lfirst_node(CommonTableExpr, cell)->ctequery), inliner);
	if (query->hasSubLinks)
		pg::walk_query(query, sublink_walker, inliner,
					   QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES);
}

} // namespace

bool inline_functions(Query *query, ParamListInfo params, PlanDependencies *dependencies)
{
	Inliner inliner = {nullptr, params, false};
	inline_in(query, &inliner);
	if (inliner.found)
	{
		dependencies->items = list_concat(dependencies->items, inliner.root->glob->invalItems);
		dependencies->role |= inliner.root->glob->dependsOnRole;
	}
	return inliner.found;
}

void add_dependencies(PlannedStmt *statement, const PlanDependencies& dependencies)
{
	statement->invalItems = list_concat(statement->invalItems, dependencies.items);
	statement->dependsOnRole |= dependencies.role;
}

} // namespace civitas::planner
