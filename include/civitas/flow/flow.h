/*
 * flow.h: the executor as a state machine: events in, actions out.
 *
 * Given are tasks (each may run on one or more nodes) and nodes (each may get several sessions).
 * The server side reports what happened with the time it happened; flow answers with what to do. It
 * does no I/O, keeps no clock and knows sessions and tasks by number only. Plain data goes in and
 * out, so the server zone calls these functions through pg::call_core; the object itself stays in
 * the core.
 *
 * Slow start: a node gets one session at once and one more each open_interval_ms while tasks wait
 * for it, up to pool_size, and as long as the headroom that all backends share is not used up (the
 * first session of a node is always allowed, for otherwise the statement could not run at all).
 */
#pragma once

#include <cstdint>

namespace civitas::flow {

/* How fast and how far the pools grow. */
struct Limits
{
	int pool_size;				   /* sessions a node, at least 1 */
	std::int64_t open_interval_ms; /* between two openings on one node */
	int shared_headroom; /* sessions beyond the first of each node; negative = unlimited */
};

enum class ActionKind : int
{
	None,	/* nothing to do until the next event: wait for it */
	Open,	/* start a session on `node`; report session_ready or session_failed for `session` */
	Assign, /* run `task` on `session`; report task_done, task_failed or session_lost */
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
int add_node(Flow *flow);
/* A session that is connected and free; reused = it existed before this execution, so that losing
 * it before it did anything says nothing about its node. The number of the session. */
int add_session(Flow *flow, int node, bool reused);
/* nodes: where the task may run, best first. bound_session: the only session it may use, or -1.
 * retry: it may be sent again, elsewhere, when a session is lost before it returned a row (reads).
 * The number of the task, from 0. */
int add_task(Flow *flow, const int *nodes, int node_count, int bound_session, bool retry);
void start(Flow *flow, std::int64_t now_ms);

/* --- events; times are any monotonic milliseconds ----------------------------------------------
 */

void session_ready(Flow *flow, int session, std::int64_t now_ms);
void session_failed(Flow *flow, int session, std::int64_t now_ms); /* could not be opened */
void session_lost(Flow *flow, int session, bool rows_seen, std::int64_t now_ms); /* while open */
void task_done(Flow *flow, int task, std::int64_t now_ms);
void tick(Flow *flow, std::int64_t now_ms);
/* No more rows are wanted (LIMIT): tasks that wait are dropped; running ones are the caller's to
 * cancel. */
void stop(Flow *flow);

/* --- answers ------------------------------------------------------------------------------- */

/* The next thing to do; call until it says None, Done or Fail. */
Action next_action(Flow *flow);
/* When tick() would change something, in ms from now_ms; -1 = not before another event. */
std::int64_t wait_ms(const Flow *flow, std::int64_t now_ms);
bool finished(const Flow *flow);
int session_count(const Flow *flow); /* opened or added so far */

} // namespace civitas::flow
