/*
 * shippable.cpp: which expressions the nodes may evaluate.
 *
 * IMMUTABLE functions are the same everywhere. STABLE ones without columns are evaluated here, as
 * parameters. STABLE ones over columns are shipped when they are PostgreSQL's own and depend on
 * nothing but their arguments and the session's settings, which the nodes have too (time zone, date
 * style, text search configuration). Whatever depends on this node's catalogs or on the transaction
 * stays here, and so do subplans and columns of other query levels.
 */
#include "remote_rel.h"

#include "civitas/pg/transport.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

bool depends_on_catalogs(Oid type)
{
	switch (type)
	{
	case OIDOID:
	case NAMEOID:
	case XIDOID:
	case XID8OID:
		return true;
	default:
		return pg::names_catalog_object(type);
	}
}

bool starts_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool unsafe_function(Oid function, void *)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return true;
	const Form_pg_proc form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
	bool unsafe = form->provolatile == PROVOLATILE_VOLATILE;
	if (form->provolatile == PROVOLATILE_STABLE)
	{
		static constexpr const char *local_prefixes[] = {
			"pg_",		  "has_",	   "current",	"set_config", "to_reg",
			"txid_",	  "query_to_", "table_to_", "schema_to_", "database_to_",
			"cursor_to_", "obj_",	   "col_desc",	"shobj_",	  "inet_",
		};
		unsafe = function >= FirstNormalObjectId || depends_on_catalogs(form->prorettype);
		for (int i = 0; i < form->pronargs; i++)
			unsafe = unsafe || depends_on_catalogs(form->proargtypes.values[i]);
		for (const char *prefix : local_prefixes)
			unsafe = unsafe || starts_with(NameStr(form->proname), prefix);
	}
	ReleaseSysCache(tuple);
	return unsafe;
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
	case T_WindowFunc:
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
		return castNode(Param, node)->paramkind != PARAM_EXTERN;
	case T_Const:
		/* Oids of objects differ between nodes; their names may not be known there. */
		return false;
	case T_SQLValueFunction:
		return false; /* becomes a parameter */
	default:
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

bool is_shippable(Node *node)
{
	return !unshippable_walker(node, nullptr) && !expression_returns_set(node) &&
		   !has_local_objects(node);
}

} // namespace civitas::planner
