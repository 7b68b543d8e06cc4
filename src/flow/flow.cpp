/*
 * flow.cpp: the state machine's transitions.
 *
 * Loop of the caller: report events; then take actions until None; then wait for sockets, at most
 * wait_ms; then tick(). Actions come in this order: a failure ends everything; tasks go to idle
 * sessions; nodes whose tasks still wait get a session if slow start allows it; sessions that
 * opened too late for any task are closed.
 *
 * Invariants: unfinished_ counts tasks that are Waiting or Running; ready_ holds every Idle session
 * of a node with waiting tasks at least once (stale entries are skipped), so handing out is O(1) a
 * task.
 */
#include "state.h"

#include <algorithm>

namespace civitas::flow {

int Flow::add_node()
{
	nodes_.emplace_back();
	return static_cast<int>(nodes_.size()) - 1;
}

int Flow::add_session(int node, bool reused)
{
	SessionEntry entry;
	entry.node = node;
	entry.reused = reused;
	entry.state = SessionState::Idle;
	sessions_.push_back(std::move(entry));
	const int session = static_cast<int>(sessions_.size()) - 1;
	nodes_[node].sessions.push_back(session);
	nodes_[node].last_open_ms = now_ms_;
	ready_.push_back(session);
	return session;
}

int Flow::add_task(std::vector<int> nodes, int bound_session, bool retry)
{
	TaskEntry entry;
	entry.nodes = std::move(nodes);
	entry.bound_session = bound_session;
	entry.retry = retry;
	tasks_.push_back(std::move(entry));
	const int task = static_cast<int>(tasks_.size()) - 1;
	unfinished_++;
	enqueue(task);
	return task;
}

/* Sessions that were there before count as opened now: slow start begins with the execution. */
void Flow::start(std::int64_t now_ms)
{
	now_ms_ = now_ms;
	for (NodeEntry& node : nodes_)
		node.last_open_ms = now_ms;
}

/* Puts a waiting task where a session will find it. */
void Flow::enqueue(int task)
{
	TaskEntry& entry = tasks_[task];
	entry.state = TaskState::Waiting;
	entry.session = -1;
	if (entry.bound_session >= 0)
	{
		sessions_[entry.bound_session].bound.push_back(task);
		if (sessions_[entry.bound_session].state == SessionState::Idle)
			ready_.push_back(entry.bound_session);
		return;
	}
	NodeEntry& node = nodes_[entry.nodes[entry.attempt]];
	node.waiting.push_back(task);
	for (const int session : node.sessions)
		if (sessions_[session].state == SessionState::Idle)
			ready_.push_back(session);
}

void Flow::session_ready(int session)
{
	SessionEntry& entry = sessions_[session];
	if (entry.state != SessionState::Connecting)
		return;
	entry.state = SessionState::Idle;
	ready_.push_back(session);
}

void Flow::remove_session(int session)
{
	SessionEntry& entry = sessions_[session];
	NodeEntry& node = nodes_[entry.node];
	entry.state = SessionState::Gone;
	entry.task = -1;
	std::erase(node.sessions, session);
}

/* The task lost its session before it returned a row: back to the queue, or the end of the
 * statement. */
void Flow::retry_elsewhere(int task, bool same_node)
{
	TaskEntry& entry = tasks_[task];
	const int node = entry.nodes[entry.attempt];
	if (!same_node)
		entry.attempt++;
	if (!entry.retry || entry.bound_session >= 0 || entry.attempt >= entry.nodes.size())
	{
		entry.state = TaskState::Failed;
		if (failed_task_ < 0)
		{
			failed_task_ = task;
			failed_node_ = node;
		}
		return;
	}
	enqueue(task);
}

/*
 * A session could not be opened. Other sessions of the node carry on, without company: attempts
 * that overlap, each failing after the next has begun, would go on for ever. When there is none,
 * the tasks that wait for this node must go elsewhere.
 */
void Flow::session_failed(int session)
{
	const int node_index = sessions_[session].node;
	remove_session(session);
	NodeEntry& node = nodes_[node_index];
	node.refused = true;
	if (!node.sessions.empty())
		return;
	std::deque<int> waiting;
	waiting.swap(node.waiting);
	for (const int task : waiting)
	{
		/* Nothing was sent: even a write may go to another candidate. */
		const bool retry = tasks_[task].retry;
		tasks_[task].retry = true;
		retry_elsewhere(task, false);
		tasks_[task].retry = retry;
	}
}

void Flow::session_lost(int session, bool rows_seen)
{
	SessionEntry& entry = sessions_[session];
	const int task = entry.task;
	const bool stale = entry.reused && !entry.used;
	std::deque<int> bound;
	bound.swap(entry.bound);
	remove_session(session);
	for (const int waiting : bound)
		retry_elsewhere(waiting, false);
	if (task < 0)
		return;
	if (rows_seen)
	{
		tasks_[task].retry = false;
		retry_elsewhere(task, false);
		return;
	}
	const bool replace = stale && !tasks_[task].replaced;
	tasks_[task].replaced = tasks_[task].replaced || replace;
	retry_elsewhere(task, replace);
}

void Flow::task_done(int task)
{
	TaskEntry& entry = tasks_[task];
	if (entry.state != TaskState::Running)
		return;
	entry.state = TaskState::Done;
	unfinished_--;
	SessionEntry& session = sessions_[entry.session];
	session.task = -1;
	session.used = true;
	session.state = SessionState::Idle;
	ready_.push_back(entry.session);
}

void Flow::stop()
{
	stopped_ = true;
	for (NodeEntry& node : nodes_)
		node.waiting.clear();
	for (SessionEntry& session : sessions_)
		session.bound.clear();
	for (TaskEntry& task : tasks_)
		if (task.state == TaskState::Waiting || task.state == TaskState::Running)
			task.state = TaskState::Done;
	unfinished_ = 0;
}

bool Flow::assign_one(Action *action)
{
	while (!ready_.empty())
	{
		const int session = ready_.front();
		ready_.pop_front();
		SessionEntry& entry = sessions_[session];
		if (entry.state != SessionState::Idle)
			continue;
		std::deque<int>& queue = entry.bound.empty() ? nodes_[entry.node].waiting : entry.bound;
		if (queue.empty())
			continue;
		const int task = queue.front();
		queue.pop_front();
		entry.state = SessionState::Busy;
		entry.task = task;
		tasks_[task].state = TaskState::Running;
		tasks_[task].session = session;
		*action = {ActionKind::Assign, session, task, entry.node};
		return true;
	}
	return false;
}

int Flow::connecting(const NodeEntry& node) const
{
	return static_cast<int>(
		std::count_if(node.sessions.begin(), node.sessions.end(), [this](int session) {
			return sessions_[session].state == SessionState::Connecting;
		}));
}

/* Whether another session would find work, bounds considered, time not. */
bool Flow::wants_session(const NodeEntry& node) const
{
	if (node.waiting.empty())
		return false;
	if (node.sessions.empty())
		return true;
	if (node.refused)
		return false;
	if (static_cast<int>(node.sessions.size()) >= limits_.pool_size)
		return false;
	if (limits_.shared_headroom >= 0 && extra_sessions_ >= limits_.shared_headroom)
		return false;
	return static_cast<int>(node.waiting.size()) > connecting(node);
}

bool Flow::open_one(Action *action)
{
	for (std::size_t index = 0; index < nodes_.size(); index++)
	{
		NodeEntry& node = nodes_[index];
		if (!wants_session(node))
			continue;
		const bool first = node.sessions.empty();
		if (!first && now_ms_ - node.last_open_ms < limits_.open_interval_ms)
			continue;
		SessionEntry entry;
		entry.node = static_cast<int>(index);
		sessions_.push_back(std::move(entry));
		const int session = static_cast<int>(sessions_.size()) - 1;
		node.sessions.push_back(session);
		node.last_open_ms = now_ms_;
		if (!first)
			extra_sessions_++;
		*action = {ActionKind::Open, session, -1, static_cast<int>(index)};
		return true;
	}
	return false;
}

/* A session that is still connecting when no task waits for its node any more has come too late. */
bool Flow::close_one(Action *action)
{
	for (std::size_t session = 0; session < sessions_.size(); session++)
	{
		const SessionEntry& entry = sessions_[session];
		if (entry.state != SessionState::Connecting || !nodes_[entry.node].waiting.empty())
			continue;
		*action = {ActionKind::Close, static_cast<int>(session), -1, entry.node};
		remove_session(static_cast<int>(session));
		return true;
	}
	return false;
}

Action Flow::next_action()
{
	Action action = {ActionKind::None, -1, -1, -1};
	if (failed_task_ >= 0)
		return {ActionKind::Fail, -1, failed_task_, failed_node_};
	if (assign_one(&action) || open_one(&action))
		return action;
	if (unfinished_ == 0)
	{
		if (close_one(&action))
			return action;
		action.kind = ActionKind::Done;
	}
	return action;
}

std::int64_t Flow::wait_ms(std::int64_t now_ms) const
{
	std::int64_t wait = -1;
	for (const NodeEntry& node : nodes_)
	{
		if (!wants_session(node))
			continue;
		const std::int64_t due =
			std::max<std::int64_t>(0, node.last_open_ms + limits_.open_interval_ms - now_ms);
		wait = wait < 0 ? due : std::min(wait, due);
	}
	return wait;
}

/* --- the facade: plain functions for the server zone ----------------------------------------- */

Flow *create(const Limits& limits)
{
	return new Flow(limits);
}

void destroy(Flow *flow) noexcept
{
	delete flow;
}

int add_node(Flow *flow)
{
	return flow->add_node();
}

int add_session(Flow *flow, int node, bool reused)
{
	return flow->add_session(node, reused);
}

int add_task(Flow *flow, const int *nodes, int node_count, int bound_session, bool retry)
{
	return flow->add_task(std::vector<int>(nodes, nodes + node_count), bound_session, retry);
}

void start(Flow *flow, std::int64_t now_ms)
{
	flow->start(now_ms);
}

void session_ready(Flow *flow, int session, std::int64_t now_ms)
{
	flow->set_time(now_ms);
	flow->session_ready(session);
}

void session_failed(Flow *flow, int session, std::int64_t now_ms)
{
	flow->set_time(now_ms);
	flow->session_failed(session);
}

void session_lost(Flow *flow, int session, bool rows_seen, std::int64_t now_ms)
{
	flow->set_time(now_ms);
	flow->session_lost(session, rows_seen);
}

void task_done(Flow *flow, int task, std::int64_t now_ms)
{
	flow->set_time(now_ms);
	flow->task_done(task);
}

void tick(Flow *flow, std::int64_t now_ms)
{
	flow->set_time(now_ms);
}

void stop(Flow *flow)
{
	flow->stop();
}

Action next_action(Flow *flow)
{
	return flow->next_action();
}

std::int64_t wait_ms(const Flow *flow, std::int64_t now_ms)
{
	return flow->wait_ms(now_ms);
}

bool finished(const Flow *flow)
{
	return flow->finished();
}

int session_count(const Flow *flow)
{
	return flow->session_count();
}

} // namespace civitas::flow
