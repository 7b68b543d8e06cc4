/*
 * visibility.cpp: psql's \d does not list shards.
 *
 * Clients ask pg_table_is_visible() of pg_class's rows; in their queries it is replaced by
 * citus_table_is_visible(), which is false for shards. Sessions between nodes, and those whose
 * application_name begins with one of citus.show_shards_for_app_name_prefixes, see everything.
 */
#include "internal.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

bool reads_pg_class(Query *query)
{
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind == RTE_RELATION && rte->relid == RelationRelationId)
			return true;
	}
	return false;
}

bool replace_function(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, FuncExpr) && castNode(FuncExpr, node)->funcid == F_PG_TABLE_IS_VISIBLE)
		castNode(FuncExpr, node)->funcid = *static_cast<const Oid *>(context);
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), replace_function, context);
	return pg::walk_children(node, replace_function, context);
}

} // namespace

void hide_shards(Query *query)
{
	if (!reads_pg_class(query) || !catalog::shards_are_hidden())
		return;
	Oid type = OIDOID;
	Oid function = LookupFuncName(list_make2(makeString(pstrdup("pg_catalog")),
											 makeString(pstrdup("citus_table_is_visible"))),
								  1, &type, true);
	if (OidIsValid(function))
		replace_function(reinterpret_cast<Node *>(query), &function);
}

} // namespace civitas::planner
