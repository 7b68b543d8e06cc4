/*
 * insert_shards.cpp: INSERT .. SELECT that shard groups do on their own.
 *
 * The distribution column of the target is the one of a colocated table that the SELECT reads, and
 * all tables of the SELECT are joined on theirs (pinning.cpp decides): then the rows that a shard
 * group selects are those that it stores, and the statement is one task for each, with ON CONFLICT
 * and RETURNING. Where all of them, or a constant of the target list, are one value, it is one
 * task.
 *
 * The SELECT becomes a subquery that computes every column of the INSERT, defaults included: now()
 * is a parameter, so all shards get the same.
 */
#include "internal.h"

#include "civitas/deparse/query_template.h"

CIVITAS_PG_BEGIN
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

/* A SELECT that computes its target list once for each of its rows, and for nothing else. */
bool is_row_by_row(const Query *select)
{
	return select->commandType == CMD_SELECT && select->setOperations == nullptr &&
		   select->distinctClause == NIL && select->groupClause == NIL &&
		   select->groupingSets == NIL && select->sortClause == NIL && !select->hasAggs &&
		   !select->hasWindowFuncs && !select->hasTargetSRFs && !select->hasSubLinks;
}

/*
 * Volatile functions elsewhere than in values that are computed once for each row: they would be
 * evaluated on every shard group where the statement has them once.
 */
bool has_other_volatile(Query *query, List *columns)
{
	Query *rest = static_cast<Query *>(copyObjectImpl(query));
	rest->targetList = NIL;
	rest->returningList = NIL;
	rest->onConflict = nullptr;
	ListCell *cell;
	foreach (cell, rest->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_SUBQUERY && is_row_by_row(rte->subquery))
			rte->subquery->targetList = NIL;
	}
	if (contain_volatile_functions(reinterpret_cast<Node *>(rest)))
		return true;
	return query->hasSubLinks && contain_volatile_functions(reinterpret_cast<Node *>(columns));
}

const char *why_not_alone(Query *query, List *columns, const Facts& facts,
						  const catalog::Table& table)
{
	Facts own = facts;
	if (own.here != nullptr)
		own.here = why_here_unless_random(reinterpret_cast<Node *>(query));
	if (const char *reason = why_not_shipped(own))
		return reason;
	if (deparse::assigns_parts(reinterpret_cast<Node *>(columns)))
		return "it sets parts of columns";
	if (facts.locks)
		return "it locks rows";
	if (facts.volatile_functions && has_other_volatile(query, columns))
		return "it uses volatile functions";
	if (table.kind == catalog::TableKind::Reference)
		return "its target is a reference table";
	for (int index = 0; index < table.shard_count; index++)
		if (table.placements_of(index).size() != 1)
			return "the target's shards have several placements";
	return nullptr;
}

struct CteMove
{
	int depth;
};

/* The WITH queries that are read there are a level further up. */
bool raise_cte_levels(Node *node, void *context)
{
	CteMove *move = static_cast<CteMove *>(context);
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, raise_cte_levels, context);
	Query *query = castNode(Query, node);
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_CTE && static_cast<int>(rte->ctelevelsup) == move->depth)
			rte->ctelevelsup++;
	}
	move->depth++;
	const bool result = pg::walk_query(query, raise_cte_levels, context);
	move->depth--;
	return result;
}

/* INSERT INTO target (columns) SELECT .. as the shards run it. */
Query *shard_insert(Query *query, List *columns, const catalog::Table& table)
{
	Query *shipped = static_cast<Query *>(copyObjectImpl(query));
	adapt_insert(shipped, columns, table);
	ListCell *cell;
	foreach (cell, shipped->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_RELATION)
			continue;
		RangeTblEntry *unused = makeNode(RangeTblEntry);
		unused->rtekind = RTE_RESULT;
		unused->eref = makeAlias("unused", NIL);
		lfirst(cell) = unused;
	}
	shipped->hasModifyingCTE = false;

	RangeTblEntry *source = makeNode(RangeTblEntry);
	source->rtekind = RTE_SUBQUERY;
	source->subquery = insert_select_source(query, columns);
	/* WITH stays where ON CONFLICT sees it, too. */
	source->subquery->cteList = NIL;
	CteMove move = {0};
	raise_cte_levels(reinterpret_cast<Node *>(source->subquery), &move);
	source->eref = makeAlias("selected", NIL);
	source->inFromCl = true;
	shipped->rtable = lappend(shipped->rtable, source);
	const int index = list_length(shipped->rtable);
	RangeTblRef *from = makeNode(RangeTblRef);
	from->rtindex = index;
	shipped->jointree = makeFromExpr(list_make1(from), nullptr);

	shipped->targetList = NIL;
	foreach (cell, columns)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		const AttrNumber number = static_cast<AttrNumber>(foreach_current_index(cell) + 1);
		Node *expr = reinterpret_cast<Node *>(entry->expr);
		Var *var = makeVar(index, number, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
		source->eref->colnames =
			lappend(source->eref->colnames, makeString(pstrdup(entry->resname)));
		shipped->targetList =
			lappend(shipped->targetList, makeTargetEntry(reinterpret_cast<Expr *>(var),
														 entry->resno, entry->resname, false));
	}
	return shipped;
}

} // namespace

PlannedStmt *plan_insert_shards(Query *query, List *columns, const Facts& facts,
								const catalog::Table& table, const char **reason)
{
	*reason = why_not_alone(query, columns, facts, table);
	if (*reason)
		return nullptr;
	Node *key = nullptr;
	ListCell *cell;
	foreach (cell, columns)
		if (lfirst_node(TargetEntry, cell)->resno == table.distribution_attno)
			key = reinterpret_cast<Node *>(lfirst_node(TargetEntry, cell)->expr);
	const Placement placement = place_insert_select(query, key);
	*reason = placement.reason;
	if (!placement.ok)
		return nullptr;

	plan::RemoteQuery *remote = plan::make_remote_query();
	remote->on_conflict = query->onConflict != nullptr;
	remote->read_only = false;
	remote->anchor = table.relid;
	remote->target = plan::Target::ShardGroups;
	remote->tier = plan::Tier::Pushdown;
	List *keys = NIL;
	if (placement.nothing)
		remote->pruning = plan::Pruning::Nothing;
	else if (placement.key)
	{
		remote->tier = plan::Tier::Router;
		remote->pruning = plan::Pruning::Keys;
		keys = list_make1(expression_planner(placement.key));
		remote->key_kinds = list_make1_int(static_cast<int>(placement.key_kind));
	}
	Parameters parameters;
	Query *shipped = castNode(
		Query, extract_parameters(reinterpret_cast<Node *>(shard_insert(query, columns, table)),
								  &parameters));
	const deparse::QueryTemplate text = deparse::make_query_template(shipped);
	remote->pieces = text.pieces;
	remote->holes = text.holes;
	remote->parameter_types = parameters.types;
	return make_statement(query, remote, query->returningList, parameters.exprs, keys, NIL, facts);
}

} // namespace civitas::planner
