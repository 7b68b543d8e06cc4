#include "civitas/shard/placement.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

using civitas::shard::place_round_robin;

TEST(Placement, SpreadsEvenly)
{
	const std::vector<std::int32_t> groups{1, 2, 5};
	std::vector<std::int32_t> out(32);
	ASSERT_TRUE(place_round_robin(32, 1, 0, groups, out));
	std::map<std::int32_t, int> counts;
	for (const std::int32_t group : out)
		counts[group]++;
	EXPECT_EQ(counts[1], 11);
	EXPECT_EQ(counts[2], 11);
	EXPECT_EQ(counts[5], 10);
}

TEST(Placement, ReplicasOfAShardAreOnDifferentGroups)
{
	const std::vector<std::int32_t> groups{3, 4, 7};
	std::vector<std::int32_t> out(5 * 2);
	ASSERT_TRUE(place_round_robin(5, 2, 4, groups, out));
	for (int shard = 0; shard < 5; shard++)
		EXPECT_NE(out[shard * 2], out[shard * 2 + 1]);
	EXPECT_EQ(out[0], 4);
	EXPECT_EQ(out[1], 7);
}

TEST(Placement, NeedsAsManyGroupsAsReplicas)
{
	const std::vector<std::int32_t> groups{1, 2};
	std::vector<std::int32_t> out(6);
	EXPECT_FALSE(place_round_robin(2, 3, 0, groups, out));
	EXPECT_FALSE(place_round_robin(2, 1, 0, {}, out));
}
