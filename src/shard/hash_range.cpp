/*
 * hash_range.cpp: checks and lookups over hash ranges that are not plain arithmetic.
 */
#include "civitas/shard/hash_range.h"

#include <algorithm>

namespace civitas::shard {

bool are_uniform(std::span<const HashRange> ranges)
{
	const int count = static_cast<int>(ranges.size());
	for (int index = 0; index < count; index++)
	{
		const HashRange expected = uniform_range(index, count);
		if (ranges[index].min != expected.min || ranges[index].max != expected.max)
			return false;
	}
	return count > 0;
}

bool cover_hash_space(std::span<const HashRange> ranges)
{
	std::int64_t next = INT32_MIN;
	for (const HashRange& range : ranges)
	{
		if (range.min != next || range.max < range.min)
			return false;
		next = std::int64_t{range.max} + 1;
	}
	return next == std::int64_t{INT32_MAX} + 1;
}

int find_range(std::span<const HashRange> ranges, std::int32_t hash)
{
	const auto above = std::upper_bound(
		ranges.begin(), ranges.end(), hash,
		[](std::int32_t value, const HashRange& range) { return value < range.min; });
	if (above == ranges.begin())
		return -1;
	const auto candidate = above - 1;
	return hash <= candidate->max ? static_cast<int>(candidate - ranges.begin()) : -1;
}

} // namespace civitas::shard
