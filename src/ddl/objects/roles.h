/*
 * roles.h: statements about roles, which every node has.
 */
#pragma once

#include "../utility_call.h"

namespace civitas::ddl {

/* CREATE, ALTER, DROP ROLE, GRANT role. */
bool is_role_statement(Node *statement);
/* Carries it out here, then on the other nodes. */
void run_role_statement(const UtilityCall& call);
/* Takes roles that this node lacks out of a statement from the coordinator; false where nothing of
 * it is left. True for statements that are not about roles. */
bool localize_role_statement(Node *statement);
/* See replaced_placements_hook. */
void drop_replaced_placements();

} // namespace civitas::ddl
