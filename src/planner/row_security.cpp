/*
 * row_security.cpp: policies are the shards' to apply.
 *
 * PostgreSQL has put the policies of a table into the statement by the time that it is planned. The
 * shards have the same policies, and the nodes read and change them in the name of the role that the
 * statement asks as, so the conditions are taken out again: the nodes put them in anew, and see to it
 * that no other condition looks at a row before they have been passed.
 *
 * A view may ask in its owner's name. The nodes then work in that name, all of the statement's part or
 * none (role_for_shards()); a policy that asks who the current user is would be told the wrong one, and
 * is refused.
 */
#include "internal.h"

#include "civitas/deparse/query_template.h"
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "access/transam.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rowsecurity.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

bool own_function(Oid function, void *)
{
	return function >= FirstNormalObjectId;
}

/* Whether who asks decides the answer. context: whether only the session's user is looked for. */
bool names_user(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	const bool session_only = *static_cast<bool *>(context);
	if (IsA(node, SQLValueFunction))
		switch (castNode(SQLValueFunction, node)->op)
		{
		case SVFOP_SESSION_USER:
			return true;
		case SVFOP_CURRENT_ROLE:
		case SVFOP_CURRENT_USER:
		case SVFOP_USER:
			return !session_only;
		default:
			return false;
		}
	if (!session_only && check_functions_in_node(node, own_function, nullptr))
		return true;
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), names_user, context);
	return pg::walk_children(node, names_user, context);
}

void check_names(const pg::Rights *rights, List *quals, List *checks)
{
	const bool other = OidIsValid(rights->checkAsUser) && rights->checkAsUser != GetUserId();
	bool session_only = !other;
	if (session_only && GetSessionUserId() == GetUserId())
		return;
	bool found = names_user(reinterpret_cast<Node *>(quals), &session_only);
	ListCell *cell;
	foreach (cell, checks)
		found = found || names_user(lfirst_node(WithCheckOption, cell)->qual, &session_only);
	if (found)
		raise_unsupported(other
							  ? "A policy asks for the current user, for rows that a view reads in "
								"the name of its owner."
							  : "A policy asks for the session's user, which is another than the "
								"current user.");
}

void take_out(Query *query, int index)
{
	auto *rte = list_nth_node(RangeTblEntry, query->rtable, index - 1);
	List *quals = NIL;
	List *checks = NIL;
	bool applies = false;
	bool sublinks = false;
	get_row_security_policies(query, rte, index, &quals, &checks, &applies, &sublinks);
	if ((quals == NIL && checks == NIL) || pg::rights_of(query, rte) == nullptr)
		return;
	check_names(pg::rights_of(query, rte), quals, checks);
	/* They stand before those of views with a security barrier. */
	rte->securityQuals = list_copy_tail(rte->securityQuals, list_length(quals));
	ListCell *cell;
	foreach (cell, query->withCheckOptions)
		if (lfirst_node(WithCheckOption, cell)->kind != WCO_VIEW_CHECK &&
			!pg::is_view_conflict_check(lfirst_node(WithCheckOption, cell)))
			query->withCheckOptions = foreach_delete_current(query->withCheckOptions, cell);
}

bool take_out_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, take_out_walker, context);
	auto *query = castNode(Query, node);
	ListCell *cell;
	foreach (cell, query->hasRowSecurity ? query->rtable : NIL)
		if (lfirst_node(RangeTblEntry, cell)->rtekind == RTE_RELATION &&
			deparse::is_sharded_rte(lfirst_node(RangeTblEntry, cell)))
			take_out(query, foreach_current_index(cell) + 1);
	/* Once, whatever is made of the query. */
	query->hasRowSecurity = false;
	return pg::walk_query(query, take_out_walker, context);
}

} // namespace

void leave_policies_to_shards(Query *query, PlanDependencies *dependencies)
{
	if (!query->hasRowSecurity && !dependencies->role)
		return;
	take_out_walker(reinterpret_cast<Node *>(query), nullptr);
	dependencies->role = true;
}

} // namespace civitas::planner
