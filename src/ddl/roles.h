/*
 * roles.h: statements about roles, which every node has.
 */
#pragma once

#include "utility_call.h"

namespace civitas::ddl {

/* CREATE, ALTER, DROP ROLE, GRANT role. */
bool is_role_statement(Node *statement);
/* Carries it out here, then on the other nodes. */
void run_role_statement(const UtilityCall& call);

} // namespace civitas::ddl
