/*
 * hash_range.h: which shard holds a hash value.
 *
 * The int32 hash space is cut into contiguous ranges, both ends inclusive, in ascending order.
 * A new table gets equal ranges: each is 2^32 / count wide (integer division) and the last one
 * takes the remainder, so that the index of a hash is arithmetic. Splits make ranges unequal;
 * then a binary search finds the index. Nothing here allocates, so both zones may call it.
 */
#pragma once

#include <cstdint>
#include <span>

namespace civitas::shard {

/* A closed interval of hash values. */
struct HashRange
{
	std::int32_t min;
	std::int32_t max;
};

/* Width of every range but the last of `count` equal ranges; count in 1..MAX_SHARD_COUNT. */
constexpr std::int64_t uniform_width(int count)
{
	return (std::int64_t{1} << 32) / count;
}

/* Range `index` (0-based) of `count` equal ranges. */
constexpr HashRange uniform_range(int index, int count)
{
	const std::int64_t width = uniform_width(count);
	const std::int64_t min = INT32_MIN + index * width;
	const std::int64_t max = index == count - 1 ? INT32_MAX : min + width - 1;
	return {static_cast<std::int32_t>(min), static_cast<std::int32_t>(max)};
}

/* The index of the one of `count` equal ranges that holds `hash`. */
constexpr int uniform_index(std::int32_t hash, int count)
{
	const std::int64_t offset = std::int64_t{hash} - INT32_MIN;
	const std::int64_t index = offset / uniform_width(count);
	return index >= count ? count - 1 : static_cast<int>(index);
}

/* Whether `ranges` are exactly the equal ranges that uniform_range() makes. */
bool are_uniform(std::span<const HashRange> ranges);

/* Whether `ranges` ascend, touch, and cover the whole int32 space. */
bool cover_hash_space(std::span<const HashRange> ranges);

/* Index of the range that holds `hash` in ascending, disjoint `ranges`; -1 if there is none. */
int find_range(std::span<const HashRange> ranges, std::int32_t hash);

} // namespace civitas::shard
