/*
 * concurrent_index.h: CREATE and DROP INDEX CONCURRENTLY.
 */
#pragma once

#include "../utility_call.h"

namespace civitas::ddl {

void create_index_concurrently(const UtilityCall& call, Oid relid);
void drop_index_concurrently(const UtilityCall& call);

} // namespace civitas::ddl
