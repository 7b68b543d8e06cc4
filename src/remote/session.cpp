/*
 * session.cpp: the registry of sessions, connecting, waiting.
 *
 * The registry is a list in TopMemoryContext: a session is in it from the start of its connect
 * until close(). Connecting is a state machine driven by poll_connect(); a node that answers
 * "starting up" (57P03) or "too many clients" (53300) is tried again until the time-out. Each
 * connected session keeps one WaitEventSet, so that a wait is one system call.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

#include "civitas/pg/clock.h"
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "mb/pg_wchar.h"
#include "storage/ipc.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace civitas::remote {

void (*session_event_hook)(SessionEvent);

namespace {

void report_event(SessionEvent event)
{
	if (session_event_hook != nullptr)
		session_event_hook(event);
}

dlist_head registry = DLIST_STATIC_INIT(registry);
bool exit_callback_registered;
bool postmaster_gone;

/* Time between tries of a node that is starting up or has no free connection, ms. */
constexpr int RETRY_INTERVAL = 100;

/* Sends the goodbye, so that the nodes' logs do not speak of lost connections. */
void close_all(int code, Datum argument)
{
	dlist_mutable_iter iter;
	dlist_foreach_modify(iter, &registry) close(dlist_container(Session, link, iter.cur));
}

void begin_connect_attempt(Session *session)
{
	if (session->conn != nullptr)
	{
		PQfinish(session->conn);
		session->conn = nullptr;
	}
	session->conn = start_libpq_connect(session);
	session->retry_at = 0;
	session->poll_status =
		PQstatus(session->conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
}

/* The connection stands: from here on it does not block and has a wait set. */
void complete_connect(Session *session)
{
	PQsetnonblocking(session->conn, 1);
#ifdef USE_OPENSSL
	session->ssl = static_cast<SSL *>(PQsslStruct(session->conn, "OpenSSL"));
#endif
	PQsetErrorVerbosity(session->conn, PQERRORS_DEFAULT);
	install_notice_receiver(session);

	session->wait_set = pg::create_wait_set(3);
	AddWaitEventToSet(session->wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
	/* Not EXIT_ON_PM_DEATH: a commit that waits must not end in the middle. */
	AddWaitEventToSet(session->wait_set, WL_POSTMASTER_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
	session->wait_events = WL_SOCKET_READABLE;
	session->socket_position = AddWaitEventToSet(session->wait_set, WL_SOCKET_READABLE,
												 PQsocket(session->conn), nullptr, nullptr);

	if (session->authinfo != nullptr)
	{
		explicit_bzero(session->authinfo, strlen(session->authinfo));
		pfree(session->authinfo);
		session->authinfo = nullptr;
	}
	session->connected_at = GetCurrentTimestamp();
	session->state = SessionState::Connected;
	report_event(SessionEvent::Established);
}

[[noreturn]] void raise_connect_failure(Session *session, bool timed_out)
{
	char *message = safe_connection_message(session);
	char *host_name = pstrdup(session->host);
	const int32 port_number = session->port;
	close(session);
	if (timed_out)
		ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
						errmsg("could not connect to node %s:%d within %d ms", host_name,
							   port_number, node_connection_timeout),
						errhint("Check that the node is up and reachable, or raise "
								"citus.node_connection_timeout.")));
	ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
					errmsg("could not connect to node %s:%d", host_name, port_number),
					errdetail_internal("%s", message),
					strstr(message, "does not support SSL") != nullptr
						? errhint("Turn ssl on there, or choose another sslmode in "
								  "citus.node_conninfo.")
						: 0));
}

/* Waits until one of the connecting sessions can go on, at most `timeout` ms. */
void wait_for_connects(std::span<Session *const> sessions, long timeout)
{
	WaitEventSet *set = pg::create_wait_set(static_cast<int>(sessions.size()) + 2);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
	for (Session *session : sessions)
	{
		if (session->state != SessionState::Connecting)
			continue;
		const int socket = PQsocket(session->conn);
		if (socket < 0 || session->retry_at != 0)
		{
			timeout = timeout < RETRY_INTERVAL ? timeout : RETRY_INTERVAL;
			continue;
		}
		AddWaitEventToSet(set,
						  session->poll_status == PGRES_POLLING_READING ? WL_SOCKET_READABLE
																		: WL_SOCKET_WRITEABLE,
						  socket, nullptr, nullptr);
	}
	WaitEvent event;
	const int count = WaitEventSetWait(set, timeout, &event, 1, PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);
	if (count > 0 && (event.events & WL_LATCH_SET) != 0)
	{
		ResetLatch(MyLatch);
		check_interrupts();
	}
}

bool same_endpoint(const Session *session, const Endpoint& endpoint)
{
	return session->port == endpoint.port && strcmp(session->host, endpoint.host) == 0 &&
		   session->replication == endpoint.replication &&
		   session->user_text == endpoint.user_text && strcmp(session->user, endpoint.user) == 0 &&
		   strcmp(session->database, endpoint.database) == 0;
}

/* Whether the server has closed an idle connection, or is about to (it sent a farewell). */
bool closed_by_server(Session *session)
{
	const int socket = PQsocket(session->conn);
	if (socket < 0 || PQstatus(session->conn) != CONNECTION_OK)
		return true;
	for (int attempt = 0; attempt < 4; attempt++)
	{
		char byte;
		const ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
		if (got == 0)
			return true;
		if (got < 0)
			return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
		/* Something unasked for: a notice, a changed parameter, or the last words of the server. */
		session->discard_notices = true;
		const bool alive = PQconsumeInput(session->conn) == 1;
		PQisBusy(session->conn);
		session->discard_notices = false;
		if (!alive || session->farewell || PQstatus(session->conn) != CONNECTION_OK)
			return true;
	}
	return false;
}

} // namespace

namespace {

/* The room is taken; it is given back when the session is closed. */
Session *start_session(const Endpoint& endpoint, int place, bool required)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "civitas session", ALLOCSET_SMALL_SIZES);
	Session *session = static_cast<Session *>(MemoryContextAllocZero(context, sizeof(Session)));
	session->context = context;
	session->place = place;
	session->required = required;
	session->host = MemoryContextStrdup(context, endpoint.host);
	session->user = MemoryContextStrdup(context, endpoint.user);
	session->database = MemoryContextStrdup(context, endpoint.database);
	if (endpoint.authinfo != nullptr)
		session->authinfo = MemoryContextStrdup(context, endpoint.authinfo);
	session->port = endpoint.port;
	session->replication = endpoint.replication;
	session->user_text = endpoint.user_text;
	/* Sessions for replication take no parameters, and need no proof: they call nothing of ours. */
	if (endpoint.secret != nullptr && !endpoint.replication)
	{
		session->secret = static_cast<Secret *>(MemoryContextAlloc(context, sizeof(Secret)));
		*session->secret = *endpoint.secret;
	}
	session->node_id = endpoint.node_id;
	session->state = SessionState::Connecting;
	session->conninfo_generation = conninfo_generation;
	session->deadline = TimestampTzPlusMilliseconds(pg::monotonic_now(), node_connection_timeout);
	dlist_init(&session->prepared_lru);
	dlist_push_head(&registry, &session->link);

	return session;
}

/* In the registry first: from then on an error leaves it to be closed, and its room given back. */
Session *start_with_room(const Endpoint& endpoint, int place, bool required)
{
	if (!exit_callback_registered)
	{
		/* After the transaction's end, while shared memory can still be written. */
		on_shmem_exit(close_all, 0);
		exit_callback_registered = true;
	}
	Session *session = start_session(endpoint, place, required);
	begin_connect_attempt(session);
	return session;
}

} // namespace

Session *start_connect(const Endpoint& endpoint)
{
	int place;
	if (take_room(endpoint, true, &place) == Room::None)
		wait_for_room(endpoint, place);
	return start_with_room(endpoint, place, true);
}

Session *try_start_connect(const Endpoint& endpoint, bool required)
{
	int place;
	if (take_room(endpoint, required, &place) == Room::None)
		return nullptr;
	return start_with_room(endpoint, place, required);
}

bool poll_connect(Session *session)
{
	if (session->state != SessionState::Connecting)
		return session->state == SessionState::Connected;

	if (session->retry_at != 0)
	{
		if (pg::monotonic_now() < session->retry_at)
			return false;
		begin_connect_attempt(session);
	}
	else if (session->poll_status != PGRES_POLLING_FAILED)
		session->poll_status = PQconnectPoll(session->conn);

	if (session->poll_status == PGRES_POLLING_OK)
	{
		complete_connect(session);
		return true;
	}
	if (session->poll_status == PGRES_POLLING_FAILED)
	{
		char sqlstate[6];
		const TimestampTz next_try =
			TimestampTzPlusMilliseconds(pg::monotonic_now(), RETRY_INTERVAL);
		connect_sqlstate(session->conn, sqlstate);
		/* It starts up, or has no connection to spare just now. */
		const bool passing =
			strcmp(sqlstate, "57P03") == 0 || (session->required && strcmp(sqlstate, "53300") == 0);
		if (passing && next_try < session->deadline)
			session->retry_at = next_try;
		else
			session->state = SessionState::Failed;
	}
	return false;
}

void finish_connects(std::span<Session *const> sessions)
{
	for (;;)
	{
		Session *waiting = nullptr;
		for (Session *session : sessions)
		{
			if (session->state == SessionState::Connecting)
				poll_connect(session);
			if (session->state == SessionState::Failed)
				raise_connect_failure(session, false);
			if (session->state == SessionState::Connecting &&
				(waiting == nullptr || session->deadline < waiting->deadline))
				waiting = session;
		}
		if (waiting == nullptr)
			return;

		const long remaining =
			TimestampDifferenceMilliseconds(pg::monotonic_now(), waiting->deadline);
		if (remaining <= 0)
			raise_connect_failure(waiting, true);
		wait_for_connects(sessions, remaining);
	}
}

void finish_connect(Session *session)
{
	finish_connects({&session, 1});
}

Session *connect(const Endpoint& endpoint)
{
	Session *session = start_connect(endpoint);
	finish_connect(session);
	return session;
}

Session *find_idle(const Endpoint& endpoint)
{
	dlist_mutable_iter iter;
	dlist_foreach_modify(iter, &registry)
	{
		Session *session = dlist_container(Session, link, iter.cur);
		if (session->state == SessionState::Failed && !session->claimed &&
			session->transaction_state == nullptr)
		{
			close(session);
			continue;
		}
		if (session->state != SessionState::Connected || session->claimed || session->busy ||
			!same_endpoint(session, endpoint) || PQtransactionStatus(session->conn) != PQTRANS_IDLE)
			continue;
		if (session->conninfo_generation != conninfo_generation || session->proof_failed ||
			!finish_cancel(session, 0) || closed_by_server(session))
		{
			close(session);
			continue;
		}
		session->node_id = endpoint.node_id;
		report_event(SessionEvent::Reused);
		return session;
	}
	return nullptr;
}

void close(Session *session)
{
	dlist_delete(&session->link);
	if (session->connected_at == 0 &&
		(session->state == SessionState::Failed || pg::monotonic_now() >= session->deadline))
		report_event(SessionEvent::Failed);
	if (session->wait_set != nullptr)
		FreeWaitEventSet(session->wait_set);
	if (session->deferred_error != nullptr)
		PQclear(session->deferred_error);
	forget_cancel(session);
	session->discard_notices = true;
	if (session->conn != nullptr)
		PQfinish(session->conn);
	drop_notices(session);
	give_room_back(session->place);
	if (session->authinfo != nullptr)
		explicit_bzero(session->authinfo, strlen(session->authinfo));
	forget_secrets(session);
	MemoryContextDelete(session->context);
}

void (*interrupt_hook)();

void check_interrupts()
{
	if (interrupt_hook != nullptr && INTERRUPTS_CAN_BE_PROCESSED())
		interrupt_hook();
	CHECK_FOR_INTERRUPTS();
}

void mark_failed(Session *session)
{
	session->state = SessionState::Failed;
	session->busy = false;
	reset_pipeline(session);
}

bool wait_socket(Session *session, uint32 events, long timeout_ms, Interrupts interrupts)
{
	/* libpq has closed the socket of a lost connection: there is news to read, without a wait. */
	if (PQsocket(session->conn) < 0 || session->wait_set == nullptr || input_buffered(session))
		return true;
	if (events != session->wait_events)
	{
		ModifyWaitEvent(session->wait_set, session->socket_position, events, nullptr);
		session->wait_events = events;
	}

	WaitEvent happened[3];
	const TimestampTz start = timeout_ms >= 0 ? pg::monotonic_now() : 0;
	for (;;)
	{
		long remaining = timeout_ms;
		if (timeout_ms >= 0)
		{
			remaining -= TimestampDifferenceMilliseconds(start, pg::monotonic_now());
			if (remaining < 0)
				remaining = 0;
		}
		const int count =
			WaitEventSetWait(session->wait_set, remaining, happened, 3, PG_WAIT_EXTENSION);
		bool ready = false;
		bool woken = false;
		for (int i = 0; i < count; i++)
		{
			if ((happened[i].events & WL_LATCH_SET) != 0)
			{
				ResetLatch(MyLatch);
				woken = true;
			}
			if ((happened[i].events & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE)) != 0)
				ready = true;
			if ((happened[i].events & WL_POSTMASTER_DEATH) != 0)
			{
				if (interrupts == Interrupts::Process)
					proc_exit(1);
				postmaster_gone = woken = true;
			}
		}
		if (interrupts == Interrupts::Process)
			check_interrupts();
		if (ready || (woken && interrupts == Interrupts::Hold))
			return true;
		if (timeout_ms >= 0 && remaining == 0)
			return false;
	}
}

bool postmaster_is_gone()
{
	return postmaster_gone;
}

void set_patient(Session *session, bool patient)
{
	if (session->patient == patient || PQsocket(session->conn) < 0)
		return;
	session->patient = patient;
#ifdef TCP_USER_TIMEOUT
	if (patient)
	{
		socklen_t length = sizeof(session->user_timeout);
		if (getsockopt(PQsocket(session->conn), IPPROTO_TCP, TCP_USER_TIMEOUT,
					   &session->user_timeout, &length) != 0)
			session->user_timeout = 0;
	}
	const unsigned int timeout = patient ? 0 : session->user_timeout;
	(void) setsockopt(PQsocket(session->conn), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout,
					  sizeof(timeout));
#endif
}

PGconn *connection(Session *session)
{
	return session->conn;
}

const char *host(const Session *session)
{
	return session->host;
}

int32 port(const Session *session)
{
	return session->port;
}

NodeId node_id(const Session *session)
{
	return session->node_id;
}

bool failed(const Session *session)
{
	return session->state == SessionState::Failed;
}

bool busy(const Session *session)
{
	return session->busy;
}

bool wants_write(const Session *session)
{
	return session->flush_pending;
}

int server_major(const Session *session)
{
	return PQserverVersion(session->conn) / 10000;
}

TimestampTz connected_at(const Session *session)
{
	return session->connected_at;
}

uint64 bytes_received(const Session *session)
{
	return session->bytes_received;
}

void set_claimed(Session *session, bool is_claimed)
{
	session->claimed = is_claimed;
}

bool claimed(const Session *session)
{
	return session->claimed;
}

void set_transaction_state(Session *session, void *state)
{
	session->transaction_state = state;
}

void *transaction_state(const Session *session)
{
	return session->transaction_state;
}

MemoryContext session_context(Session *session)
{
	return session->context;
}

void for_each_session(void (*visit)(Session *, void *), void *argument)
{
	dlist_mutable_iter iter;
	dlist_foreach_modify(iter, &registry) visit(dlist_container(Session, link, iter.cur), argument);
}

void forget_prepared_statements()
{
	dlist_iter iter;
	dlist_foreach(iter, &registry)
	{
		Session *session = dlist_container(Session, link, iter.cur);
		dlist_iter statement;
		dlist_foreach(statement, &session->prepared_lru)
			dlist_container(PreparedStatement, lru, statement.cur)
				->stale = true;
	}
}

void session_init()
{
	conninfo_init();
	certificate_init();
	incoming_init();
	room_init();
}

} // namespace civitas::remote
