/*
 * hash_range_test.cpp: every hash value belongs to exactly one range, and both ways of finding it
 * agree.
 */
#include "civitas/shard/hash_range.h"

#include <cstdint>
#include <gtest/gtest.h>
#include <vector>

using namespace civitas::shard;

namespace {

std::vector<HashRange> uniform_ranges(int count)
{
	std::vector<HashRange> ranges;
	for (int index = 0; index < count; index++)
		ranges.push_back(uniform_range(index, count));
	return ranges;
}

const int counts[] = {1, 2, 3, 4, 7, 32, 33, 1000, 1023, 64000};

} // namespace

TEST(HashRange, UniformRangesCoverTheSpace)
{
	for (const int count : counts)
	{
		const auto ranges = uniform_ranges(count);
		EXPECT_TRUE(cover_hash_space(ranges)) << count;
		EXPECT_TRUE(are_uniform(ranges)) << count;
		EXPECT_EQ(ranges.front().min, INT32_MIN);
		EXPECT_EQ(ranges.back().max, INT32_MAX);
	}
}

TEST(HashRange, ArithmeticAgreesWithSearchAtEveryBoundary)
{
	for (const int count : counts)
	{
		const auto ranges = uniform_ranges(count);
		for (int index = 0; index < count; index++)
		{
			for (const std::int32_t hash : {ranges[index].min, ranges[index].max})
			{
				EXPECT_EQ(uniform_index(hash, count), index);
				EXPECT_EQ(find_range(ranges, hash), index);
			}
		}
		for (const std::int32_t hash : {-1, 0, 1, 123456789, -987654321})
			EXPECT_EQ(uniform_index(hash, count), find_range(ranges, hash));
	}
}

TEST(HashRange, RangesOfFourAreTheFamiliarOnes)
{
	EXPECT_EQ(uniform_range(0, 4).min, INT32_MIN);
	EXPECT_EQ(uniform_range(0, 4).max, -1073741825);
	EXPECT_EQ(uniform_range(1, 4).min, -1073741824);
	EXPECT_EQ(uniform_range(2, 4).min, 0);
	EXPECT_EQ(uniform_range(3, 4).min, 1073741824);
}

TEST(HashRange, TheLastRangeTakesTheRemainder)
{
	const HashRange last = uniform_range(2, 3);
	const HashRange first = uniform_range(0, 3);
	const auto width = [](HashRange range) { return std::int64_t{range.max} - range.min + 1; };
	EXPECT_EQ(width(first), 1431655765);
	EXPECT_EQ(width(last), 1431655766);
	EXPECT_EQ(uniform_index(INT32_MAX, 3), 2);
}

TEST(HashRange, SplitRangesAreFoundButNotUniform)
{
	std::vector<HashRange> ranges = {{INT32_MIN, -100}, {-99, 0}, {1, INT32_MAX}};
	EXPECT_TRUE(cover_hash_space(ranges));
	EXPECT_FALSE(are_uniform(ranges));
	EXPECT_EQ(find_range(ranges, -100), 0);
	EXPECT_EQ(find_range(ranges, -99), 1);
	EXPECT_EQ(find_range(ranges, 0), 1);
	EXPECT_EQ(find_range(ranges, 1), 2);
}

TEST(HashRange, GapsOverlapsAndNothingAreNotACover)
{
	EXPECT_FALSE(cover_hash_space({}));
	EXPECT_FALSE(are_uniform({}));
	std::vector<HashRange> gap = {{INT32_MIN, -1}, {1, INT32_MAX}};
	EXPECT_FALSE(cover_hash_space(gap));
	EXPECT_EQ(find_range(gap, 0), -1);
	std::vector<HashRange> overlap = {{INT32_MIN, 1}, {1, INT32_MAX}};
	EXPECT_FALSE(cover_hash_space(overlap));
	std::vector<HashRange> short_end = {{INT32_MIN, INT32_MAX - 1}};
	EXPECT_FALSE(cover_hash_space(short_end));
	EXPECT_EQ(find_range(short_end, INT32_MAX), -1);
	std::vector<HashRange> late_start = {{0, INT32_MAX}};
	EXPECT_EQ(find_range(late_start, -1), -1);
}
