/*
 * prune.cpp: keys of a table's rows in the conditions over it, for pruning shards.
 *
 * Looks at AND-ed clauses for: column = value, column = ANY (array), column IS NULL, and an OR each
 * arm of which has one of these. The first that restricts the distribution column is taken: any of them is a
 * superset of the shards needed.
 */
#include "internal.h"

#include <utility>

CIVITAS_PG_BEGIN
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

struct Keys
{
	const catalog::Table *table;
	Index varno;
	List *keys;
	List *kinds;
};

bool is_key_column(const Keys& keys, Node *node)
{
	while (node && IsA(node, RelabelType))
		node = reinterpret_cast<Node *>(castNode(RelabelType, node)->arg);
	if (node == nullptr || !IsA(node, Var))
		return false;
	const Var *var = castNode(Var, node);
	return static_cast<Index>(var->varno) == keys.varno && var->varlevelsup == 0 &&
		   var->varattno == keys.table->distribution_attno;
}

bool add_key(Keys& keys, Node *value)
{
	bool nothing = false;
	Expr *key = key_expression(*keys.table, reinterpret_cast<Expr *>(value), &nothing);
	if (nothing)
		return true; /* matches no row: adds no shard */
	if (key == nullptr)
		return false;
	keys.keys = lappend(keys.keys, key);
	keys.kinds = lappend_int(keys.kinds, static_cast<int>(plan::KeyKind::Equals));
	return true;
}

bool add_equality(Keys& keys, const OpExpr *op)
{
	if (list_length(op->args) != 2 ||
		!is_hash_equality(op->opno, keys.table->distribution_type, op->inputcollid))
		return false;
	Node *left = static_cast<Node *>(linitial(op->args));
	Node *right = static_cast<Node *>(lsecond(op->args));
	if (is_key_column(keys, right))
		std::swap(left, right);
	return is_key_column(keys, left) && is_execution_constant(right) && add_key(keys, right);
}

bool add_any(Keys& keys, const ScalarArrayOpExpr *any)
{
	Node *array = static_cast<Node *>(lsecond(any->args));
	if (!any->useOr || !is_key_column(keys, static_cast<Node *>(linitial(any->args))) ||
		!is_hash_equality(any->opno, keys.table->distribution_type, any->inputcollid))
		return false;
	if (IsA(array, ArrayExpr) && !castNode(ArrayExpr, array)->multidims)
	{
		ListCell *cell;
		foreach (cell, castNode(ArrayExpr, array)->elements)
		{
			Node *element = static_cast<Node *>(lfirst(cell));
			if (!is_execution_constant(element) || !add_key(keys, element))
				return false;
		}
		return true;
	}
	/* Elements of another type that are stored as the column's values are, as text is for varchar,
	 * hash alike. */
	const Oid element = get_element_type(exprType(array));
	if (!is_execution_constant(array) || !OidIsValid(element) ||
		(element != keys.table->distribution_type &&
		 !IsBinaryCoercible(element, getBaseType(keys.table->distribution_type))))
		return false;
	keys.keys = lappend(keys.keys, array);
	keys.kinds = lappend_int(keys.kinds, static_cast<int>(plan::KeyKind::AnyOf));
	return true;
}

bool add_null(Keys& keys, const NullTest *test)
{
	if (!is_null_test(test) || !is_key_column(keys, reinterpret_cast<Node *>(test->arg)))
		return false;
	keys.keys = lappend(keys.keys, makeNullConst(keys.table->distribution_type, -1,
												 keys.table->distribution_collation));
	keys.kinds = lappend_int(keys.kinds, static_cast<int>(plan::KeyKind::IsNull));
	return true;
}

bool add_clause(Keys& keys, Node *clause)
{
	ListCell *cell;
	if (IsA(clause, RestrictInfo))
		return add_clause(keys, reinterpret_cast<Node *>(castNode(RestrictInfo, clause)->clause));
	if (IsA(clause, OpExpr))
		return add_equality(keys, castNode(OpExpr, clause));
	if (IsA(clause, NullTest))
		return add_null(keys, castNode(NullTest, clause));
	if (IsA(clause, ScalarArrayOpExpr))
		return add_any(keys, castNode(ScalarArrayOpExpr, clause));
	if (is_andclause(clause))
	{
		foreach (cell, castNode(BoolExpr, clause)->args)
		{
			Keys attempt = keys;
			attempt.keys = list_copy(keys.keys);
			attempt.kinds = list_copy(keys.kinds);
			if (add_clause(attempt, static_cast<Node *>(lfirst(cell))))
			{
				keys = attempt;
				return true;
			}
		}
		return false;
	}
	if (is_orclause(clause))
	{
		foreach (cell, castNode(BoolExpr, clause)->args)
			if (!add_clause(keys, static_cast<Node *>(lfirst(cell))))
				return false;
		return true;
	}
	return false;
}

} // namespace

bool find_prune_keys(const catalog::Table& table, List *clauses, Index varno, List **keys,
					 List **key_kinds, bool *nothing)
{
	*keys = *key_kinds = NIL;
	*nothing = false;
	if (table.kind != catalog::TableKind::Hash || table.damage != nullptr)
		return false;
	ListCell *cell;
	foreach (cell, clauses)
	{
		Keys attempt = {&table, varno, NIL, NIL};
		if (!add_clause(attempt, static_cast<Node *>(lfirst(cell))))
			continue;
		*keys = attempt.keys;
		*key_kinds = attempt.kinds;
		*nothing = attempt.keys == NIL;
		return true;
	}
	return false;
}

} // namespace civitas::planner
