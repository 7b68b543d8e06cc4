/*
 * flow.h: the executor as a state machine: events in, actions out.
 *
 * Given are tasks (each may run on one or more nodes) and nodes (each may get several sessions).
 * The server side reports what happened with the time it happened; flow answers with what to do. It
 * does no I/O, keeps no clock and knows sessions and tasks by number only. Plain data goes in and
 * out, so the server zone calls these functions through pg::call_core; the object itself stays in
 * the core.
 *
 * Slow start: a node gets one session at once, and another one when open_interval has passed, what
 * waits for the node would keep its sessions busy for longer than that and than opening one takes,
 * judged by what was seen of it, and the node has processors to spare; up to pool_size. Those that
 * are being opened are waited for, within bounds: where many statements begin at once on a node
 * that has no processors left, each has one on its way until it hears so. The caller may refuse a
 * session beyond the first (session_denied). What was seen of a node is the caller's to keep
 * between executions (Experience).
 *
 * Pipelining: once tasks have proved quick, a session is given several at a time, as many as should
 * take open_interval together. They run in the order in which they were assigned.
 */
#pragma once

#include <cstdint>

namespace civitas::flow {

/* How fast and how far the pools grow. */
struct Limits
{
	int pool_size;				/* sessions a node, at least 1 */
	std::int64_t open_interval; /* between two openings on one node, us; 0: all at once */
	int queue_depth;			/* tasks that a session may have at a time, at least 1 */
};

/* What executions have seen of a node, kept from one to the next; all 0 at first. */
struct Experience
{
	std::int64_t open_cost; /* how long a session takes to open, us; 0: not seen */
	int processor_wait; /* share of their time that its tasks waited for a processor, %, averaged */
	std::int64_t told_at; /* when it was heard of last; 0: never */
};

enum class ActionKind : int
{
	None,	/* nothing to do until the next event: wait for it */
	Open,	/* start a session on `node`; report session_ready, session_failed or session_denied */
	Assign, /* run `task` on `session`, behind those it has; report task_done or session_lost */
	Close,	/* `session` is not needed any more (it is connecting or idle) */
	Fail,	/* `task` cannot run anywhere: `node` is the last that failed */
	Done	/* every task is done, or the execution was stopped */
};

struct Action
{
	ActionKind kind;
	int session;
	int task;
	int node;
};

class Flow; /* see src/flow/state.h */

/* Owned by the caller, who ends it with destroy(). */
Flow *create(const Limits& limits);
void destroy(Flow *flow) noexcept;

/* --- set-up, before start() ---------------------------------------------------------------- */

/* The number of the new node, from 0. */
int add_node(Flow *flow, const Experience& experience = {});
/* A session that is connected and free; reused = it existed before this execution, so that losing
 * it before it did anything says nothing about its node. The number of the session. */
int add_session(Flow *flow, int node, bool reused);
/* nodes: where the task may run, best first. bound_session: the only session it may use, or -1.
 * retry: it may be sent again, elsewhere, when a session is lost before it returned a row (reads).
 * The number of the task, from 0. */
int add_task(Flow *flow, const int *nodes, int node_count, int bound_session, bool retry);
void start(Flow *flow, std::int64_t now);

/* --- events; times are any monotonic microseconds
 * --------------------------------------- */

void session_ready(Flow *flow, int session, std::int64_t now);
void session_failed(Flow *flow, int session, std::int64_t now); /* could not be opened */
/* There is no room for it now: asked again later. Only for a session beside others of its node. */
void session_denied(Flow *flow, int session, std::int64_t now);
void session_lost(Flow *flow, int session, bool rows_seen, std::int64_t now); /* while open */
void task_done(Flow *flow, int task, std::int64_t now);
/* The session's node says how much (%) of the time that it could run it waited for a processor. */
void processor_waited(Flow *flow, int session, int percent, std::int64_t now);
void tick(Flow *flow, std::int64_t now);
/* No more rows are wanted (LIMIT): tasks that wait are dropped; running ones are the caller's to
 * cancel. */
void stop(Flow *flow);

/* --- answers ------------------------------------------------------------------------------- */

/* The next thing to do; call until it says None, Done or Fail. */
Action next_action(Flow *flow);
/* When tick() would change something, from now; -1 = not before another event. */
std::int64_t wait_time(const Flow *flow, std::int64_t now);
bool finished(const Flow *flow);
int session_count(const Flow *flow); /* opened or added so far */
Experience experience(const Flow *flow, int node);

} // namespace civitas::flow
