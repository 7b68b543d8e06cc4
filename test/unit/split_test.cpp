#include "civitas/shard/split.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace civitas::shard {
namespace {

constexpr HashRange WHOLE = {INT32_MIN, INT32_MAX};

SplitProblem check(HashRange range, std::vector<std::int32_t> points, int *which)
{
	return check_split_points(range, points, which);
}

TEST(SplitPoints, RefusesWhatDoesNotCut)
{
	int which = -1;
	EXPECT_EQ(check({0, 10}, {}, &which), SplitProblem::NoPoints);
	EXPECT_EQ(check({0, 10}, {-1}, &which), SplitProblem::OutOfRange);
	EXPECT_EQ(check({0, 10}, {3, 10}, &which), SplitProblem::OutOfRange);
	EXPECT_EQ(which, 1);
	EXPECT_EQ(check({0, 10}, {3, 3}, &which), SplitProblem::NotAscending);
	EXPECT_EQ(check({0, 10}, {3, 7, 5}, &which), SplitProblem::NotAscending);
	EXPECT_EQ(which, 2);
	EXPECT_EQ(check({5, 5}, {5}, &which), SplitProblem::OutOfRange);
	EXPECT_EQ(check(WHOLE, {INT32_MAX}, &which), SplitProblem::OutOfRange);
	EXPECT_EQ(check(WHOLE, {INT32_MIN, INT32_MAX - 1}, &which), SplitProblem::None);
	EXPECT_EQ(check({0, 10}, {0, 9}, &which), SplitProblem::None);
}

TEST(SplitPoints, PiecesCoverTheRange)
{
	std::mt19937 random(1);
	for (int round = 0; round < 1000; round++)
	{
		std::vector<std::int32_t> ends;
		for (int i = 0; i < 5; i++)
			ends.push_back(static_cast<std::int32_t>(random()));
		std::sort(ends.begin(), ends.end());
		if (std::adjacent_find(ends.begin(), ends.end()) != ends.end())
			continue;
		const HashRange range = {ends.front(), ends.back()};
		const std::vector<std::int32_t> points(ends.begin() + 1, ends.end() - 1);
		int which;
		ASSERT_EQ(check_split_points(range, points, &which), SplitProblem::None);
		std::int64_t next = range.min;
		for (int piece = 0; piece <= static_cast<int>(points.size()); piece++)
		{
			const HashRange cut = split_piece(range, points, piece);
			EXPECT_EQ(cut.min, next);
			EXPECT_LE(cut.min, cut.max);
			next = std::int64_t{cut.max} + 1;
		}
		EXPECT_EQ(next, std::int64_t{range.max} + 1);
	}
}

TEST(SplitPoints, IsolateOneHash)
{
	const HashRange range = {-5, 5};
	for (std::int32_t hash = range.min; hash <= range.max; hash++)
	{
		std::int32_t points[2];
		int piece;
		const int count = isolating_points(range, hash, points, &piece);
		int which;
		ASSERT_EQ(check_split_points(range, {points, static_cast<std::size_t>(count)}, &which),
				  SplitProblem::None);
		const HashRange alone =
			split_piece(range, {points, static_cast<std::size_t>(count)}, piece);
		EXPECT_EQ(alone.min, hash);
		EXPECT_EQ(alone.max, hash);
	}
	std::int32_t points[2];
	int piece;
	EXPECT_EQ(isolating_points({7, 7}, 7, points, &piece), 0);
	EXPECT_EQ(isolating_points(WHOLE, INT32_MIN, points, &piece), 1);
	EXPECT_EQ(piece, 0);
	EXPECT_EQ(isolating_points(WHOLE, INT32_MAX, points, &piece), 1);
	EXPECT_EQ(piece, 1);
}

} // namespace
} // namespace civitas::shard
