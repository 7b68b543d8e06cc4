/*
 * compat.cpp: the shims of compat.h that need more than a line.
 */
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/guc_tables.h"
CIVITAS_PG_END

namespace civitas::pg {

#if PG_VERSION_NUM >= 180000
namespace {

void resolve_own_groups(Query *query)
{
	query->targetList = reinterpret_cast<List *>(
		flatten_group_exprs(nullptr, query, reinterpret_cast<Node *>(query->targetList)));
	query->havingQual = flatten_group_exprs(nullptr, query, query->havingQual);
	query->hasGroupRTE = false;
	/* Where it comes last, as the parser leaves it, it goes; else the others keep their numbers. */
	if (llast_node(RangeTblEntry, query->rtable)->rtekind == RTE_GROUP)
	{
		query->rtable = list_delete_last(query->rtable);
		return;
	}
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		if (rte->rtekind != RTE_GROUP)
			continue;
		rte->rtekind = RTE_RESULT;
		rte->eref = makeAlias("*RESULT*", NIL);
		rte->groupexprs = NIL;
	}
}

bool resolve_groups_walker(Node *node, void *)
{
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return walk_children(node, resolve_groups_walker, nullptr);
	Query *query = castNode(Query, node);
	if (query->hasGroupRTE && query->groupingSets == NIL)
		resolve_own_groups(query);
	return walk_query(query, resolve_groups_walker, nullptr);
}

/* CASE WHEN old.ctid IS NULL THEN NULL ELSE the expression END; the row's place is NULL where there is
 * no row. */
Node *unless_missing(const ReturningExpr *returned, int target)
{
	Var *place = makeVar(target, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid,
						 static_cast<Index>(returned->retlevelsup));
	place->varreturningtype = returned->retold ? VAR_RETURNING_OLD : VAR_RETURNING_NEW;
	NullTest *missing = makeNode(NullTest);
	missing->arg = reinterpret_cast<Expr *>(place);
	missing->nulltesttype = IS_NULL;
	missing->location = -1;
	Node *value = reinterpret_cast<Node *>(returned->retexpr);
	CaseWhen *when = makeNode(CaseWhen);
	when->expr = reinterpret_cast<Expr *>(missing);
	when->result = reinterpret_cast<Expr *>(
		makeNullConst(exprType(value), exprTypmod(value), exprCollation(value)));
	when->location = -1;
	CaseExpr *choice = makeNode(CaseExpr);
	choice->casetype = exprType(value);
	choice->casecollid = exprCollation(value);
	choice->args = list_make1(when);
	choice->defresult = returned->retexpr;
	choice->location = -1;
	return reinterpret_cast<Node *>(choice);
}

struct Returning
{
	const Query *query;
	int depth;
};

Node *returning_mutator(Node *node, void *context)
{
	Returning *state = static_cast<Returning *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Query))
	{
		state->depth++;
		Node *result = reinterpret_cast<Node *>(
			mutate_query(castNode(Query, node), returning_mutator, context));
		state->depth--;
		return result;
	}
	node = mutate_children(node, returning_mutator, context);
	if (!IsA(node, ReturningExpr) || castNode(ReturningExpr, node)->retlevelsup != state->depth)
		return node;
	const ReturningExpr *returned = castNode(ReturningExpr, node);
	/* Both rows of an UPDATE exist. */
	return state->query->commandType == CMD_UPDATE
			   ? reinterpret_cast<Node *>(returned->retexpr)
			   : unless_missing(returned, state->query->resultRelation);
}

bool returning_walker(Node *node, void *)
{
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return walk_children(node, returning_walker, nullptr);
	Query *query = castNode(Query, node);
	if (query->returningList != NIL)
	{
		Returning state = {query, 0};
		query->returningList = castNode(
			List, returning_mutator(reinterpret_cast<Node *>(query->returningList), &state));
	}
	return walk_query(query, returning_walker, nullptr);
}

} // namespace

void spell_out_returning(Query *query)
{
	returning_walker(reinterpret_cast<Node *>(query), nullptr);
}

void resolve_groups(Query *query)
{
	resolve_groups_walker(reinterpret_cast<Node *>(query), nullptr);
}
#endif

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

#if PG_VERSION_NUM >= 160000
namespace {

/* The head of the server's list of settings that are not at their defaults: static there, so known by
 * being the one node of the ring that belongs to no setting. */
const dlist_node *nondefault_settings()
{
	static const dlist_node *head = nullptr;
	if (head != nullptr)
		return head;
	const std::span<config_generic *const> all = all_settings();
	const auto is_member = [&](const dlist_node *node) {
		for (const config_generic *setting : all)
			if (&setting->nondef_link == node)
				return true;
		return false;
	};
	for (const config_generic *setting : all)
	{
		if (setting->source == PGC_S_DEFAULT)
			continue;
		const dlist_node *node = setting->nondef_link.next;
		while (is_member(node))
			node = node->next;
		head = node;
		break;
	}
	return head;
}

} // namespace
#endif

uint64 settings_stamp()
{
#if PG_VERSION_NUM >= 160000
	/* SET LOCAL work_mem and its like change the list, too, but are none of those that come. */
	static uint64 all = 0;
	static uint64 custom = 0;
	const dlist_node *head = nondefault_settings();
	uint64 now = 0;
	for (const dlist_node *node = head->next; node != head; node = node->next)
		now = now * 31 + reinterpret_cast<uintptr_t>(node);
	if (now == all)
		return custom;
	all = now;
	custom = 0;
	for (const dlist_node *node = head->next; node != head; node = node->next)
		if (dlist_container(config_generic, nondef_link, node)->group == CUSTOM_OPTIONS)
			custom = custom * 31 + reinterpret_cast<uintptr_t>(node);
	return custom;
#else
	return static_cast<uint64>(GetNumConfigOptions());
#endif
}

bool is_setting(const config_generic *record, const char *name, int slot)
{
#if PG_VERSION_NUM >= 160000
	return find_setting(name) == record;
#else
	return all_settings()[slot] == record;
#endif
}

GucSource setting_source(const char *name)
{
	const config_generic *setting = find_setting(name);
	return setting != nullptr ? setting->source : PGC_S_DEFAULT;
}

#if PG_VERSION_NUM >= 180000
namespace {

bool old_or_new_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Var))
		return castNode(Var, node)->varreturningtype != VAR_RETURNING_DEFAULT;
	if (IsA(node, ReturningExpr))
		return true;
	if (IsA(node, Query))
		return walk_query(castNode(Query, node), old_or_new_walker, context);
	return walk_children(node, old_or_new_walker, context);
}

} // namespace
#endif

void name_old_and_new([[maybe_unused]] Query *query)
{
#if PG_VERSION_NUM >= 180000
	if (!old_or_new_walker(reinterpret_cast<Node *>(query->returningList), nullptr))
		return;
	if (query->returningOldAlias == nullptr)
		query->returningOldAlias = pstrdup("civitas old");
	if (query->returningNewAlias == nullptr)
		query->returningNewAlias = pstrdup("civitas new");
#endif
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
