/*
 * subquery.cpp: subqueries in FROM, and window functions, that each shard group computes alone.
 *
 * A subquery that PostgreSQL does not make a part of the query around it (it groups, is DISTINCT, has
 * window functions, ..) is planned on its own, by the same hooks. Where all of its levels of work turned
 * out to be the shard groups' own business, its last relation is remote, and the whole subquery is one
 * more relation of the query around it: it is joined, grouped and limited there like a table. Its key
 * columns are those of its rows' shard that it returns.
 *
 * The plan then has no node for the subquery. What PostgreSQL would have taken from such nodes,
 * tables and rights at all levels, comes from tables_read() and from the statement (plan_general).
 */
#include "remote_rel.h"

CIVITAS_PG_BEGIN
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

struct Outputs
{
	List *target_list; /* of the subquery */
	Index index;	   /* in the query around it */
	bool missing;
};

Var *output_column(const TargetEntry *entry, Index index)
{
	return makeVarFromTargetEntry(static_cast<int>(index), const_cast<TargetEntry *>(entry));
}

Node *functions_to_columns(Node *node, void *context)
{
	Outputs *outputs = static_cast<Outputs *>(context);
	if (node == nullptr)
		return nullptr;
	if (!IsA(node, WindowFunc))
		return pg::mutate_children(node, functions_to_columns, context);
	ListCell *cell;
	foreach (cell, outputs->target_list)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (!entry->resjunk && equal(entry->expr, node))
			return reinterpret_cast<Node *>(output_column(entry, outputs->index));
	}
	outputs->missing = true;
	return node;
}

/*
 * Conditions like row_number() <= 3 that the planner has taken from the query around, for the node
 * that computes the windows to stop by. False where they are not over columns of the subquery.
 */
bool conditions_on_windows(PlannerInfo *subroot, Index index, List **conditions)
{
	Outputs outputs = {subroot->processed_tlist, index, false};
	*conditions = NIL;
	if (!subroot->parse->hasWindowFuncs)
		return true;
	*conditions =
		castNode(List, functions_to_columns(reinterpret_cast<Node *>(pg::window_run_conditions(
												subroot->parse, subroot->processed_tlist)),
											&outputs));
	return !outputs.missing && is_shippable(reinterpret_cast<Node *>(*conditions));
}

bool returns_nothing_shards_cannot(List *target_list)
{
	return !returns_nameless_rows(target_list) &&
		   is_shippable(reinterpret_cast<Node *>(target_list));
}

} // namespace

bool windows_are_local(PlannerInfo *root, const RemoteRel *input)
{
	ListCell *cell;
	foreach (cell, root->parse->windowClause)
	{
		const WindowClause *window = lfirst_node(WindowClause, cell);
		if (!is_shippable(window->startOffset) || !is_shippable(window->endOffset))
			return false;
		bool local = input->spread == route::Spread::Replicated;
		ListCell *column;
		foreach (column, window->partitionClause)
		{
			SortGroupClause *clause = lfirst_node(SortGroupClause, column);
			const Node *expr = get_sortgroupclause_expr(clause, root->processed_tlist);
			local |= key_of(input, const_cast<Node *>(expr)) != nullptr &&
					 tells_shards_apart(*input->anchor, clause->eqop, exprCollation(expr));
		}
		if (!local)
			return false;
	}
	return true;
}

void close_subquery(PlannerInfo *root, const RemoteRel *input, RelOptInfo *output)
{
	const Query *parse = root->parse;
	if (root->parent_root == nullptr || parse->sortClause != NIL || parse->rowMarks != NIL ||
		parse->limitCount != nullptr || parse->limitOffset != nullptr || parse->hasTargetSRFs ||
		root->init_plans != NIL || input->lock != nullptr ||
		!returns_nothing_shards_cannot(root->processed_tlist))
		return;
	RemoteRel *whole = static_cast<RemoteRel *>(palloc(sizeof(RemoteRel)));
	*whole = *input;
	set_remote_rel(output, whole);
}

RemoteRel *subquery_rel(PlannerInfo *root, RelOptInfo *rel, const RangeTblEntry *rte, Index index)
{
	PlannerInfo *subroot = rel->subroot;
	const bool whole_rows = !bms_is_empty(rel->attr_needed[-rel->min_attr]);
	if (subroot == nullptr || rte->inh || rte->security_barrier || whole_rows ||
		!bms_is_empty(rel->lateral_relids))
		return nullptr;
	RemoteRel *inside = remote_rel_of(fetch_upper_rel(subroot, UPPERREL_FINAL, nullptr));
	if (inside == nullptr)
		return nullptr;
	RemoteRel *remote = static_cast<RemoteRel *>(palloc0(sizeof(RemoteRel)));
	if (!conditions_on_windows(subroot, index, &remote->quals))
		return nullptr;
	remote->subroot = subroot;
	remote->inside = inside;
	remote->spread = inside->spread;
	remote->anchor = inside->anchor;
	remote->pruning = inside->pruning;
	remote->prune_keys = inside->prune_keys;
	remote->key_kinds = inside->key_kinds;
	remote->input_rows = inside->input_rows;
	remote->relids = remote->all_relids = bms_make_singleton(static_cast<int>(index));
	RangeTblRef *from = makeNode(RangeTblRef);
	from->rtindex = static_cast<int>(index);
	remote->from = reinterpret_cast<Node *>(from);
	ListCell *cell;
	foreach (cell, subroot->processed_tlist)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (!entry->resjunk && key_of(inside, reinterpret_cast<Node *>(entry->expr)))
			remote->keys = lappend(remote->keys, output_column(entry, index));
	}
	return remote;
}

void tables_read(PlannerInfo *root, Relids relids, TablesRead *tables)
{
	int index = -1;
	while ((index = bms_next_member(relids, index)) >= 0)
	{
		RangeTblEntry *rte = planner_rt_fetch(index, root);
		const RemoteRel *remote =
			rte->rtekind == RTE_SUBQUERY ? remote_rel_of(find_base_rel(root, index)) : nullptr;
		tables->rights = lappend(tables->rights, pg::rights_of(root->parse, rte));
		if (rte->rtekind == RTE_RELATION)
			tables->relids = list_append_unique_oid(tables->relids, rte->relid);
		if (remote != nullptr && remote->inside != nullptr)
		{
			note_hidden_tables();
			tables_read(remote->subroot, remote->inside->all_relids, tables);
		}
	}
}

} // namespace civitas::planner
