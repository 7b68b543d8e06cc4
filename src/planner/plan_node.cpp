/*
 * plan_node.cpp: the statement around a RemoteQuery that takes the whole of it.
 *
 * standard_planner has not seen these, so what it would leave in a PlannedStmt for others is made
 * here: the range table entries of all levels (permission checks, locks), the relations and objects
 * depended on (invalidation), and one entry more, "remote_scan", whose columns are what EXPLAIN
 * shows as output.
 */
#include "internal.h"

#include "civitas/executor/scan.h"
#include "civitas/pg/transport.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::planner {

bool binary_capable(List *target_list)
{
	ListCell *cell;
	foreach (cell, target_list)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (!pg::binary_travels(exprType(reinterpret_cast<Node *>(entry->expr))))
			return false;
	}
	return true;
}

bool is_nameless_row(Oid type)
{
	return type == RECORDOID || type == RECORDARRAYOID;
}

bool returns_nameless_rows(List *target_list)
{
	ListCell *cell;
	foreach (cell, target_list)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (!entry->resjunk && is_nameless_row(exprType(reinterpret_cast<Node *>(entry->expr))))
			return true;
	}
	return false;
}

List *remote_target_list(PlannedStmt *statement, List *target_list, Index *index)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_VALUES;
	rte->eref = makeAlias("remote_scan", NIL);
	rte->inFromCl = true;
	statement->rtable = lappend(statement->rtable, rte);
	*index = static_cast<Index>(list_length(statement->rtable));

	List *result = NIL;
	ListCell *cell;
	foreach (cell, target_list)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (entry->resjunk)
			continue;
		Node *expr = reinterpret_cast<Node *>(entry->expr);
		const AttrNumber number = static_cast<AttrNumber>(list_length(result) + 1);
		char *name = entry->resname ? pstrdup(entry->resname) : pstrdup("?column?");
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(name));
		rte->coltypes = lappend_oid(rte->coltypes, exprType(expr));
		rte->coltypmods = lappend_int(rte->coltypmods, exprTypmod(expr));
		rte->colcollations = lappend_oid(rte->colcollations, exprCollation(expr));
		Var *var =
			makeVar(*index, number, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
		TargetEntry *copy = makeTargetEntry(reinterpret_cast<Expr *>(var), number, name, false);
		copy->resorigtbl = entry->resorigtbl;
		copy->resorigcol = entry->resorigcol;
		result = lappend(result, copy);
	}
	return result;
}

List *index_var_list(List *scan_target_list, List *target_list)
{
	List *result = NIL;
	ListCell *cell;
	ListCell *computed;
	forboth(cell, scan_target_list, computed, target_list)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Node *expr = reinterpret_cast<Node *>(entry->expr);
		if (is_check_option(lfirst_node(TargetEntry, computed)))
			continue;
		Var *var = makeVar(INDEX_VAR, entry->resno, exprType(expr), exprTypmod(expr),
						   exprCollation(expr), 0);
		TargetEntry *copy =
			makeTargetEntry(reinterpret_cast<Expr *>(var), entry->resno, entry->resname, false);
		copy->resorigtbl = entry->resorigtbl;
		copy->resorigcol = entry->resorigcol;
		result = lappend(result, copy);
	}
	return result;
}

void add_range_tables(PlannedStmt *statement, Query *query, const Facts& facts)
{
	ListCell *cell;
	ListCell *rights;
	forboth(cell, facts.range_tables, rights, facts.rights)
	{
		RangeTblEntry *copy = makeNode(RangeTblEntry);
		*copy = *lfirst_node(RangeTblEntry, cell);
		copy->tablesample = nullptr;
		copy->subquery = nullptr;
		copy->securityQuals = NIL;
		pg::give_rights(statement, copy, static_cast<const pg::Rights *>(lfirst(rights)));
		statement->rtable = lappend(statement->rtable, copy);
		if (copy->rtekind == RTE_RELATION)
			pg::allow_opening(statement, static_cast<Index>(list_length(statement->rtable)));
	}
	List *relations = NIL;
	List *items = NIL;
	bool row_security = false;
	extract_query_dependencies(reinterpret_cast<Node *>(query), &relations, &items, &row_security);
	statement->relationOids = list_concat_unique_oid(statement->relationOids, relations);
	statement->invalItems = list_concat(statement->invalItems, items);
	statement->dependsOnRole |= row_security;
}

PlannedStmt *statement_around(CustomScan *scan, Query *query, List *target_list, const Facts& facts)
{
	PlannedStmt *statement = makeNode(PlannedStmt);
	statement->commandType = query->commandType;
	statement->queryId = query->queryId;
	statement->hasReturning = returns_to_client(query);
	statement->hasModifyingCTE = query->hasModifyingCTE;
	statement->canSetTag = query->canSetTag;
	statement->stmt_location = query->stmt_location;
	statement->stmt_len = query->stmt_len;
	statement->dependsOnRole = through_views(facts.rights);
	add_range_tables(statement, query, facts);

	Index index;
	scan->custom_scan_tlist = remote_target_list(statement, target_list, &index);
	scan->scan.plan.targetlist = index_var_list(scan->custom_scan_tlist, target_list);
	scan->custom_relids = bms_make_singleton(index);
	scan->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	statement->planTree = &scan->scan.plan;
	return statement;
}

PlannedStmt *statement_again(const PlannedStmt *kept, const Query *query)
{
	PlannedStmt *statement = makeNode(PlannedStmt);
	*statement = *kept;
	statement->queryId = query->queryId;
	statement->canSetTag = query->canSetTag;
	statement->stmt_location = query->stmt_location;
	statement->stmt_len = query->stmt_len;
	/* Rights are checked for the one who asks. */
	const RangeTblEntry *asked = linitial_node(RangeTblEntry, query->rtable);
	RangeTblEntry *table = makeNode(RangeTblEntry);
	*table = *asked;
	statement->rtable = list_make2(table, lsecond(kept->rtable));
	pg::forget_rights(statement);
	pg::give_rights(statement, table, pg::rights_of(query, asked));
	return statement;
}

PlannedStmt *make_statement(Query *query, plan::RemoteQuery *remote, List *target_list,
							List *parameters, List *prune_keys, List *rows, const Facts& facts)
{
	CustomScan *scan = makeNode(CustomScan);
	PlannedStmt *statement = statement_around(scan, query, target_list, facts);
	plan::set_remote_query(scan, remote, parameters, prune_keys, rows);
	scan->methods = &executor::remote_scan_methods;
	scan->scan.plan.startup_cost = 0;
	scan->scan.plan.total_cost = 0;
	/* A SELECT may have rows of no columns. */
	remote->returns_rows = query->commandType == CMD_SELECT || target_list != NIL;
	scan->scan.plan.plan_rows = remote->returns_rows ? 1 : 0;
	scan->scan.plan.parallel_safe = false;
	remote->run_as = role_for_shards(facts.rights, reinterpret_cast<Node *>(query));
	remote->relations = facts.relations;
	remote->command = query->commandType;
	remote->binary_results = binary_capable(target_list);
	return statement;
}

} // namespace civitas::planner
