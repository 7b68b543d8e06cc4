/*
 * maintenance.h: statements that run in transactions of their own on the shards.
 */
#pragma once

#include "../utility_call.h"

namespace civitas::ddl {

/* VACUUM, ANALYZE, CREATE and DROP INDEX CONCURRENTLY, REINDEX CONCURRENTLY of the given tables. */
void run_maintenance(const UtilityCall& call, List *tables);

/* REINDEX SCHEMA and DATABASE, CLUSTER without a table: each node does it with its own relations, in
 * transactions of its own. */
bool is_for_whole_database(Node *statement);
void run_on_whole_databases(const UtilityCall& call);

} // namespace civitas::ddl
