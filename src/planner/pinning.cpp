/*
 * pinning.cpp: from a rewritten query to the facts that route/pinning.h decides on.
 *
 * Columns of all range tables of all levels get numbers as they are met. Where a condition may
 * filter:
 *
 *   WHERE, inner JOIN .. ON   pins and equalities hold for both sides (of that subtree)
 *   LEFT JOIN .. ON           only for the nullable side: its rows that do not match do not
 *                             matter; an equality with the other side is an edge towards it
 *   FULL JOIN .. ON           nothing
 *   outer references          a sublink's or LATERAL subquery's conditions are edges from the
 *                             outer column inwards
 *   subquery columns          what holds for the column of the result inside holds outside; the
 *                             other way only where dropping rows early changes nothing (no
 *                             LIMIT, no window, no DISTINCT ON)
 */
#include "internal.h"

#include "civitas/deparse/query_template.h"
#include "civitas/pg/core_call.h"
#include "civitas/pg/hash_index.h"
#include "civitas/pg/vec.h"
#include "civitas/route/pinning.h"

CIVITAS_PG_BEGIN
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

struct Level
{
	Query *query;
	Level *parent;
};

struct Column
{
	Query *query;
	Index varno;
	AttrNumber attno;
};

struct SpreadRte
{
	const catalog::Table *table;
	int column; /* number of the distribution column, -1 where it has none */
	Query *query;
	Index varno;
};

struct Gatherer
{
	pg::Vec<Column> columns;
	pg::HashIndex column_index;
	pg::Vec<route::Pin> pins;
	pg::Vec<route::ColumnPair> equalities;
	pg::Vec<route::ColumnPair> edges;
	pg::Vec<SpreadRte> tables;
	List *values = NIL; /* expressions, by value number */
	pg::HashIndex value_index;
};

/* Which columns a condition may restrict. */
struct Scope
{
	Level *level;
	bool all;		   /* every column of the level */
	Bitmapset *inside; /* else those of these range table entries */
	Node *from;		   /* the part of FROM whose rows it is asked of */
};

void gather_query(Gatherer& g, Query *query, Level *parent);

int column_number(Gatherer& g, Query *query, Index varno, AttrNumber attno)
{
	const uint32 hash = hash_combine(static_cast<uint32>(reinterpret_cast<uintptr_t>(query) >> 3),
									 hash_bytes_uint32(varno << 16 ^ static_cast<uint16>(attno)));
	const int found = g.column_index.find(hash, [&](int number) {
		const Column& column = g.columns[number];
		return column.query == query && column.varno == varno && column.attno == attno;
	});
	if (found >= 0)
		return found;
	g.column_index.add(hash, g.columns.size());
	g.columns.push({query, varno, attno});
	return g.columns.size() - 1;
}

/* Equal expressions have equal hashes; others than constants differ rarely. */
uint32 hash_expression(const Expr *value)
{
	if (IsA(value, Param))
		return hash_combine(T_Param, reinterpret_cast<const Param *>(value)->paramid);
	if (!IsA(value, Const) || reinterpret_cast<const Const *>(value)->constisnull)
		return nodeTag(value);
	const Const *constant = reinterpret_cast<const Const *>(value);
	return hash_combine(
		constant->consttype,
		datum_image_hash(constant->constvalue, constant->constbyval, constant->constlen));
}

int value_number(Gatherer& g, Expr *value)
{
	const uint32 hash = hash_expression(value);
	const int found = g.value_index.find(
		hash, [&](int number) { return equal(list_nth(g.values, number), value); });
	if (found >= 0)
		return found;
	g.value_index.add(hash, list_length(g.values));
	g.values = lappend(g.values, value);
	return list_length(g.values) - 1;
}

Node *strip(Node *node)
{
	while (node && IsA(node, RelabelType))
		node = reinterpret_cast<Node *>(castNode(RelabelType, node)->arg);
	return node;
}

/* A plain column, seen through join aliases; null for anything else. *owner: the level it belongs
 * to. */
Var *resolve_column(Node *node, Level *level, Level **owner)
{
	node = strip(node);
	if (node == nullptr || !IsA(node, Var))
		return nullptr;
	Var *var = castNode(Var, node);
	for (Index up = var->varlevelsup; up > 0 && level; up--)
		level = level->parent;
	if (level == nullptr || var->varattno <= 0)
		return nullptr;
	while (true)
	{
		const RangeTblEntry *rte = rt_fetch(var->varno, level->query->rtable);
		if (rte->rtekind != RTE_JOIN)
			break;
		Node *alias = strip(static_cast<Node *>(list_nth(rte->joinaliasvars, var->varattno - 1)));
		if (alias == nullptr || !IsA(alias, Var))
			return nullptr;
		var = castNode(Var, alias);
		if (var->varattno <= 0)
			return nullptr;
	}
	*owner = level;
	return var;
}

bool in_scope(const Scope& scope, Level *owner, const Var *var)
{
	return owner == scope.level && (scope.all || bms_is_member(var->varno, scope.inside));
}

void gather_equality(Gatherer& g, Node *left, Node *right, Oid op, Oid collation,
					 const Scope& scope)
{
	Level *left_level = nullptr;
	Level *right_level = nullptr;
	Var *left_var = resolve_column(left, scope.level, &left_level);
	Var *right_var = resolve_column(right, scope.level, &right_level);
	if (left_var && right_var)
	{
		if (!is_hash_equality(op, left_var->vartype, collation))
			return;
		const int a = column_number(g, left_level->query, left_var->varno, left_var->varattno);
		const int b = column_number(g, right_level->query, right_var->varno, right_var->varattno);
		const bool left_in = in_scope(scope, left_level, left_var);
		const bool right_in = in_scope(scope, right_level, right_var);
		if (left_in && right_in)
			g.equalities.push({a, b});
		else if (right_in)
			g.edges.push({a, b});
		else if (left_in)
			g.edges.push({b, a});
		return;
	}
	Var *var = left_var ? left_var : right_var;
	Level *level = left_var ? left_level : right_level;
	Node *value = left_var ? right : left;
	if (var == nullptr || !in_scope(scope, level, var) || !is_execution_constant(value) ||
		!is_hash_equality(op, var->vartype, collation))
		return;
	g.pins.push({column_number(g, level->query, var->varno, var->varattno),
				 value_number(g, reinterpret_cast<Expr *>(value))});
}

/* column IS NULL, of a table's own column: one that an outer join may make NULL says nothing. */
void gather_null_test(Gatherer& g, const NullTest *test, const Scope& scope)
{
	Level *level = nullptr;
	const Var *var = is_null_test(test)
						 ? resolve_column(reinterpret_cast<Node *>(test->arg), scope.level, &level)
						 : nullptr;
	if (var == nullptr || !in_scope(scope, level, var) ||
		rt_fetch(var->varno, level->query->rtable)->rtekind != RTE_RELATION ||
		bms_is_member(var->varno, deparse::nullable_relations(scope.from)))
		return;
	/* It stands for NULL, which as a constant is equal to nothing. */
	NullTest *value = makeNode(NullTest);
	value->arg = reinterpret_cast<Expr *>(makeNullConst(var->vartype, -1, var->varcollid));
	value->nulltesttype = IS_NULL;
	value->location = -1;
	g.pins.push({column_number(g, level->query, var->varno, var->varattno),
				 value_number(g, reinterpret_cast<Expr *>(value))});
}

/* column IN (SELECT other ...) among AND-ed conditions: the column equals one row's value. */
void gather_in_sublink(Gatherer& g, SubLink *link, const Scope& scope)
{
	if (link->subLinkType != ANY_SUBLINK || !IsA(link->testexpr, OpExpr))
		return;
	const OpExpr *test = castNode(OpExpr, link->testexpr);
	Query *subquery = castNode(Query, link->subselect);
	Level *level = nullptr;
	Var *var = resolve_column(static_cast<Node *>(linitial(test->args)), scope.level, &level);
	if (var == nullptr || !in_scope(scope, level, var) || subquery->setOperations ||
		!is_hash_equality(test->opno, var->vartype, test->inputcollid))
		return;
	Level inner_level = {subquery, scope.level};
	Level *owner = nullptr;
	const TargetEntry *target = linitial_node(TargetEntry, subquery->targetList);
	Var *inner = resolve_column(reinterpret_cast<Node *>(target->expr), &inner_level, &owner);
	if (inner == nullptr || owner != &inner_level)
		return;
	const int a = column_number(g, level->query, var->varno, var->varattno);
	const int b = column_number(g, subquery, inner->varno, inner->varattno);
	g.edges.push({b, a});
	if (!subquery->limitCount && !subquery->limitOffset && !subquery->hasWindowFuncs &&
		!subquery->hasDistinctOn && !subquery->hasTargetSRFs)
		g.edges.push({a, b});
}

void gather_condition(Gatherer& g, Node *node, const Scope& scope)
{
	if (node == nullptr)
		return;
	if (IsA(node, List))
	{
		ListCell *cell;
		foreach (cell, castNode(List, node))
			gather_condition(g, static_cast<Node *>(lfirst(cell)), scope);
	}
	else if (is_andclause(node))
		gather_condition(g, reinterpret_cast<Node *>(castNode(BoolExpr, node)->args), scope);
	else if (IsA(node, OpExpr) && list_length(castNode(OpExpr, node)->args) == 2)
	{
		OpExpr *op = castNode(OpExpr, node);
		gather_equality(g, static_cast<Node *>(linitial(op->args)),
						static_cast<Node *>(lsecond(op->args)), op->opno, op->inputcollid, scope);
	}
	else if (IsA(node, NullTest))
		gather_null_test(g, castNode(NullTest, node), scope);
	else if (IsA(node, SubLink))
		gather_in_sublink(g, castNode(SubLink, node), scope);
}

void gather_jointree(Gatherer& g, Node *node, Level *level)
{
	if (IsA(node, FromExpr))
	{
		FromExpr *from = castNode(FromExpr, node);
		ListCell *cell;
		foreach (cell, from->fromlist)
			gather_jointree(g, static_cast<Node *>(lfirst(cell)), level);
		gather_condition(g, from->quals, {level, true, nullptr, node});
	}
	else if (IsA(node, JoinExpr))
	{
		JoinExpr *join = castNode(JoinExpr, node);
		gather_jointree(g, join->larg, level);
		gather_jointree(g, join->rarg, level);
		if (join->jointype == JOIN_INNER)
			gather_condition(g, join->quals,
							 {level, false, deparse::range_table_references(node), node});
		else if (join->jointype == JOIN_LEFT)
			gather_condition(
				g, join->quals,
				{level, false, deparse::range_table_references(join->rarg), join->rarg});
		else if (join->jointype == JOIN_RIGHT)
			gather_condition(
				g, join->quals,
				{level, false, deparse::range_table_references(join->larg), join->larg});
	}
}

/* Ties the result columns of a subquery to what they are made of. */
void gather_result_columns(Gatherer& g, Level *outer, Index varno, Query *subquery, bool inwards)
{
	const bool early = inwards && !subquery->limitCount && !subquery->limitOffset &&
					   !subquery->hasWindowFuncs && !subquery->hasDistinctOn &&
					   !subquery->hasTargetSRFs && subquery->groupingSets == NIL &&
					   subquery->commandType == CMD_SELECT;
	Level inner = {subquery, outer};
	List *targets =
		subquery->commandType == CMD_SELECT ? subquery->targetList : subquery->returningList;
	ListCell *cell;
	if (subquery->setOperations)
	{
		/* Each leg has the same columns. What holds outside holds in each leg, never the reverse.
		 */
		if (!early)
			return;
		int index = 0;
		foreach (cell, subquery->rtable)
		{
			index++;
			const RangeTblEntry *leg = lfirst_node(RangeTblEntry, cell);
			if (leg->rtekind != RTE_SUBQUERY)
				continue;
			for (int column = 1; column <= list_length(targets); column++)
				g.edges.push({column_number(g, outer->query, varno, column),
							  column_number(g, subquery, index, column)});
		}
		return;
	}
	foreach (cell, targets)
	{
		const TargetEntry *target = lfirst_node(TargetEntry, cell);
		Level *owner = nullptr;
		Var *var = target->resjunk
					   ? nullptr
					   : resolve_column(reinterpret_cast<Node *>(target->expr), &inner, &owner);
		if (var == nullptr || owner != &inner)
			continue;
		const int a = column_number(g, outer->query, varno, target->resno);
		const int b = column_number(g, subquery, var->varno, var->varattno);
		g.edges.push({b, a});
		if (early)
			g.edges.push({a, b});
	}
}

struct SublinkWalk
{
	Gatherer *g;
	Level *level;
};

bool sublink_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	SublinkWalk *walk = static_cast<SublinkWalk *>(context);
	if (IsA(node, Query))
	{
		gather_query(*walk->g, castNode(Query, node), walk->level);
		return false;
	}
	return pg::walk_children(node, sublink_walker, context);
}

CommonTableExpr *find_cte(const RangeTblEntry *rte, Level *level)
{
	for (Index up = rte->ctelevelsup; up > 0 && level; up--)
		level = level->parent;
	if (level == nullptr)
		return nullptr;
	ListCell *cell;
	foreach (cell, level->query->cteList)
		if (strcmp(lfirst_node(CommonTableExpr, cell)->ctename, rte->ctename) == 0)
			return lfirst_node(CommonTableExpr, cell);
	return nullptr;
}

void gather_query(Gatherer& g, Query *query, Level *parent)
{
	check_stack_depth();
	Level *level = static_cast<Level *>(palloc(sizeof(Level)));
	*level = {query, parent};

	Bitmapset *used = deparse::range_table_references(reinterpret_cast<Node *>(query->jointree));
	if (query->resultRelation)
		used = bms_add_member(used, query->resultRelation);

	int index = 0;
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		index++;
		if (rte->rtekind == RTE_SUBQUERY)
			gather_result_columns(g, level, index, rte->subquery, true);
		else if (rte->rtekind == RTE_CTE && !rte->self_reference)
		{
			CommonTableExpr *cte = find_cte(rte, level);
			if (cte && !cte->cterecursive)
				gather_result_columns(g, level, index, castNode(Query, cte->ctequery), false);
		}
		else if (bms_is_member(index, used) && deparse::is_sharded_rte(rte))
		{
			const catalog::Table& table = catalog::get_table(rte->relid);
			if (table.kind == catalog::TableKind::Reference)
				continue;
			const int column = table.distribution_attno
								   ? column_number(g, query, index, table.distribution_attno)
								   : -1;
			g.tables.push({&table, column, query, static_cast<Index>(index)});
		}
	}
	if (query->jointree)
		gather_jointree(g, reinterpret_cast<Node *>(query->jointree), level);
	if (query->commandType == CMD_MERGE)
		gather_condition(g, pg::merge_condition(query),
						 {level, true, nullptr, reinterpret_cast<Node *>(query->jointree)});

	/* Subqueries in FROM, CTEs, and the sublinks of all expressions. */
	SublinkWalk walk = {&g, level};
	pg::walk_query(query, sublink_walker, &walk);
}

Placement refused(const char *reason)
{
	Placement placement = {};
	placement.reason = reason;
	return placement;
}

/* The value a parameter has in this planning; the expression itself where that is not known. */
Expr *fold(Expr *value, ParamListInfo params)
{
	PlannerInfo *root = makeNode(PlannerInfo);
	root->glob = makeNode(PlannerGlobal);
	root->glob->boundParams = params;
	return reinterpret_cast<Expr *>(eval_const_expressions(root, reinterpret_cast<Node *>(value)));
}

/* Index of the shard of a constant key; -1 where it is not known before execution. */
int constant_shard(const catalog::Table& table, Expr *value, ParamListInfo params)
{
	if (IsA(value, NullTest))
		return catalog::shard_index_of_value(table, 0, true);
	bool nothing = false;
	Expr *key = key_expression(table, fold(value, params), &nothing);
	if (key)
		key = fold(key, params);
	if (key == nullptr || !IsA(key, Const) || castNode(Const, key)->constisnull)
		return -1;
	return catalog::shard_index_of_hash(
		table, catalog::hash_value(table, castNode(Const, key)->constvalue));
}

void find_table_values(Gatherer& g, pg::Vec<route::SpreadTable>& spread)
{
	pg::Vec<int> values;
	for (int i = 0; i < g.columns.size(); i++)
		values.push(route::NOT_PINNED);
	pg::call_core([&] {
		route::find_pins({g.columns.size(), g.pins.span(), g.equalities.span(), g.edges.span()},
						 {values.data(), static_cast<size_t>(values.size())});
	});
	for (const SpreadRte& rte : g.tables.span())
		spread.push({rte.table->colocation_id,
					 rte.column < 0 ? route::NOT_PINNED : values[rte.column],
					 rte.table->is_single()});
}

} // namespace

bool is_null_test(const NullTest *test)
{
	return test->nulltesttype == IS_NULL && !test->argisrow;
}

bool is_hash_equality(Oid op, Oid type, Oid collation)
{
	/* A table whose distribution column is damaged has none. */
	if (!OidIsValid(type))
		return false;
	const TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_HASH_OPFAMILY);
	if (!OidIsValid(entry->hash_opf) ||
		get_op_opfamily_strategy(op, entry->hash_opf) != HTEqualStrategyNumber)
		return false;
	/* Under a collation that takes different bytes for equal, equal values have different shards
	 * unless the column's own hash knows that collation. */
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

Expr *key_expression(const catalog::Table& table, Expr *value, bool *nothing)
{
	*nothing = false;
	value = reinterpret_cast<Expr *>(strip(reinterpret_cast<Node *>(value)));
	const Oid from = exprType(reinterpret_cast<Node *>(value));
	const Oid to = table.distribution_type;
	if (OidIsValid(table.distribution_collation) &&
		!get_collation_isdeterministic(table.distribution_collation))
		if (exprCollation(reinterpret_cast<Node *>(value)) != table.distribution_collation &&
			!IsA(value, Const))
			return nullptr;
	if (from == to)
		return value;
	if (IsBinaryCoercible(from, to) && getBaseType(to) == to)
		return reinterpret_cast<Expr *>(
			makeRelabelType(value, to, -1, table.distribution_collation, COERCE_IMPLICIT_CAST));
	if (IsBinaryCoercible(from, getBaseType(to)) || IsBinaryCoercible(to, from))
		return reinterpret_cast<Expr *>(
			makeRelabelType(value, to, -1, table.distribution_collation, COERCE_IMPLICIT_CAST));

	const auto rank = [](Oid type) {
		return type == INT2OID ? 1 : type == INT4OID ? 2 : type == INT8OID ? 3 : 0;
	};
	if (rank(from) == 0 || rank(to) == 0)
		return nullptr;
	if (IsA(value, Const))
	{
		const Const *constant = castNode(Const, value);
		if (constant->constisnull)
			return reinterpret_cast<Expr *>(makeNullConst(to, -1, InvalidOid));
		const int64 number = from == INT2OID   ? DatumGetInt16(constant->constvalue)
							 : from == INT4OID ? DatumGetInt32(constant->constvalue)
											   : DatumGetInt64(constant->constvalue);
		if ((to == INT2OID && (number < PG_INT16_MIN || number > PG_INT16_MAX)) ||
			(to == INT4OID && (number < PG_INT32_MIN || number > PG_INT32_MAX)))
		{
			*nothing = true;
			return nullptr;
		}
		const Datum datum = to == INT2OID	? Int16GetDatum(static_cast<int16>(number))
							: to == INT4OID ? Int32GetDatum(static_cast<int32>(number))
											: Int64GetDatum(number);
		return reinterpret_cast<Expr *>(
			makeConst(to, -1, InvalidOid, get_typlen(to), datum, false, true));
	}
	if (rank(from) > rank(to))
		return nullptr;
	return reinterpret_cast<Expr *>(coerce_to_target_type(nullptr, reinterpret_cast<Node *>(value),
														  from, to, -1, COERCION_EXPLICIT,
														  COERCE_EXPLICIT_CAST, -1));
}

namespace {

Placement decide_one_shard(Gatherer& g, ParamListInfo params)
{
	if (g.tables.empty())
		return refused("it uses no distributed table");
	pg::Vec<route::SpreadTable> spread;
	find_table_values(g, spread);

	int value = route::NOT_PINNED;
	route::Together answer = route::Together::Yes;
	pg::call_core([&] { answer = route::together(spread.span(), &value); });
	if (answer == route::Together::DifferentValues)
	{
		int shard = -1;
		bool same = true;
		for (int i = 0; i < spread.size() && same; i++)
		{
			if (spread[i].one_shard)
				continue;
			Expr *expr = static_cast<Expr *>(list_nth(g.values, spread[i].value));
			const int index = constant_shard(*g.tables[i].table, expr, params);
			same = index >= 0 && (shard < 0 || shard == index);
			shard = index;
		}
		if (same)
			answer = route::Together::Yes;
	}
	if (answer != route::Together::Yes)
		return refused(route::reason(answer));

	Placement placement = {};
	placement.anchor = g.tables[0].table;
	placement.ok = true;
	if (value == route::NOT_PINNED)
		return placement;
	for (int i = 0; i < spread.size(); i++)
	{
		if (spread[i].one_shard)
			return refused("it uses single-shard tables together with hash-distributed ones");
	}
	Expr *expr = static_cast<Expr *>(list_nth(g.values, value));
	if (IsA(expr, NullTest))
	{
		placement.key = reinterpret_cast<NullTest *>(expr)->arg;
		placement.key_kind = plan::KeyKind::IsNull;
		return placement;
	}
	placement.key = key_expression(*placement.anchor, fold(expr, nullptr), &placement.nothing);
	if (placement.key == nullptr && !placement.nothing)
		return refused("the distribution column is compared to a value of another type");
	return placement;
}

} // namespace

Placement place_on_one_shard(Query *query, ParamListInfo params)
{
	Gatherer g;
	gather_query(g, query, nullptr);
	return decide_one_shard(g, params);
}

namespace {

/* Every shard group does its part of a change alone: the target's own key is the value that all
 * other tables must be pinned to. */
Placement decide_target_shards(Gatherer& g, int target)
{
	Placement placement = {};
	placement.ok = true;
	placement.anchor = g.tables[target].table;
	if (g.tables.size() == 1 || placement.anchor->is_single())
	{
		for (const SpreadRte& rte : g.tables.span())
			if (rte.table->colocation_id != placement.anchor->colocation_id)
				return refused(route::reason(route::Together::NotColocated));
		return placement;
	}

	g.pins.clear();
	g.pins.push({g.tables[target].column, 0});
	pg::Vec<route::SpreadTable> spread;
	find_table_values(g, spread);
	int value = route::NOT_PINNED;
	route::Together answer = route::Together::Yes;
	pg::call_core([&] { answer = route::together(spread.span(), &value); });
	if (answer == route::Together::NotPinned)
		return refused("its tables are not joined on their distribution columns");
	if (answer != route::Together::Yes)
		return refused(route::reason(answer));
	return placement;
}

int find_target(const Gatherer& g, const Query *query)
{
	for (int i = 0; i < g.tables.size(); i++)
		if (g.tables[i].query == query &&
			g.tables[i].varno == static_cast<Index>(query->resultRelation))
			return i;
	return -1;
}

} // namespace

Placement place_on_target_shards(Query *query)
{
	Gatherer g;
	gather_query(g, query, nullptr);
	const int target = find_target(g, query);
	return target < 0 ? refused("its target is not a distributed table")
					  : decide_target_shards(g, target);
}

namespace {

/*
 * Whether an expression of a query is, in every row, the distribution column of a table that is
 * colocated with the target: then a shard group's rows belong to that shard group.
 */
bool carries_key(Query *query, Node *node, const catalog::Table& target)
{
	check_stack_depth();
	Level level = {query, nullptr};
	Level *owner = nullptr;
	const Var *var = resolve_column(node, &level, &owner);
	if (var == nullptr || query->groupingSets != NIL ||
		bms_is_member(var->varno,
					  deparse::nullable_relations(reinterpret_cast<Node *>(query->jointree))))
		return false;
	const RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
	if (deparse::is_sharded_rte(rte))
	{
		const catalog::Table& table = catalog::get_table(rte->relid);
		return table.kind == catalog::TableKind::Hash &&
			   table.colocation_id == target.colocation_id &&
			   var->varattno == table.distribution_attno;
	}
	if (rte->rtekind != RTE_SUBQUERY || rte->subquery->commandType != CMD_SELECT)
		return false;
	Query *inner = rte->subquery;
	if (inner->setOperations == nullptr)
	{
		const TargetEntry *entry = list_nth_node(TargetEntry, inner->targetList, var->varattno - 1);
		return carries_key(inner, reinterpret_cast<Node *>(entry->expr), target);
	}
	Bitmapset *legs = deparse::range_table_references(inner->setOperations);
	int leg = -1;
	while ((leg = bms_next_member(legs, leg)) >= 0)
	{
		Var *column = makeVar(leg, var->varattno, var->vartype, -1, var->varcollid, 0);
		const RangeTblEntry *leg_rte = rt_fetch(leg, inner->rtable);
		if (leg_rte->rtekind != RTE_SUBQUERY ||
			exprType(reinterpret_cast<Node *>(
				list_nth_node(TargetEntry, leg_rte->subquery->targetList, var->varattno - 1)
					->expr)) != var->vartype ||
			!carries_key(inner, reinterpret_cast<Node *>(column), target))
			return false;
	}
	return true;
}

/* The constant that an expression is in every row, seen through subqueries; null for anything
 * else. */
Expr *constant_key(Query *query, Node *node)
{
	node = strip(reinterpret_cast<Node *>(fold(reinterpret_cast<Expr *>(node), nullptr)));
	if (IsA(node, Const))
		return castNode(Const, node)->constisnull ? nullptr : reinterpret_cast<Expr *>(node);
	Level level = {query, nullptr};
	Level *owner = nullptr;
	const Var *var = resolve_column(node, &level, &owner);
	if (var == nullptr || query->groupingSets != NIL ||
		bms_is_member(var->varno,
					  deparse::nullable_relations(reinterpret_cast<Node *>(query->jointree))))
		return nullptr;
	const RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind != RTE_SUBQUERY || rte->subquery->commandType != CMD_SELECT ||
		rte->subquery->setOperations != nullptr)
		return nullptr;
	const TargetEntry *entry =
		list_nth_node(TargetEntry, rte->subquery->targetList, var->varattno - 1);
	return constant_key(rte->subquery, reinterpret_cast<Node *>(entry->expr));
}

} // namespace

Placement place_insert_select(Query *query, Node *key)
{
	Gatherer g;
	gather_query(g, query, nullptr);
	const int target = find_target(g, query);
	if (target < 0)
		return refused("its target is not a distributed table");
	const catalog::Table& table = *g.tables[target].table;
	if (table.is_single())
		return decide_target_shards(g, target);
	if (Expr *constant = constant_key(query, key))
	{
		g.pins.push({g.tables[target].column, value_number(g, constant)});
		return decide_one_shard(g, nullptr);
	}
	if (!carries_key(query, key, table))
		return refused("the target's distribution column is not that of a colocated table");
	Level level = {query, nullptr};
	Level *owner = nullptr;
	const Var *var = resolve_column(key, &level, &owner);
	g.equalities.push(
		{g.tables[target].column, column_number(g, query, var->varno, var->varattno)});
	const Placement one = decide_one_shard(g, nullptr);
	return one.ok ? one : decide_target_shards(g, target);
}

Placement place_merge(Query *query, List *keys)
{
	Gatherer g;
	gather_query(g, query, nullptr);
	const int target = find_target(g, query);
	if (target < 0)
		return refused("its target is not a distributed table");
	/* Rows that match nothing are inserted where they are found: each on one shard group only. */
	ListCell *cell;
	if (keys != NIL && !g.tables[target].table->is_single())
	{
		if (list_length(query->jointree->fromlist) != 1 ||
			!IsA(linitial(query->jointree->fromlist), RangeTblRef))
			return refused("its source is a join");
		foreach (cell, keys)
			if (!carries_key(query, static_cast<Node *>(lfirst(cell)), *g.tables[target].table))
				return refused("it inserts other values than the source's distribution column");
	}
	return decide_target_shards(g, target);
}

} // namespace civitas::planner
