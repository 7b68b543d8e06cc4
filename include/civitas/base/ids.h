/*
 * ids.h: the names of things that both zones speak about.
 *
 * Plain integers as the catalogs store them, so that a row, a message and a C++ struct agree.
 */
#pragma once

#include <cstdint>
#include <string_view>

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

/* What the application_name of a session that one node opened to another begins with; behind it is
 * the global pid of the backend that asked for it. */
inline constexpr std::string_view INTERNAL_SESSION_PREFIX = "citus_internal gpid=";

/* Whether an application_name, which may be null, says so. */
inline bool names_internal_session(const char *application_name)
{
	return application_name != nullptr &&
		   std::string_view(application_name).starts_with(INTERNAL_SESSION_PREFIX);
}

} // namespace civitas
