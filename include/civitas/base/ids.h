/*
 * ids.h: the names of things that both zones speak about.
 *
 * Plain integers as the catalogs store them, so that a row, a message and a C++ struct agree.
 */
#pragma once

#include <cstdint>

namespace civitas {

/* pg_dist_shard.shardid: unique in the cluster, never reused. */
using ShardId = std::int64_t;
/* pg_dist_node.groupid: a server and its standbys; 0 is the coordinator. */
using GroupId = std::int32_t;
/* pg_dist_node.nodeid: one registered server. */
using NodeId = std::int32_t;
/* pg_dist_colocation.colocationid; 0 = none. */
using ColocationId = std::int32_t;

inline constexpr GroupId COORDINATOR_GROUP = 0;
inline constexpr ShardId INVALID_SHARD_ID = 0;
inline constexpr ColocationId INVALID_COLOCATION_ID = 0;
/* The most shards a table may have: the API's upper bound for citus.shard_count. */
inline constexpr int MAX_SHARD_COUNT = 64000;

} // namespace civitas
