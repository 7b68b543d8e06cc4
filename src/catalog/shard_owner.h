/*
 * shard_owner.h: the uncached way from a shard to its table, for writers.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

namespace civitas::catalog {

/* Reads which table pg_dist_shard says the shard belongs to; InvalidOid where there is none. */
Oid read_shard_owner(ShardId shard_id);

} // namespace civitas::catalog
