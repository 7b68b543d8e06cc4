/*
 * remote_path.cpp: from a remote relation to a CustomPath, and from that to the CustomScan with its
 * SQL.
 *
 * Only the path that the planner chose is turned into SQL. The query is built as a Query over a
 * copy of the planner's range table (same indexes, so that expressions need no change; entries that
 * are not used are empty, joins are appended) and goes through the same template as the router's.
 * What the remote query returns is custom_scan_tlist; PostgreSQL computes the path's target and the
 * conditions that could not be shipped from it.
 */
#include "remote_rel.h"

#include "civitas/deparse/collations.h"
#include "civitas/deparse/query_template.h"
#include "civitas/executor/scan.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

/* A round trip to the nodes, and a row through the network, in the planner's cost units. */
constexpr double ROUND_TRIP_COST = 25.0;
constexpr double ROW_TRANSFER_COST = 0.1;

/* --- the query -------------------------------------------------------------------------------- */

/* Appends the range table entry that a JoinExpr needs to be printed; returns its columns as Vars.
 */
void finish_joins(Node *node, List **rtable, List **names, List **vars)
{
	if (IsA(node, RangeTblRef))
	{
		const int index = castNode(RangeTblRef, node)->rtindex;
		pg::expand_columns(rt_fetch(index, *rtable), index, names, vars);
		return;
	}
	JoinExpr *join = castNode(JoinExpr, node);
	List *left_names;
	List *left_vars;
	List *right_names;
	List *right_vars;
	finish_joins(join->larg, rtable, &left_names, &left_vars);
	finish_joins(join->rarg, rtable, &right_names, &right_vars);

	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_JOIN;
	rte->jointype = join->jointype;
	rte->joinmergedcols = 0;
	const auto columns = [](Node *side, List *side_vars) {
		List *result = NIL;
		ListCell *cell;
		foreach (cell, side_vars)
			result = lappend_int(result, IsA(side, RangeTblRef) ? lfirst_node(Var, cell)->varattno
																: foreach_current_index(cell) + 1);
		return result;
	};
	rte->joinleftcols = columns(join->larg, left_vars);
	rte->joinrightcols = columns(join->rarg, right_vars);
	rte->joinaliasvars = list_concat_copy(left_vars, right_vars);
	rte->eref = makeAlias("unnamed_join", list_concat_copy(left_names, right_names));
	rte->inFromCl = true;
	*rtable = lappend(*rtable, rte);
	join->rtindex = list_length(*rtable);
	*names = list_copy(rte->eref->colnames);
	*vars = list_copy(rte->joinaliasvars);
}

/* The planner's Vars remember the join alias they were written as; the query has other joins. */
Node *forget_syntax(Node *node, void *)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var))
	{
		Var *var = static_cast<Var *>(copyObjectImpl(node));
		var->varnosyn = var->varno;
		var->varattnosyn = var->varattno;
		return reinterpret_cast<Node *>(var);
	}
	if (IsA(node, Query))
		return reinterpret_cast<Node *>(
			pg::mutate_query(castNode(Query, node), forget_syntax, nullptr));
	return pg::mutate_children(node, forget_syntax, nullptr);
}

Node *query_expression(Node *node)
{
	return forget_syntax(node, nullptr);
}

Query *build_query(PlannerInfo *root, RemoteRel *remote, List *clauses, List *target_list);

/* The query of a subquery that shard groups compute; null for one that is as it was written. */
Query *inner_query(PlannerInfo *root, int index)
{
	const RemoteRel *remote = remote_rel_of(find_base_rel(root, index));
	if (remote == nullptr || remote->inside == nullptr)
		return nullptr;
	return build_query(remote->subroot, remote->inside, NIL,
					   static_cast<List *>(copyObjectImpl(remote->subroot->processed_tlist)));
}

List *query_range_table(PlannerInfo *root, Relids relids)
{
	List *rtable = NIL;
	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		RangeTblEntry *copy = makeNode(RangeTblEntry);
		if (bms_is_member(i, relids))
		{
			*copy = *planner_rt_fetch(i, root);
			copy->securityQuals = NIL;
			/* A table of a LATERAL subquery that is one with the query around it. */
			copy->lateral = false;
			/* The rows of a partitioned table's shard are in its partitions. */
			if (copy->rtekind == RTE_RELATION)
				copy->inh = get_rel_relkind(copy->relid) == RELKIND_PARTITIONED_TABLE;
			else if (copy->rtekind == RTE_SUBQUERY)
				copy->subquery = inner_query(root, i);
		}
		else
		{
			copy->rtekind = RTE_RESULT;
			copy->eref = makeAlias("unused", NIL);
		}
		rtable = lappend(rtable, copy);
	}
	return rtable;
}

/* Columns of the query around an EXISTS are one level up in it. */
Node *raise_outer_columns(Node *node, void *context)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var) && !bms_is_member(castNode(Var, node)->varno, static_cast<Relids>(context)))
	{
		Var *var = static_cast<Var *>(copyObjectImpl(node));
		var->varlevelsup++;
		return reinterpret_cast<Node *>(var);
	}
	return pg::mutate_children(node, raise_outer_columns, context);
}

Node *exists_clause(PlannerInfo *root, const SemiJoin *semi)
{
	const RemoteRel *inner = semi->inner;
	Query *query = makeNode(Query);
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = query_range_table(root, inner->relids);
	Node *from = query_expression(inner->from);
	List *names;
	List *vars;
	finish_joins(from, &query->rtable, &names, &vars);
	List *quals = list_concat_copy(inner->quals, semi->clauses);
	Node *condition =
		quals ? query_expression(reinterpret_cast<Node *>(make_ands_explicit(quals))) : nullptr;
	query->jointree = makeFromExpr(list_make1(from), raise_outer_columns(condition, inner->relids));
	Const *one = makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true);
	query->targetList =
		list_make1(makeTargetEntry(reinterpret_cast<Expr *>(one), 1, pstrdup("one"), false));

	SubLink *link = makeNode(SubLink);
	link->subLinkType = EXISTS_SUBLINK;
	link->subselect = reinterpret_cast<Node *>(query);
	link->location = -1;
	return semi->anti ? reinterpret_cast<Node *>(make_notclause(reinterpret_cast<Expr *>(link)))
					  : reinterpret_cast<Node *>(link);
}

/* What the query groups, partitions or sorts by and does not return. */
void add_referred_columns(PlannerInfo *root, Query *query)
{
	List *clauses = list_copy(query->groupClause);
	ListCell *cell;
	foreach (cell, query->windowClause)
	{
		const WindowClause *window = lfirst_node(WindowClause, cell);
		clauses = list_concat(clauses, window->partitionClause);
		clauses = list_concat(clauses, window->orderClause);
	}
	foreach (cell, clauses)
	{
		const Index ref = lfirst_node(SortGroupClause, cell)->tleSortGroupRef;
		ListCell *column;
		bool found = false;
		foreach (column, query->targetList)
			found |= lfirst_node(TargetEntry, column)->ressortgroupref == ref;
		if (found)
			continue;
		TargetEntry *entry = static_cast<TargetEntry *>(
			copyObjectImpl(get_sortgroupref_tle(ref, root->processed_tlist)));
		entry->expr =
			reinterpret_cast<Expr *>(query_expression(reinterpret_cast<Node *>(entry->expr)));
		entry->resno = static_cast<AttrNumber>(list_length(query->targetList) + 1);
		entry->resname = nullptr;
		entry->resjunk = true;
		query->targetList = lappend(query->targetList, entry);
	}
}

Query *build_query(PlannerInfo *root, RemoteRel *remote, List *clauses, List *target_list)
{
	Query *query = makeNode(Query);
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = query_range_table(root, remote->relids);
	Node *from = query_expression(remote->from);
	List *names;
	List *vars;
	finish_joins(from, &query->rtable, &names, &vars);
	List *quals = list_concat_copy(remote->quals, clauses);
	quals = quals ? castNode(List, query_expression(reinterpret_cast<Node *>(quals))) : NIL;
	ListCell *cell;
	foreach (cell, remote->semi_joins)
		quals = lappend(quals, exists_clause(root, static_cast<SemiJoin *>(lfirst(cell))));
	query->hasSubLinks = remote->semi_joins != NIL;
	query->jointree = makeFromExpr(
		list_make1(from), quals ? reinterpret_cast<Node *>(make_ands_explicit(quals)) : nullptr);
	query->targetList = castNode(List, query_expression(reinterpret_cast<Node *>(target_list)));
	query->groupClause = remote->group_clause;
	if (remote->having)
		query->havingQual =
			query_expression(reinterpret_cast<Node *>(make_ands_explicit(remote->having)));
	/* Where nobody wants the aggregates, the rows are one group all the same. */
	else if (remote->grouped && remote->group_clause == NIL)
		query->havingQual = makeBoolConst(true, false);
	query->hasAggs = remote->grouped;
	if (remote->windowed)
	{
		query->hasWindowFuncs = true;
		query->windowClause =
			castNode(List, query_expression(reinterpret_cast<Node *>(root->parse->windowClause)));
	}
	query->distinctClause = remote->distinct_clause;
	query->sortClause = remote->sort_clause;
	add_referred_columns(root, query);
	query->limitCount = remote->limit;
	query->limitOption = LIMIT_OPTION_COUNT;
	if (remote->lock)
	{
		query->rowMarks = list_make1(copyObjectImpl(remote->lock));
		query->hasForUpdate = true;
	}
	return query;
}

/* --- columns ---------------------------------------------------------------------------------- */

void add_column(List **target_list, Node *expr, Index sort_group_ref)
{
	ListCell *cell;
	foreach (cell, *target_list)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (!equal(entry->expr, expr))
			continue;
		if (sort_group_ref == 0 || entry->ressortgroupref == sort_group_ref)
			return;
		if (entry->ressortgroupref == 0)
		{
			entry->ressortgroupref = sort_group_ref;
			return;
		}
	}
	TargetEntry *entry =
		makeTargetEntry(static_cast<Expr *>(copyObjectImpl(expr)),
						static_cast<AttrNumber>(list_length(*target_list) + 1), nullptr, false);
	entry->ressortgroupref = sort_group_ref;
	*target_list = lappend(*target_list, entry);
}

/* Plain columns that the relation's target and the conditions evaluated here need; those of other
 * relations (LATERAL) are parameters of the plan. */
List *needed_columns(RelOptInfo *rel, PathTarget *target, List *local_clauses)
{
	constexpr int flags =
		PVC_RECURSE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_RECURSE_PLACEHOLDERS;
	List *vars = pull_var_clause(reinterpret_cast<Node *>(rel->reltarget->exprs), flags);
	vars = list_concat(vars, pull_var_clause(reinterpret_cast<Node *>(target->exprs), flags));
	vars = list_concat(vars, pull_var_clause(reinterpret_cast<Node *>(local_clauses), flags));
	List *result = NIL;
	ListCell *cell;
	foreach (cell, vars)
	{
		const Var *var = static_cast<const Var *>(lfirst(cell));
		if (!IsA(var, Var) || bms_is_member(static_cast<int>(var->varno), rel->relids))
			add_column(&result, static_cast<Node *>(lfirst(cell)), 0);
	}
	return result;
}

List *target_columns(PathTarget *target)
{
	List *result = NIL;
	ListCell *cell;
	int index = 0;
	foreach (cell, target->exprs)
	{
		add_column(&result, static_cast<Node *>(lfirst(cell)),
				   get_pathtarget_sortgroupref(target, index));
		index++;
	}
	return result;
}

/* --- the plan --------------------------------------------------------------------------------- */

void split_clauses(const PlannerInfo *root, const RelOptInfo *rel, List *clauses, List **shipped,
				   List **local)
{
	*shipped = *local = NIL;
	ListCell *cell;
	foreach (cell, clauses)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		if (info->pseudoconstant)
			continue; /* a gating Result above us checks it */
		/* What may leak rows that a security barrier hides runs after the barrier: here. */
		if (info->security_level == 0 && bms_is_subset(info->clause_relids, rel->relids) &&
			is_shippable(reinterpret_cast<Node *>(info->clause), root))
			*shipped = lappend(*shipped, info->clause);
		else
			*local = lappend(*local, info->clause);
	}
}

/* Columns of other relations, and parameters of the plan, as parameters of the remote query. */
Node *plan_values_mutator(Node *node, void *parameters)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var) || (IsA(node, Param) && castNode(Param, node)->paramkind != PARAM_EXTERN))
		return add_parameter(static_cast<Parameters *>(parameters), reinterpret_cast<Expr *>(node));
	return pg::mutate_children(node, plan_values_mutator, parameters);
}

void extract_sample_parameters(Query *query, Parameters *parameters)
{
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_RELATION && rte->tablesample != nullptr)
			rte->tablesample = castNode(
				TableSampleClause,
				plan_values_mutator(reinterpret_cast<Node *>(rte->tablesample), parameters));
	}
}

/* Remote aggregates: as the nodes must compute them, see upper.cpp. */
List *remote_columns(List *target_list)
{
	List *result = NIL;
	ListCell *cell;
	foreach (cell, target_list)
	{
		TargetEntry *entry = static_cast<TargetEntry *>(copyObjectImpl(lfirst(cell)));
		entry->resname = psprintf("c%d", entry->resno);
		entry->expr = reinterpret_cast<Expr *>(
			remote_partial_aggregates(reinterpret_cast<Node *>(entry->expr)));
		result = lappend(result, entry);
	}
	return result;
}

/* How the executor merges the sorted rows of the tasks. */
void set_merge_order(plan::RemoteQuery *remote, const RemoteRel *relation, List *columns)
{
	ListCell *cell;
	foreach (cell, relation->sort_clause)
	{
		const SortGroupClause *clause = lfirst_node(SortGroupClause, cell);
		const TargetEntry *column =
			get_sortgroupclause_tle(const_cast<SortGroupClause *>(clause), columns);
		remote->merge_columns = lappend_int(remote->merge_columns, column->resno);
		remote->merge_operators = lappend_oid(remote->merge_operators, clause->sortop);
		remote->merge_collations = lappend_oid(
			remote->merge_collations, exprCollation(reinterpret_cast<const Node *>(column->expr)));
		remote->merge_nulls_first = lappend_int(remote->merge_nulls_first, clause->nulls_first);
	}
}

Plan *plan_remote_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *custom_plans)
{
	RemoteRel *relation = static_cast<RemoteRel *>(linitial(path->custom_private));
	List *shipped;
	List *local;
	split_clauses(root, rel, clauses, &shipped, &local);

	List *columns = relation->target ? target_columns(relation->target)
									 : needed_columns(rel, path->path.pathtarget, local);
	if (columns == NIL)
	{
		/* Rows without columns: count(*) over rows that are brought here. */
		Const *one =
			makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true);
		add_column(&columns, reinterpret_cast<Node *>(one), 0);
	}

	plan::RemoteQuery *remote = plan::make_remote_query();
	Parameters parameters;
	Query *query = build_query(root, relation, shipped, remote_columns(columns));
	query = castNode(Query, extract_parameters(reinterpret_cast<Node *>(query), &parameters));
	extract_sample_parameters(query, &parameters);
	query = deparse::keep_collations(query);
	const deparse::QueryTemplate text = deparse::make_query_template(query);

	CustomScan *scan = makeNode(CustomScan);
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = local;
	scan->custom_scan_tlist = columns;
	scan->flags = path->flags;
	scan->methods = &executor::remote_scan_methods;
	plan::set_remote_query(scan, remote, parameters.exprs,
						   static_cast<List *>(copyObjectImpl(relation->prune_keys)), NIL);

	remote->tier =
		relation->target || relation->inside || bms_membership(relation->all_relids) == BMS_MULTIPLE
			? plan::Tier::Pushdown
			: plan::Tier::General;
	remote->target = relation->spread == route::Spread::Replicated ? plan::Target::AnyReplica
																   : plan::Target::ShardGroups;
	if (relation->lock)
	{
		remote->read_only = false;
		remote->waits_for_rows = waits_for_rows(list_make1(relation->lock));
		/* Where writers begin. */
		if (relation->spread == route::Spread::Replicated)
			remote->target = plan::Target::AllReplicas;
	}
	remote->pruning = relation->pruning;
	remote->key_kinds = relation->key_kinds;
	remote->anchor = relation->anchor->relid;
	remote->pieces = text.pieces;
	remote->holes = text.holes;
	remote->parameter_types = parameters.types;
	if (relation->merged)
		set_merge_order(remote, relation, columns);
	remote->binary_results = binary_capable(columns);
	TablesRead tables = {};
	tables_read(root, relation->all_relids, &tables);
	remote->relations = tables.relids;
	const bool by_place =
		relation->lock != nullptr && reads_places(reinterpret_cast<Node *>(columns));
	root->glob->dependsOnRole |= by_place || through_views(tables.rights);
	remote->run_as = (by_place ? role_for_places
							   : role_for_shards)(tables.rights, reinterpret_cast<Node *>(query));
	return &scan->scan.plan;
}

const CustomPathMethods remote_path_methods = {"CitusRemotePath", plan_remote_path, nullptr};

} // namespace

CustomPath *make_remote_path(PlannerInfo *root, RelOptInfo *rel, RemoteRel *remote,
							 PathTarget *target, double rows)
{
	CustomPath *path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = target;
	/* What a LATERAL subquery takes from other relations is computed from their rows. */
	path->path.param_info =
		IS_SIMPLE_REL(rel) ? get_baserel_parampathinfo(root, rel, rel->lateral_relids) : nullptr;
	path->path.parallel_aware = false;
	path->path.parallel_safe = false;
	path->path.rows = clamp_row_est(rows);
	path->path.startup_cost = ROUND_TRIP_COST + remote->input_rows * cpu_tuple_cost * 0.1;
	path->path.total_cost = path->path.startup_cost + path->path.rows * ROW_TRANSFER_COST;
	path->path.pathkeys = NIL;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	if (remote->lock == nullptr)
		path->flags |= CUSTOMPATH_SUPPORT_BACKWARD_SCAN;
	path->custom_private = list_make1(remote);
	path->methods = &remote_path_methods;
	return path;
}

} // namespace civitas::planner
