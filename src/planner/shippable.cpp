/*
 * shippable.cpp: which expressions the nodes may evaluate.
 *
 * IMMUTABLE functions are the same everywhere. STABLE ones without columns are evaluated here, as
 * parameters. STABLE ones over columns are shipped when they are PostgreSQL's own and depend on
 * nothing but their arguments and the session's settings, which the nodes have too (time zone, date
 * style, text search configuration): asking_node.cpp lists those that do not. Whatever depends on
 * this node's catalogs or on the transaction stays here, and so do subplans and columns of other
 * query levels. The value of a subplan that runs once goes as a parameter.
 */
#include "remote_rel.h"

#include "civitas/deparse/records.h"

CIVITAS_PG_BEGIN
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

bool unsafe_function(Oid function, void *)
{
	const char kind = func_volatile(function);
	return kind == PROVOLATILE_VOLATILE ||
		   (kind == PROVOLATILE_STABLE && (function >= FirstNormalObjectId || runs_here(function)));
}

/* The value of a subquery that does not depend on rows, of this level or those around it. */
bool is_computed_before(const PlannerInfo *root, const Param *param)
{
	if (param->paramkind != PARAM_EXEC)
		return false;
	for (; root != nullptr; root = root->parent_root)
	{
		ListCell *cell;
		foreach (cell, root->init_plans)
			if (list_member_int(lfirst_node(SubPlan, cell)->setParam, param->paramid))
				return true;
	}
	return false;
}

bool unshippable_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	switch (nodeTag(node))
	{
	case T_PlaceHolderVar:
	case T_SubPlan:
	case T_AlternativeSubPlan:
	case T_SubLink:
	case T_GroupingFunc:
	case T_CurrentOfExpr:
	case T_NextValueExpr:
	case T_Query:
	case T_FieldStore:
		return true;
	case T_SubscriptingRef:
		if (castNode(SubscriptingRef, node)->refassgnexpr)
			return true;
		break;
	case T_Var:
		return castNode(Var, node)->varlevelsup != 0 ||
			   castNode(Var, node)->varattno == TableOidAttributeNumber;
	case T_Param:
		return (castNode(Param, node)->paramkind != PARAM_EXTERN &&
				!is_computed_before(static_cast<const PlannerInfo *>(context),
									castNode(Param, node))) ||
			   is_nameless_row(castNode(Param, node)->paramtype);
	case T_RowExpr:
		if (deparse::has_column_names(node))
			return true;
		break;
	case T_Const:
		if (deparse::has_column_names(node))
			return true;
		/* Oids of objects differ between nodes; their names may not be known there. */
		return false;
	case T_SQLValueFunction:
		return false; /* becomes a parameter */
	default:
		if (!is_known_node(node) || pg::is_merge_action_call(node))
			return true;
		break;
	}
	if (!IsA(node, List) && !IsA(node, TargetEntry) && !IsA(node, CaseWhen) &&
		is_execution_constant(node))
		return false;
	if (check_functions_in_node(node, unsafe_function, nullptr))
		return true;
	return pg::walk_children(node, unshippable_walker, context);
}

} // namespace

bool is_shippable(Node *node, const PlannerInfo *root)
{
	return !unshippable_walker(node, const_cast<PlannerInfo *>(root)) &&
		   !expression_returns_set(node) && !has_local_objects(node);
}

} // namespace civitas::planner
