/*
 * flow.cpp: the state machine's transitions.
 *
 * Loop of the caller: report events; then take actions until None; then wait for sockets, at most
 * wait_time; then tick(). Actions come in this order: a failure ends everything; tasks go to
 * sessions; nodes whose tasks still wait get a session if slow start allows it; sessions that
 * opened too late for any task are closed.
 *
 * Invariants: unfinished_ counts tasks that are Waiting or Running; ready_ holds every Idle session
 * of a node with waiting tasks (entries that have become stale are skipped), and none twice. So a
 * task that comes to others that wait already costs nothing but its place in the queue, and what is
 * looked at of all sessions of a node is looked at once for each that is filled.
 */
#include "state.h"

#include "civitas/base/assert.h"

#include <algorithm>

namespace civitas::flow {

namespace {

/* Who waits for a processor for more than this share of the time would share it with one more
 * session, which gets nothing done sooner and takes from others. */
constexpr int BUSY_PERCENT = 25;
/* How long a node that was found busy is taken to be so without further news, us. */
constexpr std::int64_t BUSY_TIME = 1000000;

/* A session that takes long to open is waited for before the next, for so many intervals at most.
 */
constexpr int OPEN_INTERVALS = 10;

/* The new value counts for a quarter; the first for all. */
template <typename Number> Number averaged(Number before, Number now)
{
	return before + (now - before) / 4;
}

/* When a node is thought to have a processor for another session. */
std::int64_t busy_until(const Experience& seen)
{
	return seen.told_at != 0 && seen.processor_wait > BUSY_PERCENT ? seen.told_at + BUSY_TIME : 0;
}

} // namespace

int Flow::add_node(const Experience& experience)
{
	nodes_.emplace_back();
	nodes_.back().experience = experience;
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
	nodes_[node].last_open = now_;
	make_ready(session);
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
void Flow::start(std::int64_t now)
{
	now_ = now;
	for (NodeEntry& node : nodes_)
	{
		node.last_open = now;
		/* The clock may have been set back since. */
		node.experience.told_at = std::min(node.experience.told_at, now);
		/* What opening a session costs is only seen by opening some. */
		node.experience.open_cost -= node.experience.open_cost / 8;
	}
}

void Flow::make_ready(int session)
{
	if (sessions_[session].listed)
		return;
	sessions_[session].listed = true;
	ready_.push_back(session);
}

/* Puts a waiting task where a session will find it. */
void Flow::enqueue(int task)
{
	TaskEntry& entry = tasks_[task];
	CIVITAS_ASSERT(entry.state == TaskState::Waiting || entry.state == TaskState::Running);
	CIVITAS_ASSERT(unfinished_ > 0);
	entry.state = TaskState::Waiting;
	entry.session = -1;
	if (entry.bound_session >= 0)
	{
		sessions_[entry.bound_session].bound.push_back(task);
		if (sessions_[entry.bound_session].state == SessionState::Idle)
			make_ready(entry.bound_session);
		return;
	}
	NodeEntry& node = nodes_[entry.nodes[entry.attempt]];
	node.waiting.push_back(task);
	if (node.waiting.size() > 1)
		return;
	for (const int session : node.sessions)
		if (sessions_[session].state == SessionState::Idle)
			make_ready(session);
}

void Flow::session_ready(int session)
{
	SessionEntry& entry = sessions_[session];
	if (entry.state != SessionState::Connecting)
		return;
	entry.state = SessionState::Idle;
	make_ready(session);
	std::int64_t& cost = nodes_[entry.node].experience.open_cost;
	const std::int64_t took = std::max<std::int64_t>(1, now_ - entry.since);
	cost = cost == 0 ? took : averaged(cost, took);
}

void Flow::remove_session(int session)
{
	SessionEntry& entry = sessions_[session];
	NodeEntry& node = nodes_[entry.node];
	entry.state = SessionState::Gone;
	entry.tasks.clear();
	std::erase(node.sessions, session);
}

/* The task lost its session before it returned a row: back to the queue, or the end of the
 * statement. */
void Flow::retry_elsewhere(int task, bool same_node)
{
	TaskEntry& entry = tasks_[task];
	if (entry.state == TaskState::Done)
		return; /* stopped meanwhile */
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

/* Of the node's sessions others remain: they do the work, and later there may be room. */
void Flow::session_denied(int session)
{
	NodeEntry& node = nodes_[sessions_[session].node];
	if (node.sessions.size() == 1)
	{
		session_failed(session);
		return;
	}
	remove_session(session);
	/* Where sessions are opened without an interval, too. */
	constexpr std::int64_t PAUSE = 10000;
	node.last_open = now_;
	node.not_before = now_ + (limits_.open_interval > 0 ? limits_.open_interval : PAUSE);
}

/* Rows can only have been seen of the task that ran; those behind it had not begun. */
void Flow::session_lost(int session, bool rows_seen)
{
	SessionEntry& entry = sessions_[session];
	const bool stale = entry.reused && !entry.used;
	std::deque<int> tasks;
	tasks.swap(entry.tasks);
	std::deque<int> bound;
	bound.swap(entry.bound);
	remove_session(session);
	for (const int waiting : bound)
		retry_elsewhere(waiting, false);
	for (std::size_t index = 0; index < tasks.size(); index++)
	{
		const int task = tasks[index];
		if (rows_seen && index == 0)
		{
			tasks_[task].retry = false;
			retry_elsewhere(task, false);
			continue;
		}
		const bool replace = stale && !tasks_[task].replaced;
		tasks_[task].replaced = tasks_[task].replaced || replace;
		retry_elsewhere(task, replace);
	}
}

void Flow::task_done(int task)
{
	TaskEntry& entry = tasks_[task];
	if (entry.state != TaskState::Running)
		return;
	entry.state = TaskState::Done;
	unfinished_--;
	CIVITAS_ASSERT(unfinished_ >= 0);
	SessionEntry& session = sessions_[entry.session];
	CIVITAS_ASSERT(session.state == SessionState::Busy);
	CIVITAS_ASSERT(std::ranges::count(session.tasks, task) == 1);
	NodeEntry& node = nodes_[session.node];
	/* Answers that come together took their time together. */
	if (now_ > session.since)
		node.last_spent = (now_ - session.since) / static_cast<int>(session.tasks.size());
	node.spent += now_ - session.since;
	node.done++;
	session.since = now_;
	std::erase(session.tasks, task);
	session.used = true;
	if (session.tasks.empty())
		session.state = SessionState::Idle;
	make_ready(entry.session);
}

/* One answer says little: a task may be held up on an idle machine and run through on a busy one.
 */
void Flow::processor_waited(int session, int percent)
{
	Experience& seen = nodes_[sessions_[session].node].experience;
	percent = std::clamp(percent, 0, 100);
	const bool fresh = seen.told_at != 0 && now_ - seen.told_at <= BUSY_TIME;
	seen.processor_wait = fresh ? averaged(seen.processor_wait, percent) : percent;
	seen.told_at = now_;
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

/* What a task takes on this node: as the last ones did or as all did, whichever is longer; at least
 * as long as one has been running. */
std::int64_t Flow::task_time(const NodeEntry& node) const
{
	std::int64_t time = node.last_spent;
	if (node.done > 0)
		time = std::max(time, node.spent / node.done);
	for (const int session : node.sessions)
		if (!sessions_[session].tasks.empty())
			time = std::max(time, now_ - sessions_[session].since);
	return time;
}

/*
 * How many tasks a session should have. One until some are done, for they may be long; then as many
 * as take the interval together, its share of what there is, and no more than experience covers:
 * shards differ.
 */
std::size_t Flow::quota(const SessionEntry& session) const
{
	const NodeEntry& node = nodes_[session.node];
	if (limits_.queue_depth <= 1 || node.done == 0)
		return 1;
	std::int64_t most = std::min<std::int64_t>(limits_.queue_depth, 2 * node.done);
	most = std::min(most, limits_.open_interval / std::max<std::int64_t>(1, task_time(node)));
	if (session.bound.empty())
	{
		std::size_t sharing = 0;
		std::size_t all = node.waiting.size();
		for (const int other : node.sessions)
		{
			all += sessions_[other].tasks.size();
			sharing += sessions_[other].state != SessionState::Connecting;
		}
		sharing = std::max<std::size_t>(1, sharing);
		most = std::min(most, static_cast<std::int64_t>((all + sharing - 1) / sharing));
	}
	return most < 1 ? 1 : static_cast<std::size_t>(most);
}

bool Flow::assign_one(Action *action)
{
	while (!ready_.empty())
	{
		const int session = ready_.front();
		SessionEntry& entry = sessions_[session];
		const bool open = entry.state == SessionState::Idle || entry.state == SessionState::Busy;
		std::deque<int>& queue = entry.bound.empty() ? nodes_[entry.node].waiting : entry.bound;
		/* A queue is filled up when half of it is done, so that there are few flushes. */
		if (open && !queue.empty() && !entry.filling)
			entry.most = quota(entry);
		const bool wants =
			entry.filling || entry.tasks.empty() || 2 * entry.tasks.size() <= entry.most;
		if (!open || queue.empty() || !wants || entry.tasks.size() >= entry.most)
		{
			entry.filling = false;
			entry.listed = false;
			ready_.pop_front();
			continue;
		}
		entry.filling = true;
		const int task = queue.front();
		queue.pop_front();
		CIVITAS_ASSERT(tasks_[task].state == TaskState::Waiting);
		CIVITAS_ASSERT(tasks_[task].bound_session < 0 || tasks_[task].bound_session == session);
		CIVITAS_ASSERT(entry.tasks.empty() == (entry.state == SessionState::Idle));
		if (entry.tasks.empty())
			entry.since = now_;
		entry.state = SessionState::Busy;
		entry.tasks.push_back(task);
		tasks_[task].state = TaskState::Running;
		tasks_[task].session = session;
		*action = {ActionKind::Assign, session, task, entry.node};
		return true;
	}
	return false;
}

/* Whether the node may have another session, time not considered. */
bool Flow::may_open(const NodeEntry& node) const
{
	if (node.waiting.empty())
		return false;
	if (node.sessions.empty())
		return true;
	return !node.refused && static_cast<int>(node.sessions.size()) < limits_.pool_size;
}

/*
 * How long the tasks there are must keep a node's sessions busy for another one to be worth it.
 * Beside one session another saves half of the time that it then takes, so twice what it costs.
 */
std::int64_t Flow::open_threshold(const NodeEntry& node) const
{
	return std::max(limits_.open_interval, 2 * node.experience.open_cost);
}

/*
 * When a node that may have another session should get it; -1: not before something else happens.
 * While nothing runs yet nothing is known: the first session comes first.
 */
std::int64_t Flow::open_time(const NodeEntry& node) const
{
	if (!may_open(node))
		return -1;
	if (node.sessions.empty())
		return now_;
	std::size_t connecting = 0;
	std::size_t running = 0;
	std::int64_t begun = -1;
	for (const int session : node.sessions)
	{
		const SessionEntry& entry = sessions_[session];
		connecting += entry.state == SessionState::Connecting;
		running += entry.tasks.size();
		if (!entry.tasks.empty() && (begun < 0 || entry.since < begun))
			begun = entry.since;
	}
	if (node.waiting.size() <= connecting)
		return -1;
	if (limits_.open_interval <= 0)
		return std::max(now_, node.not_before);
	if (begun < 0)
		return -1;
	const std::int64_t pause = limits_.open_interval * (connecting > 0 ? OPEN_INTERVALS : 1);
	const std::int64_t due = std::max(node.last_open + pause, busy_until(node.experience));
	const std::int64_t threshold = open_threshold(node);
	const std::int64_t work = task_time(node) *
							  static_cast<std::int64_t>(node.waiting.size() + running) /
							  static_cast<std::int64_t>(node.sessions.size());
	return work > threshold ? due : std::max(due, begun + threshold);
}

bool Flow::open_one(Action *action)
{
	for (std::size_t index = 0; index < nodes_.size(); index++)
	{
		NodeEntry& node = nodes_[index];
		const std::int64_t due = open_time(node);
		if (due < 0 || due > now_)
			continue;
		SessionEntry entry;
		entry.node = static_cast<int>(index);
		entry.since = now_;
		sessions_.push_back(std::move(entry));
		const int session = static_cast<int>(sessions_.size()) - 1;
		node.sessions.push_back(session);
		node.last_open = now_;
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

std::int64_t Flow::wait_time(std::int64_t now) const
{
	std::int64_t wait = -1;
	for (const NodeEntry& node : nodes_)
	{
		const std::int64_t due = open_time(node);
		if (due >= 0 && (wait < 0 || due - now < wait))
			wait = std::max<std::int64_t>(0, due - now);
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

int add_node(Flow *flow, const Experience& experience)
{
	return flow->add_node(experience);
}

int add_session(Flow *flow, int node, bool reused)
{
	return flow->add_session(node, reused);
}

int add_task(Flow *flow, const int *nodes, int node_count, int bound_session, bool retry)
{
	return flow->add_task(std::vector<int>(nodes, nodes + node_count), bound_session, retry);
}

void start(Flow *flow, std::int64_t now)
{
	flow->start(now);
}

void session_ready(Flow *flow, int session, std::int64_t now)
{
	flow->set_time(now);
	flow->session_ready(session);
}

void session_failed(Flow *flow, int session, std::int64_t now)
{
	flow->set_time(now);
	flow->session_failed(session);
}

void session_denied(Flow *flow, int session, std::int64_t now)
{
	flow->set_time(now);
	flow->session_denied(session);
}

void session_lost(Flow *flow, int session, bool rows_seen, std::int64_t now)
{
	flow->set_time(now);
	flow->session_lost(session, rows_seen);
}

void task_done(Flow *flow, int task, std::int64_t now)
{
	flow->set_time(now);
	flow->task_done(task);
}

void processor_waited(Flow *flow, int session, int percent, std::int64_t now)
{
	flow->set_time(now);
	flow->processor_waited(session, percent);
}

void tick(Flow *flow, std::int64_t now)
{
	flow->set_time(now);
}

void stop(Flow *flow)
{
	flow->stop();
}

Action next_action(Flow *flow)
{
	return flow->next_action();
}

std::int64_t wait_time(const Flow *flow, std::int64_t now)
{
	return flow->wait_time(now);
}

bool finished(const Flow *flow)
{
	return flow->finished();
}

int session_count(const Flow *flow)
{
	return flow->session_count();
}

Experience experience(const Flow *flow, int node)
{
	return flow->experience(node);
}

} // namespace civitas::flow
