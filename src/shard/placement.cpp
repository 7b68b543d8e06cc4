/*
 * placement.cpp: round-robin placement of new shards.
 */
#include "civitas/shard/placement.h"

#include <cstddef>

namespace civitas::shard {

bool place_round_robin(int shard_count, int replicas, int start,
					   std::span<const std::int32_t> groups, std::span<std::int32_t> out)
{
	const std::size_t count = groups.size();
	if (count == 0 || replicas < 1 || static_cast<std::size_t>(replicas) > count)
		return false;
	const std::size_t offset = static_cast<std::size_t>(start < 0 ? 0 : start) % count;
	std::size_t next = 0;
	for (int shard = 0; shard < shard_count; shard++)
		for (int replica = 0; replica < replicas; replica++)
			out[next++] = groups[(offset + static_cast<std::size_t>(shard + replica)) % count];
	return true;
}

} // namespace civitas::shard
