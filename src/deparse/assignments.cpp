/*
 * assignments.cpp: SET as it can be printed.
 *
 * The rewriter leaves one entry for each column, in the order of the table. Two things that the
 * statement said are hidden in that, and pg_get_querydef() does not look for them:
 *
 *   SET b[1] = 1, b[2] = 2               one entry, the second assignment around the first
 *   SET (d, c) = (SELECT ..)             entries for c and d, whose values are the second and the
 *                                        first column of the subquery
 *
 * So an entry is taken apart into one for each part of the column, the inner ones first, and
 * entries that take columns of one subquery stand together, in the order of its columns. The node
 * that reads the text puts both together again.
 *
 * What assigns to parts of a value that is no column of the target (a rule's NEW.b, or what INSERT
 * .. SELECT computes) has no SQL: assigns_unprintably().
 */
#include "assignments.h"

#include "civitas/deparse/query_template.h"
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
CIVITAS_PG_END

namespace civitas::deparse {

namespace {

/* The assignment to a part of a value that the expression is; null where it is none. */
Node *part_assignment(Node *node)
{
	while (node && IsA(node, CoerceToDomain))
		node = reinterpret_cast<Node *>(castNode(CoerceToDomain, node)->arg);
	if (node && (IsA(node, FieldStore) ||
				 (IsA(node, SubscriptingRef) && castNode(SubscriptingRef, node)->refassgnexpr)))
		return node;
	return nullptr;
}

/* What the assignment changes a part of. */
Expr *assigned_base(Node *assignment)
{
	return IsA(assignment, FieldStore) ? castNode(FieldStore, assignment)->arg
									   : castNode(SubscriptingRef, assignment)->refexpr;
}

/* --- apart ------------------------------------------------------------------------------------ */

/* The value of an entry, as one expression for each part that it sets, all of the same base; false:
 * it sets the whole. */
bool split_parts(Node *value, List **parts, Expr **base)
{
	Node *assignment = part_assignment(value);
	if (assignment == nullptr)
	{
		*base = reinterpret_cast<Expr *>(value);
		return false;
	}
	(void) split_parts(reinterpret_cast<Node *>(assigned_base(assignment)), parts, base);
	if (IsA(assignment, SubscriptingRef))
	{
		SubscriptingRef *element = makeNode(SubscriptingRef);
		*element = *castNode(SubscriptingRef, assignment);
		element->refexpr = *base;
		*parts = lappend(*parts, element);
		return true;
	}
	const FieldStore *store = castNode(FieldStore, assignment);
	for (int i = 0; i < list_length(store->newvals); i++)
	{
		FieldStore *field = makeNode(FieldStore);
		field->arg = *base;
		field->newvals = list_make1(list_nth(store->newvals, i));
		field->fieldnums = list_make1_int(list_nth_int(store->fieldnums, i));
		field->resulttype = store->resulttype;
		*parts = lappend(*parts, field);
	}
	return true;
}

List *separate_parts(List *target_list)
{
	List *result = NIL;
	ListCell *cell;
	foreach (cell, target_list)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		List *parts = NIL;
		Expr *base;
		if (entry->resjunk || !split_parts(reinterpret_cast<Node *>(entry->expr), &parts, &base) ||
			list_length(parts) == 1)
		{
			result = lappend(result, entry);
			continue;
		}
		ListCell *part;
		foreach (part, parts)
		{
			TargetEntry *separate = flatCopyTargetEntry(entry);
			separate->expr = static_cast<Expr *>(lfirst(part));
			result = lappend(result, separate);
		}
	}
	return result;
}

/* --- columns of one subquery ------------------------------------------------------------------ */

/* The column of SET (..) = (SELECT ..) that the entry takes, as the subquery's number and the
 * column's in one; 0: none. */
int subquery_column(const TargetEntry *entry)
{
	Node *value = reinterpret_cast<Node *>(entry->expr);
	while (Node *part = part_assignment(value))
		value = IsA(part, FieldStore)
					? static_cast<Node *>(linitial(castNode(FieldStore, part)->newvals))
					: reinterpret_cast<Node *>(castNode(SubscriptingRef, part)->refassgnexpr);
	value = strip_implicit_coercions(value);
	return value && IsA(value, Param) && castNode(Param, value)->paramkind == PARAM_MULTIEXPR
			   ? castNode(Param, value)->paramid
			   : 0;
}

bool has_subquery_columns(List *target_list)
{
	ListCell *cell;
	foreach (cell, target_list)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		/* The subqueries themselves. */
		if (entry->resjunk && IsA(entry->expr, SubLink) &&
			reinterpret_cast<const SubLink *>(entry->expr)->subLinkType == MULTIEXPR_SUBLINK)
			return true;
	}
	return false;
}

/* The entries of the subquery of `first`, in the order of its columns. */
List *same_subquery(List *entries, const TargetEntry *first)
{
	const int subquery = subquery_column(first) >> 16;
	List *result = NIL;
	ListCell *cell;
	foreach (cell, entries)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		const int column = subquery_column(entry);
		if (column == 0 || column >> 16 != subquery)
			continue;
		int place = 0;
		while (place < list_length(result) &&
			   subquery_column(list_nth_node(TargetEntry, result, place)) < column)
			place++;
		result = list_insert_nth(result, place, entry);
	}
	return result;
}

/* Whether none of the entries that are left, but for the group's own, must come before one of the
 * group: it sets another part of the same column. */
bool may_come_next(List *left, List *group)
{
	ListCell *member;
	foreach (member, group)
	{
		ListCell *cell;
		foreach (cell, left)
		{
			if (lfirst(cell) == lfirst(member))
				break;
			if (lfirst_node(TargetEntry, cell)->resno == lfirst_node(TargetEntry, member)->resno &&
				!list_member_ptr(group, lfirst(cell)))
				return false;
		}
	}
	return true;
}

/* Subqueries' entries together. The subqueries come last, in the order in which they are used. */
List *group_subquery_columns(List *target_list)
{
	List *result = NIL;
	List *subqueries = NIL;
	List *left = NIL;
	ListCell *cell;
	foreach (cell, target_list)
		if (lfirst_node(TargetEntry, cell)->resjunk)
			subqueries = lappend(subqueries, lfirst(cell));
		else
			left = lappend(left, lfirst(cell));

	List *used = NIL;
	while (left != NIL)
	{
		List *group = NIL;
		foreach (cell, left)
		{
			const TargetEntry *entry = lfirst_node(TargetEntry, cell);
			group =
				subquery_column(entry) == 0 ? list_make1(lfirst(cell)) : same_subquery(left, entry);
			if (may_come_next(left, group))
				break;
			group = NIL;
		}
		if (group == NIL)
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("could not put assignments of subqueries in order")));
		const int column = subquery_column(linitial_node(TargetEntry, group));
		foreach (cell, column == 0 ? NIL : subqueries)
		{
			const Expr *expr = lfirst_node(TargetEntry, cell)->expr;
			if (IsA(expr, SubLink) &&
				reinterpret_cast<const SubLink *>(expr)->subLinkId == column >> 16)
				used = lappend(used, lfirst(cell));
		}
		foreach (cell, group)
			left = list_delete_ptr(left, lfirst(cell));
		result = list_concat(result, group);
	}
	result = list_concat(result, used);
	/* Other junk is not printed. */
	return list_concat(result, list_difference_ptr(subqueries, used));
}

List *printable(List *target_list)
{
	List *result = separate_parts(target_list);
	return has_subquery_columns(result) ? group_subquery_columns(result) : result;
}

/* --- what has no SQL -------------------------------------------------------------------------- */

bool unprintable_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return assigns_unprintably(castNode(Query, node));
	if (IsA(node, FieldStore) ||
		(IsA(node, SubscriptingRef) && castNode(SubscriptingRef, node)->refassgnexpr))
		return true;
	return pg::walk_children(node, unprintable_walker, context);
}

bool is_column(const Query *query, const Expr *expr, AttrNumber attno)
{
	while (IsA(expr, RelabelType))
		expr = reinterpret_cast<const RelabelType *>(expr)->arg;
	const Var *var = reinterpret_cast<const Var *>(expr);
	return IsA(expr, Var) && var->varno == query->resultRelation && var->varattno == attno &&
		   var->varlevelsup == 0;
}

bool is_null(const Expr *expr)
{
	return IsA(expr, Const) && reinterpret_cast<const Const *>(expr)->constisnull;
}

/* An assigned value below its column's name: b[1].x = value. */
bool unprintable_value(Node *value)
{
	Node *part = part_assignment(value);
	if (part == nullptr)
		return unprintable_walker(value, nullptr);
	if (!IsA(assigned_base(part), CaseTestExpr))
		return true;
	if (IsA(part, FieldStore))
		return list_length(castNode(FieldStore, part)->newvals) != 1 ||
			   unprintable_value(
				   static_cast<Node *>(linitial(castNode(FieldStore, part)->newvals)));
	const SubscriptingRef *element = castNode(SubscriptingRef, part);
	return unprintable_walker(reinterpret_cast<Node *>(element->refupperindexpr), nullptr) ||
		   unprintable_walker(reinterpret_cast<Node *>(element->reflowerindexpr), nullptr) ||
		   unprintable_value(reinterpret_cast<Node *>(element->refassgnexpr));
}

bool unprintable_entry(const Query *query, const TargetEntry *entry, bool inserted)
{
	List *parts = NIL;
	Expr *base;
	if (entry->resjunk || !split_parts(reinterpret_cast<Node *>(entry->expr), &parts, &base))
		return unprintable_walker(reinterpret_cast<Node *>(entry->expr), nullptr);
	if (inserted ? !is_null(base) : !is_column(query, base, entry->resno))
		return true;
	ListCell *cell;
	foreach (cell, parts)
	{
		Node *part = static_cast<Node *>(lfirst(cell));
		if (IsA(part, FieldStore))
		{
			if (unprintable_value(
					static_cast<Node *>(linitial(castNode(FieldStore, part)->newvals))))
				return true;
			continue;
		}
		const SubscriptingRef *element = castNode(SubscriptingRef, part);
		if (unprintable_walker(reinterpret_cast<Node *>(element->refupperindexpr), nullptr) ||
			unprintable_walker(reinterpret_cast<Node *>(element->reflowerindexpr), nullptr) ||
			unprintable_value(reinterpret_cast<Node *>(element->refassgnexpr)))
			return true;
	}
	return false;
}

bool unprintable_entries(const Query *query, List *target_list, bool inserted)
{
	ListCell *cell;
	foreach (cell, target_list)
		if (unprintable_entry(query, lfirst_node(TargetEntry, cell), inserted))
			return true;
	return false;
}

} // namespace

bool assigns_parts(Node *node)
{
	return unprintable_walker(node, nullptr);
}

bool assigns_unprintably(Query *query)
{
	Query rest = *query;
	if (query->commandType == CMD_UPDATE || query->commandType == CMD_INSERT)
	{
		if (unprintable_entries(query, query->targetList, query->commandType == CMD_INSERT))
			return true;
		rest.targetList = NIL;
	}
	OnConflictExpr conflict;
	if (query->onConflict)
	{
		if (unprintable_entries(query, query->onConflict->onConflictSet, false))
			return true;
		conflict = *query->onConflict;
		conflict.onConflictSet = NIL;
		rest.onConflict = &conflict;
	}
	rest.mergeActionList = NIL;
	ListCell *cell;
	foreach (cell, query->mergeActionList)
	{
		const MergeAction *action = lfirst_node(MergeAction, cell);
		if (unprintable_entries(query, action->targetList, action->commandType == CMD_INSERT) ||
			unprintable_walker(action->qual, nullptr))
			return true;
	}
	return pg::walk_query(&rest, unprintable_walker, nullptr);
}

void make_assignments_printable(Query *query)
{
	if (query->commandType == CMD_UPDATE || query->commandType == CMD_INSERT)
		query->targetList = printable(query->targetList);
	if (query->onConflict)
		query->onConflict->onConflictSet = printable(query->onConflict->onConflictSet);
	ListCell *cell;
	foreach (cell, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, cell);
		action->targetList = printable(action->targetList);
	}
}

} // namespace civitas::deparse
