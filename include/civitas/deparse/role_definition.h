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
/* For a node that joins: each role as it is here, made where it is missing, with its settings
 * (everywhere and in this database), then memberships among these roles, no others. Roles that are
 * not here are left alone. Needs a superuser, on both sides. */
List *role_commands();
/* What ALTER DATABASE .. SET and ALTER ROLE ALL .. SET have set for this database. Settings that
 * are not set here are left alone. */
List *database_settings();

} // namespace civitas::deparse
