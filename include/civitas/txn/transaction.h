/*
 * transaction.h: the part of this transaction that runs on other nodes.
 *
 * A session takes part in the transaction from the first statement that is sent inside a remote
 * BEGIN. Commit: one write session and no local writes that matter -> its COMMIT is the commit;
 * several -> two-phase commit with records in pg_dist_transaction (see the module README for the
 * state diagram). Abort reaches all. The one transaction callback and the one subtransaction
 * callback of the extension are here.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/catalog/nodes.h"
#include "civitas/pg/vec.h"
#include "civitas/remote/session.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::txn {

/* Whether who wants to go to a node waits while another server takes its place (pause_group()). */
enum class Pauses
{
	Heeded,
	Ignored /* to look whether it answers */
};
/* The endpoint of a node for the current user and database, with its authinfo. In
 * CurrentMemoryContext. */
remote::Endpoint endpoint_of(const catalog::Node& node, Pauses pauses = Pauses::Heeded);
/* Same without the authinfo, which costs a look into a catalog: enough to find a session that
 * exists. */
remote::Endpoint address_of(const catalog::Node& node, Pauses pauses = Pauses::Heeded);

/* What a server of a group is wanted for. */
enum class Purpose
{
	Write, /* and everything that must see the newest rows, or stay with what was written */
	Read
};
/* What a statement that only reads asks node_for() for; `alone`: it is the whole transaction. */
Purpose purpose_of_reading(bool alone);
/* The server of the group for it; 55000 where there is none. */
const catalog::Node& node_for(GroupId group, Purpose purpose);

/*
 * The session to use for a node, not inside a remote transaction yet: the session that this
 * transaction already uses on that node, else a cached idle one, else a new connection (waits for
 * it; 08006 names the node). 55000 when the node is this very server and connecting to ourselves
 * would see another transaction: callers run local work locally.
 */
remote::Session *session_for(const catalog::Node& node);
/*
 * A new session to a node, whose connect may still be in progress. Where the limits leave no room,
 * first the statements of this transaction that still read from that node put their rows aside, and
 * the session that this frees is the answer; else waits for room.
 */
remote::Session *open_session(const catalog::Node& node);
/* Called for a session that a running execution still reads from (it is pinned, so there is no
 * other): must leave it idle. Set by executor. */
extern void (*session_wanted_hook)(remote::Session *session);

/*
 * Queues (in pipeline mode, nothing is sent yet) what must precede a statement on this session:
 * session settings that differ from ours (TimeZone, DateStyle, ...), BEGIN with our isolation level
 * and access mode, SAVEPOINTs of the open subtransactions. A failure of theirs comes as the result of
 * the statement that follows. `in_transaction` false: settings only (a statement that runs in the
 * node's implicit transaction). True where it queued a SAVEPOINT, without which rolling back to it
 * loses what the session did before.
 */
bool queue_preamble(remote::Session *session, bool in_transaction);
/* What was sent in this transaction is being cancelled there, the settings with it perhaps: they
 * are sent again. */
void forget_settings(remote::Session *session);

/*
 * Queues what makes the statement that is queued next run under the same snapshot as all others of
 * this number on this session, inside this transaction. For READ COMMITTED.
 */
void queue_statement_snapshot(remote::Session *session, int64 number);

/* For simple-protocol and COPY users: makes sure that settings, BEGIN and SAVEPOINTs are in force;
 * waits. */
void begin_remote(remote::Session *session);

/* A SET command has been run here: the other nodes are told where the user wants it. */
void note_set(const VariableSetStmt *statement);
/* SET CONSTRAINTS was run here: nodes that take part in the transaction do it too, at once where it
 * checks, else before their next statement. */
void note_constraints(const ConstraintsSetStmt *statement);

/* The statement about to be sent changes data on that node: the session needs two-phase commit if
 * it is not alone. */
void note_write(remote::Session *session);
bool has_written(const remote::Session *session);
/* Whether a session of the transaction may be used for the current role: it is its own, or what was
 * written through it must be seen. */
bool serves_current_role(remote::Session *session);
/* ... or any session of this transaction has. */
bool has_written();
/* Local shards were written in this transaction, through local execution. */
void note_local_write();

/*
 * Whether the running statement is the whole transaction, so that one that touches a single node
 * can run in that node's implicit transaction: no transaction block, not inside a function or a
 * procedure, not one of several statements of a simple query, not in a pipeline that has more to
 * come.
 */
bool statement_is_whole_transaction();

/*
 * Whether this transaction has done something here, beside what other nodes did for it, that its
 * commit can fail at: a part on another node must not be committed before it then.
 */
bool local_end_can_fail();

/*
 * This backend is about to wait for others that are no part of its transaction but may wait for it:
 * as a distributed transaction it can be chosen to end a deadlock.
 */
void begin_distributed_transaction();
/* The same; and it is the one that ends any deadlock that it is in, for applications do not depend
 * on it. */
void give_way_first();

/*
 * Placement affinity: inside a transaction, a shard group stays with the session that wrote to (or
 * locked) it. key is (colocation id, shard index) or (0, shard id) for reference tables. null: free
 * to choose.
 */
remote::Session *affinity(GroupId group, ColocationId colocation, int64 key);
/* The same, whatever session the node has since a reference table was written there. */
remote::Session *own_affinity(GroupId group, ColocationId colocation, int64 key);
void set_affinity(GroupId group, ColocationId colocation, int64 key, remote::Session *session);
/* After DDL or a write to a reference table, everything on that node goes through one session. */
void pin_node(GroupId group, remote::Session *session);
/* That session; null: there is none. */
remote::Session *pinned_session(GroupId group);

/* DDL must see, and not wait for, what this transaction did before: sessions that only read end
 * their part, so that one is left a node. 0A000 where several of one node have written. */
void require_one_session_per_node();

/* --- commands on other nodes, inside this transaction ---------------------------------------- */

/* Runs the same SQL (one or several statements, simple protocol) on every other active primary
 * (catalog::other_metadata_nodes()), in parallel, inside the distributed transaction, as writes.
 * Raises the first error; nothing commits then. */
void run_on_other_nodes(const char *sql);
/* Same on one node. */
void run_on_node(const catalog::Node& node, const char *sql);
/* Runs sql on each (different) node, in parallel, inside the transaction, as writes. */
struct NodeCommand
{
	const catalog::Node *node;
	const char *sql;
};
void run_on_nodes(std::span<const NodeCommand> commands);

/* Outside of the transaction (its own, committed at once), e.g. CREATE INDEX CONCURRENTLY: each
 * node in turn. */
void run_outside_transaction(const catalog::Node& node, const char *sql);

/* Runs sql on a node inside the transaction, as a write: the values of the one row's one column, an
 * array of texts. In CurrentMemoryContext. */
List *texts_from_node(const catalog::Node& node, const char *sql);

/* A command that was put on a list. */
struct RecordedCommand
{
	GroupId group;
	const char *sql;
};
/*
 * For a statement that another node was asked for and gave to this one: while body(argument) runs,
 * this session is as good as a client's, and commands for other nodes are put on a list instead of
 * being run; the other node runs them, in its transaction. What needs answers of nodes fails with
 * 0A000.
 */
pg::Vec<RecordedCommand> record_commands(void (*body)(void *), void *argument);

/* Whether another node of the cluster opened this session, and no statement of a client runs. */
bool is_internal_session();

/* The id of the node where the distributed transaction began, as that node knows itself; 0: there is none, or it is not known. */
int32 initiating_node();

/* --- while a node changes --------------------------------------------------------------------- */

/*
 * Until the end of this transaction, nobody else on this server uses the group. Waits for the
 * transactions that have used it already; with force for cooldown_ms, and then makes them fail (40001).
 */
void pause_group(GroupId group, bool force, int cooldown_ms);
/* This process, which looks after the cluster, does not wait for pauses. */
void ignore_pauses();
/* From here on locks_released_hook is called in this process. */
void watch_lock_release();
/* A session that the caller alone uses, for as long as it says so: the transaction's end leaves it alone, and so must an
 * error of the caller not: it closes it. */
void set_beside(remote::Session *session, bool beside);
/* Before the end of a transaction; may raise. Set by cluster. */
extern void (*before_commit_hook)(bool prepare);
/* What nodes must know before they are sent a command in this transaction; null: nothing. Set by cluster. */
extern const char *(*untold_nodes_hook)();
/* After a transaction has given back its locks, so that whoever waited goes on. Must not raise. */
extern void (*locks_released_hook)(bool committed);

/* --- for the background ---------------------------------------------------------------------- */

/* Finishes what crashes left prepared on other nodes; returns how many parts. In a transaction. A
 * node that cannot be reached is a WARNING. */
int recover_transactions();
/* Databases in which a transaction that began here more than `age` ms ago waits. In
 * CurrentMemoryContext. */
List *databases_with_waits(int age);
/* Looks for deadlocks across nodes and cancels the victims: those that began on this server, or all
 * of them if `anywhere`. Returns how many. In a transaction, as superuser. */
int end_deadlocks(bool anywhere);
/* Called when a transaction first uses another node; set by the daemon, to be null otherwise. */
extern void (*first_use_hook)();

/* visit(session, argument) for every session that this transaction writes through; idle, and inside of
 * its part of the transaction. */
void each_writer(void (*visit)(remote::Session *, void *), void *argument);

/* Called before a transaction commits or is prepared; may raise. Set by executor; null: nothing. */
extern void (*before_end_hook)();

/* Called at the very end of every transaction; may not raise. Set by cluster. */
extern void (*transaction_end_hook)(bool committed);

void transaction_init();

} // namespace civitas::txn
