/*
 * cancel.cpp: asking another node to cancel what a session runs, without ever blocking on it.
 *
 * libpq's PQcancel() connects, sends the request and waits until the server hangs up; a server that
 * is frozen never does, and nothing interrupts the wait. So it is made by a short-lived thread that
 * does nothing else: it touches neither palloc nor elog nor anything of this process but its
 * request, takes no signals, and may be left behind. Everybody else waits for it only as long as he
 * likes.
 *
 * A session whose request has not come back must not run anything else: the request could hit that.
 * finish_cancel() is the gate; find_idle() and finish_quietly() go through it.
 *
 * A request hits whatever the node is at when it arrives. What must not be hit (the session's proof,
 * the savepoint that a stopped read goes back to) is shielded: the node is asked for its answer at
 * once, and the request leaves when that has been read.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

CIVITAS_PG_BEGIN
#include "miscadmin.h"
#include "storage/ipc.h"
CIVITAS_PG_END

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <pthread.h>
#include <semaphore.h>

namespace civitas::remote {

/* Shared by the session and the thread; the last of the two frees it. malloc'ed. */
struct CancelRequest
{
	PGcancel *cancel;
	sem_t done;
	int owners;
};

namespace {

constexpr size_t THREAD_STACK = 256 * 1024;

void let_go(CancelRequest *request)
{
	if (__atomic_sub_fetch(&request->owners, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	PQfreeCancel(request->cancel);
	sem_destroy(&request->done);
	free(request);
}

void *run_request(void *argument)
{
	CancelRequest *request = static_cast<CancelRequest *>(argument);
	char message[256];
	PQcancel(request->cancel, message, sizeof(message));
	sem_post(&request->done);
	let_go(request);
	return nullptr;
}

/* The new thread takes no signal: the server's handlers belong to the process's own. */
bool start_thread(CancelRequest *request)
{
	pthread_attr_t attributes;
	if (pthread_attr_init(&attributes) != 0)
		return false;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_t thread;
	const bool started = pthread_create(&thread, &attributes, run_request, request) == 0;
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	pthread_attr_destroy(&attributes);
	return started;
}

} // namespace

void send_cancel(Session *session)
{
	session->cancel_owed = session->item_count > 0 && session->items[session->item_head].shielded;
	if (session->cancel_owed || session->state != SessionState::Connected || !session->busy ||
		!finish_cancel(session, 0))
		return;
	CancelRequest *request = static_cast<CancelRequest *>(malloc(sizeof(CancelRequest)));
	if (request == nullptr)
		return;
	request->cancel = PQgetCancel(session->conn);
	request->owners = 2;
	sem_init(&request->done, 0, 0);
	if (request->cancel == nullptr || !start_thread(request))
	{
		request->owners = 1;
		let_go(request);
		return;
	}
	session->cancel_request = request;
}

bool finish_cancel(Session *session, long timeout_ms)
{
	/* A process that is told to die does not wait longer than this in one go. */
	constexpr long SLICE_MS = 100;
	CancelRequest *request = session->cancel_request;
	if (request == nullptr)
		return true;
	for (;;)
	{
		const long wait_ms = timeout_ms < SLICE_MS ? timeout_ms : SLICE_MS;
		timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += (wait_ms > 0 ? wait_ms : 0) * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		if (sem_timedwait(&request->done, &until) == 0)
			break;
		timeout_ms -= wait_ms;
		if (timeout_ms <= 0 || ProcDiePending)
			return false;
	}
	session->cancel_request = nullptr;
	let_go(request);
	return true;
}

void forget_cancel(Session *session)
{
	if (session->cancel_request != nullptr)
		let_go(session->cancel_request);
	session->cancel_request = nullptr;
}

} // namespace civitas::remote
