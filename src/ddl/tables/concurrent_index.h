/*
 * concurrent_index.h: CREATE and DROP INDEX, and REINDEX, CONCURRENTLY.
 */
#pragma once

#include "../utility_call.h"

namespace civitas::ddl {

void create_index_concurrently(const UtilityCall& call, Oid relid);
void drop_index_concurrently(const UtilityCall& call);
/* relid: the table whose index, or all of whose indexes, the statement names. */
void reindex_concurrently(const UtilityCall& call, Oid relid);

} // namespace civitas::ddl
