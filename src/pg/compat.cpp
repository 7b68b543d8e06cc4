/*
 * compat.cpp: the shims of compat.h that need more than a line.
 */
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/guc_tables.h"
CIVITAS_PG_END

namespace civitas::pg {

config_generic *find_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, 0);
#else
	for (config_generic *setting : all_settings())
		if (pg_strcasecmp(setting->name, name) == 0)
			return setting;
	return nullptr;
#endif
}

std::span<config_generic *const> all_settings()
{
	int count;
#if PG_VERSION_NUM >= 160000
	config_generic **settings = get_guc_variables(&count);
#else
	config_generic **settings = get_guc_variables();
	count = GetNumConfigOptions();
#endif
	return {settings, static_cast<size_t>(count)};
}

GucSource setting_source(const char *name)
{
	const config_generic *setting = find_setting(name);
	return setting != nullptr ? setting->source : PGC_S_DEFAULT;
}

#if PG_VERSION_NUM >= 170000
namespace {

bool run_conditions_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (!IsA(node, WindowFunc))
		return walk_children(node, run_conditions_walker, context);
	List **conditions = static_cast<List **>(context);
	WindowFunc *function = castNode(WindowFunc, node);
	ListCell *cell;
	foreach (cell, function->runCondition)
	{
		const WindowFuncRunCondition *condition = lfirst_node(WindowFuncRunCondition, cell);
		Expr *left = condition->wfunc_left ? reinterpret_cast<Expr *>(function) : condition->arg;
		Expr *right = condition->wfunc_left ? condition->arg : reinterpret_cast<Expr *>(function);
		*conditions =
			lappend(*conditions, make_opclause(condition->opno, BOOLOID, false, left, right,
											   InvalidOid, condition->inputcollid));
	}
	return false;
}

} // namespace
#endif

List *window_run_conditions([[maybe_unused]] const Query *query, [[maybe_unused]] List *target_list)
{
	List *conditions = NIL;
#if PG_VERSION_NUM >= 170000
	run_conditions_walker(reinterpret_cast<Node *>(target_list), &conditions);
#else
	ListCell *cell;
	foreach (cell, query->windowClause)
		conditions = list_concat(conditions, lfirst_node(WindowClause, cell)->runCondition);
#endif
	return conditions;
}

} // namespace civitas::pg
