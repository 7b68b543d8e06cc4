/*
 * conflict.cpp: ON CONFLICT: what it may read and change.
 *
 * The rows of an INSERT come to the shards one by one, and ON CONFLICT runs there: what its
 * subqueries read must be there in full. WITH queries that it reads go along with each statement,
 * so those must be the same each time.
 */
#include "internal.h"

#include "civitas/deparse/query_template.h"

CIVITAS_PG_BEGIN
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

struct CteReferences
{
	List *names; /* C strings */
	int depth;
};

/* Names of the statement's WITH queries that are read there. */
bool find_cte_references(Node *node, void *context)
{
	CteReferences *references = static_cast<CteReferences *>(context);
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, find_cte_references, context);
	Query *query = castNode(Query, node);
	references->depth++;
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_CTE && static_cast<int>(rte->ctelevelsup) == references->depth)
			references->names = lappend(references->names, rte->ctename);
	}
	const bool result = pg::walk_query(query, find_cte_references, context);
	references->depth--;
	return result;
}

bool is_named(List *names, const CommonTableExpr *cte)
{
	ListCell *cell;
	foreach (cell, names)
		if (strcmp(static_cast<const char *>(lfirst(cell)), cte->ctename) == 0)
			return true;
	return false;
}

} // namespace

List *read_ctes(const Query *query, Node *node)
{
	if (query->cteList == NIL)
		return NIL;
	CteReferences references = {NIL, 0};
	find_cte_references(node, &references);
	/* They read those before them, and with RECURSIVE any other. */
	Bitmapset *looked_into = nullptr;
	bool changed = true;
	while (changed)
	{
		changed = false;
		ListCell *cell;
		foreach (cell, query->cteList)
		{
			CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);
			const int index = foreach_current_index(cell);
			if (!is_named(references.names, cte) || bms_is_member(index, looked_into))
				continue;
			looked_into = bms_add_member(looked_into, index);
			find_cte_references(cte->ctequery, &references);
			changed = true;
		}
	}
	List *result = NIL;
	ListCell *cell;
	foreach (cell, query->cteList)
		if (bms_is_member(foreach_current_index(cell), looked_into))
			result = lappend(result, lfirst(cell));
	return result;
}

namespace {

/* Whether all that is read there is on every node in full. */
bool reads_elsewhere(Node *node, void *)
{
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, reads_elsewhere, nullptr);
	Query *query = castNode(Query, node);
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_NAMEDTUPLESTORE)
			return true;
		if (rte->rtekind == RTE_RELATION &&
			(!deparse::is_sharded_rte(rte) ||
			 catalog::get_table(rte->relid).kind != catalog::TableKind::Reference))
			return true;
	}
	return pg::walk_query(query, reads_elsewhere, nullptr);
}

} // namespace

void check_conflict_reads(Query *query)
{
	Node *conflict = reinterpret_cast<Node *>(query->onConflict);
	Node *ctes = reinterpret_cast<Node *>(read_ctes(query, conflict));
	if (reads_elsewhere(conflict, nullptr) || reads_elsewhere(ctes, nullptr))
		raise_unsupported(
			"A subquery in ON CONFLICT reads tables that are not in full on every node.",
			"Use MERGE, or ask for the value first.");
	if (contain_volatile_functions(ctes) || has_local_objects(ctes))
		raise_unsupported("A WITH query that ON CONFLICT reads uses functions that are volatile, "
						  "or not on every node.",
						  "Ask for the value first.");
}

namespace {

bool is_column_of_key(const Expr *expr, const catalog::Table& table)
{
	while (IsA(expr, RelabelType))
		expr = reinterpret_cast<const RelabelType *>(expr)->arg;
	/* That of `excluded`, too, is the row's: the rows conflict because the columns are equal. */
	return IsA(expr, Var) &&
		   reinterpret_cast<const Var *>(expr)->varattno == table.distribution_attno &&
		   reinterpret_cast<const Var *>(expr)->varlevelsup == 0;
}

} // namespace

void check_conflict_action(Query *query, const Facts& facts, const catalog::Table& table)
{
	if (query->onConflict == nullptr)
		return;
	Node *action = reinterpret_cast<Node *>(query->onConflict);
	if (const char *reason = why_only_here(action))
		raise_unsupported(psprintf("ON CONFLICT runs on the shards, and %s.", reason));
	if (has_unknown_nodes(action))
		raise_unsupported("ON CONFLICT has parts that are not known to be the same on every node.");
	if (has_local_objects(action))
		raise_unsupported("ON CONFLICT uses functions that cannot run on the nodes.");
	if (contain_volatile_functions(action) && table.kind == catalog::TableKind::Reference)
		raise_unsupported(
			"Volatile functions in ON CONFLICT would give replicas different values.");
	if (query->onConflict->onConflictSet != NIL)
		refuse_unchecked_keys(table.relid, query->onConflict->onConflictSet);
	ListCell *cell;
	foreach (cell, query->onConflict->onConflictSet)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (entry->resno != table.distribution_attno || entry->resjunk)
			continue;
		if (is_column_of_key(entry->expr, table))
			continue;
		raise_unsupported("ON CONFLICT cannot change the distribution column.");
	}
}

} // namespace civitas::planner
