#include "civitas/shard/rebalance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <numeric>
#include <random>
#include <set>
#include <vector>

using namespace civitas::shard;

namespace {

/* An input that owns its arrays, and its plan. */
struct Case
{
	std::vector<RebalanceNode> nodes;
	std::vector<RebalanceGroup> groups;
	std::vector<RebalancePlacement> placements;
	std::vector<std::uint8_t> allowed;
	int pools = 1;
	double threshold = 0;
	double improvement = 0;
	bool drain_only = false;
	int max_moves = 1000000;

	std::vector<RebalanceMove> moves;
	std::vector<std::int32_t> stuck;

	void plan()
	{
		moves.resize(placements.size());
		stuck.resize(placements.size());
		const RebalanceInput input{nodes,	  groups,	   placements, allowed,	 pools,
								   threshold, improvement, drain_only, max_moves};
		const RebalanceOutcome outcome = plan_rebalance(input, moves, stuck);
		moves.resize(outcome.moves);
		stuck.resize(outcome.stuck);
	}

	/* Where the placements are after the first `count` moves. */
	std::vector<int> locations(std::size_t count) const
	{
		std::vector<int> where;
		for (const RebalancePlacement& placement : placements)
			where.push_back(placement.node);
		for (std::size_t i = 0; i < count; i++)
			where[moves[i].placement] = moves[i].target;
		return where;
	}

	std::vector<double> utilisations(const std::vector<int>& where, int pool) const
	{
		std::vector<double> load(nodes.size());
		for (std::size_t i = 0; i < where.size(); i++)
			if (groups[placements[i].group].pool == pool)
				load[where[i]] += groups[placements[i].group].cost;
		for (std::size_t node = 0; node < nodes.size(); node++)
			load[node] /= nodes[node].capacity;
		return load;
	}

	/* The sum over the nodes of load^2 / capacity, and the highest utilisation: nodes that take
	 * part. */
	std::pair<double, double> unevenness(const std::vector<int>& where, int pool) const
	{
		const std::vector<double> use = utilisations(where, pool);
		double sum = 0;
		double highest = 0;
		for (std::size_t node = 0; node < nodes.size(); node++)
			if (nodes[node].may_have_shards && nodes[node].capacity > 0)
			{
				sum += use[node] * use[node] * nodes[node].capacity;
				highest = std::max(highest, use[node]);
			}
		return {sum, highest};
	}

	bool is_allowed(int group, int node) const
	{
		return nodes[node].may_have_shards &&
			   (allowed.empty() || allowed[group * nodes.size() + node] != 0);
	}
};

/* `count` groups of cost 1, all on node 0. */
Case on_one_node(int nodes, int count)
{
	Case c;
	c.nodes.assign(nodes, {1, true});
	for (int i = 0; i < count; i++)
	{
		c.groups.push_back({1, 0, true});
		c.placements.push_back({i, 0});
	}
	return c;
}

} // namespace

TEST(Rebalance, FillsANewNode)
{
	Case c = on_one_node(2, 32);
	c.nodes.push_back({1, true});
	for (int i = 0; i < 32; i++)
		c.placements[i].node = i % 2;
	c.plan();
	EXPECT_EQ(c.moves.size(), 10u);
	EXPECT_EQ(c.utilisations(c.locations(c.moves.size()), 0), (std::vector<double>{11, 11, 10}));
	EXPECT_TRUE(c.stuck.empty());
}

TEST(Rebalance, LeavesEvenNodesAlone)
{
	Case c = on_one_node(3, 32);
	for (int i = 0; i < 32; i++)
		c.placements[i].node = i % 3;
	c.plan();
	EXPECT_TRUE(c.moves.empty());
}

TEST(Rebalance, NothingToPlan)
{
	Case none;
	none.plan();
	EXPECT_TRUE(none.moves.empty());
	Case lone = on_one_node(1, 4);
	lone.plan();
	EXPECT_TRUE(lone.moves.empty());
}

TEST(Rebalance, FollowsCapacity)
{
	Case c = on_one_node(2, 40);
	c.nodes[1].capacity = 3;
	c.plan();
	EXPECT_EQ(c.utilisations(c.locations(c.moves.size()), 0), (std::vector<double>{10, 10}));
}

TEST(Rebalance, NodeWithoutCapacityEndsEmpty)
{
	Case c = on_one_node(3, 9);
	c.nodes[0].capacity = 0;
	c.plan();
	const std::vector<int> where = c.locations(c.moves.size());
	EXPECT_EQ(std::count(where.begin(), where.end(), 0), 0);
	c.drain_only = true;
	c.plan();
	EXPECT_TRUE(c.moves.empty());
}

TEST(Rebalance, StaysWithinTheThreshold)
{
	Case c = on_one_node(2, 20);
	for (int i = 0; i < 20; i++)
		c.placements[i].node = i < 11 ? 0 : 1;
	c.threshold = 0.1;
	c.plan();
	EXPECT_TRUE(c.moves.empty());
	c.placements[11].node = c.placements[12].node = 0;
	c.plan();
	EXPECT_EQ(c.moves.size(), 2u);
}

TEST(Rebalance, MoveMustBeWorthItsCost)
{
	/* 11 against 0 in two parts: moving 10 makes it 1 against 10, which gains 1 for 10. */
	Case c;
	c.nodes.assign(2, {1, true});
	c.groups = {{10, 0, true}, {1, 0, true}};
	c.placements = {{0, 0}, {1, 0}};
	c.improvement = 0.5;
	c.plan();
	ASSERT_EQ(c.moves.size(), 1u);
	EXPECT_EQ(c.moves[0].placement, 1);
	c.groups[1].movable = false;
	c.plan();
	EXPECT_TRUE(c.moves.empty());
	c.improvement = 0;
	c.plan();
	EXPECT_EQ(c.moves.size(), 1u);
}

TEST(Rebalance, DrainsLargestFirstAndReportsWhatIsStuck)
{
	Case c;
	c.nodes = {{1, false}, {1, true}, {1, true}};
	c.groups = {{3, 0, true}, {5, 0, true}, {4, 0, true}, {1, 0, true}};
	c.placements = {{0, 0}, {1, 0}, {2, 0}, {3, 0}};
	c.allowed.assign(12, 1);
	c.allowed[3 * 3 + 1] = c.allowed[3 * 3 + 2] = 0;
	c.drain_only = true;
	c.plan();
	ASSERT_EQ(c.moves.size(), 3u);
	EXPECT_EQ(c.moves[0].placement, 1);
	EXPECT_EQ(c.moves[1].placement, 2);
	EXPECT_EQ(c.moves[2].placement, 0);
	EXPECT_NE(c.moves[0].target, c.moves[1].target);
	EXPECT_EQ(c.moves[2].target, c.moves[1].target);
	EXPECT_EQ(c.stuck, (std::vector<std::int32_t>{3}));
}

TEST(Rebalance, ReplicasStayOnDifferentNodes)
{
	Case c;
	c.nodes = {{1, false}, {1, true}, {1, true}};
	c.groups = {{1, 0, true}, {1, 0, true}};
	c.placements = {{0, 0}, {0, 1}, {1, 0}, {1, 2}};
	c.plan();
	const std::vector<int> where = c.locations(c.moves.size());
	EXPECT_EQ(where, (std::vector<int>{2, 1, 1, 2}));
}

TEST(Rebalance, PoolsAreBalancedOneByOneAndTogether)
{
	/* Three pools of 4 over 3 nodes: no node gets the fourth of all of them. */
	Case c = on_one_node(3, 12);
	c.pools = 3;
	for (int i = 0; i < 12; i++)
		c.groups[i].pool = i / 4;
	c.plan();
	const std::vector<int> where = c.locations(c.moves.size());
	std::vector<double> total(3);
	for (int pool = 0; pool < 3; pool++)
	{
		const std::vector<double> use = c.utilisations(where, pool);
		EXPECT_EQ(*std::max_element(use.begin(), use.end()), 2);
		for (int node = 0; node < 3; node++)
			total[node] += use[node];
	}
	EXPECT_EQ(total[0] + total[1] + total[2], 12);
}

TEST(Rebalance, MaxMovesCutsThePlan)
{
	Case c = on_one_node(2, 32);
	c.max_moves = 5;
	c.plan();
	EXPECT_EQ(c.moves.size(), 5u);
	c.max_moves = 0;
	c.plan();
	EXPECT_TRUE(c.moves.empty());
}

/* Random clusters: whatever is planned, these hold. */
class RandomRebalance : public testing::TestWithParam<int>
{};

namespace {

Case random_case(std::mt19937& random)
{
	auto pick = [&](int below) { return static_cast<int>(random() % below); };
	Case c;
	const int node_count = 1 + pick(8);
	for (int i = 0; i < node_count; i++)
		c.nodes.push_back({pick(6) == 0	  ? 0.0
						   : pick(2) == 0 ? 1.0
										  : 0.25 + pick(12) / 4.0,
						   pick(5) != 0});
	c.pools = 1 + pick(3);
	const int group_count = pick(40);
	const int cost_kind = pick(3);
	const int replicas = 1 + pick(std::min(3, node_count));
	const bool restricted = pick(3) == 0;
	for (int group = 0; group < group_count; group++)
	{
		const double cost = cost_kind == 0	 ? 1
							: cost_kind == 1 ? pick(1000)
											 : std::pow(1.5, pick(30)) / 7;
		c.groups.push_back({cost, pick(c.pools), pick(10) != 0});
		std::set<int> used;
		while (static_cast<int>(used.size()) < replicas)
		{
			/* Two thirds of the load on half of the nodes. */
			const int node = pick(3) == 0 ? pick(node_count) : pick((node_count + 1) / 2);
			if (used.insert(node).second)
				c.placements.push_back({group, node});
			else if (used.insert(pick(node_count)).second)
			{
				/* The one that was just inserted is the one that is not in the list yet. */
				for (const int candidate : used)
					if (std::none_of(c.placements.begin(), c.placements.end(),
									 [&](const RebalancePlacement& placement) {
										 return placement.group == group &&
												placement.node == candidate;
									 }))
						c.placements.push_back({group, candidate});
			}
		}
		for (int node = 0; restricted && node < node_count; node++)
			c.allowed.push_back(pick(4) != 0);
	}
	c.threshold = pick(2) == 0 ? 0 : pick(30) / 100.0;
	c.improvement = pick(2) == 0 ? 0 : pick(100) / 100.0;
	c.drain_only = pick(4) == 0;
	c.max_moves = pick(4) == 0 ? pick(20) : 1000000;
	return c;
}

void check_case(Case& c)
{
	c.plan();
	ASSERT_LE(static_cast<int>(c.moves.size()), c.max_moves);
	const bool complete = static_cast<int>(c.moves.size()) < c.max_moves;

	/* Each move is legal where it stands in the order. */
	std::vector<int> where = c.locations(0);
	std::set<int> moved;
	std::size_t evacuations = 0;
	for (std::size_t i = 0; i < c.moves.size(); i++)
	{
		const RebalanceMove& move = c.moves[i];
		const int group = c.placements[move.placement].group;
		const int source = where[move.placement];
		ASSERT_TRUE(c.groups[group].movable);
		ASSERT_NE(source, move.target);
		ASSERT_TRUE(c.is_allowed(group, move.target));
		ASSERT_GT(c.nodes[move.target].capacity, 0);
		ASSERT_TRUE(moved.insert(move.placement).second) << "moved twice";
		for (std::size_t other = 0; other < where.size(); other++)
			ASSERT_FALSE(c.placements[other].group == group && where[other] == move.target);
		if (!c.is_allowed(group, source) || c.nodes[source].capacity <= 0)
		{
			ASSERT_EQ(evacuations, i) << "evacuation comes first";
			evacuations++;
		}
		else
		{
			/* Balancing: never worse, one side out of bounds. */
			ASSERT_FALSE(c.drain_only);
			const int pool = c.groups[group].pool;
			const auto before = c.unevenness(where, pool);
			where[move.placement] = move.target;
			const auto after = c.unevenness(where, pool);
			ASSERT_LT(after.first, before.first);
			ASSERT_LE(after.second, before.second * (1 + 1e-9));
		}
		where[move.placement] = move.target;
	}

	/* What must leave has left, or is stuck, or may not move. */
	const std::set<int> stuck(c.stuck.begin(), c.stuck.end());
	for (std::size_t i = 0; complete && i < where.size(); i++)
	{
		const int group = c.placements[i].group;
		if (!c.groups[group].movable || c.is_allowed(group, where[i]))
			continue;
		ASSERT_TRUE(stuck.contains(static_cast<int>(i)));
		for (int node = 0; node < static_cast<int>(c.nodes.size()); node++)
		{
			bool occupied = false;
			for (std::size_t other = 0; other < where.size(); other++)
				occupied = occupied || (c.placements[other].group == group && where[other] == node);
			/* A replica may have moved away since. */
			ASSERT_TRUE(occupied || !c.is_allowed(group, node) || c.nodes[node].capacity <= 0 ||
						!c.moves.empty());
		}
	}

	/* Planned again from there, nothing is left to do where all may move freely. */
	if (!complete || c.drain_only)
		return;
	Case again = c;
	for (std::size_t i = 0; i < where.size(); i++)
		again.placements[i].node = where[i];
	for (int round = 0; round < 100; round++)
	{
		again.plan();
		if (again.moves.empty())
			return;
		const std::vector<int> next = again.locations(again.moves.size());
		for (std::size_t i = 0; i < next.size(); i++)
			again.placements[i].node = next[i];
	}
	FAIL() << "planning again and again does not come to rest";
}

} // namespace

TEST_P(RandomRebalance, Properties)
{
	std::mt19937 random(GetParam());
	for (int i = 0; i < 500; i++)
	{
		Case c = random_case(random);
		SCOPED_TRACE(i);
		check_case(c);
		if (HasFatalFailure())
			return;
	}
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomRebalance, testing::Range(1, 9));

/* 100 nodes, 100,000 shard groups, ten nodes new and ten drained. On an idle machine this takes a
 * fraction of a second. */
TEST(Rebalance, LargeClusterIsPlannedInTime)
{
	for (const bool by_size : {false, true})
	{
		std::mt19937 random(7);
		Case c;
		for (int i = 0; i < 100; i++)
			c.nodes.push_back({1, i < 90});
		for (int i = 0; i < 100000; i++)
		{
			c.groups.push_back({by_size ? 1.0 + random() % 1000000 : 1.0, i % 4, true});
			c.placements.push_back({i, 10 + static_cast<int>(random() % 90)});
		}
		c.pools = 4;
		c.threshold = by_size ? 0.1 : 0;
		c.improvement = by_size ? 0.5 : 0;
		const std::clock_t start = std::clock();
		c.plan();
		const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
		std::printf("planned %zu moves in %.3f s\n", c.moves.size(), seconds);
		EXPECT_LT(seconds, 10.0);
		EXPECT_GT(c.moves.size(), 10000u);
		const std::vector<int> where = c.locations(c.moves.size());
		for (int pool = 0; pool < 4; pool++)
		{
			const std::vector<double> use = c.utilisations(where, pool);
			EXPECT_EQ(*std::max_element(use.begin() + 90, use.end()), 0);
			const double average = std::accumulate(use.begin(), use.end(), 0.0) / 90;
			for (int node = 0; node < 90; node++)
				EXPECT_NEAR(use[node], average, by_size ? average * 0.1 : 1);
		}
	}
}
