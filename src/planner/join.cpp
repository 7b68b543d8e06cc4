/*
 * join.cpp: joins that each shard group can do alone.
 *
 * PostgreSQL offers every pair of relations that may be joined. When both are remote relations and
 * route::join_is_local() agrees (colocated and equal on their keys, or the one is a reference table
 * on a side where that is right), the join is a remote relation too:
 *
 *   inner   FROM a JOIN b ON (clauses) WHERE a's and b's clauses
 *   left    FROM a LEFT JOIN b ON (clauses and b's clauses) WHERE a's clauses, and those above
 *           the join
 *   full    FROM a FULL JOIN b ON (clauses), where neither side has clauses of its own
 *   semi    FROM a WHERE EXISTS (SELECT FROM b WHERE b's clauses and clauses)
 *   anti    FROM a WHERE NOT EXISTS (the same)
 *
 * All clauses must be shippable. Placeholders (values that are computed below an outer join and may
 * become NULL in it) have no place in the remote query: such joins stay here.
 */
#include "remote_rel.h"

#include "civitas/pg/core_call.h"

CIVITAS_PG_BEGIN
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/restrictinfo.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

bool join_kind(JoinType type, route::JoinKind *kind)
{
	switch (type)
	{
	case JOIN_INNER:
		*kind = route::JoinKind::Inner;
		return true;
	case JOIN_LEFT:
		*kind = route::JoinKind::Left;
		return true;
	case JOIN_FULL:
		*kind = route::JoinKind::Full;
		return true;
	case JOIN_SEMI:
		*kind = route::JoinKind::Semi;
		return true;
	case JOIN_ANTI:
		*kind = route::JoinKind::Anti;
		return true;
	default:
		return false;
	}
}

bool has_placeholders(PlannerInfo *root, Relids relids)
{
	ListCell *cell;
	foreach (cell, root->placeholder_list)
		if (bms_is_subset(lfirst_node(PlaceHolderInfo, cell)->ph_eval_at, relids))
			return true;
	return false;
}

/* The join's own conditions, and those that apply to its result. False where one must stay here. */
bool split_conditions(const PlannerInfo *root, List *restrictlist, JoinType type, Relids relids,
					  List **on, List **above)
{
	ListCell *cell;
	foreach (cell, restrictlist)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		if (info->pseudoconstant || info->security_level > 0 ||
			!is_shippable(reinterpret_cast<Node *>(info->clause), root))
			return false;
		const bool outer = type == JOIN_LEFT || type == JOIN_FULL || type == JOIN_ANTI;
		if (outer && RINFO_IS_PUSHED_DOWN(info, relids))
			*above = lappend(*above, info->clause);
		else
			*on = lappend(*on, info->clause);
	}
	return true;
}

/* Whether the conditions hold the keys of both sides equal. */
bool joined_on_keys(const RemoteRel *outer, const RemoteRel *inner, List *on)
{
	if (outer->spread != route::Spread::Sharded || inner->spread != route::Spread::Sharded ||
		outer->anchor->colocation_id != inner->anchor->colocation_id)
		return false;
	if (outer->anchor->is_single())
		return true;
	ListCell *cell;
	foreach (cell, on)
	{
		if (!IsA(lfirst(cell), OpExpr))
			continue;
		const OpExpr *op = lfirst_node(OpExpr, cell);
		if (list_length(op->args) != 2 ||
			!tells_shards_apart(*outer->anchor, op->opno, op->inputcollid))
			continue;
		Node *left = static_cast<Node *>(linitial(op->args));
		Node *right = static_cast<Node *>(lsecond(op->args));
		if ((key_of(outer, left) && key_of(inner, right)) ||
			(key_of(outer, right) && key_of(inner, left)))
			return true;
	}
	return false;
}

void take_pruning(RemoteRel *to, const RemoteRel *from)
{
	to->pruning = from->pruning;
	to->prune_keys = from->prune_keys;
	to->key_kinds = from->key_kinds;
}

Node *join_tree(const RemoteRel *outer, const RemoteRel *inner, JoinType type, List *on)
{
	JoinExpr *join = makeNode(JoinExpr);
	join->jointype = type;
	join->larg = outer->from;
	join->rarg = inner->from;
	join->quals =
		on ? reinterpret_cast<Node *>(make_ands_explicit(on)) : makeBoolConst(true, false);
	return reinterpret_cast<Node *>(join);
}

/* The joined relation; null where this kind of join cannot be written for these sides. */
RemoteRel *join_relations(const RemoteRel *outer, const RemoteRel *inner, JoinType type, List *on,
						  List *above)
{
	RemoteRel *result = static_cast<RemoteRel *>(palloc0(sizeof(RemoteRel)));
	const bool outer_sharded = outer->spread == route::Spread::Sharded;
	const bool inner_sharded = inner->spread == route::Spread::Sharded;
	result->spread =
		outer_sharded || inner_sharded ? route::Spread::Sharded : route::Spread::Replicated;
	result->anchor = outer_sharded ? outer->anchor : inner->anchor;
	result->all_relids = bms_union(outer->all_relids, inner->all_relids);
	result->input_rows = outer->input_rows + inner->input_rows;
	result->semi_joins = outer->semi_joins;
	take_pruning(result, outer_sharded ? outer : inner);
	if (type == JOIN_INNER || type == JOIN_SEMI)
	{
		if (outer_sharded && inner_sharded && result->pruning == plan::Pruning::All)
			take_pruning(result, inner);
	}

	switch (type)
	{
	case JOIN_INNER:
		result->keys =
			list_concat_copy(outer_sharded ? outer->keys : NIL, inner_sharded ? inner->keys : NIL);
		result->relids = bms_union(outer->relids, inner->relids);
		result->from = join_tree(outer, inner, type, on);
		result->quals = list_concat_copy(outer->quals, inner->quals);
		result->semi_joins = list_concat_copy(outer->semi_joins, inner->semi_joins);
		return result;
	case JOIN_LEFT:
		if (inner->semi_joins)
			return nullptr;
		result->keys = outer->keys;
		result->relids = bms_union(outer->relids, inner->relids);
		result->from = join_tree(outer, inner, type, list_concat_copy(on, inner->quals));
		result->quals = list_concat_copy(outer->quals, above);
		return result;
	case JOIN_FULL:
		if (outer->quals || inner->quals || outer->semi_joins || inner->semi_joins)
			return nullptr;
		result->relids = bms_union(outer->relids, inner->relids);
		result->from = join_tree(outer, inner, type, on);
		result->quals = above;
		result->pruning = plan::Pruning::All;
		result->prune_keys = result->key_kinds = NIL;
		return result;
	case JOIN_SEMI:
	case JOIN_ANTI: {
		if (inner->semi_joins || above)
			return nullptr;
		SemiJoin *semi = static_cast<SemiJoin *>(palloc(sizeof(SemiJoin)));
		*semi = {inner, on, type == JOIN_ANTI};
		result->keys = outer->keys;
		result->relids = outer->relids;
		result->from = outer->from;
		result->quals = outer->quals;
		result->semi_joins = lappend(list_copy(outer->semi_joins), semi);
		return result;
	}
	default:
		return nullptr;
	}
}

/* Semi and anti joins deliver nothing of their inner side. */
bool needs_inner_columns(PlannerInfo *root, RelOptInfo *join, Relids inner)
{
	return bms_overlap(pull_varnos(root, reinterpret_cast<Node *>(join->reltarget->exprs)), inner);
}

} // namespace

void join_paths(PlannerInfo *root, RelOptInfo *join, RelOptInfo *outer_rel, RelOptInfo *inner_rel,
				JoinType type, JoinPathExtraData *extra)
{
	const RemoteRel *outer = remote_rel_of(outer_rel);
	const RemoteRel *inner = remote_rel_of(inner_rel);
	route::JoinKind kind;
	if (outer == nullptr || inner == nullptr || remote_rel_of(join) || outer->target ||
		inner->target || !join_kind(type, &kind) || !bms_is_empty(join->lateral_relids) ||
		has_placeholders(root, join->relids))
		return;
	if ((type == JOIN_SEMI || type == JOIN_ANTI) &&
		needs_inner_columns(root, join, inner_rel->relids))
		return;
	List *on = NIL;
	List *above = NIL;
	if (!split_conditions(root, extra->restrictlist, type, join->relids, &on, &above))
		return;
	const bool on_keys = joined_on_keys(outer, inner, on);
	bool local = false;
	pg::call_core(
		[&] { local = route::join_is_local(kind, outer->spread, inner->spread, on_keys); });
	if (!local)
		return;
	RemoteRel *remote = join_relations(outer, inner, type, on, above);
	if (remote == nullptr)
		return;
	set_remote_rel(join, remote);
	add_path(join, reinterpret_cast<Path *>(
					   make_remote_path(root, join, remote, join->reltarget, join->rows)));
}

} // namespace civitas::planner
