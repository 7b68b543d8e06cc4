/*
 * session.h: a libpq session to another node.
 *
 * Sessions live in a per-backend registry (TopMemoryContext) and survive errors and transactions;
 * whoever raises an error half-way leaves the session marked busy, and txn's transaction callback
 * puts it right or closes it. Endpoints are passed in, never looked up. Every wait is on the
 * session's socket and the process latch and checks for interrupts. Nothing here knows about
 * transactions across nodes: see txn.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/base/secret.h"
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "libpq-fe.h"
CIVITAS_PG_END

#include <span>

namespace civitas::remote {

/* Where to connect and as whom. */
struct Endpoint
{
	NodeId node_id;
	const char *host;
	int32 port;
	const char *user;
	const char *database;
	const char *authinfo; /* extra conninfo (password=...), or null; never printed */
	/* A session that also takes the commands of logical replication. */
	bool replication = false;
	/* What the session proves with that a node opened it; null: it is a client's there. Never
	 * printed.
	 */
	const Secret *secret = nullptr;
	/* It will carry a user's own text: the node's internal functions refuse to be called in it. */
	bool user_text = false;
};

struct Session; /* opaque outside remote; see accessors */

/* --- opening and closing ------------------------------------------------------------------- */

/*
 * Starts connecting (citus.node_conninfo and authinfo are applied; TLS by default;
 * application_name is "citus_internal gpid=<global pid>"). The session is in the registry from here
 * on. Several may be started and then finished together. Raises 53200, or F0000 for a bad
 * citus.node_conninfo.
 */
Session *start_connect(const Endpoint& endpoint);
/* Same, but null where citus.max_shared_pool_size leaves no room: start_connect() waits for it.
 * `required`: the statement cannot run without the session; one that merely makes it faster leaves
 * room for those who wait, and does not wait for a node that is out of connections. */
Session *try_start_connect(const Endpoint& endpoint, bool required);
/* Advances a connect in progress as its socket allows. True once connected; on failure returns
 * false and failed() is true. */
bool poll_connect(Session *session);
/* citus.node_connection_timeout. */
int connection_timeout_ms();
/* Sets it for the rest of this process. */
void set_connection_timeout(int timeout_ms);
/* Waits for a started connect, bounded by that. Raises 08006 naming
 * host:port. */
void finish_connect(Session *session);
/* Same for several at once. */
void finish_connects(std::span<Session *const> sessions);
/* start_connect + finish_connect. */
Session *connect(const Endpoint& endpoint);
/* A connected, idle session to the same (host, port, user, database) from the registry; null where
 * there is none. A session whose server closed it meanwhile is noticed here and dropped. */
Session *find_idle(const Endpoint& endpoint);
/* A backend waits for room that this kept session takes up. Cheap. */
bool wanted_by_others(const Session *session);
/* Whether an endpoint is this very server; set by txn. */
extern bool (*is_this_server_hook)(const Endpoint& endpoint);
/* Closes and forgets. Never raises. */
void close(Session *session);

/* --- accessors ----------------------------------------------------------------------------- */

/* libpq's handle. While a node that is starting up is tried again its socket is -1: poll_connect()
 * now and then. */
PGconn *connection(Session *session);
const char *host(const Session *session);
int32 port(const Session *session);
NodeId node_id(const Session *session);
bool failed(const Session *session);
/* Connecting, and the node has said that it has no room now or is starting up: it is tried again.
 */
bool turned_away(const Session *session);
/* A statement was sent and its results have not all been read. */
bool busy(const Session *session);
/* Bytes of result data received since the session was opened. */
uint64 bytes_received(const Session *session);
/* Output waits for room in the socket: wait for it to be writable too, then consume_input(). */
bool wants_write(const Session *session);
/* The major version of the node's server, such as 17. Nodes of a cluster may have several, for as long as it is being
 * upgraded: what a newer server has is not said to an older one. Once connected. */
int server_major(const Session *session);
/* When the connection was made. */
TimestampTz connected_at(const Session *session);
/* Marks as claimed by a running execution, so that find_idle() passes over it. */
void set_claimed(Session *session, bool claimed);
bool claimed(const Session *session);
/* One pointer's worth of state that belongs to txn; palloc'ed in session_context(), freed with the
 * session. */
void set_transaction_state(Session *session, void *state);
void *transaction_state(const Session *session);
MemoryContext session_context(Session *session);
/* Calls visit(session, argument) for every session of the registry; visit may close that session.
 */
void for_each_session(void (*visit)(Session *, void *), void *argument);

/* --- sending (no wait but for socket space; marks busy) ------------------------------------- */

/* One or several statements by the simple protocol, text results. The first of a session waits for
 * the node to have accepted its proof (node_token.h). */
void send_simple(Session *session, const char *sql);
/* The same for one statement whose rows do not matter, to be drained: it leaves together with the
 * proof. */
void send_single(Session *session, const char *sql);

/* Values for a parameterised statement. Arrays of `count`; types may hold 0 for "let the node
 * infer". */
struct Parameters
{
	int count = 0;
	const Oid *types = nullptr;
	const char *const *values = nullptr; /* null entry = SQL NULL */
	const int *lengths = nullptr;		 /* for binary formats */
	const int *formats = nullptr;		 /* 0 text, 1 binary */
};

/*
 * Pipelined sending: begin_pipeline, any number of queue_*, then flush_pipeline leaves in one flush
 * with one Sync. Results come back in the order queued through next_result(), each statement closed
 * by a null; end with the sync result. Statements after a failed one come back as
 * PGRES_PIPELINE_ABORTED.
 */
void begin_pipeline(Session *session);
void queue_query(Session *session, const char *sql, const Parameters& parameters,
				 bool binary_result);
/* Prepares under a name that the session keeps (LRU bounded; the same sql and types reuse it) and
 * executes. */
void queue_prepared(Session *session, const char *sql, const Parameters& parameters,
					bool binary_result);
void flush_pipeline(Session *session);
/* For txn: a statement whose results callers do not see unless it fails (then they are those of the
 * next statement), and a Sync that callers do not see, so that what is queued before it is
 * committed on its own. */
void queue_hidden(Session *session, const char *sql);
/* The same as a prepared statement, with values. */
void queue_hidden_prepared(Session *session, const char *sql, const Parameters& parameters = {});
void queue_hidden_sync(Session *session);
/* What is queued since the last statement of the caller is not to be hit by a cancel: the node
 * answers it without waiting for the Sync, and send_cancel() holds the request back until that
 * answer was read. */
void shield_queued(Session *session);
/* For txn: the statement that has the node run what follows in this transaction in the name of a
 * role, whoever the session was opened as. Only for sessions that prove themselves to their node, and
 * after the first flush. In CurrentMemoryContext. */
bool proves_itself(const Session *session);
char *role_statement(Session *session, const char *role);
/* The node's prepared statements are made anew before their next use, in all sessions: after a
 * change of a table. */
void forget_prepared_statements();

/* --- receiving ----------------------------------------------------------------------------- */

/*
 * TLS records of the reply to what was just sent may be read several at a time, one system call for
 * all. Only for callers that wait in this module: who waits on the socket itself would miss what
 * was read ahead. Ends with the next flush.
 */
void read_ahead(Session *session);
/* Turn row-by-row delivery on for the statement whose results come next. */
void set_single_row(Session *session);
/* Reads what the socket holds without blocking; flushes pending output. False when the connection
 * is lost. */
bool consume_input(Session *session);
/* The next result if it can be had without waiting, into *result (null = end of this statement).
 * False: would block. */
bool try_next_result(Session *session, PGresult **result);
/* Like try_next_result but waits. False when the connection is lost. */
bool wait_result(Session *session, PGresult **result);
/* Same, but raises 08006 when the connection is lost. */
PGresult *next_result(Session *session);
/* While a result says PGRES_COPY_OUT: the next piece of the data (of a COPY: one row, the first
 * with what precedes it) into *data, which is emptied first. Waits. False at the end of the data;
 * the command's own result is still to be read. */
bool receive_copy_data(Session *session, StringInfo data);
/* Reads and drops everything until the session is idle; raises the first error among the results.
 */
void drain(Session *session);
/* Drops what has arrived, but not more than some thousand rows. True when the session is idle. */
bool discard_arrived(Session *session);
/* Same as drain(), without raising; cancels first when `cancel`, else the caller has cancelled
 * already: further parts of a pipeline are cancelled as their turn comes. False when the session
 * had to be given up within timeout_ms. */
bool drain_quietly(Session *session, bool cancel, int timeout_ms);
/* For places where nothing may be raised: sends a command by the simple protocol; false when it
 * cannot be sent. */
bool send_quietly(Session *session, const char *sql);
/* ... and reads until the session is idle: the first error (to be PQclear'ed; null: none) and the
 * last command tag. False when the session was lost or had to be given up, within timeout_ms or
 * within patience_ms after this process was told to stop: the outcome is unknown then. */
bool finish_quietly(Session *session, int timeout_ms, int patience_ms, PGresult **error,
					char (&tag)[64]);
/* Asks the server to cancel what the session runs, and does not wait for it: drain_quietly() or
 * finish_quietly() must follow before the session is used again. What is shielded is left to end
 * first. Never raises. */
void send_cancel(Session *session);

/* Results hold malloc'ed memory: own() hands one to the registry, which clears it when the memory
 * context goes away or when release() is called, whichever is first. */
PGresult *own(PGresult *result, MemoryContext context = CurrentMemoryContext);
void release(PGresult *result);

/* --- whole statements ---------------------------------------------------------------------- */

/* send_simple + drain: for statements whose rows do not matter. */
void execute(Session *session, const char *sql);
/* send_single + drain. */
void execute_single(Session *session, const char *sql);
/* Sends, waits, returns the last result, owned by CurrentMemoryContext. Raises remote errors. */
PGresult *query(Session *session, const char *sql);

/* --- errors -------------------------------------------------------------------------------- */

/*
 * Raises a failed result as this server's own error: SQLSTATE, message, detail, hint, schema,
 * table, column, data type and constraint fields, the remote context, plus "while executing a
 * command on host:port". Shard names in table, constraint and message are turned back to the names
 * that the user knows through the hook below. Clears the result.
 */
[[noreturn]] void raise_remote_error(Session *session, PGresult *result);
/* Same fields at a lower level (WARNING, NOTICE) without clearing. */
void report_remote_error(int level, Session *session, const PGresult *result);
/* Same fields as a value, without the node; in CurrentMemoryContext. Does not clear. */
ErrorData *error_data(const Session *session, const PGresult *result);
/* Set by the composition root: maps a shard-level relation or index name to the logical one;
 * returns null to leave it. */
extern char *(*logical_name_hook)(const char *shard_level_name);
/* Raises 08006 for a lost connection; the message of libpq is stripped of anything from the
 * conninfo. */
[[noreturn]] void raise_connection_lost(Session *session);

/* CHECK_FOR_INTERRUPTS() for waits on other nodes: first calls the hook, which may raise. Set by
 * txn. */
void check_interrupts();
extern void (*interrupt_hook)();

/* Told of each session that was made, could not be made, or was found kept; null: nobody asks. Must
 * not raise. */
enum class SessionEvent
{
	Established,
	Failed,
	Reused
};
extern void (*session_event_hook)(SessionEvent event);

/* This backend's global pid, for application_name; set by txn, which knows the node. */
extern int64 (*global_pid_hook)();

void session_init();

} // namespace civitas::remote
