/*
 * many_wait.cpp: waiting for news of the sessions that connect or run.
 *
 * The wait set lives as long as a phase. Sockets are added as they come; only where one has gone,
 * or may have been replaced by another of the same number, the set is made anew: a set knows no way
 * to take one out.
 */
#include "many.h"

#include "civitas/pg/compat.h"
#include "civitas/pg/core_call.h"

CIVITAS_PG_BEGIN
#include "utils/guc.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

#include <cstdlib>

namespace civitas::executor {

namespace {

int64 connection_timeout_us()
{
	return int64{remote::connection_timeout_ms()} * 1000;
}

uint32 wanted_events(const Worker& worker)
{
	PGconn *connection = remote::connection(worker.session);
	if (worker.state == Worker::Connecting)
	{
		const ConnStatusType status = PQstatus(connection);
		return status == CONNECTION_STARTED || status == CONNECTION_MADE ? WL_SOCKET_WRITEABLE
																		 : WL_SOCKET_READABLE;
	}
	return WL_SOCKET_READABLE |
		   (remote::wants_write(worker.session) ? static_cast<uint32>(WL_SOCKET_WRITEABLE) : 0);
}

/* Adds the worker's socket to the set, or changes what is waited for; false where the set must be
 * made anew. Workers without work or without a socket are not waited for. */
bool watch(Many *many, int index)
{
	Worker& worker = many->workers[index];
	if (worker.state == Worker::Gone || worker.state == Worker::Idle)
		return true;
	const int socket = PQsocket(remote::connection(worker.session));
	if (socket < 0)
		return worker.wait_position < 0;
	const uint32 events = wanted_events(worker);
	if (worker.wait_position >= 0)
	{
		if (worker.wait_socket != socket)
			return false;
		if (worker.wait_events != events)
			ModifyWaitEvent(many->wait_set, worker.wait_position, events, nullptr);
		worker.wait_events = events;
		return true;
	}
	if (many->wait_room == 0)
		return false;
	worker.wait_socket = socket;
	worker.wait_events = events;
	worker.wait_position =
		AddWaitEventToSet(many->wait_set, events, socket, nullptr,
						  reinterpret_cast<void *>(static_cast<intptr_t>(index)));
	many->wait_room--;
	return true;
}

/* All workers are watched; those that come later add themselves while there is room. */
void rebuild_wait_set(Execution *execution)
{
	Many *many = execution->many;
	if (many->wait_set)
	{
		FreeWaitEventSet(many->wait_set);
		many->wait_set = nullptr;
	}
	many->wait_room = 2 * many->workers.size() + 8;
	many->wait_set = pg::create_wait_set(many->wait_room + 2);
	AddWaitEventToSet(many->wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
	AddWaitEventToSet(many->wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
	for (Worker& worker : many->workers)
		worker.wait_position = -1;
	for (int index = 0; index < many->workers.size(); index++)
		watch(many, index);
	many->wait_set_stale = false;
}

/* A lost connection's socket is closed by libpq: there is no event to wait for, only news to read.
 */
bool has_dead_socket(Execution *execution)
{
	bool found = false;
	Many *many = execution->many;
	for (int index = 0; index < many->workers.size(); index++)
	{
		Worker& worker = many->workers[index];
		if (worker.state == Worker::Running && PQsocket(remote::connection(worker.session)) < 0)
		{
			advance(execution, worker);
			found = true;
		}
	}
	return found;
}

/* Connects that are due: those past the time-out fail, those without a socket (a node that starts
 * up) are polled. */
bool poll_connecting(Execution *execution)
{
	Many *many = execution->many;
	bool waiting = false;
	for (int index = 0; index < many->workers.size(); index++)
	{
		Worker& worker = many->workers[index];
		if (worker.state != Worker::Connecting)
			continue;
		if (now_us() - worker.opened_us > connection_timeout_us())
			report_failed(execution, worker);
		else
		{
			waiting = true;
			if (PQsocket(remote::connection(worker.session)) < 0)
				advance(execution, worker);
		}
	}
	return waiting;
}

} // namespace

void wait_for_events(Execution *execution)
{
	constexpr int MOST_EVENTS = 32;
	constexpr int CONNECT_POLL_MS = 100;
	Many *many = execution->many;
	if (has_dead_socket(execution))
		return;
	const bool connecting = poll_connecting(execution);
	bool watched = !many->wait_set_stale && many->wait_set != nullptr;
	for (int index = 0; watched && index < many->workers.size(); index++)
		watched = watch(many, index);
	if (!watched)
		rebuild_wait_set(execution);

	int64 timeout = -1;
	pg::call_core([&] { timeout = flow::wait_time(many->flow, now_us()); });
	if (timeout >= 0)
		timeout = (timeout + 999) / 1000;
	if (timeout > remote_task_check_interval)
		timeout = remote_task_check_interval;
	if (connecting && (timeout < 0 || timeout > CONNECT_POLL_MS))
		timeout = CONNECT_POLL_MS;
	WaitEvent events[MOST_EVENTS];
	const int count = WaitEventSetWait(many->wait_set, static_cast<long>(timeout), events,
									   MOST_EVENTS, PG_WAIT_EXTENSION);
	for (int index = 0; index < count; index++)
	{
		if (events[index].events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			remote::check_interrupts();
		}
		else if (events[index].events & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE))
			advance(execution, many->workers[static_cast<int>(
								   reinterpret_cast<intptr_t>(events[index].user_data))]);
	}
	remote::check_interrupts();
	pg::call_core([&] { flow::tick(many->flow, now_us()); });
}

} // namespace civitas::executor
