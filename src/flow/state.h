/*
 * state.h: what the state machine remembers.
 *
 *     task     Waiting -> Running -> Done        Running -> Waiting (session lost, may be retried)
 *                 \-> Failed (no node left)
 *     session  Connecting -> Idle <-> Busy       any -> Gone
 *
 * A waiting task is in exactly one queue: that of the session it is bound to, or that of the node
 * it would run on. A session's own queue goes first, so that bound tasks are not starved.
 */
#pragma once

#include "civitas/flow/flow.h"

#include <deque>
#include <vector>

namespace civitas::flow {

enum class TaskState
{
	Waiting,
	Running,
	Done,
	Failed
};

enum class SessionState
{
	Connecting,
	Idle,
	Busy,
	Gone
};

struct TaskEntry
{
	std::vector<int> nodes;	 /* candidates, best first */
	std::size_t attempt = 0; /* index into nodes */
	int bound_session = -1;
	bool retry = false;
	bool replaced =
		false; /* a reused session was lost under it once: not counted against the node */
	TaskState state = TaskState::Waiting;
	int session = -1;
};

struct SessionEntry
{
	int node = 0;
	bool reused = false;
	bool filling = false; /* is being given tasks up to its quota */
	bool used = false;	  /* finished a task in this execution */
	bool listed = false;  /* is in ready_ */
	std::size_t most = 0; /* its quota while it is filling */
	SessionState state = SessionState::Connecting;
	std::deque<int> tasks;	/* assigned, the one that runs first */
	std::int64_t since = 0; /* when that one began to run; before that, when it was opened */
	std::deque<int> bound;
};

struct NodeEntry
{
	std::deque<int> waiting;
	std::vector<int> sessions; /* those not Gone */
	std::int64_t last_open = 0;
	std::int64_t not_before = 0; /* a session was denied: when to ask again */
	/* How long tasks take here: of all that are done, and of the last batch. */
	std::int64_t spent = 0;
	std::int64_t last_spent = 0;
	int done = 0;
	bool refused = false; /* a session could not be opened: no more beside those that there are */
	Experience experience = {};
};

class Flow
{
public:
	explicit Flow(const Limits& limits) : limits_(limits) {}

	int add_node(const Experience& experience);
	int add_session(int node, bool reused);
	int add_task(std::vector<int> nodes, int bound_session, bool retry);
	void start(std::int64_t now);
	void session_ready(int session);
	void session_failed(int session);
	void session_denied(int session);
	void session_lost(int session, bool rows_seen);
	void task_done(int task);
	void processor_waited(int session, int percent);
	void set_time(std::int64_t now) { now_ = now; }
	void stop();
	Action next_action();
	std::int64_t wait_time(std::int64_t now) const;
	bool finished() const { return unfinished_ == 0; }
	const Experience& experience(int node) const { return nodes_[node].experience; }
	int session_count() const { return static_cast<int>(sessions_.size()); }

private:
	void enqueue(int task);
	void make_ready(int session);
	void retry_elsewhere(int task, bool same_node);
	void remove_session(int session);
	bool assign_one(Action *action);
	bool open_one(Action *action);
	bool close_one(Action *action);
	bool may_open(const NodeEntry& node) const;
	std::int64_t open_time(const NodeEntry& node) const;
	std::int64_t open_threshold(const NodeEntry& node) const;
	std::int64_t task_time(const NodeEntry& node) const;
	std::size_t quota(const SessionEntry& session) const;

	Limits limits_;
	std::int64_t now_ = 0;
	int unfinished_ = 0;
	int failed_task_ = -1;
	int failed_node_ = -1;
	bool stopped_ = false;
	std::vector<TaskEntry> tasks_;
	std::vector<SessionEntry> sessions_;
	std::vector<NodeEntry> nodes_;
	std::deque<int> ready_; /* sessions that may be able to take a task, each once */
};

} // namespace civitas::flow
