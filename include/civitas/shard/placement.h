/*
 * placement.h: where the shards of a new table go.
 */
#pragma once

#include <cstdint>
#include <span>

namespace civitas::shard {

/*
 * Round-robin: placement r of shard i goes to groups[(start + i + r) mod groups]. `out` holds
 * shard_count x replicas group ids, the replicas of one shard next to each other and on different
 * groups. False (nothing written) when there are fewer groups than replicas.
 */
bool place_round_robin(int shard_count, int replicas, int start,
					   std::span<const std::int32_t> groups, std::span<std::int32_t> out);

} // namespace civitas::shard
