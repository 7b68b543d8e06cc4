/* The router's decisions: how pins spread, what one shard group can answer, which joins stay local.
 */
#include "civitas/route/pinning.h"

#include <gtest/gtest.h>

#include <vector>

using namespace civitas::route;

namespace {

std::vector<int> pins(int columns, std::vector<Pin> given, std::vector<ColumnPair> equalities,
					  std::vector<ColumnPair> edges = {})
{
	std::vector<int> result(columns, 99);
	find_pins({columns, given, equalities, edges}, result);
	return result;
}

constexpr int NO = NOT_PINNED;

} // namespace

TEST(FindPins, NothingIsPinnedWithoutPins)
{
	EXPECT_EQ(pins(2, {}, {{0, 1}}), (std::vector<int>{NO, NO}));
}

TEST(FindPins, SpreadOverEqualitiesInBothDirections)
{
	EXPECT_EQ(pins(4, {{2, 7}}, {{0, 1}, {1, 2}}), (std::vector<int>{7, 7, 7, NO}));
}

TEST(FindPins, EdgesGoOneWay)
{
	EXPECT_EQ(pins(2, {{0, 1}}, {}, {{0, 1}}), (std::vector<int>{1, 1}));
	EXPECT_EQ(pins(2, {{1, 1}}, {}, {{0, 1}}), (std::vector<int>{NO, 1}));
}

TEST(FindPins, TheFirstPinOfAColumnIsTaken)
{
	EXPECT_EQ(pins(1, {{0, 3}, {0, 4}}, {}), (std::vector<int>{3}));
}

TEST(FindPins, CyclesEnd)
{
	EXPECT_EQ(pins(3, {{1, 0}}, {{0, 1}, {1, 2}, {2, 0}}, {{0, 2}, {2, 0}}),
			  (std::vector<int>{0, 0, 0}));
}

/* Each column is equal to the one before it, in the order that is worst for going through the pairs. */
TEST(FindPins, LongChainsOfPairs)
{
	constexpr int COLUMNS = 5000;
	std::vector<ColumnPair> equalities;
	std::vector<ColumnPair> edges;
	for (int column = COLUMNS - 1; column > 0; column--)
		(column % 2 ? equalities : edges).push_back({column - 1, column});
	EXPECT_EQ(pins(COLUMNS, {{0, 3}}, equalities, edges), std::vector<int>(COLUMNS, 3));
	std::vector<int> upwards(COLUMNS, NO);
	upwards[COLUMNS - 1] = upwards[COLUMNS - 2] = 3;
	EXPECT_EQ(pins(COLUMNS, {{COLUMNS - 1, 3}}, equalities, edges), upwards);
}

TEST(FindPins, ManyPairsLeaveOtherValuesAlone)
{
	std::vector<ColumnPair> equalities;
	for (int column = 1; column < 100; column++)
		equalities.push_back({0, column});
	std::vector<int> expected(100, 1);
	expected[7] = 2;
	EXPECT_EQ(pins(100, {{0, 1}, {7, 2}}, equalities), expected);
}

TEST(Together, OneValueForAll)
{
	int value;
	const SpreadTable tables[] = {{1, 5, false}, {1, 5, false}};
	EXPECT_EQ(together(tables, &value), Together::Yes);
	EXPECT_EQ(value, 5);
}

TEST(Together, SingleShardsNeedNoPin)
{
	int value;
	const SpreadTable tables[] = {{1, NO, true}, {1, NO, true}};
	EXPECT_EQ(together(tables, &value), Together::Yes);
	EXPECT_EQ(value, NO);
}

TEST(Together, SaysWhyNot)
{
	int value;
	const SpreadTable apart[] = {{1, 5, false}, {2, 5, false}};
	EXPECT_EQ(together(apart, &value), Together::NotColocated);
	const SpreadTable loose[] = {{1, 5, false}, {1, NO, false}};
	EXPECT_EQ(together(loose, &value), Together::NotPinned);
	const SpreadTable different[] = {{1, 5, false}, {1, 6, false}};
	EXPECT_EQ(together(different, &value), Together::DifferentValues);
	EXPECT_EQ(reason(Together::Yes), nullptr);
	EXPECT_NE(reason(Together::NotPinned), nullptr);
}

TEST(JoinIsLocal, ColocatedJoinsOnTheirKeys)
{
	for (JoinKind kind :
		 {JoinKind::Inner, JoinKind::Left, JoinKind::Full, JoinKind::Semi, JoinKind::Anti})
	{
		EXPECT_TRUE(join_is_local(kind, Spread::Sharded, Spread::Sharded, true));
		EXPECT_FALSE(join_is_local(kind, Spread::Sharded, Spread::Sharded, false));
	}
}

TEST(JoinIsLocal, ReferenceTablesAreOnlyLookedUp)
{
	EXPECT_TRUE(join_is_local(JoinKind::Inner, Spread::Sharded, Spread::Replicated, false));
	EXPECT_TRUE(join_is_local(JoinKind::Inner, Spread::Replicated, Spread::Sharded, false));
	EXPECT_TRUE(join_is_local(JoinKind::Left, Spread::Sharded, Spread::Replicated, false));
	EXPECT_TRUE(join_is_local(JoinKind::Anti, Spread::Sharded, Spread::Replicated, false));
	EXPECT_FALSE(join_is_local(JoinKind::Left, Spread::Replicated, Spread::Sharded, false));
	EXPECT_FALSE(join_is_local(JoinKind::Semi, Spread::Replicated, Spread::Sharded, false));
	EXPECT_FALSE(join_is_local(JoinKind::Full, Spread::Sharded, Spread::Replicated, false));
}

TEST(JoinIsLocal, WhatIsOnThisNodeStaysHere)
{
	EXPECT_FALSE(join_is_local(JoinKind::Inner, Spread::Sharded, Spread::Elsewhere, true));
	EXPECT_FALSE(join_is_local(JoinKind::Inner, Spread::Elsewhere, Spread::Replicated, true));
}
