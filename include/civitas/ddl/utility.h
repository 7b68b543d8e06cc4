/*
 * utility.h: the utility hook. One table row per statement kind says what happens to it.
 */
#pragma once

namespace civitas::ddl {

/* citus.enable_create_role_propagation */
bool creates_roles_everywhere();

void utility_init();

} // namespace civitas::ddl
