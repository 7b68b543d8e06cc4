/*
 * transaction_state.h: what the files of this module share.
 */
#pragma once

#include "civitas/txn/transaction.h"
#include "participant.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "executor/execdesc.h"
CIVITAS_PG_END

namespace civitas::txn {

/* The distributed transaction of a backend, its own or the one it was told. */
struct DistributedId
{
	Oid database;
	int32 pid;
	int32 initiator; /* node id; 0: not known */
	bool is_initiator;
	uint64 number;
	TimestampTz stamp; /* when the transaction began; infinity: see give_way_first() */
	int64 gpid;		   /* of the backend that began it */
};
CIVITAS_SERVER_STATE(DistributedId);

/* Ids of the open subtransactions of this backend, outermost first. */
std::span<const SubTransactionId> open_subtransactions();

/* participants.cpp */
/* SQL that must run before a statement of the transaction: RELEASE, BEGIN, SAVEPOINTs; null where
 * nothing must. Marks them as done. */
char *transaction_preamble(Participant *participant);
/* What must run before COMMIT, so that what is deferred runs in the name of the transaction's role;
 * null where nothing must. */
char *ending_role_statement(Participant *participant);
/* For the limits of sessions. */
bool is_this_server(const remote::Endpoint& endpoint);
/* Forgets affinity and pins, at the end of the transaction. */
void reset_affinity();

/* local_end.cpp */
/* What local_end_can_fail() leaves out because it can be made now, and then holds: raises 40001. */
void pass_local_checks();

/* whole_statement.cpp */
void whole_statement_init();
void forget_running_statement();

/* statement_snapshot.cpp */
void hold_snapshot(int64 number);
/* Before the executor starts. */
void use_held_snapshot(QueryDesc *query);
/* Before the end of the transaction; and after an error, where it has been given up already. */
void release_held_snapshot();
void forget_held_snapshot();

/* setting_table.cpp */
/* The names, without those with a dot, that travel, in the order in which they are told; null at the end. */
const char *travelling_setting(int index);
bool setting_travels(const char *name, bool *known);

/* settings.cpp */
/* SELECT set_config(...) for what differs on the session; null where nothing does. Marks it as
 * sent. */
char *settings_command(Participant *participant);

/* local_settings.cpp */
/* Participants are to be told of SET CONSTRAINTS. */
void keep_constraints(const ConstraintsSetStmt *statement);
/* What the participant must still be told, as C strings; it counts as told. */
List *untold_settings(Participant *participant);
bool has_untold_settings(const Participant *participant);
/* At the end of a subtransaction, and of the transaction. */
void keep_local_settings(SubTransactionId id, SubTransactionId parent);
void drop_local_settings(SubTransactionId id);
void forget_local_settings();
void local_settings_init();

/* savepoints.cpp */
void forget_subtransactions();

/* commit.cpp */
void transaction_callback(XactEvent event, void *argument);
void subtransaction_callback(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
							 void *argument);
void commit_init();

/* shared_state.cpp */
void shared_state_init();
uint64 next_transaction_number();
/* Enters the number of this backend's two-phase commit into the list of running ones until
 * clear_transaction_number(). */
void enter_transaction_number(uint64 number);
void clear_transaction_number();
/* Numbers of running distributed transactions; in CurrentMemoryContext, `count` of them. */
uint64 *running_transactions(int *count);

/* recovery.cpp */
/* Inserts the commit records of the prepared participants, `count` of them. */
void insert_commit_records(int count);

/* distributed_id.cpp */
void distributed_id_init();
/* The distributed transaction that this backend belongs to; null: none. */
const DistributedId *distributed_id();
/* Same; a new one where there is none. */
const DistributedId& ensure_distributed_id();
void join_distributed_transaction(int32 initiator, uint64 number, TimestampTz stamp, int64 gpid);
void clear_distributed_id();
/* Whether this backend's transaction was chosen to end a deadlock; `forget`: it will be told. */
bool must_give_way(bool forget);
/* Whether this transaction has said give_way_first(). */
bool gives_way_first();
/* Chooses a transaction of a backend of this server; false: it is over. */
bool make_give_way(int pid, uint64 number);

/* node_choice.cpp */
void node_choice_init();
/* 25006 in a session that never uses primaries. */
void check_may_write();
/* Whether remote transactions on that session are READ ONLY: ours is, or it leads to a standby. */
bool only_reads(const remote::Session *session);

/* group_pause.cpp */
void group_pause_init();
/* This transaction uses a node of the group from here on: waits while it is paused. Cheap. */
void use_group(GroupId group);
/* At the end of the transaction. Must not raise. */
void leave_groups();
/* Whether a pause had no patience with this transaction. */
bool must_leave_group();
inline constexpr char LEAVE_MESSAGE[] =
	"the transaction has used a node whose place another server takes";
inline constexpr char LEAVE_HINT[] = "Run the transaction again.";
/* Raises 40001 then. */
void check_group_left();

/* deadlock.cpp */
void deadlock_init();

/* node_proof.cpp */
/* At the end of the transaction: in a session of another node its own role's statements follow. */
void stop_acting();

/* identity.cpp */
/* Of the backend that this one works for, and of this one itself. */
int64 global_pid();
int64 own_global_pid();
/* The node id in a global pid. */
int32 node_of(int64 gpid);
int32 pid_of(int64 gpid);

} // namespace civitas::txn
