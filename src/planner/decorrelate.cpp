/*
 * decorrelate.cpp: scalar subqueries about the row around them, as joins.
 *
 *   SELECT .. FROM o WHERE o.v > (SELECT 2 * avg(i.v) FROM i WHERE i.g = o.g AND i.x < 5)
 *
 * becomes
 *
 *   SELECT .. FROM o LEFT JOIN (SELECT i.g, avg(i.v) AS a FROM i WHERE i.x < 5 GROUP BY i.g) s ON s.g = o.g
 *   WHERE o.v > 2 * s.a
 *
 * PostgreSQL plans the former as a subplan that runs once for each row of o. A server with an index on i.g
 * does that quickly; here the rows of i are on other nodes, and each run would read all of them. The
 * latter is grouped by the nodes, and joined once. Where the columns that are compared are unique in i, the
 * subquery needs no aggregate, and no GROUP BY either.
 *
 * This is done only where nobody can see a difference:
 *
 *   - the subquery is one SELECT of a scalar, and names the outer query in `inner = outer` only, with an
 *     equality that agrees with how GROUP BY tells values apart;
 *   - its aggregates are NULL over no rows, or 0 (count), which is what the join's missing row is made to say;
 *   - it computes things for rows of i that no row of o asks for: only what cannot fail;
 *   - nothing in it is volatile, and no row of it is locked.
 *
 * WHERE, and the target list of a query without grouping, are looked at; of all levels, outermost first.
 */
#include "internal.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/stratnum.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_index.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

/* --- what can be computed for any row --------------------------------------------------------- */

/* Comparisons of PostgreSQL's own types. */
bool compares(Oid op)
{
	return op < FirstNormalObjectId && pg::is_comparison(op);
}

bool may_fail(Oid function, void *)
{
	switch (function)
	{
	case F_NUMERIC_ADD:
	case F_NUMERIC_SUB:
	case F_NUMERIC_MUL:
	case F_TEXTLIKE:
	case F_TEXTNLIKE:
	case F_TEXTICLIKE:
	case F_TEXTICNLIKE:
	case F_NUMERIC_INT4:
	case F_NUMERIC_INT8:
	case F_NUMERIC_INT2:
	case F_FLOAT8_INT4:
		return false;
	default:
		return !get_func_leakproof(function);
	}
}

/* An expression that raises no error, whatever the row is. */
bool can_fail_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	switch (nodeTag(node))
	{
	case T_Var:
	case T_Const:
	case T_Param:
		return false;
	case T_OpExpr:
	case T_DistinctExpr:
	case T_ScalarArrayOpExpr:
	case T_NullIfExpr: {
		const Oid op = IsA(node, ScalarArrayOpExpr) ? castNode(ScalarArrayOpExpr, node)->opno
													: reinterpret_cast<OpExpr *>(node)->opno;
		if (compares(op))
			return pg::walk_children(node, can_fail_walker, context);
		break;
	}
	case T_FuncExpr:
	case T_BoolExpr:
	case T_NullTest:
	case T_BooleanTest:
	case T_RelabelType:
	case T_CollateExpr:
	case T_CaseExpr:
	case T_CaseWhen:
	case T_CoalesceExpr:
	case T_ArrayExpr:
	case T_List:
	case T_TargetEntry:
	case T_CaseTestExpr:
		break;
	default:
		return !is_execution_constant(node);
	}
	/* What has no column fails, if it does, for every row alike. */
	if (!IsA(node, List) && !IsA(node, TargetEntry) && !IsA(node, CaseWhen) &&
		is_execution_constant(node))
		return false;
	return check_functions_in_node(node, may_fail, nullptr) ||
		   pg::walk_children(node, can_fail_walker, context);
}

bool cannot_fail(Node *node)
{
	return !can_fail_walker(node, nullptr);
}

/* --- aggregates ------------------------------------------------------------------------------- */

bool is_count(Oid aggregate)
{
	return aggregate == F_COUNT_ || aggregate == F_COUNT_ANY || aggregate == F_REGR_COUNT;
}

/* An aggregate of PostgreSQL's own that is 0 (count) or NULL over no rows. */
bool is_plain_aggregate(const Aggref *aggregate)
{
	if (aggregate->agglevelsup != 0 || aggregate->aggkind != AGGKIND_NORMAL ||
		aggregate->aggfnoid >= FirstNormalObjectId)
		return false;
	return !is_nameless_row(aggregate->aggtype) &&
		   cannot_fail(reinterpret_cast<Node *>(aggregate->args)) &&
		   cannot_fail(reinterpret_cast<Node *>(aggregate->aggfilter)) &&
		   aggregate->aggdirectargs == NIL;
}

bool is_null_over_nothing(Oid aggregate)
{
	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	if (!HeapTupleIsValid(tuple))
		return false;
	bool no_state;
	SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval, &no_state);
	ReleaseSysCache(tuple);
	/* avg() and its like begin with a state that says that there were none. */
	switch (aggregate)
	{
	case F_AVG_INT2:
	case F_AVG_INT4:
	case F_AVG_FLOAT4:
	case F_AVG_FLOAT8:
	case F_AVG_INTERVAL:
		return true;
	default:
		return no_state;
	}
}

struct Aggregates
{
	List *found; /* Aggref, each once */
	bool bad;
};

bool aggregate_walker(Node *node, void *context)
{
	Aggregates *aggregates = static_cast<Aggregates *>(context);
	if (node == nullptr)
		return false;
	if (IsA(node, Aggref))
	{
		const Aggref *aggregate = castNode(Aggref, node);
		if (!is_plain_aggregate(aggregate) ||
			(!is_count(aggregate->aggfnoid) && !is_null_over_nothing(aggregate->aggfnoid)))
			aggregates->bad = true;
		aggregates->found = list_append_unique(aggregates->found, node);
		return aggregates->bad;
	}
	if (IsA(node, SubLink) || IsA(node, GroupingFunc) || IsA(node, WindowFunc) ||
		(IsA(node, Var) && castNode(Var, node)->varlevelsup == 0))
		aggregates->bad = true;
	return aggregates->bad || pg::walk_children(node, aggregate_walker, context);
}

/* --- the subquery ----------------------------------------------------------------------------- */

/* `inner = outer` of a subquery's WHERE. */
struct Correlation
{
	OpExpr *equality;
	Node *inner;
	Node *outer;
	Oid same; /* how GROUP BY tells inner values apart */
	Oid less;
	bool hashable;
};

/* Whether `op` takes values for equal as `same`, the equality of one of its sides, does. */
bool agrees(Oid op, Oid same)
{
	List *families = get_mergejoin_opfamilies(same);
	ListCell *cell;
	foreach (cell, get_mergejoin_opfamilies(op))
		if (list_member_oid(families, lfirst_oid(cell)))
			return true;
	return false;
}

/* Whether WHERE's clause is an equality of the subquery's rows with the row around it. */
bool is_correlation(Node *clause, Correlation *result)
{
	if (!IsA(clause, OpExpr) || list_length(castNode(OpExpr, clause)->args) != 2)
		return false;
	OpExpr *equality = castNode(OpExpr, clause);
	if (equality->opno >= FirstNormalObjectId)
		return false;
	Node *left = static_cast<Node *>(linitial(equality->args));
	Node *right = static_cast<Node *>(lsecond(equality->args));
	const auto outer_only = [](Node *node) {
		return contain_vars_of_level(node, 1) && !contain_vars_of_level(node, 0) &&
			   cannot_fail(node);
	};
	const auto inner_only = [](Node *node) {
		return contain_vars_of_level(node, 0) && !contain_vars_of_level(node, 1) &&
			   cannot_fail(node);
	};
	if (inner_only(left) && outer_only(right))
		*result = {equality, left, right, InvalidOid, InvalidOid, false};
	else if (inner_only(right) && outer_only(left))
		*result = {equality, right, left, InvalidOid, InvalidOid, false};
	else
		return false;
	const Oid type = exprType(result->inner);
	if (is_nameless_row(type) || (OidIsValid(equality->inputcollid) &&
								  equality->inputcollid != exprCollation(result->inner)))
		return false;
	get_sort_group_operators(type, false, false, false, &result->less, &result->same, nullptr,
							 &result->hashable);
	return OidIsValid(result->less) && OidIsValid(result->same) &&
		   agrees(equality->opno, result->same) &&
		   op_hashjoinable(equality->opno, exprType(static_cast<Node *>(linitial(equality->args))));
}

struct Correlations
{
	Correlation items[INDEX_MAX_KEYS];
	int count;
	List *rest; /* clauses about the subquery's rows alone */
};
CIVITAS_SERVER_STATE(Correlations);

/* Takes WHERE apart; false where it names the outer query otherwise, or may fail. */
bool take_correlations(const Query *subquery, Correlations *correlations)
{
	*correlations = {};
	ListCell *cell;
	foreach (cell, make_ands_implicit(reinterpret_cast<Expr *>(subquery->jointree->quals)))
	{
		Node *clause = static_cast<Node *>(lfirst(cell));
		if (!contain_vars_of_level(clause, 1))
		{
			if (!cannot_fail(clause))
				return false;
			correlations->rest = lappend(correlations->rest, clause);
			continue;
		}
		if (correlations->count == INDEX_MAX_KEYS ||
			!is_correlation(clause, &correlations->items[correlations->count]))
			return false;
		correlations->count++;
	}
	return correlations->count > 0;
}

bool joins_may_fail(Node *node)
{
	if (IsA(node, RangeTblRef))
		return false;
	if (IsA(node, JoinExpr))
	{
		const JoinExpr *join = castNode(JoinExpr, node);
		return !cannot_fail(join->quals) || joins_may_fail(join->larg) ||
			   joins_may_fail(join->rarg);
	}
	ListCell *cell;
	foreach (cell, castNode(FromExpr, node)->fromlist)
		if (joins_may_fail(static_cast<Node *>(lfirst(cell))))
			return true;
	return false;
}

/* Tables and joins of them, that belong to no other level. */
bool from_is_plain(const Query *subquery)
{
	ListCell *cell;
	foreach (cell, subquery->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if ((rte->rtekind != RTE_RELATION && rte->rtekind != RTE_JOIN) ||
			rte->tablesample != nullptr || rte->securityQuals != NIL || rte->lateral)
			return false;
	}
	foreach (cell, subquery->jointree->fromlist)
		if (joins_may_fail(static_cast<Node *>(lfirst(cell))))
			return false;
	return true;
}

/* A SELECT of one value, without what would make its rows depend on each other. */
bool is_plain_select(Query *subquery)
{
	return subquery->commandType == CMD_SELECT && subquery->setOperations == nullptr &&
		   subquery->cteList == NIL && subquery->groupClause == NIL &&
		   subquery->groupingSets == NIL && subquery->havingQual == nullptr &&
		   subquery->distinctClause == NIL && subquery->rowMarks == NIL &&
		   subquery->limitCount == nullptr && subquery->limitOffset == nullptr &&
		   !subquery->hasWindowFuncs && !subquery->hasTargetSRFs && !subquery->hasSubLinks &&
		   !subquery->hasForUpdate && list_length(subquery->targetList) == 1 &&
		   subquery->jointree->fromlist != NIL && from_is_plain(subquery) &&
		   mentions_sharded(subquery) &&
		   !contain_volatile_functions(reinterpret_cast<Node *>(subquery));
}

/* Names nothing beyond the query around it, and that only in WHERE or above its aggregates. */
bool outer_names_are_near(Query *subquery)
{
	for (int level = 2; level < 32; level++)
		if (contain_vars_of_level(reinterpret_cast<Node *>(subquery), level))
			return false;
	ListCell *cell;
	foreach (cell, subquery->jointree->fromlist)
		if (contain_vars_of_level(static_cast<Node *>(lfirst(cell)), 1))
			return false;
	foreach (cell, subquery->rtable)
		if (lfirst_node(RangeTblEntry, cell)->rtekind == RTE_JOIN &&
			contain_vars_of_level(
				reinterpret_cast<Node *>(lfirst_node(RangeTblEntry, cell)->joinaliasvars), 1))
			return false;
	return true;
}

/* An index is unique by its own operators and collations, which need not be the comparison's. */
const oidvector *vector_of(HeapTuple index, AttrNumber attribute)
{
	bool isnull;
	return reinterpret_cast<const oidvector *>(
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, index, attribute, &isnull)));
}

bool opclass_has(Oid opclass, Oid op)
{
	return op_in_opfamily(op, get_opclass_family(opclass));
}

/* Whether at most one row of the subquery's only table can pass the equalities. */
bool at_most_one_row(const Query *subquery, const Correlations *correlations)
{
	if (list_length(subquery->rtable) != 1)
		return false;
	const RangeTblEntry *rte = linitial_node(RangeTblEntry, subquery->rtable);
	Relation relation = RelationIdGetRelation(rte->relid);
	if (relation == nullptr)
		return false;
	bool unique = false;
	ListCell *cell;
	foreach (cell, RelationGetIndexList(relation))
	{
		HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		if (!HeapTupleIsValid(tuple))
			continue;
		const Form_pg_index index = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
		const auto *collations = vector_of(tuple, Anum_pg_index_indcollation);
		const auto *classes = vector_of(tuple, Anum_pg_index_indclass);
		bool fits = index->indisunique && index->indimmediate && index->indisvalid &&
					heap_attisnull(tuple, Anum_pg_index_indpred, nullptr);
		for (int i = 0; fits && i < index->indnkeyatts; i++)
		{
			bool found = false;
			for (int k = 0; !found && k < correlations->count; k++)
			{
				const Correlation *correlation = &correlations->items[k];
				found = IsA(correlation->inner, Var) && index->indkey.values[i] != 0 &&
						castNode(Var, correlation->inner)->varattno == index->indkey.values[i] &&
						collations->values[i] == correlation->equality->inputcollid &&
						opclass_has(classes->values[i], correlation->equality->opno);
			}
			fits = found;
		}
		unique |= fits;
		ReleaseSysCache(tuple);
	}
	RelationClose(relation);
	return unique;
}

/* --- the join --------------------------------------------------------------------------------- */

/* A subquery that is to be joined, and what the expression that stands for it becomes. */
struct Join
{
	Query *subquery;
	List *on;	 /* over the query around it */
	Expr *value; /* the same */
	int number;	 /* range table index of the subquery */
	int join;	 /* and of the join */
};
CIVITAS_SERVER_STATE(Join);

Var *column_of(const Join *join, const TargetEntry *entry, bool above)
{
	Var *var = makeVarFromTargetEntry(join->number, const_cast<TargetEntry *>(entry));
	if (above)
		pg::make_nullable(var, join->join);
	return var;
}

struct Replace
{
	const Join *join;
	List *entries; /* of the subquery, in whose place its columns come */
};

Node *replace_aggregates(Node *node, void *context)
{
	const Replace *replace = static_cast<const Replace *>(context);
	if (node == nullptr)
		return nullptr;
	ListCell *cell;
	if (IsA(node, Aggref) || (IsA(node, Var) && castNode(Var, node)->varlevelsup == 0))
	{
		foreach (cell, replace->entries)
		{
			const TargetEntry *entry = lfirst_node(TargetEntry, cell);
			if (!equal(entry->expr, node))
				continue;
			Var *column = column_of(replace->join, entry, true);
			if (!IsA(node, Aggref) || !is_count(castNode(Aggref, node)->aggfnoid))
				return reinterpret_cast<Node *>(column);
			CoalesceExpr *zero = makeNode(CoalesceExpr);
			zero->coalescetype = INT8OID;
			zero->args = list_make2(column, makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
													  Int64GetDatum(0), false, FLOAT8PASSBYVAL));
			zero->location = -1;
			return reinterpret_cast<Node *>(zero);
		}
	}
	return pg::mutate_children(node, replace_aggregates, context);
}

TargetEntry *add_entry(Query *query, Node *expr)
{
	const int number = list_length(query->targetList) + 1;
	TargetEntry *entry =
		makeTargetEntry(static_cast<Expr *>(copyObjectImpl(expr)), static_cast<AttrNumber>(number),
						psprintf("c%d", number), false);
	query->targetList = lappend(query->targetList, entry);
	return entry;
}

/* Groups the subquery's rows by what is compared with the row around it. */
void group_by(Query *query, TargetEntry *entry, const Correlation *correlation)
{
	SortGroupClause *clause = makeNode(SortGroupClause);
	entry->ressortgroupref = static_cast<Index>(list_length(query->groupClause) + 1);
	clause->tleSortGroupRef = entry->ressortgroupref;
	clause->eqop = correlation->same;
	clause->sortop = correlation->less;
	clause->hashable = correlation->hashable;
	query->groupClause = lappend(query->groupClause, clause);
}

Node *lower(Node *node)
{
	node = static_cast<Node *>(copyObjectImpl(node));
	IncrementVarSublevelsUp(node, -1, 1);
	return node;
}

/* Fills the join of a subquery; false where it has to stay what it is. */
bool make_join(const SubLink *link, Join *join)
{
	Query *subquery = castNode(Query, link->subselect);
	if (link->subLinkType != EXPR_SUBLINK || !is_plain_select(subquery) ||
		!outer_names_are_near(subquery))
		return false;
	Correlations correlations;
	if (!take_correlations(subquery, &correlations))
		return false;

	Node *value = reinterpret_cast<Node *>(linitial_node(TargetEntry, subquery->targetList)->expr);
	Aggregates aggregates = {};
	List *columns = NIL;
	if (subquery->hasAggs)
	{
		if (aggregate_walker(value, &aggregates) || aggregates.found == NIL)
			return false;
		columns = aggregates.found;
	}
	else if (IsA(value, Var) && castNode(Var, value)->varlevelsup == 0 &&
			 castNode(Var, value)->varattno > 0 && at_most_one_row(subquery, &correlations))
		columns = list_make1(value);
	else
		return false;

	Query *query = static_cast<Query *>(copyObjectImpl(subquery));
	query->targetList = NIL;
	query->jointree->quals = correlations.rest
								 ? reinterpret_cast<Node *>(make_ands_explicit(
									   castNode(List, copyObjectImpl(correlations.rest))))
								 : nullptr;
	for (int i = 0; i < correlations.count; i++)
	{
		const Correlation *correlation = &correlations.items[i];
		TargetEntry *entry = add_entry(query, correlation->inner);
		if (subquery->hasAggs)
			group_by(query, entry, correlation);
		OpExpr *equality = makeNode(OpExpr);
		*equality = *correlation->equality;
		Var *column = column_of(join, entry, false);
		Node *outer = lower(correlation->outer);
		equality->args = correlation->inner == linitial(equality->args) ? list_make2(column, outer)
																		: list_make2(outer, column);
		join->on = lappend(join->on, equality);
	}
	ListCell *cell;
	List *entries = NIL;
	foreach (cell, columns)
		entries = lappend(entries, add_entry(query, static_cast<Node *>(lfirst(cell))));
	Replace replace = {join, entries};
	Node *expression = replace_aggregates(value, &replace);
	/* What it takes from the query around it is in that query now. */
	join->value = reinterpret_cast<Expr *>(lower(expression));
	join->subquery = query;
	return true;
}

/* Puts the join on top of the query's FROM. */
void add_join(Query *query, Join *join)
{
	RangeTblEntry *rows = makeNode(RangeTblEntry);
	rows->rtekind = RTE_SUBQUERY;
	rows->subquery = join->subquery;
	List *names = NIL;
	ListCell *cell;
	foreach (cell, join->subquery->targetList)
		names = lappend(names, makeString(lfirst_node(TargetEntry, cell)->resname));
	rows->eref = makeAlias("subquery", names);
	rows->inFromCl = true;
	query->rtable = lappend(query->rtable, rows);
	Assert(list_length(query->rtable) == join->number);

	RangeTblEntry *joined = makeNode(RangeTblEntry);
	joined->rtekind = RTE_JOIN;
	joined->jointype = JOIN_LEFT;
	joined->eref = makeAlias("unnamed_join", NIL);
	joined->inFromCl = true;
	query->rtable = lappend(query->rtable, joined);

	RangeTblRef *right = makeNode(RangeTblRef);
	right->rtindex = join->number;
	JoinExpr *expr = makeNode(JoinExpr);
	expr->jointype = JOIN_LEFT;
	expr->larg = list_length(query->jointree->fromlist) == 1
					 ? static_cast<Node *>(linitial(query->jointree->fromlist))
					 : reinterpret_cast<Node *>(makeFromExpr(query->jointree->fromlist, nullptr));
	expr->rarg = reinterpret_cast<Node *>(right);
	expr->quals = reinterpret_cast<Node *>(make_ands_explicit(join->on));
	expr->rtindex = join->join;
	query->jointree->fromlist = list_make1(expr);
}

/* --- all of a statement ----------------------------------------------------------------------- */

Node *replace_links(Node *node, void *context)
{
	Query *query = static_cast<Query *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, SubLink))
	{
		Join join = {};
		join.number = list_length(query->rtable) + 1;
		join.join = join.number + 1;
		if (make_join(castNode(SubLink, node), &join))
		{
			add_join(query, &join);
			return reinterpret_cast<Node *>(join.value);
		}
		return node;
	}
	if (IsA(node, Aggref) || IsA(node, WindowFunc))
		return node;
	return pg::mutate_children(node, replace_links, context);
}

bool decorrelate_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, decorrelate_walker, context);
	Query *query = castNode(Query, node);
	if (query->commandType == CMD_SELECT && query->hasSubLinks && query->rowMarks == NIL &&
		query->setOperations == nullptr && query->jointree->fromlist != NIL)
	{
		query->jointree->quals = replace_links(query->jointree->quals, query);
		if (!query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL &&
			!query->hasTargetSRFs)
			query->targetList =
				castNode(List, replace_links(reinterpret_cast<Node *>(query->targetList), query));
		query->hasSubLinks = checkExprHasSubLink(reinterpret_cast<Node *>(query));
	}
	return pg::walk_query(query, decorrelate_walker, context);
}

} // namespace

void decorrelate(Query *query)
{
	decorrelate_walker(reinterpret_cast<Node *>(query), nullptr);
}

} // namespace civitas::planner
