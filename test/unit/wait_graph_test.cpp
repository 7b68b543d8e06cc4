/*
 * wait_graph_test.cpp: the search for deadlocks against a search by hand on random graphs.
 */
#include "civitas/commit/wait_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace civitas::commit {
namespace {

/* A distributed transaction; the younger the greater its name. */
Waiter transaction(std::int64_t name)
{
	return {name, name, static_cast<std::uint64_t>(name) + 1000, name};
}

Waiter session(std::int64_t name, std::int64_t initiator)
{
	return {name, initiator, 0, 0};
}

WaitEdge wait(const Waiter& waiting, const Waiter& blocking, std::int64_t start = 7)
{
	return {waiting, blocking, start};
}

std::vector<std::int64_t> victims(const std::vector<WaitEdge>& first,
								  const std::vector<WaitEdge>& second)
{
	std::vector<Victim> found(100);
	found.resize(find_victims(first, second, found));
	std::vector<std::int64_t> names;
	for (const Victim& victim : found)
		names.push_back(victim.vertex);
	return names;
}

std::vector<std::int64_t> victims(const std::vector<WaitEdge>& edges)
{
	return victims(edges, edges);
}

using Names = std::vector<std::int64_t>;

TEST(WaitGraph, NoWaitsNoVictims)
{
	EXPECT_EQ(victims({}), Names{});
}

TEST(WaitGraph, WhatSaidLaterThatItGivesWayFirstDoesSo)
{
	Waiter told = transaction(1);
	told.stamp = std::numeric_limits<std::int64_t>::max();
	const std::vector<WaitEdge> edges = {wait(transaction(1), transaction(2)),
										 wait(transaction(2), told)};
	EXPECT_EQ(victims(edges), Names{1});
}

TEST(WaitGraph, YoungestOfTwoGivesWay)
{
	EXPECT_EQ(victims({wait(transaction(1), transaction(2)), wait(transaction(2), transaction(1))}),
			  Names{2});
}

TEST(WaitGraph, QueuesAndTreesAreNoDeadlock)
{
	std::vector<WaitEdge> edges;
	for (int i = 1; i < 200; i++)
		for (int j = 0; j < i; j++)
			edges.push_back(wait(transaction(i), transaction(j)));
	EXPECT_EQ(victims(edges), Names{});
}

TEST(WaitGraph, WhoOnlyWaitsForACycleIsSpared)
{
	EXPECT_EQ(victims({wait(transaction(1), transaction(2)), wait(transaction(2), transaction(1)),
					   wait(transaction(9), transaction(1))}),
			  Names{2});
}

TEST(WaitGraph, TwoDeadlocksHaveTwoVictims)
{
	EXPECT_EQ(victims({wait(transaction(1), transaction(2)), wait(transaction(2), transaction(1)),
					   wait(transaction(3), transaction(4)), wait(transaction(4), transaction(3))}),
			  (Names{2, 4}));
}

TEST(WaitGraph, OnlyDistributedTransactionsGiveWay)
{
	EXPECT_EQ(victims({wait(transaction(1), session(8, 8)), wait(session(8, 8), transaction(1))}),
			  Names{1});
	EXPECT_EQ(victims({wait(session(7, 7), session(8, 8)), wait(session(8, 8), session(7, 7))}),
			  Names{});
}

TEST(WaitGraph, BothLooksMustAgree)
{
	const WaitEdge forth = wait(transaction(1), transaction(2));
	const WaitEdge back = wait(transaction(2), transaction(1));
	EXPECT_EQ(victims({forth, back}, {forth}), Names{});
	EXPECT_EQ(victims({forth}, {forth, back}), Names{});
	/* The wait ended and began again in between. */
	EXPECT_EQ(victims({forth, back}, {forth, wait(transaction(2), transaction(1), 8)}), Names{});
	/* Another transaction of the same backend. */
	Waiter next = transaction(2);
	next.number++;
	EXPECT_EQ(victims({forth, back}, {forth, wait(next, transaction(1))}), Names{});
}

TEST(WaitGraph, WhatAnEarlierTransactionLeftWaitsForNobody)
{
	/* 2 waits for what a backend that is gone left prepared; 1 got its process id, and waits for 2.
	 */
	Waiter left = transaction(1);
	left.number--;
	left.stamp = 0;
	EXPECT_EQ(victims({wait(transaction(1), transaction(2)), wait(transaction(2), left)}), Names{});
	EXPECT_EQ(victims({wait(transaction(2), left), wait(transaction(1), transaction(2))}), Names{});
	/* The same where 1 has not used another node yet. */
	EXPECT_EQ(victims({wait(session(1, 1), transaction(2)), wait(transaction(2), left)}), Names{});
	EXPECT_EQ(victims({wait(transaction(2), left), wait(session(1, 1), transaction(2))}), Names{});
}

TEST(WaitGraph, InitiatorWaitsForItsSession)
{
	/* 5 runs a single statement on another node, outside of a transaction there. */
	EXPECT_EQ(victims({wait(session(50, 5), transaction(1)), wait(transaction(1), session(5, 5))}),
			  Names{1});
	/* The session does not wait for its initiator. */
	EXPECT_EQ(victims({wait(session(50, 5), transaction(1)), wait(transaction(1), session(51, 5))}),
			  Names{});
}

TEST(WaitGraph, WaitForOneselfCountsInsideATransaction)
{
	EXPECT_EQ(victims({wait(transaction(3), transaction(3))}), Names{3});
	EXPECT_EQ(victims({wait(session(3, 3), session(3, 3))}), Names{});
}

TEST(WaitGraph, CountsMoreThanThereIsRoomFor)
{
	const std::vector<WaitEdge> edges = {wait(transaction(3), transaction(3)),
										 wait(transaction(4), transaction(4))};
	std::vector<Victim> one(1);
	EXPECT_EQ(find_victims(edges, edges, one), 2);
	EXPECT_EQ(one[0].vertex, 3);
}

TEST(WaitGraph, LongChainsNeedNoDeepStack)
{
	std::vector<WaitEdge> edges;
	for (int i = 0; i < 200000; i++)
		edges.push_back(wait(transaction(i), transaction(i + 1)));
	EXPECT_EQ(victims(edges), Names{});
	edges.push_back(wait(transaction(200000), transaction(0)));
	EXPECT_EQ(victims(edges), Names{200000});
}

/* --- against reachability by brute force ------------------------------------------------------ */

struct Matrix
{
	bool waits[8][8] = {};

	void close()
	{
		for (int k = 0; k < 8; k++)
			for (int i = 0; i < 8; i++)
				for (int j = 0; j < 8; j++)
					waits[i][j] = waits[i][j] || (waits[i][k] && waits[k][j]);
	}
};

TEST(WaitGraph, AgreesWithBruteForce)
{
	std::mt19937_64 random(20260102);
	int with_deadlock = 0;
	for (int round = 0; round < 20000; round++)
	{
		const int count = static_cast<int>(random() % 14);
		std::vector<WaitEdge> edges;
		Matrix matrix;
		for (int i = 0; i < count; i++)
		{
			const int from = static_cast<int>(random() % 8);
			const int to = static_cast<int>(random() % 8);
			edges.push_back(wait(transaction(from), transaction(to)));
			matrix.waits[from][to] = true;
		}
		const Names found = victims(edges);

		/* By hand: of all vertices that lie on a cycle, the youngest of each set that reach one
		 * another is taken out, until none is left. */
		std::set<std::int64_t> expected;
		for (;;)
		{
			Matrix reach = matrix;
			reach.close();
			std::set<std::int64_t> taken;
			for (int i = 0; i < 8; i++)
			{
				if (!reach.waits[i][i])
					continue;
				bool oldest = false;
				for (int j = i + 1; j < 8; j++)
					oldest = oldest || (reach.waits[i][j] && reach.waits[j][i]);
				if (!oldest)
					taken.insert(i);
			}
			if (taken.empty())
				break;
			for (const std::int64_t name : taken)
			{
				for (int j = 0; j < 8; j++)
					matrix.waits[name][j] = matrix.waits[j][name] = false;
				expected.insert(name);
			}
		}
		ASSERT_EQ(found, Names(expected.begin(), expected.end())) << "round " << round;
		with_deadlock += found.empty() ? 0 : 1;

		std::shuffle(edges.begin(), edges.end(), random);
		ASSERT_EQ(victims(edges), found) << "the order of the edges matters in round " << round;
	}
	EXPECT_GT(with_deadlock, 1000);
}

} // namespace
} // namespace civitas::commit
