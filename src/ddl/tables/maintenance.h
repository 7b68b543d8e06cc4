/*
 * maintenance.h: statements that run in transactions of their own on the shards.
 */
#pragma once

#include "../utility_call.h"

namespace civitas::ddl {

/* VACUUM, ANALYZE, CREATE and DROP INDEX CONCURRENTLY of the given tables. */
void run_maintenance(const UtilityCall& call, List *tables);

} // namespace civitas::ddl
