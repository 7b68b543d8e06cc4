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

/* Times are small: the interval between two sessions is 10. */
FlowPtr make(int pool_size, int queue_depth = 1, int interval = 10)
{
	return FlowPtr(create(Limits{pool_size, interval, queue_depth}));
}

int task_on(Flow *flow, std::vector<int> nodes, int bound = -1, bool retry = true)
{
	return add_task(flow, nodes.data(), static_cast<int>(nodes.size()), bound, retry);
}

void tasks_on(Flow *flow, int count, const std::vector<int>& nodes)
{
	for (int index = 0; index < count; index++)
		task_on(flow, nodes);
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

/* A flow of one node with so many tasks and one session, which has begun with the first of them. */
FlowPtr make_begun(int pool_size, int tasks)
{
	FlowPtr flow = make(pool_size);
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	tasks_on(flow.get(), tasks, {node});
	start(flow.get(), 0);
	actions(flow.get());
	return flow;
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
	EXPECT_EQ(wait_time(flow.get(), 5000), 10);
}

TEST(Flow, IdleSessionsShareTasksThatCameBeforeAndAfterThem)
{
	FlowPtr flow = make(8);
	const int node = add_node(flow.get());
	const int first = add_session(flow.get(), node, true);
	tasks_on(flow.get(), 2, {node});
	const int second = add_session(flow.get(), node, true);
	tasks_on(flow.get(), 2, {node});
	start(flow.get(), 0);
	const std::vector<Action> all = actions(flow.get());
	ASSERT_EQ(all.size(), 2U);
	EXPECT_EQ(all[0].session, first);
	EXPECT_EQ(all[1].session, second);
	task_done(flow.get(), all[1].task, 1);
	task_done(flow.get(), all[0].task, 1);
	const std::vector<Action> rest = actions(flow.get());
	ASSERT_EQ(rest.size(), 2U);
	EXPECT_EQ(rest[0].session, second);
	EXPECT_EQ(rest[1].session, first);
}

/* They were looked at before and had nothing to do. */
TEST(Flow, TasksOfALostNodeFindTheIdleSessionsOfAnother)
{
	FlowPtr flow = make(8);
	const int lost = add_node(flow.get());
	const int other = add_node(flow.get());
	const int session = add_session(flow.get(), lost, false);
	const int one = add_session(flow.get(), other, true);
	const int two = add_session(flow.get(), other, true);
	tasks_on(flow.get(), 3, {lost, other});
	start(flow.get(), 0);
	ASSERT_EQ(actions(flow.get()).size(), 1U);
	session_lost(flow.get(), session, false, 1);
	tick(flow.get(), 100);
	std::set<int> used;
	std::vector<int> running;
	while (!finished(flow.get()))
	{
		for (const Action& action : actions(flow.get()))
		{
			if (action.kind == ActionKind::Open)
				session_failed(flow.get(), action.session, 100);
			if (action.kind != ActionKind::Assign)
				continue;
			used.insert(action.session);
			running.push_back(action.task);
		}
		ASSERT_FALSE(running.empty());
		task_done(flow.get(), running.back(), 100);
		running.pop_back();
	}
	EXPECT_EQ(used, (std::set<int>{one, two}));
}

TEST(Flow, SlowStartOpensOneMoreEachInterval)
{
	FlowPtr flow = make_begun(3, 20);
	tick(flow.get(), 9);
	EXPECT_TRUE(actions(flow.get()).empty());
	EXPECT_EQ(wait_time(flow.get(), 9), 1);
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
	EXPECT_EQ(wait_time(flow.get(), 1000), -1);
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

TEST(Flow, DeniedSessionIsAskedForAgainLater)
{
	FlowPtr flow = make_begun(16, 8);
	tick(flow.get(), 10);
	std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	ASSERT_EQ(got[0].kind, ActionKind::Open);
	session_denied(flow.get(), got[0].session, 10);
	EXPECT_TRUE(actions(flow.get()).empty()) << "there was no room a moment ago";
	EXPECT_EQ(wait_time(flow.get(), 10), 10);
	tick(flow.get(), 20);
	got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	EXPECT_EQ(got[0].kind, ActionKind::Open);
	session_denied(flow.get(), got[0].session, 20);
	for (int task = 0; task < 8; task++)
	{
		task_done(flow.get(), task, 21);
		actions(flow.get());
	}
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Done) << "the session there was did it all";
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
	EXPECT_EQ(wait_time(flow.get(), 100), -1);
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

TEST(Flow, FirstSessionComesBeforeMore)
{
	FlowPtr flow = make(4);
	const int down = add_node(flow.get());
	tasks_on(flow.get(), 8, {down});
	start(flow.get(), 0);
	const int first = actions(flow.get())[0].session;
	tick(flow.get(), 10);
	EXPECT_TRUE(actions(flow.get()).empty()) << "nothing is known about the tasks yet";
	EXPECT_EQ(wait_time(flow.get(), 10), -1);
	session_failed(flow.get(), first, 25);
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Fail);
}

TEST(Flow, NodeThatRefusesIsNotAskedForMore)
{
	FlowPtr flow = make_begun(4, 8);
	tick(flow.get(), 10);
	const std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 1u);
	session_failed(flow.get(), got[0].session, 15);
	tick(flow.get(), 40);
	EXPECT_TRUE(actions(flow.get()).empty());
	EXPECT_EQ(wait_time(flow.get(), 40), -1);
}

TEST(Flow, QuickTasksAskForNoSession)
{
	/* 16 tasks of 0.5 on one session: over before another would be there. */
	FlowPtr flow(create(Limits{16, 1000, 1}));
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	tasks_on(flow.get(), 16, {node});
	start(flow.get(), 0);
	for (int task = 0; task < 16; task++)
	{
		for (const Action& action : actions(flow.get()))
			EXPECT_EQ(action.kind, ActionKind::Assign);
		/* Even where the clock says that the interval is over. */
		task_done(flow.get(), task, 100 * (task + 1));
		tick(flow.get(), 100 * (task + 1));
	}
	EXPECT_EQ(session_count(flow.get()), 1);
}

TEST(Flow, ManyQuickTasksAskForMoreSessions)
{
	FlowPtr flow(create(Limits{16, 1000, 64}));
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	tasks_on(flow.get(), 2000, {node});
	start(flow.get(), 0);
	actions(flow.get());
	int opened = 0;
	for (int task = 0; task < 40; task++)
	{
		task_done(flow.get(), task, 50 * (task + 1));
		for (const Action& action : actions(flow.get()))
		{
			if (action.kind != ActionKind::Open)
				continue;
			opened++;
			session_ready(flow.get(), action.session, 50 * (task + 1));
		}
	}
	EXPECT_EQ(opened, 2) << "one each interval: 1960 tasks would take 98 intervals";
}

/* 40 tasks of 10,000 us, one session, an interval of 1,000: how many are opened within 100,000. */
static int opened_with(const Experience& experience, int wait_percent, Experience *after = nullptr)
{
	FlowPtr flow(create(Limits{16, 1000, 64}));
	const int node = add_node(flow.get(), experience);
	const int session = add_session(flow.get(), node, true);
	tasks_on(flow.get(), 40, {node});
	const std::int64_t begin = 5000000;
	start(flow.get(), begin);
	int opened = 0;
	std::map<int, std::int64_t> ends; /* of running tasks */
	for (std::int64_t now = begin; now < begin + 100000; now += 500)
	{
		tick(flow.get(), now);
		for (const Action& action : actions(flow.get()))
		{
			opened += action.kind == ActionKind::Open;
			if (action.kind == ActionKind::Open)
				session_ready(flow.get(), action.session, now + 300);
			if (action.kind == ActionKind::Assign)
				ends[action.task] = now + 10000;
		}
		for (auto task = ends.begin(); task != ends.end();)
		{
			if (task->second > now)
			{
				++task;
				continue;
			}
			if (wait_percent >= 0)
				processor_waited(flow.get(), session, wait_percent, now);
			task_done(flow.get(), task->first, now);
			task = ends.erase(task);
		}
	}
	if (after)
		*after = civitas::flow::experience(flow.get(), node);
	return opened;
}

TEST(Flow, SessionsAreOpenedWhereProcessorsAreFree)
{
	EXPECT_EQ(opened_with({}, -1), 15) << "nothing is known";
	EXPECT_EQ(opened_with({}, 0), 15);
	/* The first task takes 10 intervals, and the node says nothing before its end. */
	EXPECT_LE(opened_with({}, 80), 10);
}

TEST(Flow, SessionThatTakesLongToOpenIsWaitedFor)
{
	FlowPtr flow = make_begun(8, 20);
	tick(flow.get(), 10);
	ASSERT_EQ(actions(flow.get()).size(), 1u);
	EXPECT_EQ(wait_time(flow.get(), 10), 100);
	tick(flow.get(), 109);
	EXPECT_TRUE(actions(flow.get()).empty());
	tick(flow.get(), 110);
	EXPECT_EQ(actions(flow.get()).size(), 1u) << "but not for ever";
}

TEST(Flow, BusyNodeIsRemembered)
{
	Experience after;
	opened_with({}, 80, &after);
	EXPECT_EQ(after.processor_wait, 80);
	EXPECT_EQ(opened_with({0, 80, 4990000}, 80), 0);
	EXPECT_EQ(opened_with({0, 80, 4990000}, -1), 0) << "no news: it is as it was";
	EXPECT_EQ(opened_with({0, 80, 3000000}, -1), 15) << "that was long ago";
	EXPECT_EQ(opened_with({0, 80, 9000000}, -1), 0) << "the clock was set back";
}

TEST(Flow, NodeThatBecomesIdleGetsSessionsAgain)
{
	Experience after;
	EXPECT_GT(opened_with({0, 80, 4990000}, 0, &after), 1);
	EXPECT_LT(after.processor_wait, 25);
}

TEST(Flow, WaitOfABusyNodeEnds)
{
	FlowPtr flow(create(Limits{16, 1000, 1}));
	const int node = add_node(flow.get(), {0, 80, 5000000});
	add_session(flow.get(), node, true);
	task_on(flow.get(), {node});
	task_on(flow.get(), {node});
	start(flow.get(), 5000000);
	EXPECT_EQ(actions(flow.get()).size(), 1u);
	tick(flow.get(), 5002000);
	EXPECT_TRUE(actions(flow.get()).empty());
	EXPECT_EQ(wait_time(flow.get(), 5002000), 998000);
	tick(flow.get(), 6000000);
	ASSERT_EQ(actions(flow.get()).size(), 1u) << "one task that lasts brings no news";
}

TEST(Flow, SessionsAreOpenedWhereTheyPay)
{
	/* 400,000 us of work in all: half of it is saved by a second session. */
	EXPECT_GT(opened_with({50000, 0, 0}, -1), 1);
	EXPECT_EQ(opened_with({500000, 0, 0}, -1), 0);
}

TEST(Flow, CostOfSessionsIsSeenAndForgotten)
{
	FlowPtr flow(create(Limits{16, 1000, 1}));
	const int node = add_node(flow.get());
	task_on(flow.get(), {node});
	start(flow.get(), 0);
	const int session = actions(flow.get())[0].session;
	session_ready(flow.get(), session, 8000);
	Experience seen = civitas::flow::experience(flow.get(), node);
	EXPECT_EQ(seen.open_cost, 8000);
	for (int run = 0; run < 100; run++)
	{
		FlowPtr next(create(Limits{16, 1000, 1}));
		add_node(next.get(), seen);
		start(next.get(), run);
		seen = civitas::flow::experience(next.get(), 0);
	}
	EXPECT_LT(seen.open_cost, 10);
}

TEST(Flow, NoIntervalAsksNoExperience)
{
	FlowPtr flow(create(Limits{4, 0, 1}));
	const int node = add_node(flow.get(), {1000000, 99, 5000000});
	tasks_on(flow.get(), 4, {node});
	start(flow.get(), 5000000);
	EXPECT_EQ(actions(flow.get()).size(), 4u);
}

TEST(Flow, QueueGrowsWithExperience)
{
	FlowPtr flow(create(Limits{1, 1000, 64}));
	const int node = add_node(flow.get());
	const int session = add_session(flow.get(), node, false);
	tasks_on(flow.get(), 30, {node});
	start(flow.get(), 0);
	EXPECT_EQ(actions(flow.get()).size(), 1u) << "the first may be long";
	task_done(flow.get(), 0, 10);
	std::vector<Action> got = actions(flow.get());
	EXPECT_EQ(got.size(), 2u);
	for (const Action& action : got)
		EXPECT_EQ(action.session, session);
	task_done(flow.get(), 1, 20);
	task_done(flow.get(), 2, 30);
	EXPECT_EQ(actions(flow.get()).size(), 6u);
	for (int task = 3; task < 6; task++)
	{
		task_done(flow.get(), task, 10 * (task + 1));
	}
	EXPECT_EQ(actions(flow.get()).size(), 9u) << "3 under way, 12 covered by experience";
}

TEST(Flow, SlowTasksAreNotQueuedBehindEachOther)
{
	FlowPtr flow(create(Limits{1, 1000, 64}));
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	tasks_on(flow.get(), 10, {node});
	start(flow.get(), 0);
	actions(flow.get());
	for (int task = 0; task < 9; task++)
	{
		task_done(flow.get(), task, 900 * (task + 1));
		EXPECT_EQ(actions(flow.get()).size(), 1u);
	}
}

TEST(Flow, QueueIsSharedBetweenSessions)
{
	FlowPtr flow(create(Limits{2, 1000, 64}));
	const int node = add_node(flow.get());
	const int one = add_session(flow.get(), node, false);
	const int two = add_session(flow.get(), node, false);
	tasks_on(flow.get(), 12, {node});
	start(flow.get(), 0);
	std::map<int, int> placed;
	std::map<int, int> load;
	for (int now = 1; now < 12; now++)
	{
		for (const Action& action : actions(flow.get()))
		{
			ASSERT_EQ(action.kind, ActionKind::Assign);
			placed[action.task] = action.session;
			load[action.session]++;
		}
		task_done(flow.get(), now - 1, now);
	}
	EXPECT_NEAR(load[one], 6, 1);
	EXPECT_NEAR(load[two], 6, 1);
}

TEST(Flow, LostSessionGivesItsQueueBack)
{
	FlowPtr flow(create(Limits{4, 1000, 64}));
	const int first = add_node(flow.get());
	const int second = add_node(flow.get());
	const int lost = add_session(flow.get(), first, false);
	tasks_on(flow.get(), 4, {first, second});
	start(flow.get(), 0);
	actions(flow.get());
	task_done(flow.get(), 0, 1);
	ASSERT_EQ(actions(flow.get()).size(), 2u);
	session_lost(flow.get(), lost, false, 2);
	std::set<int> nodes;
	for (const Action& action : actions(flow.get()))
	{
		EXPECT_EQ(action.kind, ActionKind::Open);
		nodes.insert(action.node);
	}
	EXPECT_EQ(nodes, (std::set<int>{first, second}))
		<< "what was sent goes to the other replica, what was not tries here again";
	EXPECT_FALSE(finished(flow.get()));
}

TEST(Flow, LostSessionFailsTheTaskWhoseRowsWereSeen)
{
	FlowPtr flow(create(Limits{4, 1000, 64}));
	const int first = add_node(flow.get());
	const int second = add_node(flow.get());
	const int lost = add_session(flow.get(), first, false);
	tasks_on(flow.get(), 4, {first, second});
	start(flow.get(), 0);
	actions(flow.get());
	task_done(flow.get(), 0, 1);
	ASSERT_EQ(actions(flow.get()).size(), 2u);
	session_lost(flow.get(), lost, true, 2);
	const Action action = next_action(flow.get());
	EXPECT_EQ(action.kind, ActionKind::Fail);
	EXPECT_EQ(action.task, 1) << "the one behind it had not begun";
}

TEST(Flow, StopDropsQueuedAndWaitingTasks)
{
	FlowPtr flow(create(Limits{1, 1000, 64}));
	const int node = add_node(flow.get());
	const int session = add_session(flow.get(), node, false);
	tasks_on(flow.get(), 10, {node});
	start(flow.get(), 0);
	actions(flow.get());
	task_done(flow.get(), 0, 1);
	ASSERT_EQ(actions(flow.get()).size(), 2u);
	stop(flow.get());
	EXPECT_TRUE(finished(flow.get()));
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Done);
	/* What the caller cancels is reported late, and changes nothing. */
	task_done(flow.get(), 1, 2);
	session_lost(flow.get(), session, false, 3);
	EXPECT_EQ(next_action(flow.get()).kind, ActionKind::Done);
}

TEST(Flow, DeniedSessionIsNotAskedForInALoop)
{
	FlowPtr flow = make(4, 1, 0);
	const int node = add_node(flow.get());
	add_session(flow.get(), node, false);
	tasks_on(flow.get(), 8, {node});
	start(flow.get(), 0);
	std::vector<Action> got;
	for (int step = 0; step < 10; step++)
	{
		const Action action = next_action(flow.get());
		if (action.kind == ActionKind::None)
			break;
		got.push_back(action);
		if (action.kind == ActionKind::Open)
			session_denied(flow.get(), action.session, 0);
	}
	ASSERT_EQ(got.size(), 2u) << "the session there is gets a task; one other is asked for";
	EXPECT_GT(wait_time(flow.get(), 0), 0);
}

TEST(Flow, NoIntervalOpensAllAtOnce)
{
	FlowPtr flow = make(4, 64, 0);
	const int node = add_node(flow.get());
	tasks_on(flow.get(), 8, {node});
	start(flow.get(), 0);
	const std::vector<Action> got = actions(flow.get());
	ASSERT_EQ(got.size(), 4u);
	for (const Action& action : got)
		EXPECT_EQ(action.kind, ActionKind::Open);
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
	FlowPtr flow = make_begun(4, 5);
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
