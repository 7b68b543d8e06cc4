/*
 * parameters.cpp: what is evaluated here, once, and sent as $1, $2, ... of the remote statement.
 *
 * External parameters and the largest subexpressions without columns that a STABLE function makes
 * depend on this session or this moment (now(), current_setting(), ...). IMMUTABLE ones stay in the
 * text: the nodes get the same. VOLATILE ones stay too: they may differ from row to row.
 * Constants of a statement on one table that has no parameters of its own go the same way, so that
 * one text, planned once by the node, serves all values (extract_constants).
 */
#include "internal.h"

#include "civitas/deparse/collations.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

bool not_constant_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	switch (nodeTag(node))
	{
	case T_Var:
	case T_Aggref:
	case T_WindowFunc:
	case T_GroupingFunc:
	case T_SubLink:
	case T_SubPlan:
	case T_AlternativeSubPlan:
	case T_PlaceHolderVar:
	case T_SetToDefault:
	case T_CurrentOfExpr:
	case T_CaseTestExpr:
	case T_CoerceToDomainValue:
	case T_NextValueExpr:
	case T_Query:
		return true;
	case T_Param:
		return castNode(Param, node)->paramkind != PARAM_EXTERN;
	default:
		return !is_known_node(node) || pg::is_merge_action_call(node) ||
			   pg::walk_children(node, not_constant_walker, context);
	}
}

} // namespace

/* Worth being a parameter, and possible: a scalar with a type that travels. */
bool becomes_parameter(Node *node)
{
	switch (nodeTag(node))
	{
	case T_Param:
		return castNode(Param, node)->paramkind == PARAM_EXTERN ||
			   castNode(Param, node)->paramkind == PARAM_EXEC;
	case T_FuncExpr:
	case T_OpExpr:
	case T_DistinctExpr:
	case T_NullIfExpr:
	case T_ScalarArrayOpExpr:
	case T_CoerceViaIO:
	case T_ArrayCoerceExpr:
	case T_SQLValueFunction:
	case T_CaseExpr:
	case T_CoalesceExpr:
	case T_MinMaxExpr:
	case T_ArrayExpr:
	case T_RelabelType:
	case T_BoolExpr:
	case T_NullTest:
	case T_CoerceToDomain:
		break;
	case T_SubscriptingRef:
		/* An assignment to an element is a part of its column's (deparse/assignments.cpp). */
		if (castNode(SubscriptingRef, node)->refassgnexpr)
			return false;
		break;
	default:
		return false;
	}
	const Oid type = exprType(node);
	return get_typtype(type) != TYPTYPE_PSEUDO && !expression_returns_set(node) &&
		   is_execution_constant(node) && contain_mutable_functions(node);
}

namespace {

Node *mutator(Node *node, void *context)
{
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
		return reinterpret_cast<Node *>(pg::mutate_query(castNode(Query, node), mutator, context));
	if (IsA(node, RangeTblFunction))
	{
		/* FROM takes a function call, never a bare $n: only its arguments are looked at. */
		RangeTblFunction *function = static_cast<RangeTblFunction *>(copyObjectImpl(node));
		function->funcexpr = pg::mutate_children(function->funcexpr, mutator, context);
		return reinterpret_cast<Node *>(function);
	}
	if (becomes_parameter(node))
		return add_parameter(static_cast<Parameters *>(context), reinterpret_cast<Expr *>(node));
	return pg::mutate_children(node, mutator, context);
}

/* Types whose constants are told from parameters by nothing but their text. */
bool plain_type(Oid type)
{
	switch (type)
	{
	case INT2OID:
	case INT4OID:
	case INT8OID:
	case TEXTOID:
	case NUMERICOID:
	case DATEOID:
	case TIMESTAMPOID:
	case TIMESTAMPTZOID:
	case UUIDOID:
		return true;
	default:
		return false;
	}
}

Node *constant_mutator(Node *node, void *context)
{
	if (node == nullptr)
		return nullptr;
	if (!IsA(node, OpExpr) && !IsA(node, BoolExpr) && !IsA(node, TargetEntry))
		return node;
	Node *result = pg::mutate_children(node, constant_mutator, context);
	if (!IsA(node, OpExpr))
		return result;
	ListCell *cell;
	foreach (cell, castNode(OpExpr, result)->args)
	{
		Const *value = static_cast<Const *>(lfirst(cell));
		if (IsA(value, Const) && becomes_hole(value))
			lfirst(cell) =
				add_parameter(static_cast<Parameters *>(context), reinterpret_cast<Expr *>(value));
	}
	return result;
}

bool collate_walker(Node *node, void *context)
{
	return node != nullptr &&
		   (IsA(node, CollateExpr) || pg::walk_children(node, collate_walker, context));
}

/* A parameter's collation is its type's; COLLATE says which one the expression had. */
Node *with_collation(void *parameter, Expr *expr)
{
	Node *node = reinterpret_cast<Node *>(expr);
	const Oid collation = exprCollation(node);
	if (!OidIsValid(collation) ||
		(collation == get_typcollation(exprType(node)) && !collate_walker(node, nullptr)))
		return static_cast<Node *>(parameter);
	return reinterpret_cast<Node *>(deparse::collate(static_cast<Expr *>(parameter), collation));
}

} // namespace

bool becomes_hole(const Const *value)
{
	return !value->constisnull && plain_type(value->consttype);
}

void extract_constants(Query *query, Parameters *parameters)
{
	FromExpr *from = query->jointree;
	from->quals = constant_mutator(from->quals, parameters);
	if (query->commandType == CMD_UPDATE)
		query->targetList =
			castNode(List, pg::mutate_children(reinterpret_cast<Node *>(query->targetList),
											   constant_mutator, parameters));
}

bool is_execution_constant(Node *node)
{
	return !not_constant_walker(node, nullptr) && !contain_volatile_functions(node);
}

Node *add_parameter(Parameters *parameters, Expr *expr)
{
	const Oid type = exprType(reinterpret_cast<Node *>(expr));
	const bool as_text = type >= FirstNormalObjectId;

	int number = 0;
	ListCell *cell;
	Expr *value = static_cast<Expr *>(copyObjectImpl(expr));
	if (as_text)
	{
		CoerceViaIO *text = makeNode(CoerceViaIO);
		text->arg = value;
		text->resulttype = TEXTOID;
		text->resultcollid = DEFAULT_COLLATION_OID;
		text->coerceformat = COERCE_EXPLICIT_CAST;
		text->location = -1;
		value = reinterpret_cast<Expr *>(text);
	}
	value = expression_planner(value);
	foreach (cell, parameters->exprs)
	{
		if (equal(lfirst(cell), value))
		{
			number = foreach_current_index(cell) + 1;
			break;
		}
	}
	if (number == 0)
	{
		parameters->exprs = lappend(parameters->exprs, value);
		parameters->types = lappend_oid(parameters->types, as_text ? TEXTOID : type);
		number = list_length(parameters->exprs);
	}

	Param *param = makeNode(Param);
	param->paramkind = PARAM_EXTERN;
	param->paramid = number;
	param->paramtype = as_text ? TEXTOID : type;
	param->paramtypmod = as_text ? -1 : exprTypmod(reinterpret_cast<Node *>(expr));
	param->paramcollid =
		as_text ? DEFAULT_COLLATION_OID : exprCollation(reinterpret_cast<Node *>(expr));
	param->location = -1;
	if (!as_text)
		return with_collation(param, expr);

	CoerceViaIO *cast = makeNode(CoerceViaIO);
	cast->arg = reinterpret_cast<Expr *>(param);
	cast->resulttype = type;
	cast->resultcollid = exprCollation(reinterpret_cast<Node *>(expr));
	cast->coerceformat = COERCE_EXPLICIT_CAST;
	cast->location = -1;
	return with_collation(cast, expr);
}

Node *extract_parameters(Node *node, Parameters *parameters)
{
	return mutator(node, parameters);
}

} // namespace civitas::planner
