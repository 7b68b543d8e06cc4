/*
 * many.cpp: a statement that is several tasks, run side by side.
 *
 * flow decides (which session runs what, when a node gets one more), this file does: opens, sends,
 * waits, reads. The loop, each time a row is wanted:
 *
 *     read the workers whose sockets had something; a row ends the loop
 *     take flow's actions until it has none
 *     wait for the latch and the sockets of all workers that connect or run, at most as long as
 *     flow says
 *
 * Only workers with unread input are read and only until the first row, so what libpq and the
 * sockets hold is all that is buffered. Changes of replicated shards run in two phases, first
 * placements before the others, so that two such statements meet in the same order everywhere; rows
 * of an INSERT for several shards may have to come to one node after the other (shard_locks.cpp).
 * Each phase has its own flow.
 */
#include "many.h"

#include "civitas/pg/core_call.h"
#include "civitas/pg/debug_point.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

#include <cstdlib>
#include <cstring>
#include <new>

namespace civitas::executor {

namespace {

/* Tasks of a worker: a ring, the one that is read from first. */
QueuedTask& head_of(Worker& worker)
{
	return worker.queue[worker.queue_head];
}

QueuedTask& last_of(Worker& worker)
{
	return worker.queue[(worker.queue_head + worker.queue_count - 1) % Worker::QUEUE_DEPTH];
}

/* --- set-up ---------------------------------------------------------------------------------- */

int node_index(Execution *execution, GroupId group)
{
	Many *many = execution->many;
	for (int index = 0; index < many->nodes.size(); index++)
		if (many->nodes[index].group == group)
			return index;
	ManyNode node = {};
	node.group = group;
	node.node = execution->purpose == txn::Purpose::Read ? &txn::node_for(group, execution->purpose)
														 : catalog::find_primary(group);
	if (node.node)
		node.endpoint = txn::address_of(*node.node);
	many->nodes.push(node);
	return many->nodes.size() - 1;
}

Worker *worker_of_session(Many *many, const remote::Session *session)
{
	for (Worker& worker : many->workers)
		if (worker.session == session && worker.state != Worker::Gone)
			return &worker;
	return nullptr;
}

Worker *worker_of_flow(Many *many, int flow_session)
{
	return &many->workers[many->flow_workers[flow_session]];
}

/* Flow numbers its sessions from 0 on. */
Worker& push_worker(Many *many, const Worker& worker)
{
	while (many->flow_workers.size() <= worker.flow_session)
		many->flow_workers.push(-1);
	many->flow_workers[worker.flow_session] = many->workers.size();
	many->workers.push(worker);
	return many->workers.back();
}

/* Gives flow a connected session. */
Worker *add_worker(Execution *execution, int node, remote::Session *session)
{
	Many *many = execution->many;
	if (remote::claimed(session))
		yield_session(session);
	Worker worker = {};
	worker.session = session;
	worker.node = node;
	worker.state = Worker::Idle;
	worker.wait_position = -1;
	processor_wait(session, &worker.wait_report);
	const bool reused = PQtransactionStatus(remote::connection(session)) == PQTRANS_IDLE;
	pg::call_core([&] { worker.flow_session = flow::add_session(many->flow, node, reused); });
	remote::set_claimed(session, true);
	execution->sessions_used++;
	return &push_worker(many, worker);
}

/* Sessions of the registry that are inside this transaction already, for one node. */
struct TransactionSessions
{
	const remote::Endpoint *endpoint;
	remote::Session *found[64];
	int count;
};

void collect_transaction_session(remote::Session *session, void *argument)
{
	TransactionSessions *all = static_cast<TransactionSessions *>(argument);
	if (all->count == 64 || remote::failed(session) || remote::claimed(session) ||
		remote::busy(session) || remote::port(session) != all->endpoint->port ||
		strcmp(remote::host(session), all->endpoint->host) != 0 ||
		PQstatus(remote::connection(session)) != CONNECTION_OK ||
		PQtransactionStatus(remote::connection(session)) != PQTRANS_INTRANS ||
		!txn::serves_current_role(session))
		return;
	all->found[all->count++] = session;
}

/*
 * What is written in a transaction that goes on is written through one session a node, so that
 * whatever comes next, DDL included, finds it in the session that it uses itself.
 */
int pool_size_of(const Execution *execution)
{
	/* Row locks, too, are of a transaction that goes on, and taken in one order on each node. */
	if (!execution->query->read_only &&
		(!execution->alone || execution->query->command == CMD_SELECT || execution->node_by_node ||
		 multi_shard_modify_mode == MODIFY_SEQUENTIAL))
		return 1;
	/* There each session has its own snapshot to the end of the transaction: one a node. */
	if (execution->in_transaction && XactIsoLevel != XACT_READ_COMMITTED)
		return 1;
	return execution->cursor ? 1 : max_adaptive_executor_pool_size;
}

/* The statement cannot go on without a session to this node, where it has none. */
bool has_no_session(const Execution *execution, int node)
{
	for (const Worker& worker : execution->many->workers)
		if (worker.node == node && worker.state != Worker::Gone)
			return false;
	return true;
}

/* Sessions that exist already: those of this transaction first, then cached ones. */
void add_existing_sessions(Execution *execution, int node)
{
	Many *many = execution->many;
	ManyNode& entry = many->nodes[node];
	const int most =
		entry.task_count < pool_size_of(execution) ? entry.task_count : pool_size_of(execution);
	int have = 0;
	for (const Worker& worker : many->workers)
		have += worker.node == node && worker.state != Worker::Gone;
	TransactionSessions mine = {};
	mine.endpoint = &entry.endpoint;
	remote::for_each_session(collect_transaction_session, &mine);
	for (int index = 0; index < mine.count && have < most; index++, have++)
		add_worker(execution, node, mine.found[index]);
	while (have < most)
	{
		remote::Session *session = remote::find_idle(entry.endpoint);
		if (session == nullptr)
			break;
		add_worker(execution, node, session);
		have++;
	}
}

/*
 * The first session of each node, in the order of the nodes' ids: where there is no room they are
 * waited for here, before anything is sent, and in the same order by everybody, so that statements
 * do not wait for each other in a circle. Sessions of later nodes are not claimed meanwhile, and so
 * may be given up for others.
 */
void take_first_sessions(Execution *execution)
{
	Many *many = execution->many;
	for (NodeId done = INT32_MIN;;)
	{
		int next = -1;
		for (int index = 0; index < many->nodes.size(); index++)
		{
			const ManyNode& node = many->nodes[index];
			if (node.task_count > 0 && node.node && node.endpoint.node_id > done &&
				(next < 0 || node.endpoint.node_id < many->nodes[next].endpoint.node_id))
				next = index;
		}
		if (next < 0)
			return;
		done = many->nodes[next].endpoint.node_id;
		add_existing_sessions(execution, next);
		if (!has_no_session(execution, next))
			continue;
		many->nodes[next].opened = txn::open_session(*many->nodes[next].node);
		remote::set_claimed(many->nodes[next].opened, true);
	}
}

/* The worker a task must use, because this transaction touched its shard group there; -1 if free.
 */
int bound_worker(Execution *execution, const Task& task, int node)
{
	if (!execution->in_transaction)
		return -1;
	Many *many = execution->many;
	remote::Session *session = bound_session(execution, task, many->nodes[node].group);
	if (session == nullptr)
		return -1;
	Worker *worker = worker_of_session(many, session);
	if (worker == nullptr)
		worker = add_worker(execution, node, session);
	return worker->flow_session;
}

/* Makes the flow of the tasks phase_begin .. phase_end - 1 that are not local. */
void begin_phase(Execution *execution)
{
	Many *many = execution->many;
	flow::Limits limits = {pool_size_of(execution), int64{1000} * slow_start_interval,
						   Worker::QUEUE_DEPTH};
	const int count = many->phase_end - many->phase_begin;
	int *task_nodes = static_cast<int *>(palloc(sizeof(int) * (count + 1)));
	int *bound = static_cast<int *>(palloc(sizeof(int) * (count + 1)));

	pg::call_core([&] { many->flow = flow::create(limits); });
	many->nodes.clear();
	many->workers.clear();
	many->flow_workers.clear();
	for (int index = 0; index < count; index++)
	{
		const Task& task = execution->tasks[many->phase_begin + index];
		if (task.local)
			continue;
		for (int candidate = 0; candidate < task.group_count; candidate++)
			node_index(execution, task.groups[candidate]);
		task_nodes[index] = node_index(execution, task.groups[0]);
	}
	pg::call_core([&] {
		for (const ManyNode& node : many->nodes)
			flow::add_node(many->flow, experience_of(node.endpoint.node_id));
	});
	hold_sessions(execution);
	for (int index = 0; index < count; index++)
	{
		const Task& task = execution->tasks[many->phase_begin + index];
		if (task.local)
			continue;
		bound[index] = bound_worker(execution, task, task_nodes[index]);
		if (bound[index] < 0)
			many->nodes[task_nodes[index]].task_count++;
	}
	take_first_sessions(execution);
	const bool retry = execution->query->read_only;
	for (int index = 0; index < count; index++)
	{
		const Task& task = execution->tasks[many->phase_begin + index];
		if (task.local)
			continue;
		int *nodes = static_cast<int *>(palloc(sizeof(int) * task.group_count));
		for (int candidate = 0; candidate < task.group_count; candidate++)
			nodes[candidate] = node_index(execution, task.groups[candidate]);
		pg::call_core(
			[&] { flow::add_task(many->flow, nodes, task.group_count, bound[index], retry); });
		many->task_numbers.push(many->phase_begin + index);
	}
	pg::call_core([&] { flow::start(many->flow, now_us()); });
	many->wait_set_stale = true;
	many->current = -1;
}

/* --- actions --------------------------------------------------------------------------------- */

} // namespace

void report_failed(Execution *execution, Worker& worker)
{
	Many *many = execution->many;
	const int session = worker.flow_session;
	worker.state = Worker::Gone;
	many->wait_set_stale = true;
	if (worker.session)
	{
		if (many->failed)
			remote::close(many->failed);
		many->failed = worker.session;
		many->failed_to_connect = remote::failed(worker.session);
		worker.session = nullptr;
	}
	pg::call_core([&] { flow::session_failed(many->flow, session, now_us()); });
}

namespace {

bool awaits_sync(const Worker& worker)
{
	for (int i = 0; i < worker.queue_count; i++)
		if (worker.queue[(worker.queue_head + i) % Worker::QUEUE_DEPTH].ends_batch)
			return true;
	return false;
}

/* Ends what was queued with a Sync and sends it. */
void flush_worker(Execution *execution, Worker& worker)
{
	worker.unflushed = false;
	last_of(worker).ends_batch = true;
	flush_tasks(execution, worker.session);
}

/* A read that may be stopped sends one batch at a time: a request to cancel must not arrive when the
 * node is at the savepoint of the next one. */
void flush_workers(Execution *execution)
{
	for (Worker& worker : execution->many->workers)
		if (worker.unflushed && !(execution->stoppable && awaits_sync(worker)))
			flush_worker(execution, worker);
}

void open_session(Execution *execution, const flow::Action& action)
{
	Many *many = execution->many;
	ManyNode& node = many->nodes[action.node];
	Worker worker = {};
	worker.flow_session = action.session;
	worker.node = action.node;
	worker.state = Worker::Connecting;
	worker.wait_position = -1;
	worker.opened_us = now_us();
	if (node.opened)
	{
		worker.session = node.opened;
		node.opened = nullptr;
	}
	else if (node.node && has_no_session(execution, action.node))
	{
		/* This may wait for room, or hand us a session that is connected. */
		flush_workers(execution);
		worker.session = txn::open_session(*node.node);
		worker.opened_us = now_us();
	}
	else if (node.node)
	{
		worker.session = remote::try_start_connect(txn::endpoint_of(*node.node), false);
		if (worker.session == nullptr)
		{
			pg::call_core([&] { flow::session_denied(many->flow, action.session, now_us()); });
			return;
		}
	}
	if (worker.session)
		remote::set_claimed(worker.session, true);
	execution->sessions_used++;
	Worker& added = push_worker(many, worker);
	if (added.session == nullptr || remote::failed(added.session))
		report_failed(execution, added);
	else if (remote::connected_at(added.session) != 0)
	{
		added.state = Worker::Idle;
		pg::call_core([&] { flow::session_ready(many->flow, action.session, now_us()); });
	}
}

void begin_reading(Execution *execution, Worker& worker)
{
	Task& task = execution->tasks[execution->many->task_numbers[head_of(worker).task]];
	worker.statement = 0;
	worker.rows_seen = false;
	worker.single_row_set = false;
	worker.bytes_before = remote::bytes_received(worker.session);
	INSTR_TIME_SET_CURRENT(task.started);
}

void assign_task(Execution *execution, const flow::Action& action)
{
	Many *many = execution->many;
	Worker& worker = *worker_of_flow(many, action.session);
	Task& task = execution->tasks[many->task_numbers[action.task]];
	task.ran_on = many->nodes[worker.node].group;
	task.rows = 0;
	queue_task(execution, task, worker.session, !worker.unflushed);
	worker.queue_count++;
	last_of(worker) = {action.task, false};
	worker.unflushed = true;
	if (worker.queue_count > 1)
		return;
	begin_reading(execution, worker);
	worker.state = Worker::Running;
	worker.readable = false;
}

void close_worker(Execution *execution, const flow::Action& action)
{
	Many *many = execution->many;
	Worker& worker = *worker_of_flow(many, action.session);
	if (worker.session)
		remote::close(worker.session);
	worker.session = nullptr;
	worker.state = Worker::Gone;
	many->wait_set_stale = true;
}

[[noreturn]] void raise_unreachable(Execution *execution, const flow::Action& action)
{
	Many *many = execution->many;
	remote::Session *failed = many->failed;
	many->failed = nullptr;
	if (failed && many->failed_to_connect)
		remote::finish_connect(failed); /* raises what went wrong, and closes */
	if (failed)
		remote::raise_connection_lost(failed);
	const ManyNode& node = many->nodes[action.node];
	if (node.node == nullptr)
		catalog::get_primary(node.group);
	ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
					errmsg("could not reach node %s:%d", node.endpoint.host, node.endpoint.port)));
}

/* True when the phase is over. */
bool take_actions(Execution *execution)
{
	Many *many = execution->many;
	for (;;)
	{
		flow::Action action = {};
		pg::call_core([&] { action = flow::next_action(many->flow); });
		switch (action.kind)
		{
		case flow::ActionKind::None:
			flush_workers(execution);
			return false;
		case flow::ActionKind::Done:
			return true;
		case flow::ActionKind::Open:
			open_session(execution, action);
			break;
		case flow::ActionKind::Assign:
			assign_task(execution, action);
			break;
		case flow::ActionKind::Close:
			close_worker(execution, action);
			break;
		case flow::ActionKind::Fail:
			raise_unreachable(execution, action);
		}
	}
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The session is lost while it ran a task. Inside a remote transaction that is the end of ours. */
void session_lost(Execution *execution, Worker& worker)
{
	Many *many = execution->many;
	if (execution->in_transaction || !execution->query->read_only)
		remote::raise_connection_lost(worker.session);
	const int session = worker.flow_session;
	const bool rows_seen = worker.rows_seen;
	worker.state = Worker::Gone;
	many->wait_set_stale = true;
	if (many->failed)
		remote::close(many->failed);
	many->failed = worker.session;
	many->failed_to_connect = false;
	worker.session = nullptr;
	pg::call_core([&] { flow::session_lost(many->flow, session, rows_seen, now_us()); });
}

void task_ended(Execution *execution, Worker& worker)
{
	Many *many = execution->many;
	const int number = head_of(worker).task;
	Task& task = execution->tasks[many->task_numbers[number]];
	instr_time now;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, task.started);
	task.ms = INSTR_TIME_GET_MILLISEC(now);
	task.bytes = remote::bytes_received(worker.session) - worker.bytes_before;
	execution->bytes += task.bytes;
	worker.queue_head = (worker.queue_head + 1) % Worker::QUEUE_DEPTH;
	if (--worker.queue_count > 0)
		begin_reading(execution, worker);
	else
	{
		worker.state = Worker::Idle;
		worker.readable = false;
	}
	const int waited = processor_wait(worker.session, &worker.wait_report);
	pg::call_core([&] {
		if (waited >= 0)
			flow::processor_waited(many->flow, worker.flow_session, waited, now_us());
		flow::task_done(many->flow, number, now_us());
	});
}

enum class Read
{
	Row,
	Nothing, /* would block */
	Ended	 /* the task is over, or the session */
};

/* Takes what a running worker has, up to one row. */
Read read_worker(Execution *execution, Worker& worker, Datum *values, bool *nulls)
{
	Many *many = execution->many;
	Task& task = execution->tasks[many->task_numbers[head_of(worker).task]];
	for (;;)
	{
		if (execution->result)
		{
			PQclear(execution->result);
			execution->result = nullptr;
		}
		if (worker.statement < task.statement_count && !worker.single_row_set &&
			execution->query->returns_rows)
		{
			remote::set_single_row(worker.session);
			worker.single_row_set = true;
		}
		PGresult *result = nullptr;
		if (!remote::try_next_result(worker.session, &result))
		{
			worker.readable = false;
			return Read::Nothing;
		}
		if (result == nullptr)
		{
			worker.statement++;
			worker.single_row_set = false;
			if (worker.statement < task.statement_count || head_of(worker).ends_batch)
				continue;
			task_ended(execution, worker);
			return Read::Ended;
		}
		execution->result = result;
		switch (PQresultStatus(result))
		{
		case PGRES_SINGLE_TUPLE:
			worker.rows_seen = true;
			task.rows++;
			if (!task.primary)
				continue;
			decode_row(execution->decoder, result, 0, values, nulls);
			return Read::Row;
		case PGRES_TUPLES_OK:
		case PGRES_COMMAND_OK:
			note_result(execution, task, result);
			continue;
		case PGRES_PIPELINE_SYNC:
			PQclear(result);
			execution->result = nullptr;
			task_ended(execution, worker);
			return Read::Ended;
		default:
			execution->result = nullptr;
			if (PQstatus(remote::connection(worker.session)) == CONNECTION_BAD)
			{
				PQclear(result);
				session_lost(execution, worker);
				return Read::Ended;
			}
			remote::raise_remote_error(worker.session, result);
		}
	}
}

/* Whether libpq goes on with another socket, which may have the number of the one before: it tries
 * the next address, or without TLS. */
bool has_begun_anew(const Worker& worker)
{
	const ConnStatusType status = PQstatus(remote::connection(worker.session));
	return status == CONNECTION_STARTED || status == CONNECTION_NEEDED;
}

} // namespace

/* The socket of a worker had something (or may have). */
void advance(Execution *execution, Worker& worker)
{
	Many *many = execution->many;
	switch (worker.state)
	{
	case Worker::Connecting:
		if (remote::poll_connect(worker.session))
		{
			const int session = worker.flow_session;
			worker.state = Worker::Idle;
			pg::call_core([&] { flow::session_ready(many->flow, session, now_us()); });
		}
		else if (remote::failed(worker.session))
			report_failed(execution, worker);
		else if (has_begun_anew(worker))
			many->wait_set_stale = true;
		break;
	case Worker::Running:
		if (!remote::consume_input(worker.session))
			session_lost(execution, worker);
		else
			worker.readable = true;
		break;
	case Worker::Idle:
	case Worker::Gone:
		/* Its news can wait; it would be told of them again and again. */
		many->wait_set_stale = true;
		break;
	}
}

namespace {

/* --- phases ---------------------------------------------------------------------------------- */

void run_local_tasks(Execution *execution)
{
	Many *many = execution->many;
	for (int index = many->phase_begin; index < many->phase_end; index++)
		if (execution->tasks[index].local)
			run_local_task(execution, execution->tasks[index]);
}

bool has_local_tasks(const Execution *execution)
{
	const Many *many = execution->many;
	for (int index = many->phase_begin; index < many->phase_end; index++)
		if (execution->tasks[index].local)
			return true;
	return false;
}

bool is_connecting(const Many *many)
{
	for (const Worker& worker : many->workers)
		if (worker.state == Worker::Connecting)
			return true;
	return false;
}

/* For the next execution. */
void keep_experiences(Many *many)
{
	for (int index = 0; index < many->nodes.size(); index++)
	{
		flow::Experience experience;
		pg::call_core([&] { experience = flow::experience(many->flow, index); });
		keep_experience(many->nodes[index].endpoint.node_id, experience);
	}
}

void give_back_sessions(Many *many)
{
	for (Worker& worker : many->workers)
	{
		if (worker.state == Worker::Gone || worker.session == nullptr)
			continue;
		remote::set_claimed(worker.session, false);
		worker.session = nullptr;
		worker.state = Worker::Gone;
	}
	for (ManyNode& node : many->nodes)
	{
		if (node.opened)
			remote::set_claimed(node.opened, false);
		node.opened = nullptr;
	}
	if (many->failed)
		remote::close(many->failed);
	many->failed = nullptr;
	if (many->wait_set)
		FreeWaitEventSet(many->wait_set);
	many->wait_set = nullptr;
	if (many->flow)
	{
		keep_experiences(many);
		flow::destroy(many->flow);
	}
	many->flow = nullptr;
}

/* Behind the last task of the phase that begins with this one. */
int end_of_phase(const Execution *execution, int begin)
{
	const pg::Vec<Task>& tasks = execution->tasks;
	if (!execution->node_by_node)
		return begin < execution->current_phase_end ? execution->current_phase_end : tasks.size();
	int end = begin + 1;
	while (end < tasks.size() && tasks[end].groups[0] == tasks[begin].groups[0])
		end++;
	return end;
}

void start_phase(Execution *execution, int begin)
{
	Many *many = execution->many;
	many->phase_begin = begin;
	many->phase_end = end_of_phase(execution, begin);
	many->task_numbers.clear();
	begin_phase(execution);
	take_actions(execution);
	if (has_local_tasks(execution))
	{
		/* The nodes work while we do our own share, so they must have something to do by then. */
		while (is_connecting(many))
		{
			wait_for_events(execution);
			take_actions(execution);
		}
		run_local_tasks(execution);
	}
}

/* No worker has a row: gives out work, waits, or begins the next phase. False at the end. */
bool go_on(Execution *execution)
{
	Many *many = execution->many;
	if (!take_actions(execution))
	{
		for (const Worker& worker : many->workers)
			if (worker.state == Worker::Running && worker.readable)
				return true;
		wait_for_events(execution);
		return true;
	}
	give_back_sessions(many);
	if (many->phase_end == execution->tasks.size())
		return false;
	start_phase(execution, many->phase_end);
	return true;
}

} // namespace

void start_many(Execution *execution)
{
	Many *many = new (palloc0(sizeof(Many))) Many{};
	execution->many = many;
	start_phase(execution, 0);
}

bool next_many(Execution *execution, Datum *values, bool *nulls)
{
	Many *many = execution->many;
	for (;;)
	{
		const int count = many->workers.size();
		for (int step = 0; step < count; step++)
		{
			/* First the worker that gave the last row. */
			const int index = (step + (many->current < 0 ? 0 : many->current)) % count;
			Worker& worker = many->workers[index];
			if (worker.state != Worker::Running || !worker.readable)
				continue;
			if (read_worker(execution, worker, values, nulls) == Read::Row)
			{
				many->current = index;
				return true;
			}
		}
		/* What is made from here on must outlive the row. */
		MemoryContext old = MemoryContextSwitchTo(execution->context);
		const bool more = go_on(execution);
		MemoryContextSwitchTo(old);
		if (!more)
			return false;
	}
}

void stop_many(Execution *execution)
{
	Many *many = execution->many;
	if (execution->result)
	{
		PQclear(execution->result);
		execution->result = nullptr;
	}
	const auto running = [](const Worker& worker) {
		return worker.session && worker.state == Worker::Running;
	};
	for (Worker& worker : many->workers)
		if (worker.unflushed)
			flush_worker(execution, worker);
	const bool cancelled = !execution->in_transaction || execution->stoppable;
	for (const Worker& worker : many->workers)
		if (cancelled && running(worker) && !remote::discard_arrived(worker.session))
			remote::send_cancel(worker.session);
	CIVITAS_DEBUG_POINT("read_stopped");
	for (Worker& worker : many->workers)
	{
		remote::Session *session = worker.session;
		if (worker.state == Worker::Connecting)
		{
			worker.session = nullptr;
			worker.state = Worker::Gone;
			remote::close(session);
		}
		if (!running(worker))
			continue;
		worker.session = nullptr;
		worker.state = Worker::Gone;
		discard_rest(execution, session, cancelled);
		remote::set_claimed(session, false);
	}
	give_back_sessions(many);
}

int current_task(const Execution *execution)
{
	const Many *many = execution->many;
	const Worker& worker = many->workers[many->current];
	return many->task_numbers[worker.queue[worker.queue_head].task];
}

bool uses_session(const Execution *execution, const remote::Session *session)
{
	return execution->many && worker_of_session(execution->many, session) != nullptr;
}

void discard_many(Execution *execution)
{
	Many *many = execution->many;
	if (many == nullptr)
		return;
	for (const Worker& worker : many->workers)
		if (worker.session && worker.state != Worker::Gone)
			unclaim(worker.session);
	for (const ManyNode& node : many->nodes)
		if (node.opened)
			unclaim(node.opened);
	if (many->wait_set)
		FreeWaitEventSet(many->wait_set);
	many->wait_set = nullptr;
	if (many->flow)
		flow::destroy(many->flow);
	many->flow = nullptr;
}

} // namespace civitas::executor
