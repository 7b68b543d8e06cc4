/*
 * role_definition.h: SQL that makes a role on another node what it is here.
 *
 * A password appears as its stored hash. Texts are C strings in CurrentMemoryContext.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::deparse {

/* ALTER ROLE with the given options (names as PostgreSQL's parser calls them: "canlogin", ...;
 * others are passed over), valued as they are here; null where none of them is one. */
char *alter_role_command(Oid role, List *options);
/* Creates the role where it is missing, then as alter_role_command(), then its memberships. */
char *create_role_command(Oid role, List *options);
/* For a node that joins: each role that it may lack, complete with its settings
 * (everywhere and in this database), then memberships among all roles.
 * Roles that are there stay as they are. Needs a superuser, on both sides. */
List *missing_role_commands();

} // namespace civitas::deparse
