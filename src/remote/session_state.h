/*
 * session_state.h: what a session is, for the files of this module.
 *
 * A session owns a memory context below TopMemoryContext, a PGconn and (once connected) a
 * WaitEventSet of its socket, the latch and postmaster death. Results arrive in the order of
 * `items`, the queue of what was sent in pipeline mode; Hidden items (PREPARE, DEALLOCATE,
 * settings) are consumed here and never shown to callers unless they fail.
 */
#pragma once

#include "civitas/remote/node_token.h"
#include "civitas/remote/session.h"

CIVITAS_PG_BEGIN
#include "lib/ilist.h"
#include "storage/latch.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

#ifdef USE_OPENSSL
#include <openssl/ssl.h>
#endif

namespace civitas::remote {

enum class SessionState : uint8
{
	Connecting,
	Connected,
	Failed
};

enum class ItemKind : uint8
{
	Query,	   /* results go to the caller */
	Hidden,	   /* results are dropped */
	Prepare,   /* like Hidden; confirms or forgets a prepared statement */
	Token,	   /* like Hidden; the session's proof, of which nothing is shown */
	Sync,	   /* the end of a flush, shown to the caller */
	HiddenSync /* the end of a part that the caller did not ask for */
};

/* One statement or Sync of the pipeline whose results have not all been read. */
struct Item
{
	ItemKind kind;
	bool shielded;		  /* no cancel may hit it, see shield_queued() */
	uint64 statement_key; /* Prepare: of which prepared statement */
};
CIVITAS_SERVER_STATE(Item);

/* A statement that the node holds for this session. Owned by the session's context. */
struct PreparedStatement
{
	uint64 key; /* hash of text and types; must be first */
	dlist_node lru;
	char name[48];
	char *sql;
	Oid *types;
	int type_count;
	bool confirmed; /* the node answered the PREPARE */
	bool stale;		/* to be prepared again before its next use */
};
CIVITAS_SERVER_STATE(PreparedStatement);

/* A message of the node waiting to be forwarded; malloc'ed, because libpq's callback must not
 * raise. */
struct PendingNotice
{
	PendingNotice *next;
	int level;
	char *fields[6]; /* sqlstate, message, detail, hint, context, unused */
};

/* A request to cancel that is under way (cancel.cpp). */
struct CancelRequest;

struct Session
{
	dlist_node link;
	MemoryContext context;
	PGconn *conn;
#ifdef USE_OPENSSL
	SSL *ssl; /* null without TLS */
#endif
	WaitEventSet *wait_set;
	int socket_position;
	uint32 wait_events;

	char *host;
	char *user;
	char *database;
	bool replication;
	char *authinfo; /* only while connecting; overwritten after */
	Secret *secret; /* null, or what the first flush proves with; overwritten after */
	Secret *key;	/* null, or what it proves with that another role's statements follow */
	int64 role_switches;
	bool user_text;
	bool proving;	   /* the node has not answered the proof yet: its messages may repeat it */
	bool proof_failed; /* not to be used again; its error may repeat it too */
	int32 port;
	NodeId node_id;
	int place;	   /* where its room is counted (room.cpp); -1: nowhere */
	bool required; /* a node without room for connections is tried again */

	SessionState state;
	PostgresPollingStatusType poll_status;
	TimestampTz deadline; /* of the connect */
	TimestampTz retry_at; /* 0, or when to try again a node that turned us away */
	TimestampTz connected_at;

	bool busy;
	bool claimed;
	bool want_single_row;
	bool flush_pending;
	unsigned int user_timeout; /* ms; in force while not patient */
	bool patient;			   /* the node may leave what we send unread for as long as it likes */
	bool discard_notices;
	bool reads_ahead;			/* OpenSSL may hold more than one record */
	bool farewell;				/* the server said that it closes the session */
	uint64 conninfo_generation; /* of citus.node_conninfo when it was opened */
	PendingNotice *first_notice;
	PendingNotice *last_notice;
	uint64 bytes_received;
	void *transaction_state;
	CancelRequest *cancel_request; /* null: none */
	bool cancel_owed;			   /* one is to be sent when what is shielded was answered */

	/* Ring of items: head is the one whose results come next. */
	Item *items;
	int item_capacity;
	int item_head;
	int item_count;
	/* The error of a Hidden or Prepare item, given to the statement it was for. */
	PGresult *deferred_error;

	HTAB *prepared;
	dlist_head prepared_lru; /* most recently used first */
	int prepared_count;
	uint64 prepared_number;
	uint32 *seen; /* marks of statements sent once, by key; null before the first */
};
CIVITAS_SERVER_STATE(Session);

/* How a wait treats interrupts. */
enum class Interrupts
{
	Process, /* CHECK_FOR_INTERRUPTS, may raise; ends the process with the postmaster */
	Hold	 /* returns, so that the caller can look at them */
};

/* Settings of this module. */
extern char *node_conninfo;
extern uint64 conninfo_generation; /* changes when node_conninfo does */
extern int node_connection_timeout;
extern bool log_remote_commands;
extern int worker_min_messages;

/* room.cpp */
enum class Room
{
	Taken,
	None
};
/* Takes room for one session; *place is where (-1: not counted), also where there is no room. */
Room take_room(const Endpoint& endpoint, bool required, int *place);
/* Waits for room at a place and takes it. May be cancelled. */
void wait_for_room(const Endpoint& endpoint, int place);
void give_room_back(int place);
void room_init();

/* conninfo.cpp */
void conninfo_init();
PGconn *start_libpq_connect(const Session *session);
/* libpq's last message without line end and, should it hold one, without secrets. In
 * CurrentMemoryContext. */
char *safe_connection_message(const Session *session);
/* The SQLSTATE in the message of a failed connect, or "". */
const char *connect_sqlstate(const PGconn *conn, char (&buffer)[6]);
/* An error message of a failed connect as the server wrote it: without "FATAL: code:" and LOCATION.
 */

/* session.cpp */
/* Waits for the session's socket; false on timeout (timeout_ms -1: none). With Interrupts::Hold
 * true also when the latch was set. */
bool wait_socket(Session *session, uint32 events, long timeout_ms, Interrupts interrupts);
void mark_failed(Session *session);
/* Whether the postmaster is gone: whoever holds interrupts must not wait for anybody then. */
bool postmaster_is_gone();
/* While a node may leave a stream unread (COPY behind a lock, more than the sockets hold) its
 * closed window is no sign of a lost node. */
void set_patient(Session *session, bool patient);

/* cancel.cpp */
/* Waits for the request that send_cancel() made; false: it has not come back in time. Never raises.
 */
bool finish_cancel(Session *session, long timeout_ms);
void forget_cancel(Session *session);

/* statements.cpp */
/* Input is held by OpenSSL: the socket need not become readable. */
bool input_buffered(const Session *session);
/* One step of result processing: false where it would block; never raises, never waits. */
bool take_result(Session *session, PGresult **result);
void reset_pipeline(Session *session);

/* proof.cpp */
/* The session's token; its secret is overwritten, what follows from it kept. */
void make_proof(Session *session, uint8 (&token)[NODE_TOKEN_SIZE]);
void forget_secrets(Session *session);

/* errors.cpp */
void install_notice_receiver(Session *session);
void forward_notices(Session *session);
void drop_notices(Session *session);
void log_command(const Session *session, const char *sql);

/* certificate.cpp */
void certificate_init();

/* incoming.cpp */
void incoming_init();

} // namespace civitas::remote
