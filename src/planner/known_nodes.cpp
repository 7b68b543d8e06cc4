/*
 * known_nodes.cpp: which parts of a statement the planner knows.
 *
 * What a newer server adds to queries is not shipped before somebody has looked at it: text that a
 * node cannot read, or reads otherwise, or values that it computes otherwise, must not be found by
 * chance. PostgreSQL's planner and executor do such a statement here, over remote relations. A new
 * kind of node is added here, or in pg/compat.h where older servers do not have it, when it is clear
 * what pinning, shipping and parameters have to make of it.
 */
#include "internal.h"

CIVITAS_PG_BEGIN
#include "nodes/nodeFuncs.h"
CIVITAS_PG_END

namespace civitas::planner {

bool is_known_node(const Node *node)
{
	switch (nodeTag(node))
	{
	/* expressions */
	case T_Var:
	case T_Const:
	case T_Param:
	case T_Aggref:
	case T_GroupingFunc:
	case T_WindowFunc:
	case T_SubscriptingRef:
	case T_FuncExpr:
	case T_NamedArgExpr:
	case T_OpExpr:
	case T_DistinctExpr:
	case T_NullIfExpr:
	case T_ScalarArrayOpExpr:
	case T_BoolExpr:
	case T_SubLink:
	case T_SubPlan:
	case T_AlternativeSubPlan:
	case T_FieldSelect:
	case T_FieldStore:
	case T_RelabelType:
	case T_CoerceViaIO:
	case T_ArrayCoerceExpr:
	case T_ConvertRowtypeExpr:
	case T_CollateExpr:
	case T_CaseExpr:
	case T_CaseWhen:
	case T_CaseTestExpr:
	case T_ArrayExpr:
	case T_RowExpr:
	case T_RowCompareExpr:
	case T_CoalesceExpr:
	case T_MinMaxExpr:
	case T_SQLValueFunction:
	case T_XmlExpr:
	case T_NullTest:
	case T_BooleanTest:
	case T_CoerceToDomain:
	case T_CoerceToDomainValue:
	case T_SetToDefault:
	case T_CurrentOfExpr:
	case T_NextValueExpr:
	case T_InferenceElem:
	case T_PlaceHolderVar:
	case T_TargetEntry:
	case T_SortGroupClause:
	/* the rest of a query */
	case T_List:
	case T_IntList:
	case T_OidList:
	case T_Query:
	case T_RangeTblEntry:
	case T_RangeTblRef:
	case T_RangeTblFunction:
	case T_TableFunc:
	case T_TableSampleClause:
	case T_FromExpr:
	case T_JoinExpr:
	case T_SetOperationStmt:
	case T_GroupingSet:
	case T_WindowClause:
	case T_RowMarkClause:
	case T_CommonTableExpr:
	case T_CTESearchClause:
	case T_CTECycleClause:
	case T_OnConflictExpr:
	case T_MergeAction:
	case T_WithCheckOption:
		return true;
	default:
		return pg::is_known_newer_node(nodeTag(node));
	}
}

bool is_known_kind(const RangeTblEntry *rte)
{
	switch (rte->rtekind)
	{
	case RTE_RELATION:
	case RTE_SUBQUERY:
	case RTE_JOIN:
	case RTE_FUNCTION:
	case RTE_TABLEFUNC:
	case RTE_VALUES:
	case RTE_CTE:
	case RTE_NAMEDTUPLESTORE:
	case RTE_RESULT:
		return true;
	default:
		return pg::is_known_newer_kind(rte->rtekind);
	}
}

namespace {

bool unknown_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (!is_known_node(node))
		return true;
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), unknown_walker, context);
	return pg::walk_children(node, unknown_walker, context);
}

} // namespace

bool has_unknown_nodes(Node *node)
{
	return unknown_walker(node, nullptr);
}

} // namespace civitas::planner
