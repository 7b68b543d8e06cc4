/*
 * row_locks.cpp: FOR UPDATE and its kin in statements that PostgreSQL's planner plans for us.
 *
 * Rows of shards are locked there, by the scans that read them. PostgreSQL's planner must not know:
 * it would look locked rows up once more, in the shell. So the row marks of sharded tables are taken
 * out of the query, and kept beside it until the scans are made.
 *
 * A mark names a range table index of one query level. So that both stay what they are, a level
 * that had marks stays a level of its own, as PostgreSQL has it for most of those: a subquery with
 * hasForUpdate is not pulled up, EXISTS gets an OFFSET 0, WITH is not inlined.
 * The planner copies subqueries; a copy is known by its queryId, which nobody else uses below the
 * top.
 */
#include "remote_rel.h"

#include "civitas/deparse/query_template.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
CIVITAS_PG_END

namespace civitas::planner {

/* The marks of one query level. */
struct LockedLevel
{
	uint64 query_id; /* 0: the top */
	List *marks;	 /* RowMarkClauses of sharded tables */
};
CIVITAS_SERVER_STATE(LockedLevel);

namespace {

struct Taking
{
	const Query *top;
	List *levels; /* LockedLevel pointers */
};

void take_marks(Query *query, Taking *taking)
{
	/* A query over local tables only is PostgreSQL's. */
	if (query->rowMarks == NIL || !mentions_sharded(query))
		return;
	LockedLevel *level = static_cast<LockedLevel *>(palloc0(sizeof(LockedLevel)));
	ListCell *cell;
	foreach (cell, list_copy(query->rowMarks))
	{
		RowMarkClause *mark = lfirst_node(RowMarkClause, cell);
		const RangeTblEntry *rte = rt_fetch(mark->rti, query->rtable);
		if (deparse::is_sharded_rte(rte))
		{
			/* Of the query for the shards it is a mark like any other. */
			mark->pushedDown = false;
			level->marks = lappend(level->marks, mark);
		}
		else if (rte->rtekind == RTE_RELATION)
			lock_rows_first(query, mark);
	}
	query->rowMarks = NIL;
	taking->levels = lappend(taking->levels, level);
	if (query == taking->top)
	{
		query->hasForUpdate = false;
		return;
	}
	query->hasForUpdate = true;
	level->query_id = static_cast<uint64>(list_length(taking->levels));
	query->queryId = level->query_id;
}

bool take_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		take_marks(castNode(Query, node), static_cast<Taking *>(context));
		return pg::walk_query(castNode(Query, node), take_walker, context);
	}
	if (IsA(node, CommonTableExpr))
	{
		CommonTableExpr *cte = castNode(CommonTableExpr, node);
		if (castNode(Query, cte->ctequery)->rowMarks != NIL)
			cte->ctematerialized = CTEMaterializeAlways;
	}
	else if (IsA(node, SubLink) && castNode(SubLink, node)->subLinkType == EXISTS_SUBLINK)
	{
		Query *query = castNode(Query, castNode(SubLink, node)->subselect);
		if (query->rowMarks != NIL && query->limitOffset == nullptr)
			query->limitOffset = reinterpret_cast<Node *>(
				makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, true));
	}
	return pg::walk_children(node, take_walker, context);
}

} // namespace

List *take_row_locks(Query *query)
{
	Taking taking = {query, NIL};
	take_walker(reinterpret_cast<Node *>(query), &taking);
	return taking.levels;
}

RowMarkClause *row_lock_of(const List *levels, const PlannerInfo *root, Index index)
{
	const uint64 query_id = root->parent_root == nullptr ? 0 : root->parse->queryId;
	if (root->parent_root != nullptr && query_id == 0)
		return nullptr;
	ListCell *cell;
	ListCell *mark;
	foreach (cell, levels)
	{
		const LockedLevel *level = static_cast<const LockedLevel *>(lfirst(cell));
		foreach (mark, level->query_id == query_id ? level->marks : NIL)
			if (lfirst_node(RowMarkClause, mark)->rti == index)
				return lfirst_node(RowMarkClause, mark);
	}
	return nullptr;
}

bool waits_for_rows(const List *marks)
{
	ListCell *cell;
	foreach (cell, marks)
	{
		const RowMarkClause *mark = lfirst_node(RowMarkClause, cell);
		if (mark->strength >= LCS_FORNOKEYUPDATE && mark->waitPolicy == LockWaitBlock)
			return true;
	}
	return false;
}

} // namespace civitas::planner
