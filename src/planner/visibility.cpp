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
#include "utils/guc.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

char *show_shards_prefixes = nullptr;

bool check_prefixes(char **value, void **, GucSource)
{
	char *copy = pstrdup(*value ? *value : "");
	List *names;
	const bool valid = SplitGUCList(copy, ',', &names);
	list_free(names);
	return valid;
}

bool session_sees_shards()
{
	const char *name = application_name ? application_name : "";
	if (strncmp(name, "citus_internal", 14) == 0)
		return true;
	if (show_shards_prefixes == nullptr || *show_shards_prefixes == '\0')
		return false;
	char *copy = pstrdup(show_shards_prefixes);
	List *prefixes;
	if (!SplitGUCList(copy, ',', &prefixes))
		return false;
	ListCell *cell;
	foreach (cell, prefixes)
	{
		const char *prefix = static_cast<const char *>(lfirst(cell));
		if (strcmp(prefix, "*") == 0 || strncmp(name, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

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
	if (!reads_pg_class(query) || session_sees_shards())
		return;
	Oid type = OIDOID;
	Oid function = LookupFuncName(list_make2(makeString(pstrdup("pg_catalog")),
											 makeString(pstrdup("citus_table_is_visible"))),
								  1, &type, true);
	if (OidIsValid(function))
		replace_function(reinterpret_cast<Node *>(query), &function);
}

void visibility_init()
{
	DefineCustomStringVariable(
		"citus.show_shards_for_app_name_prefixes",
		"Application names, by how they begin, whose sessions see shards in lists of tables.",
		"A comma-separated list; * means all. Set it to look at shards with psql's \\d.",
		&show_shards_prefixes, "", PGC_USERSET, GUC_LIST_INPUT, check_prefixes, nullptr, nullptr);
}

} // namespace civitas::planner
