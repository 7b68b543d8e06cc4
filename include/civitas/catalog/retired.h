/*
 * retired.h: cache memory that somebody may still point into.
 *
 * A cache entry that was invalidated is rebuilt in a new memory context; the old one is retired
 * here and lives until a later transaction retires or looks up something. So pointers handed out
 * stay valid to the end of their transaction without a transaction callback of our own.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::catalog {

void retire(MemoryContext context);
/* Frees what earlier transactions retired. Cheap when there is nothing. */
void free_retired();

} // namespace civitas::catalog
