/*
 * flow_test.cpp: the executor's state machine, driven by hand.
 */
#include "civitas/flow/flow.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <vector>

using namespace civitas::flow;

namespace {

struct Deleter
{
	void operator()(Flow *flow) const { destroy(flow); }
};
using FlowPtr = std::unique_ptr<Flow, Deleter>;

FlowPtr make(int pool_size, int headroom = -1)
{
	return FlowPtr(create(Limits{pool_size, 10, headroom}));
}

int task_on(Flow *flow, std::vector<int> nodes, int bound = -1, bool retry = true)
{
	return add_task(flow, nodes.data(), static_cast<int>(nodes.size()), bound, retry);
}

/* Takes actions until the machine has none; returns them. */
std::vector<Action> actions(Flow *flow)
{
	std::vector<Action> all;
	for (;;)
	{
		const Action action = next_action(flow);
		if (action.kind == ActionKind::None)
			return all;
		all.push_back(action);
		if (action.kind == ActionKind::Done || action.kind == ActionKind::Fail)
			return all;
	}
}

} // namespace

TEST(Flow, NoTasksIsDone)
{
	FlowPtr flow = make(4);
	start(flow.get(), 0);
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Done);
	EXPECT_TRUE(finished(flow.get()));
}

TEST(Flow, OneTaskOpensOneSession)
{
	FlowPtr flow = make(4);
	const int node = add_node(flow.get());
	const int task = task_on(flow.get(), {node});
	start(flow.get(), 1000);
	std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].kind, ActionKind::Open);
	const int session = got[0].session;
	session_ready(flow.get(), session, 1001);
	got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].kind, ActionKind::Assign);
	EXPECT_EQ(got[0].task, task);
	EXPECT_EQ(got[0].session, session);
	task_done(flow.get(), task, 1002);
	EXPECT_EQ(actions(flow.get()).back().kind, ActionKind::Done);
}

TEST(Flow, ExistingSessionIsUsedAtOnce)
{
	FlowPtr flow = make(4);
	const int node = add_node(flow.get());
	const int session = add_session(flow.get(), node, true);
	task_on(flow.get(), {node});
	task_on(flow.get(), {node});
	start(flow.get(), 5000);
	const std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u) << "slow start begins with the execution";
	EXPECT_EQ(got[0].kind, ActionKind::Assign);
	EXPECT_EQ(got[0].session, session);
	EXPECT_EQ(wait_ms(flow.get(), 5000), 10);
}

TEST(Flow, SlowStartOpensOneMoreEachInterval)
{
	FlowPtr flow = make(3);
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	for (int index = 0; index < 20; index++)
		task_on(flow.get(), {node});
	start(flow.get(), 0);
	actions(flow.get());
	tick(flow.get(), 9);
	EXPECT_TRUE(actions(flow.get()).empty());
	EXPECT_EQ(wait_ms(flow.get(), 9), 1);
	tick(flow.get(), 10);
	std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].kind, ActionKind::Open);
	session_ready(flow.get(), got[0].session, 12);
	EXPECT_EQ(actions(flow.get()).size(), 1u);
	tick(flow.get(), 20);
	EXPECT_EQ(actions(flow.get()).size(), 1u);
	tick(flow.get(), 1000);
	EXPECT_TRUE(actions(flow.get()).empty()) << "the pool is full";
	EXPECT_EQ(wait_ms(flow.get(), 1000), -1);
}

TEST(Flow, DoesNotOpenMoreThanTasksWait)
{
	FlowPtr flow = make(16);
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	task_on(flow.get(), {node});
	task_on(flow.get(), {node});
	start(flow.get(), 0);
	actions(flow.get());
	tick(flow.get(), 10);
	EXPECT_EQ(actions(flow.get()).size(), 1u);
	tick(flow.get(), 20);
	EXPECT_TRUE(actions(flow.get()).empty()) << "one waits, one session is on its way";
}

TEST(Flow, SharedHeadroomBoundsExtraSessionsOnly)
{
	FlowPtr flow = make(16, 1);
	const int first = add_node(flow.get());
	const int second = add_node(flow.get());
	for (int index = 0; index < 8; index++)
	{
		task_on(flow.get(), {first});
		task_on(flow.get(), {second});
	}
	start(flow.get(), 0);
	std::vector<Action> got = actions(flow.get());
	EXPECT_EQ(got.size(), 2u) << "the first of each node is always allowed";
	for (const Action& action : got)
		session_ready(flow.get(), action.session, 1);
	actions(flow.get());
	for (int now = 10; now < 200; now += 10)
	{
		tick(flow.get(), now);
		actions(flow.get());
	}
	EXPECT_EQ(session_count(flow.get()), 3);
}

TEST(Flow, BoundTaskWaitsForItsSession)
{
	FlowPtr flow = make(16);
	const int node = add_node(flow.get());
	const int mine = add_session(flow.get(), node, false);
	const int other = add_session(flow.get(), node, false);
	const int one = task_on(flow.get(), {node}, mine);
	const int two = task_on(flow.get(), {node}, mine);
	const int free_task = task_on(flow.get(), {node});
	start(flow.get(), 0);
	std::map<int, int> placed;
	for (const Action& action : actions(flow.get()))
		placed[action.task] = action.session;
	EXPECT_EQ(placed[one], mine);
	EXPECT_EQ(placed[free_task], other);
	EXPECT_EQ(placed.count(two), 0u);
	task_done(flow.get(), free_task, 1);
	EXPECT_TRUE(actions(flow.get()).empty());
	task_done(flow.get(), one, 2);
	const std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].task, two);
	EXPECT_EQ(got[0].session, mine);
}

TEST(Flow, BoundTasksNeverAskForMoreSessions)
{
	FlowPtr flow = make(16);
	const int node = add_node(flow.get());
	const int mine = add_session(flow.get(), node, false);
	for (int index = 0; index < 4; index++)
		task_on(flow.get(), {node}, mine);
	start(flow.get(), 0);
	actions(flow.get());
	tick(flow.get(), 100);
	EXPECT_TRUE(actions(flow.get()).empty());
	EXPECT_EQ(wait_ms(flow.get(), 100), -1);
}

TEST(Flow, ConnectionFailureMovesToAnotherPlacement)
{
	FlowPtr flow = make(4);
	const int down = add_node(flow.get());
	const int up = add_node(flow.get());
	const int task = task_on(flow.get(), {down, up});
	start(flow.get(), 0);
	std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got[0].node, down);
	session_failed(flow.get(), got[0].session, 5);
	got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].kind, ActionKind::Open);
	EXPECT_EQ(got[0].node, up);
	session_ready(flow.get(), got[0].session, 6);
	got = actions(flow.get());
	EXPECT_EQ(got[0].task, task);
	task_done(flow.get(), task, 7);
	EXPECT_EQ(actions(flow.get()).back().kind, ActionKind::Done);
}

TEST(Flow, NoPlacementLeftFailsNamingTheNode)
{
	FlowPtr flow = make(4);
	const int down = add_node(flow.get());
	const int task = task_on(flow.get(), {down});
	start(flow.get(), 0);
	session_failed(flow.get(), actions(flow.get())[0].session, 5);
	const Action action = next_action(flow.get());
	EXPECT_EQ(action.kind, ActionKind::Fail);
	EXPECT_EQ(action.task, task);
	EXPECT_EQ(action.node, down);
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Fail);
}

TEST(Flow, FailedExtraSessionDoesNotHurt)
{
	FlowPtr flow = make(4);
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	task_on(flow.get(), {node});
	const int second = task_on(flow.get(), {node});
	start(flow.get(), 0);
	actions(flow.get());
	tick(flow.get(), 10);
	const std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	session_failed(flow.get(), got[0].session, 11);
	task_done(flow.get(), 0, 12);
	const std::vector<Action> next = actions(flow.get());
	ASSERT_FALSE(next.empty());
	EXPECT_EQ(next[0].task, second);
}

TEST(Flow, NodeThatRefusesSlowlyIsNotAskedForever)
{
	FlowPtr flow = make(4);
	const int down = add_node(flow.get());
	for (int index = 0; index < 8; index++)
		task_on(flow.get(), {down});
	start(flow.get(), 0);
	const int first = actions(flow.get())[0].session;
	tick(flow.get(), 10);
	const int second = actions(flow.get())[0].session;
	session_failed(flow.get(), first, 15);
	tick(flow.get(), 20);
	EXPECT_TRUE(actions(flow.get()).empty())
		<< "another attempt would overlap with the next, on and on";
	EXPECT_EQ(wait_ms(flow.get(), 20), -1);
	session_failed(flow.get(), second, 25);
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Fail);
}

TEST(Flow, LostSessionRetriesReadsElsewhere)
{
	FlowPtr flow = make(4);
	const int first = add_node(flow.get());
	const int second = add_node(flow.get());
	const int lost = add_session(flow.get(), first, false);
	const int task = task_on(flow.get(), {first, second});
	start(flow.get(), 0);
	actions(flow.get());
	session_lost(flow.get(), lost, false, 3);
	const std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].kind, ActionKind::Open);
	EXPECT_EQ(got[0].node, second);
	EXPECT_EQ(task, 0);
}

TEST(Flow, LostSessionAfterRowsFails)
{
	FlowPtr flow = make(4);
	const int first = add_node(flow.get());
	const int second = add_node(flow.get());
	const int lost = add_session(flow.get(), first, false);
	task_on(flow.get(), {first, second});
	start(flow.get(), 0);
	actions(flow.get());
	session_lost(flow.get(), lost, true, 3);
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Fail);
}

TEST(Flow, LostWriteFails)
{
	FlowPtr flow = make(4);
	const int first = add_node(flow.get());
	const int second = add_node(flow.get());
	const int lost = add_session(flow.get(), first, true);
	task_on(flow.get(), {first, second}, -1, false);
	start(flow.get(), 0);
	actions(flow.get());
	session_lost(flow.get(), lost, false, 3);
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Fail);
}

TEST(Flow, StaleSessionIsReplacedOnceOnTheSameNode)
{
	FlowPtr flow = make(4);
	const int node = add_node(flow.get());
	const int stale = add_session(flow.get(), node, true);
	task_on(flow.get(), {node});
	start(flow.get(), 0);
	actions(flow.get());
	session_lost(flow.get(), stale, false, 1);
	std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].kind, ActionKind::Open);
	EXPECT_EQ(got[0].node, node);
	session_ready(flow.get(), got[0].session, 2);
	actions(flow.get());
	session_lost(flow.get(), got[0].session, false, 3);
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Fail);
}

TEST(Flow, LosingABoundSessionFails)
{
	FlowPtr flow = make(4);
	const int node = add_node(flow.get());
	const int mine = add_session(flow.get(), node, true);
	task_on(flow.get(), {node}, mine);
	task_on(flow.get(), {node}, mine);
	start(flow.get(), 0);
	actions(flow.get());
	session_lost(flow.get(), mine, false, 1);
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Fail);
}

TEST(Flow, StopDropsWaitingTasksAndClosesLateSessions)
{
	FlowPtr flow = make(4);
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	for (int index = 0; index < 5; index++)
		task_on(flow.get(), {node});
	start(flow.get(), 0);
	actions(flow.get());
	tick(flow.get(), 10);
	ASSERT_EQ(actions(flow.get()).size(), 1u);
	stop(flow.get());
	const std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 2u);
	EXPECT_EQ(got[0].kind, ActionKind::Close);
	EXPECT_EQ(got[1].kind, ActionKind::Done);
	EXPECT_TRUE(finished(flow.get()));
}

TEST(Flow, LateConnectionAfterTheLastTaskIsClosed)
{
	FlowPtr flow = make(4);
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	const int one = task_on(flow.get(), {node});
	const int two = task_on(flow.get(), {node});
	start(flow.get(), 0);
	actions(flow.get());
	tick(flow.get(), 10);
	const int late = actions(flow.get())[0].session;
	task_done(flow.get(), one, 11);
	actions(flow.get());
	task_done(flow.get(), two, 12);
	const std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 2u);
	EXPECT_EQ(got[0].kind, ActionKind::Close);
	EXPECT_EQ(got[0].session, late);
}

TEST(Flow, SlowNodeDoesNotHoldUpOthers)
{
	FlowPtr flow = make(1);
	const int slow = add_node(flow.get());
	const int quick = add_node(flow.get());
	add_session(flow.get(), slow, false);
	add_session(flow.get(), quick, false);
	std::set<int> quick_tasks;
	task_on(flow.get(), {slow});
	for (int index = 0; index < 10; index++)
		quick_tasks.insert(task_on(flow.get(), {quick}));
	start(flow.get(), 0);
	std::vector<Action> got = actions(flow.get());
	while (!quick_tasks.empty())
	{
		int done = -1;
		for (const Action& action : got)
			if (action.node == quick)
				done = action.task;
		ASSERT_GE(done, 0);
		quick_tasks.erase(done);
		task_done(flow.get(), done, 1);
		got = actions(flow.get());
	}
	EXPECT_FALSE(finished(flow.get()));
	task_done(flow.get(), 0, 50);
	EXPECT_EQ(actions(flow.get()).back().kind, ActionKind::Done);
}
