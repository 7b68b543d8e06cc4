/*
 * roles.cpp: roles are the same on every node.
 *
 * Queries of ordinary roles run on the nodes as that role, so a role made on the coordinator is
 * made on the other nodes too, in the same distributed transaction. What CREATE ROLE and ALTER ROLE
 * did is read back from the catalogs: a password leaves this server as its stored hash only.
 * Statements that hold no secret travel as their own text. A role that a node has already is given
 * the same options, not refused; one that it lacks, because it was made while that was turned off, is
 * left out there. citus.enable_create_role_propagation turns all of it off.
 */
#include "roles.h"

#include "../settings.h"
#include "civitas/catalog/nodes.h"
#include "civitas/ddl/online.h"
#include "civitas/ddl/utility.h"
#include "civitas/deparse/role_definition.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
CIVITAS_PG_END

namespace civitas::ddl {

bool is_role_statement(Node *statement)
{
	switch (nodeTag(statement))
	{
	case T_CreateRoleStmt:
	case T_AlterRoleStmt:
	case T_AlterRoleSetStmt:
	case T_DropRoleStmt:
	case T_GrantRoleStmt:
		return true;
	case T_RenameStmt:
		return castNode(RenameStmt, statement)->renameType == OBJECT_ROLE;
	default:
		return false;
	}
}

namespace {

/* The options that the statement names; `members` is set where it is about membership. */
List *option_names(List *options, bool *members)
{
	List *names = NIL;
	ListCell *cell;
	foreach (cell, options)
	{
		const DefElem *option = lfirst_node(DefElem, cell);
		*members = *members || strcmp(option->defname, "rolemembers") == 0;
		names = lappend(names, option->defname);
	}
	return names;
}

char *drop_text(const DropRoleStmt *statement)
{
	pg::Str sql;
	ListCell *cell;
	foreach (cell, statement->roles)
	{
		const auto *role = lfirst_node(RoleSpec, cell);
		/* PUBLIC and the like: PostgreSQL has its own words for that. */
		if (role->roletype == ROLESPEC_PUBLIC)
			return nullptr;
		const char *name =
			role->roletype == ROLESPEC_CSTRING ? role->rolename : get_rolespec_name(role);
		sql.raw(sql.empty() ? "DROP ROLE IF EXISTS " : ", ").ident(name);
	}
	return sql.c_str();
}

bool exists_here(const RoleSpec *role)
{
	return role->roletype != ROLESPEC_CSTRING || OidIsValid(get_role_oid(role->rolename, true));
}

List *those_here(List *roles)
{
	ListCell *cell;
	foreach (cell, roles)
	{
		auto *role = static_cast<Node *>(lfirst(cell));
		if (IsA(role, AccessPriv)
				? !OidIsValid(get_role_oid(castNode(AccessPriv, role)->priv_name, true))
				: !exists_here(castNode(RoleSpec, role)))
			roles = foreach_delete_current(roles, cell);
	}
	return roles;
}

} // namespace

bool localize_role_statement(Node *statement)
{
	switch (nodeTag(statement))
	{
	case T_GrantRoleStmt: {
		auto *grant = castNode(GrantRoleStmt, statement);
		grant->granted_roles = those_here(grant->granted_roles);
		grant->grantee_roles = those_here(grant->grantee_roles);
		return grant->granted_roles != NIL && grant->grantee_roles != NIL;
	}
	case T_ReassignOwnedStmt: {
		auto *reassign = castNode(ReassignOwnedStmt, statement);
		reassign->roles = those_here(reassign->roles);
		return reassign->roles != NIL;
	}
	case T_AlterRoleStmt: {
		auto *alter = castNode(AlterRoleStmt, statement);
		ListCell *cell;
		foreach (cell, alter->options)
		{
			auto *option = lfirst_node(DefElem, cell);
			if (strcmp(option->defname, "rolemembers") != 0)
				continue;
			option->arg = reinterpret_cast<Node *>(those_here(castNode(List, option->arg)));
			if (option->arg == nullptr)
				return false;
		}
		return exists_here(alter->role);
	}
	case T_AlterRoleSetStmt: {
		const auto *alter = castNode(AlterRoleSetStmt, statement);
		return alter->role == nullptr || exists_here(alter->role);
	}
	case T_RenameStmt: {
		const auto *rename = castNode(RenameStmt, statement);
		return rename->renameType != OBJECT_ROLE || OidIsValid(get_role_oid(rename->subname, true));
	}
	default:
		return true;
	}
}

namespace {

/* SQL that does on another node what the statement has just done here. */
char *remote_text(Node *tree, const char *text)
{
	bool members = false;
	if (IsA(tree, CreateRoleStmt))
	{
		const auto *create = castNode(CreateRoleStmt, tree);
		/* CREATE USER is LOGIN without saying so. */
		List *names = lappend(option_names(create->options, &members), pstrdup("canlogin"));
		return deparse::create_role_command(get_role_oid(create->role, false), names);
	}
	if (IsA(tree, AlterRoleStmt))
	{
		const auto *alter = castNode(AlterRoleStmt, tree);
		List *names = option_names(alter->options, &members);
		if (!members)
			text = deparse::alter_role_command(get_rolespec_oid(alter->role, false), names);
		if (text == nullptr)
			return nullptr;
	}
	return apply_call(text, NIL);
}

} // namespace

void (*replaced_placements_hook)();

void drop_replaced_placements()
{
	if (replaced_placements_hook != nullptr && catalog::is_coordinator())
		replaced_placements_hook();
}

bool creates_roles_everywhere()
{
	return enable_create_role_propagation;
}

void run_role_statement(const UtilityCall& call)
{
	if (IsA(call.statement->utilityStmt, DropRoleStmt))
		drop_replaced_placements();
	if (!enable_create_role_propagation || !catalog::is_coordinator())
	{
		run_plain(call);
		return;
	}
	/* A node that joins meanwhile must not miss it. */
	catalog::lock_nodes(catalog::NodeLock::Define);
	if (catalog::other_metadata_nodes().empty())
	{
		run_plain(call);
		return;
	}
	txn::require_one_session_per_node();
	auto *tree = static_cast<Node *>(copyObjectImpl(call.statement->utilityStmt));
	const char *sql = IsA(tree, DropRoleStmt) ? drop_text(castNode(DropRoleStmt, tree)) : nullptr;
	run_plain(call);
	CommandCounterIncrement();
	if (sql == nullptr)
		sql = remote_text(tree, statement_text(call));
	if (sql != nullptr)
		txn::run_on_other_nodes(sql);
}

} // namespace civitas::ddl
