/*
 * inline_ctes.cpp: WITH queries as subqueries.
 *
 * PostgreSQL's planner does the same, by the same rule: not MATERIALIZED, referred to once (or NOT
 * MATERIALIZED), a SELECT that is not recursive, changes nothing and calls no volatile function. It
 * is done before the statement is looked at, so that what holds for the rows of a WITH query, such
 * as the value of its distribution column, is known inside of it.
 */
#include "internal.h"

CIVITAS_PG_BEGIN
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

bool changes_data(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		Query *query = castNode(Query, node);
		if (query->commandType != CMD_SELECT || query->rowMarks != NIL)
			return true;
		return pg::walk_query(query, changes_data, context);
	}
	return pg::walk_children(node, changes_data, context);
}

bool can_inline(const CommonTableExpr *cte)
{
	if (cte->ctematerialized == CTEMaterializeAlways || cte->cterecursive ||
		cte->cterefcount == 0 ||
		(cte->ctematerialized == CTEMaterializeDefault && cte->cterefcount != 1))
		return false;
	return !changes_data(cte->ctequery, nullptr) && !contain_volatile_functions(cte->ctequery);
}

struct Replacement
{
	const CommonTableExpr *cte;
	int depth; /* levels below the one that has the WITH */
};

bool replace_references(Node *node, void *context)
{
	Replacement *replacement = static_cast<Replacement *>(context);
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, replace_references, context);

	Query *query = castNode(Query, node);
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind != RTE_CTE || static_cast<int>(rte->ctelevelsup) != replacement->depth ||
			strcmp(rte->ctename, replacement->cte->ctename) != 0)
			continue;
		Query *body = static_cast<Query *>(copyObjectImpl(replacement->cte->ctequery));
		if (replacement->depth > 0)
			IncrementVarSublevelsUp(reinterpret_cast<Node *>(body), replacement->depth, 1);
		rte->rtekind = RTE_SUBQUERY;
		rte->subquery = body;
		rte->security_barrier = false;
		rte->ctename = nullptr;
		rte->ctelevelsup = 0;
		rte->self_reference = false;
		rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
	}
	replacement->depth++;
	const bool result = pg::walk_query(query, replace_references, context);
	replacement->depth--;
	return result;
}

/* Only the levels of the statement's own FROM: what is in a WITH query is its own statement. */
bool inline_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, inline_walker, context);
	Query *query = castNode(Query, node);
	for (int index = 0; index < list_length(query->cteList);)
	{
		CommonTableExpr *cte = list_nth_node(CommonTableExpr, query->cteList, index);
		if (!can_inline(cte))
		{
			index++;
			continue;
		}
		query->cteList = list_delete_nth_cell(query->cteList, index);
		Replacement replacement = {cte, 0};
		replace_references(node, &replacement);
	}
	return pg::walk_query(query, inline_walker, context);
}

} // namespace

void inline_ctes(Query *query)
{
	inline_walker(reinterpret_cast<Node *>(query), nullptr);
}

} // namespace civitas::planner
