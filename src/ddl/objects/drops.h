/*
 * drops.h: tables and other distributed objects that a statement drops, and partitions that it
 * makes, whichever way it reaches them.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::ddl {

/* Runs statement(argument); metadata of what it dropped goes with it, shards and the other nodes'
 * copies right after. New partitions of distributed tables are distributed after it. */
void run_following(void (*statement)(void *), void *argument);

/* Before a schema is dropped: else what PostgreSQL says about dependent objects would list shards.
 */
void drop_shards_in_schema(Oid schema);

void drops_init();

} // namespace civitas::ddl
