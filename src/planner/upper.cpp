/*
 * upper.cpp: aggregation, DISTINCT, ORDER BY and LIMIT over one remote relation.
 *
 *   GROUP BY with a shard key      groups do not cross shards: all of it is done there, HAVING
 *   among the columns              too
 *   other aggregation              two phases: the nodes compute transition states, PostgreSQL's
 *                                  own Agg node combines and finishes them; needs a combine
 *                                  function
 *   windows, all partitioned by    there: see subquery.cpp
 *   a shard key
 *   DISTINCT                       there, and again here where no shard key is among the columns
 *   ORDER BY with LIMIT, LIMIT     the first rows of each shard group, cut again here
 *
 * What a node computes for a partial Aggref: the same aggregate where its result is the transition
 * state (count, min, sum of integers, ...), else citus_internal.partial_bytes()/partial_text() of
 * it, see partial_state.cpp. In PostgreSQL's plan the column is the partial Aggref, so that the Agg
 * node above finds it.
 *
 * Nothing is done for grouping sets, set-returning targets, other windows and DISTINCT ON: PostgreSQL
 * does them on the rows. What windows are computed of may be grouped there.
 */
#include "remote_rel.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "optimizer/tlist.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
CIVITAS_PG_END

#include <cmath>

namespace civitas::planner {

namespace {

/* --- partial aggregates as SQL ---------------------------------------------------------------- */

bool has_final_function(Oid aggregate)
{
	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	if (!HeapTupleIsValid(tuple))
		return true;
	const bool has = OidIsValid(reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple))->aggfinalfn);
	ReleaseSysCache(tuple);
	return has;
}

/* Implicit casts are not printed; without them the node would see another type. */
Expr *with_explicit_cast(Expr *expr)
{
	Node *node = static_cast<Node *>(copyObjectImpl(expr));
	switch (nodeTag(node))
	{
	case T_FuncExpr:
		if (castNode(FuncExpr, node)->funcformat == COERCE_IMPLICIT_CAST)
			castNode(FuncExpr, node)->funcformat = COERCE_EXPLICIT_CAST;
		break;
	case T_RelabelType:
		castNode(RelabelType, node)->relabelformat = COERCE_EXPLICIT_CAST;
		break;
	case T_CoerceViaIO:
		castNode(CoerceViaIO, node)->coerceformat = COERCE_EXPLICIT_CAST;
		break;
	case T_ArrayCoerceExpr:
		castNode(ArrayCoerceExpr, node)->coerceformat = COERCE_EXPLICIT_CAST;
		break;
	default:
		break;
	}
	return reinterpret_cast<Expr *>(node);
}

Oid partial_function(const char *name)
{
	Oid types[] = {TEXTOID, ANYOID};
	return LookupFuncName(
		list_make2(makeString(pstrdup("citus_internal")), makeString(pstrdup(name))), 2, types,
		true);
}

Node *state_aggregate(const Aggref *aggregate)
{
	const bool internal = aggregate->aggtranstype == INTERNALOID;
	Aggref *state = static_cast<Aggref *>(copyObjectImpl(aggregate));
	state->aggfnoid = partial_function(internal ? "partial_bytes" : "partial_text");
	state->aggsplit = AGGSPLIT_SIMPLE;
	state->aggtype = internal ? BYTEAOID : TEXTOID;
	state->aggcollid = InvalidOid;
	state->aggtranstype = INTERNALOID;
	state->aggstar = false;
	Const *name = makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
							CStringGetTextDatum(format_procedure_qualified(aggregate->aggfnoid)),
							false, false);
	List *arguments =
		list_make1(makeTargetEntry(reinterpret_cast<Expr *>(name), 1, nullptr, false));
	List *types = list_make1_oid(TEXTOID);
	ListCell *cell;
	foreach (cell, aggregate->args)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		arguments =
			lappend(arguments, makeTargetEntry(with_explicit_cast(entry->expr),
											   static_cast<AttrNumber>(list_length(arguments) + 1),
											   nullptr, false));
		types = lappend_oid(types, exprType(reinterpret_cast<Node *>(entry->expr)));
	}
	state->args = arguments;
	state->aggargtypes = types;
	if (internal)
		return reinterpret_cast<Node *>(state);

	CoerceViaIO *cast = makeNode(CoerceViaIO);
	cast->arg = reinterpret_cast<Expr *>(state);
	cast->resulttype = aggregate->aggtranstype;
	cast->coerceformat = COERCE_EXPLICIT_CAST;
	cast->location = -1;
	return reinterpret_cast<Node *>(cast);
}

Expr *builtin_aggregate(const Aggref *model, Oid function)
{
	Aggref *made = static_cast<Aggref *>(copyObjectImpl(model));
	made->aggfnoid = function;
	made->aggsplit = AGGSPLIT_SIMPLE;
	made->aggtype = INT8OID;
	made->aggtranstype = INT8OID;
	made->aggstar = false;
	ListCell *cell;
	foreach (cell, made->args)
		lfirst_node(TargetEntry, cell)->expr =
			with_explicit_cast(lfirst_node(TargetEntry, cell)->expr);
	return reinterpret_cast<Expr *>(made);
}

/*
 * The state of avg() over integers is {count, sum}: PostgreSQL's own aggregates make it in half the
 * time that partial_text() takes. Null for other aggregates.
 */
Node *integer_average(const Aggref *aggregate)
{
	if (aggregate->aggfnoid != F_AVG_INT4 && aggregate->aggfnoid != F_AVG_INT2)
		return nullptr;
	Const *zero = makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, true);
	CoalesceExpr *sum = makeNode(CoalesceExpr);
	sum->coalescetype = INT8OID;
	sum->args = list_make2(
		builtin_aggregate(aggregate, aggregate->aggfnoid == F_AVG_INT4 ? F_SUM_INT4 : F_SUM_INT2),
		zero);
	sum->location = -1;
	ArrayExpr *state = makeNode(ArrayExpr);
	state->array_typeid = INT8ARRAYOID;
	state->element_typeid = INT8OID;
	state->elements = list_make2(builtin_aggregate(aggregate, F_COUNT_ANY), sum);
	state->location = -1;
	return reinterpret_cast<Node *>(state);
}

Node *partial_mutator(Node *node, void *)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Aggref) && castNode(Aggref, node)->aggsplit == AGGSPLIT_INITIAL_SERIAL)
	{
		const Aggref *aggregate = castNode(Aggref, node);
		Node *average = integer_average(aggregate);
		if (average != nullptr)
			return average;
		if (has_final_function(aggregate->aggfnoid))
			return state_aggregate(aggregate);
		Aggref *plain = static_cast<Aggref *>(copyObjectImpl(aggregate));
		plain->aggsplit = AGGSPLIT_SIMPLE;
		return reinterpret_cast<Node *>(plain);
	}
	return pg::mutate_children(node, partial_mutator, nullptr);
}

/*
 * Aggregates whose state is another one, or cannot be combined, in some version of the server. Nodes of a cluster may be of
 * several, and which ones is not known before they are asked: such states do not travel, the rows do.
 */
bool state_depends_on_version(Oid aggregate)
{
	switch (aggregate)
	{
	case F_STRING_AGG_TEXT_TEXT: /* combined since 16, as the next three */
	case F_STRING_AGG_BYTEA_BYTEA:
	case F_ARRAY_AGG_ANYNONARRAY:
	case F_ARRAY_AGG_ANYARRAY:
	case F_AVG_INTERVAL: /* interval[] before 17 */
	case F_SUM_INTERVAL: /* interval before 17, which needs no final function */
		return true;
	default:
		return false;
	}
}

/* An aggregate whose states the nodes can send. */
bool can_send_state(const Aggref *aggregate)
{
	if (aggregate->aggkind != AGGKIND_NORMAL || aggregate->aggvariadic || aggregate->aggdistinct ||
		aggregate->aggorder)
		return false;
	if (!has_final_function(aggregate->aggfnoid))
		return aggregate->aggtranstype != INTERNALOID;
	if (aggregate->args == NIL || state_depends_on_version(aggregate->aggfnoid))
		return false;
	return OidIsValid(partial_function("partial_bytes"));
}

/* --- targets ---------------------------------------------------------------------------------- */

/* Rows of no named type can be computed there, but not read here. */
bool target_shippable(PathTarget *target)
{
	ListCell *cell;
	foreach (cell, target->exprs)
	{
		const Oid type = exprType(static_cast<Node *>(lfirst(cell)));
		if (type == RECORDOID || type == RECORDARRAYOID)
			return false;
	}
	return is_shippable(reinterpret_cast<Node *>(target->exprs));
}

bool is_group_column(PathTarget *target, int index, List *clauses)
{
	const Index ref = get_pathtarget_sortgroupref(target, index);
	return ref != 0 && get_sortgroupref_clause_noerr(ref, clauses) != nullptr;
}

/*
 * What a target is grouped by: of expressions that are equal the planner does not ask for all, where
 * windows are computed above. False where it asks for none.
 */
bool asked_group_clause(PlannerInfo *root, const PathTarget *target, List **clauses)
{
	*clauses = NIL;
	ListCell *cell;
	foreach (cell, root->parse->groupClause)
	{
		const Index ref = lfirst_node(SortGroupClause, cell)->tleSortGroupRef;
		bool asked = false;
		for (int index = 0; index < list_length(target->exprs); index++)
			asked = asked || get_pathtarget_sortgroupref(target, index) == ref;
		if (asked)
			*clauses = lappend(*clauses, lfirst(cell));
		else if (get_sortgroupref_clause_noerr(ref, pg::processed_group_clause(root)) != nullptr)
			return false;
	}
	return root->parse->groupClause == NIL || *clauses != NIL;
}

/* The relation's keys that are among the grouped columns: rows of one group are in one shard. */
List *grouped_keys(const RemoteRel *remote, PathTarget *target, List *clauses)
{
	List *result = NIL;
	ListCell *cell;
	int index = 0;
	foreach (cell, target->exprs)
	{
		Node *expr = static_cast<Node *>(lfirst(cell));
		const Index ref = get_pathtarget_sortgroupref(target, index++);
		const SortGroupClause *clause =
			ref != 0 ? get_sortgroupref_clause_noerr(ref, clauses) : nullptr;
		Var *key = key_of(remote, expr);
		if (clause != nullptr && key != nullptr &&
			tells_shards_apart(*remote->anchor, clause->eqop, exprCollation(expr)))
			result = lappend(result, key);
	}
	return result;
}

/* Leaves out what is grouped by: where an expression is computed from it, its columns need not
 * come. */
Node *without_grouped(Node *node, void *grouped)
{
	if (node == nullptr || IsA(node, Aggref))
		return node;
	if (list_member(static_cast<List *>(grouped), node))
		return reinterpret_cast<Node *>(
			makeNullConst(exprType(node), exprTypmod(node), exprCollation(node)));
	return pg::mutate_children(node, without_grouped, grouped);
}

/*
 * Whether SQL lets the target stand beside GROUP BY. PostgreSQL's planner asks for single columns
 * of grouped expressions where windows are computed above, which only it can know to be right.
 */
bool can_be_grouped(PlannerInfo *root, PathTarget *target, List *clauses, Node *having)
{
	List *grouped = NIL;
	ListCell *cell;
	int index = 0;
	foreach (cell, target->exprs)
		if (is_group_column(target, index++, clauses))
			grouped = lappend(grouped, lfirst(cell));
	List *columns = pull_var_clause(
		without_grouped(reinterpret_cast<Node *>(list_make2(target->exprs, having)), grouped),
		PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_RECURSE_PLACEHOLDERS);
	foreach (cell, columns)
	{
		if (!IsA(lfirst(cell), Var))
			continue;
		const Var *column = lfirst_node(Var, cell);
		const RangeTblEntry *rte = planner_rt_fetch(column->varno, root);
		List *dependencies = NIL;
		if (rte->rtekind != RTE_RELATION ||
			!check_functional_grouping(rte->relid, column->varno, 0, grouped, &dependencies))
			return false;
	}
	return true;
}

/* What a partial aggregation returns: group columns, the other columns needed, partial aggregates.
 * null where an aggregate cannot be split. */
PathTarget *partial_target(PlannerInfo *root, PathTarget *target, List *clauses, Node *having)
{
	PathTarget *partial = create_empty_pathtarget();
	List *others = NIL;
	ListCell *cell;
	int index = 0;
	foreach (cell, target->exprs)
	{
		Expr *expr = static_cast<Expr *>(lfirst(cell));
		if (is_group_column(target, index, clauses))
			add_column_to_pathtarget(partial, expr, get_pathtarget_sortgroupref(target, index));
		else
			others = lappend(others, expr);
		index++;
	}
	if (having)
		others = lappend(others, having);
	Node *left = without_grouped(reinterpret_cast<Node *>(others), partial->exprs);
	List *columns = pull_var_clause(left, PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
											  PVC_INCLUDE_PLACEHOLDERS);
	add_new_columns_to_pathtarget(partial, columns);
	foreach (cell, partial->exprs)
	{
		if (!IsA(lfirst(cell), Aggref))
			continue;
		if (!can_send_state(lfirst_node(Aggref, cell)))
			return nullptr;
		Aggref *aggregate = makeNode(Aggref);
		*aggregate = *lfirst_node(Aggref, cell);
		mark_partial_aggref(aggregate, AGGSPLIT_INITIAL_SERIAL);
		lfirst(cell) = aggregate;
	}
	return set_pathtarget_cost_width(root, partial);
}

RemoteRel *derive(const RemoteRel *remote)
{
	RemoteRel *copy = static_cast<RemoteRel *>(palloc(sizeof(RemoteRel)));
	*copy = *remote;
	return copy;
}

/* --- stages ----------------------------------------------------------------------------------- */

void add_final_aggregate(PlannerInfo *root, RelOptInfo *output, Path *states, List *clauses,
						 List *having, double groups)
{
	Query *parse = root->parse;
	AggClauseCosts costs = {};
	if (parse->hasAggs)
		get_agg_clause_costs(root, AGGSPLIT_FINAL_DESERIAL, &costs);
	const auto add = [&](Path *input, AggStrategy strategy) {
		add_path(output, reinterpret_cast<Path *>(create_agg_path(
							 root, output, input, output->reltarget, strategy,
							 AGGSPLIT_FINAL_DESERIAL, clauses, having, &costs, groups)));
	};
	if (clauses == NIL)
	{
		add(states, AGG_PLAIN);
		return;
	}
	if (grouping_is_hashable(clauses))
		add(states, AGG_HASHED);
	if (!grouping_is_sortable(clauses))
		return;
	/* Rows that are grouped by constants only have no order to be brought into. */
	if (root->group_pathkeys != NIL)
		states = reinterpret_cast<Path *>(
			create_sort_path(root, output, states, root->group_pathkeys, -1.0));
	add(states, AGG_SORTED);
}

void group_paths(PlannerInfo *root, const RemoteRel *input, RelOptInfo *input_rel,
				 RelOptInfo *output, const GroupPathExtraData *extra)
{
	Query *parse = root->parse;
	List *clauses;
	if (parse->groupingSets != NIL || parse->hasTargetSRFs || input->target ||
		!asked_group_clause(root, output->reltarget, &clauses))
		return;
	List *having = castNode(List, extra->havingQual);
	double groups = 1;
	if (parse->groupClause)
		groups = estimate_num_groups(root,
									 get_sortgrouplist_exprs(parse->groupClause, extra->targetList),
									 input_rel->rows, nullptr, nullptr);

	List *keys = grouped_keys(input, output->reltarget, clauses);
	if ((keys != NIL || input->spread == route::Spread::Replicated) &&
		target_shippable(output->reltarget) &&
		is_shippable(reinterpret_cast<Node *>(having), root) &&
		can_be_grouped(root, output->reltarget, clauses, reinterpret_cast<Node *>(having)))
	{
		RemoteRel *whole = derive(input);
		whole->target = copy_pathtarget(output->reltarget);
		whole->group_clause = clauses;
		whole->having = having;
		whole->grouped = true;
		whole->keys = keys;
		set_remote_rel(output, whole);
		add_path(output, reinterpret_cast<Path *>(
							 make_remote_path(root, output, whole, output->reltarget, groups)));
		return;
	}
	if (input->spread == route::Spread::Replicated || root->hasNonPartialAggs ||
		root->hasNonSerialAggs)
		return;
	PathTarget *target =
		partial_target(root, output->reltarget, clauses, reinterpret_cast<Node *>(having));
	if (target == nullptr || !target_shippable(target) ||
		!can_be_grouped(root, target, clauses, nullptr))
		return;
	RelOptInfo *partial_rel = fetch_upper_rel(root, UPPERREL_PARTIAL_GROUP_AGG, nullptr);
	partial_rel->reltarget = target;
	RemoteRel *partial = derive(input);
	partial->target = target;
	partial->partial = true;
	partial->group_clause = clauses;
	partial->grouped = true;
	partial->keys = NIL;
	const double rows = groups * input->anchor->shard_count;
	Path *states = reinterpret_cast<Path *>(make_remote_path(
		root, partial_rel, partial, target, rows < input_rel->rows ? rows : input_rel->rows));
	add_final_aggregate(root, output, states, clauses, having, groups);
}

/*
 * Whether the rows of windows are of use only to a query around, as those of a subquery. It may have
 * left it to the windows to filter them: only subquery_rel() knows what to add then.
 */
bool for_query_around(const PlannerInfo *root, const RemoteRel *remote)
{
	return remote->windowed &&
		   (!pg::WINDOWS_MAY_BE_COMPUTED_ELSEWHERE ||
			pg::window_run_conditions(root->parse, root->processed_tlist) != NIL);
}

void window_paths(PlannerInfo *root, const RemoteRel *input, RelOptInfo *input_rel,
				  RelOptInfo *output)
{
	PathTarget *target = root->upper_targets[UPPERREL_WINDOW];
	if (root->parse->hasTargetSRFs || target == nullptr || !target_shippable(target) ||
		!windows_are_local(root, input))
		return;
	RemoteRel *whole = derive(input);
	whole->target = copy_pathtarget(target);
	whole->windowed = true;
	set_remote_rel(output, whole);
	if (!for_query_around(root, whole))
		add_path(output, reinterpret_cast<Path *>(make_remote_path(
							 root, output, whole, whole->target, input_rel->rows)));
}

void distinct_paths(PlannerInfo *root, const RemoteRel *input, RelOptInfo *input_rel,
					RelOptInfo *output)
{
	Query *parse = root->parse;
	PathTarget *target = root->upper_targets[UPPERREL_DISTINCT];
	if (parse->hasDistinctOn || parse->hasTargetSRFs ||
		(parse->hasWindowFuncs && !input->windowed) || input->limit || target == nullptr ||
		!target_shippable(target))
		return;
	RemoteRel *remote = derive(input);
	remote->keys = grouped_keys(input, target, parse->distinctClause);
	remote->target = copy_pathtarget(target);
	remote->distinct_clause = parse->distinctClause;
	const double rows =
		estimate_num_groups(root, get_sortgrouplist_exprs(parse->distinctClause, parse->targetList),
							input_rel->rows, nullptr, nullptr);
	Path *path =
		reinterpret_cast<Path *>(make_remote_path(root, output, remote, remote->target, rows));
	if (remote->keys != NIL || input->spread == route::Spread::Replicated)
	{
		set_remote_rel(output, remote);
		add_path(output, path);
		return;
	}
	if (grouping_is_hashable(parse->distinctClause))
		add_path(output, reinterpret_cast<Path *>(create_agg_path(
							 root, output, path, target, AGG_HASHED, AGGSPLIT_SIMPLE,
							 parse->distinctClause, NIL, nullptr, rows)));
	if (grouping_is_sortable(parse->distinctClause) && root->distinct_pathkeys != NIL)
	{
		Path *sorted = reinterpret_cast<Path *>(
			create_sort_path(root, output, path, root->distinct_pathkeys, -1.0));
		add_path(output, reinterpret_cast<Path *>(create_upper_unique_path(
							 root, output, sorted, list_length(root->distinct_pathkeys), rows)));
	}
}

/* How many rows of each shard group are enough: LIMIT + OFFSET; null where that is not known before
 * the rows are. */
Node *remote_limit(Query *parse, double *rows)
{
	if (parse->limitCount == nullptr || parse->limitOption != LIMIT_OPTION_COUNT)
		return nullptr;
	const auto constant = [](Node *node, int64 *value) {
		if (node == nullptr)
		{
			*value = 0;
			return true;
		}
		if (!IsA(node, Const))
			return false;
		*value = castNode(Const, node)->constisnull
					 ? 0
					 : DatumGetInt64(castNode(Const, node)->constvalue);
		return true;
	};
	int64 count;
	int64 offset;
	if (constant(parse->limitCount, &count) && constant(parse->limitOffset, &offset))
	{
		if (castNode(Const, parse->limitCount)->constisnull || count < 0 || offset < 0 ||
			count > PG_INT64_MAX - offset)
			return nullptr;
		*rows = static_cast<double>(count + offset);
		return reinterpret_cast<Node *>(makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
												  Int64GetDatum(count + offset), false, true));
	}
	/* A parameter: known when the plan runs. With an offset the sum could fail where LIMIT would
	 * not. */
	if (parse->limitOffset != nullptr || !is_execution_constant(parse->limitCount))
		return nullptr;
	*rows = 100;
	return static_cast<Node *>(copyObjectImpl(parse->limitCount));
}

/*
 * Every shard group's rows in order, merged when they arrive. The nodes sort side by side; what is
 * left to do here is to find the smallest of the groups' next rows.
 */
void set_order(PlannerInfo *root, RemoteRel *remote, Path *path)
{
	constexpr double NODES_SHARE = 0.25;
	const double groups =
		remote->spread == route::Spread::Replicated ? 1 : remote->anchor->shard_count;
	const double rows = path->rows > 2 ? path->rows : 2;
	const double group_rows = rows / groups > 2 ? rows / groups : 2;
	const double sort = 2 * cpu_operator_cost * rows * std::log2(group_rows) * NODES_SHARE;
	const double merge = cpu_operator_cost * rows * std::log2(groups > 2 ? groups : 2);
	remote->merged = true;
	path->pathkeys = root->sort_pathkeys;
	path->startup_cost += sort;
	path->total_cost += sort + merge;
}

/* The first rows of each shard group; `sorted`: all of them in order, and all rows where the nodes
 * cannot know the limit or there is none. Or null. */
Path *limited_path(PlannerInfo *root, const RemoteRel *input, RelOptInfo *input_rel,
				   RelOptInfo *output, PathTarget *target, bool sorted)
{
	Query *parse = root->parse;
	double rows = input_rel->rows;
	Node *limit = remote_limit(parse, &rows);
	if ((limit == nullptr && !sorted) || parse->hasTargetSRFs ||
		(parse->hasWindowFuncs && !input->windowed) || parse->distinctClause || parse->rowMarks ||
		target == nullptr || !target_shippable(target))
		return nullptr;
	RemoteRel *remote = derive(input);
	remote->target = copy_pathtarget(target);
	remote->sort_clause = parse->sortClause;
	remote->limit = limit;
	/* The nodes do not read on after the limit. */
	if (limit != nullptr)
	{
		remote->input_rows *= 0.5;
		rows *= input->spread == route::Spread::Replicated ? 1 : input->anchor->shard_count;
	}
	Path *path = reinterpret_cast<Path *>(make_remote_path(
		root, output, remote, remote->target, rows < input_rel->rows ? rows : input_rel->rows));
	if (sorted)
		set_order(root, remote, path);
	return path;
}

} // namespace

Node *remote_partial_aggregates(Node *node)
{
	return partial_mutator(node, nullptr);
}

void upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
				 RelOptInfo *output, void *extra)
{
	/* Set operations have no input relation. */
	const RemoteRel *input = input_rel ? remote_rel_of(input_rel) : nullptr;
	if (input == nullptr || root->parse->commandType != CMD_SELECT || root->parse->setOperations)
		return;
	if (for_query_around(root, input))
	{
		if (stage == UPPERREL_FINAL)
			close_subquery(root, input, output);
		return;
	}
	switch (stage)
	{
	case UPPERREL_GROUP_AGG:
		group_paths(root, input, input_rel, output, static_cast<const GroupPathExtraData *>(extra));
		break;
	case UPPERREL_WINDOW:
		window_paths(root, input, input_rel, output);
		break;
	case UPPERREL_DISTINCT:
		distinct_paths(root, input, input_rel, output);
		break;
	case UPPERREL_ORDERED: {
		/* ORDER BY constants leaves nothing to sort by. */
		Path *path =
			limited_path(root, input, input_rel, output, root->upper_targets[UPPERREL_ORDERED],
						 root->sort_pathkeys != NIL);
		if (path)
			add_path(output, path);
		break;
	}
	case UPPERREL_FINAL: {
		const FinalPathExtraData *final_extra = static_cast<const FinalPathExtraData *>(extra);
		close_subquery(root, input, output);
		if (!final_extra->limit_needed || root->parse->sortClause)
			break;
		Path *path = limited_path(root, input, input_rel, output,
								  root->upper_targets[UPPERREL_FINAL], false);
		if (path)
			add_path(output, reinterpret_cast<Path *>(create_limit_path(
								 root, output, path, root->parse->limitOffset,
								 root->parse->limitCount, root->parse->limitOption,
								 final_extra->offset_est, final_extra->count_est)));
		break;
	}
	default:
		break;
	}
}

} // namespace civitas::planner
