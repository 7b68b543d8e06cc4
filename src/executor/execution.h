/*
 * execution.h: one run of a RemoteQuery.
 *
 *     scan.cpp             CustomScan methods: when to begin, where the next row comes from
 *     tasks.cpp            parameters, pruning, INSERT rows -> tasks
 *     execution.cpp        begin, next row, materialize, finish; the list of running executions
 *     single.cpp           one remote task: no flow, no wait set
 *     many.cpp             several tasks: flow decides, a WaitEventSet waits
 *     local_execution.cpp  tasks whose shards are on this node
 *     values.cpp           Datums <-> wire
 *     shard_locks.cpp      locks on shard groups, where the order of statements matters
 *     cursor.cpp           cursors: one snapshot from the beginning
 *     explain.cpp          EXPLAIN
 */
#pragma once

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/flow/flow.h"
#include "civitas/pg/vec.h"
#include "civitas/plan/remote_query.h"
#include "civitas/remote/session.h"
#include "civitas/txn/transaction.h"
#include "values.h"

CIVITAS_PG_BEGIN
#include "nodes/execnodes.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"
CIVITAS_PG_END

namespace civitas::executor {

/* A task's SQL with its values. A task has several only where an INSERT's rows exceed what one
 * statement may carry. */
struct Statement
{
	const char *sql;
	Values *values;
};

/* One shard group's share of the statement, on one placement. */
struct Task
{
	int shard_index;
	GroupId *groups; /* where it may run, best first */
	int group_count;
	bool primary; /* first placement: its rows and its count are the statement's */
	bool local;
	Statement *statements;
	int statement_count;
	/* What happened. */
	GroupId ran_on;
	uint64 rows;
	uint64 affected;
	uint64 bytes;
	instr_time started;
	double ms;
};
CIVITAS_SERVER_STATE(Task);

/* A task that was sent, or will be with the next flush. */
struct QueuedTask
{
	int task;		 /* flow's number */
	bool ends_batch; /* its results are followed by the Sync of its flush */
};

/* A session that works for this execution (many.cpp). */
struct Worker
{
	static constexpr int QUEUE_DEPTH = 64;
	enum State : char
	{
		Connecting,
		Running,
		Idle,
		Gone
	};
	remote::Session *session;
	int flow_session;
	int node; /* index into Many::nodes */
	State state;
	bool readable; /* the socket has had something since try_next_result() said no */
	bool rows_seen;
	bool single_row_set;
	bool unflushed; /* tasks are queued that were not sent */
	QueuedTask queue[QUEUE_DEPTH];
	int queue_head;
	int queue_count;
	int statement; /* of the task that is read */
	uint64 bytes_before;
	int wait_position; /* in the wait set, or -1 */
	uint32 wait_events;
	int wait_socket; /* the one that is waited for */
	int64 opened_us;
	int wait_report; /* number of the last report of waits that was taken (processor_wait.cpp) */
};
CIVITAS_SERVER_STATE(Worker);

/* Statement-level triggers of a change (statement_triggers.cpp). */
struct StatementTriggers
{
	ResultRelInfo *target; /* null: there are none for the statement */
	AclMode changes;	   /* ACL_INSERT, ACL_UPDATE, ACL_DELETE: what the statement may do */
	bool rows;			   /* the nodes may have rows that fired something (fired_rows.h) */

	bool fire() const { return target != nullptr || rows; }
};
CIVITAS_SERVER_STATE(StatementTriggers);

/* Fires those for before the statement. To be called before anything of it is sent. */
StatementTriggers before_statement(EState *estate, const plan::RemoteQuery *query);
/* Queues those for after it. */
void after_statement(EState *estate, const StatementTriggers& triggers);
/* Runs copy(argument), which puts rows into the relation's shards, between the triggers for INSERT. */
uint64 copy_with_triggers(ParseState *state, Relation relation, uint64 (*copy)(void *),
						  void *argument);
/* The same for a target that the caller has opened; null where it has no such triggers. */
ResultRelInfo *trigger_target(Relation relation, Index number);
void fire_before_statement(EState *estate, ResultRelInfo *target, AclMode changes);
void fire_after_statement(EState *estate, ResultRelInfo *target, AclMode changes);

struct Many;  /* many.cpp's own state */
struct Merge; /* merge.cpp's */

struct Execution
{
	/* Links of the list of executions with open sessions (execution.cpp). */
	Execution *newer;
	Execution *older;
	bool listed;

	MemoryContext context;	   /* everything of this run */
	MemoryContext row_context; /* the row handed out last */
	ResourceOwner owner;	   /* of the portal that it runs in */
	const plan::RemoteQuery *query;
	const catalog::Table *anchor;		 /* null where the query has no table of the metadata */
	const catalog::Table *const *tables; /* of the query's holes; of one moment, as the anchor is */
	uint64 generation;					 /* of names, at that moment */
	TupleDesc row_type;
	Decoder *decoder;
	Values *parameters;
	txn::Purpose purpose; /* which server of a group serves it */
	bool alone;			  /* the statement is the whole transaction */
	bool fires_triggers;  /* here, after it */
	bool in_transaction;  /* remote statements run inside remote transaction blocks */
	bool sole_node;		  /* the plan is nothing but this node */
	bool write;
	bool stoppable; /* each flush has a savepoint, so that a read can be cancelled in a transaction
					 */
	double expected_rows;
	bool cursor;   /* reads through sessions whose snapshots were taken when it was opened */
	bool prepared; /* the statement is worth a remote prepared statement */
	int64 snapshot_number; /* the remote statements of this number share a snapshot; 0: none */

	pg::Vec<Task> tasks;
	int current_phase_end; /* tasks before this index are for first placements */
	bool node_by_node;	   /* tasks are sorted by node and run on one after the other */

	bool asked; /* for its first row */
	bool started;
	bool remote_done;
	PGresult *result; /* being read; cleared by the context's callback at the latest */
	int result_row;

	/* single.cpp */
	remote::Session *session;
	int statement;
	bool single_row_set;
	bool kept; /* the session was there before, and nothing came back from it yet */

	Many *many;
	Merge *merge; /* the tasks' rows are sorted, and are to be merged; else null */

	Tuplestorestate *store; /* rows that could not wait in their session, or local ones */
	TupleTableSlot *store_slot;
	bool materialized; /* every row that is left is in the store */
	bool streamed;	   /* some rows went to the plan without the store */

	uint64 affected; /* rows changed, by primary tasks */
	int sessions_used;
	uint64 bytes;
};
CIVITAS_SERVER_STATE(Execution);

/* The scans of one statement that is more than a scan; from its start to its end. */
struct StatementScans
{
	EState *estate;
	StatementScans *outer;
	int64 number;	   /* of the statement, in this backend */
	List *colocations; /* int list: of each scan that reads shard groups */
	/* Where the statement's tables were when it started: all its scans read there, though the
	 * shards move meanwhile. Oid list, ascending, and what the metadata said of each. */
	List *relations;
	const catalog::Table **tables;
	uint64 generation; /* of names, then */
};
CIVITAS_SERVER_STATE(StatementScans);

/* How a value of the statement is had. */
struct Evaluator
{
	Expr *expr;
	ExprState *compiled; /* null: a constant or an external parameter, which needs none */
};
CIVITAS_SERVER_STATE(Evaluator);

/* The CustomScan's state. */
struct ScanState
{
	CustomScanState css;
	plan::RemoteQuery *query;
	List *parameters; /* Evaluator */
	List *prune_keys; /* Evaluator */
	List *rows;		  /* list of lists of Expr */
	int eflags;
	bool rewind;				/* keep rows: the plan above comes back for them */
	Bitmapset *plan_parameters; /* PARAM_EXEC ids that the remote SQL depends on */
	StatementScans *scans;		/* null: the plan is nothing but this scan */
	Execution *execution;
	StatementTriggers triggers; /* to fire after the change */
	int64 shards_pruned;		/* for EXPLAIN */
};

/* What a statement may carry: parameters are counted in 16 bits. */
inline constexpr int MAX_STATEMENT_PARAMETERS = 65535;

/* --- tasks.cpp ------------------------------------------------------------------------------ */

/* Makes an expression ready; the memory must last as long as the plan's state. */
Evaluator make_evaluator(Expr *expr, PlanState *parent);
List *make_evaluators(List *exprs, PlanState *parent);
Datum evaluate(const Evaluator& evaluator, ExprContext *econtext, bool *isnull);
/* Evaluates the parameters and makes the tasks. `context` is current. */
void make_tasks(ScanState *state, Execution *execution);
/* Parameters only, and the indexes of the shards that pruning leaves; for EXPLAIN without running.
 * False where a key or parameter has no value yet. */
void evaluate_parameters(ScanState *state, Execution *execution);
/* Ascending indexes. */
pg::Vec<int> prune(ScanState *state, const catalog::Table& table);

/* --- scan.cpp -------------------------------------------------------------------------------- */

/* Sets the execution's tables: those of the statement, or, where it is nothing but this scan, those
 * of now. */
void look_up_tables(const ScanState *state, Execution *execution);

/* --- execution.cpp --------------------------------------------------------------------------- */

Execution *begin_execution(ScanState *state);
/* Sessions are opened, and local tasks run, in the name of the query's role; back() ends that, and
 * an error does too. */
struct Identity
{
	Oid role;
	int context;
};
Identity become(const plan::RemoteQuery *query);
void back(const Identity& before);
/* Sends the tasks now instead of when the first row is asked for. */
void start_early(Execution *execution);
/* The next row into the slot, or, where materialized, the one before; false at the end. */
bool next_row(Execution *execution, TupleTableSlot *slot, bool forward = true);
/* Reads everything that is left into the store, so that the sessions are free. */
void materialize(Execution *execution);
/* Back to the first row; only where materialized. */
void rewind_rows(Execution *execution);
/* Gives sessions back, cancelling what still runs. */
void stop_execution(Execution *execution);
/* Same, and frees everything. */
void end_execution(Execution *execution);
/* The session is wanted by somebody else: the execution that reads from it puts the rest of its
 * rows aside. */
void yield_session(remote::Session *session);
/* Lists the execution as holder of sessions. */
void hold_sessions(Execution *execution);
void release_sessions(Execution *execution);
/* Gives up the claim on a session that may have been closed meanwhile. */
void unclaim(remote::Session *session);
Tuplestorestate *store_of(Execution *execution);
/* Affinity key of a task: (colocation id, shard index) or (0, shard id). */
struct AffinityKey
{
	ColocationId colocation;
	int64 key;
};
AffinityKey affinity_key(const Execution *execution, const Task& task);
/*
 * The session of a node that the task must use, because this transaction touched its shard group
 * there, or wrote a reference table; null: free to choose. 0A000 where that was done in two sessions and
 * the task needs both.
 */
remote::Session *bound_session(const Execution *execution, const Task& task, GroupId group);
/* Remembers which session a task's shard group belongs to, and that it was written to. To be called
 * before the statement is sent. */
void note_task(Execution *execution, const Task& task, remote::Session *session);
/* Takes over the outcome of a statement that ended. */
void note_result(Execution *execution, Task& task, const PGresult *result);
/* Makes a session idle whose rows nobody wants any more; many.cpp cancels several at once, before.
 */
void discard_rest(const Execution *execution, remote::Session *session, bool cancelled);
/* Queues a task's statements behind the preamble, as the first of those that leave with the next
 * flush or behind others. */
void queue_task(Execution *execution, Task& task, remote::Session *session, bool first);
/* Ends what was queued with a Sync and sends it. */
void flush_tasks(const Execution *execution, remote::Session *session);
/* ... and sends all. */
void send_task(Execution *execution, Task& task, remote::Session *session);

/* Waits for the end of a flush in which everything is hidden. */
void await_sync(remote::Session *session);

/* --- cursor.cpp ------------------------------------------------------------------------------ */

/* Whether the scan is opened by a cursor, or a portal that is read in parts. */
bool opens_cursor(const ScanState *state);
/* Starts it; `number` is that of the statement. */
void open_cursor(Execution *execution, int64 number);

/* --- single.cpp, many.cpp, local_execution.cpp ------------------------------------------------ */

void start_single(Execution *execution);
bool next_single(Execution *execution, Datum *values, bool *nulls);
void stop_single(Execution *execution);

void start_many(Execution *execution);
bool next_many(Execution *execution, Datum *values, bool *nulls);
void stop_many(Execution *execution);
/* Index of the task whose row next_many() gave. */
int current_task(const Execution *execution);
bool uses_session(const Execution *execution, const remote::Session *session);
/* Releases what is not memory; safe in a memory context callback. */
void discard_many(Execution *execution);

void run_local_task(Execution *execution, Task& task);

/* --- processor_wait.cpp ---------------------------------------------------------------------- */

void processor_wait_init();
/* What the session's backend last said of its waits for a processor, %; -1 where that was report
 * `*number`. */
int processor_wait(remote::Session *session, int *number);
/* What executions of this backend have seen of the node. */
flow::Experience experience_of(NodeId node);
void keep_experience(NodeId node, const flow::Experience& experience);

/* --- shard_locks.cpp -------------------------------------------------------------------------- */

/* Before a statement of several tasks: one that locks rows waits here for others of its kind. */
void lock_shard_groups(Execution *execution);
/* Before the first of several batches of rows: the same for whatever they may touch. */
void lock_before_batches(const plan::RemoteQuery *query);
/* Whether each placement is locked for the statement; then before its statement there, or here
 * before the local one. */
bool locks_replica(const Execution *execution);
void queue_replica_lock(const Execution *execution, const Task& task, remote::Session *session);
void lock_local_replica(const Execution *execution, const Task& task);
/* Whether what a lock of this kind made the statement wait for must be seen by it. */
bool sees_what_it_waited_for(const Execution *execution);
/* The same for rows that are copied into a reference table: SQL, or here. */
const char *copied_rows_lock(const catalog::Table& table);
void lock_for_copied_rows(const catalog::Table& table);
/* Before rows are copied into shards: those with several placements are locked. */
void lock_before_copy(const catalog::Table& table);
/* Whether rows for several shards (of an INSERT, of a COPY) must come to them in the order in which
 * those are locked. */
bool goes_node_by_node(const Execution *execution);
bool copies_node_by_node(const catalog::Table& table);

/* Plan of a task's statement for EXPLAIN (explain.cpp). */
struct PlannedStmt *plan_local_statement(const Statement& statement, const char **sql);

/* --- steps.cpp ------------------------------------------------------------------------------ */

/* A part of a statement is running (steps.cpp): nothing may be committed before its end. */
bool in_step();

/* --- merge.cpp -------------------------------------------------------------------------------- */

/* In the execution's context, which is current. */
Merge *begin_merge(Execution *execution);
/* Closes its files. */
void end_merge(Merge *merge);
void merge_add(Merge *merge, int task, Datum *values, bool *nulls);
/* The next row in order; it stays valid until the next call. */
bool next_merged(Merge *merge, Datum *values, bool *nulls);

/* --- counting.cpp ----------------------------------------------------------------------------- */

/* Reports a run that begins to who counts them. */
void count_run(ScanState *state, const Execution *execution);
/* INSERT .. SELECT through this node, UPDATE and DELETE of rows found first. */
void count_insert_select(const EState *estate);

/* --- explain.cpp, settings.cpp ---------------------------------------------------------------- */

void explain_scan(CustomScanState *node, List *ancestors, struct ExplainState *es);

enum AssignmentPolicy
{
	ASSIGN_GREEDY,
	ASSIGN_FIRST_REPLICA,
	ASSIGN_ROUND_ROBIN
};
enum ModifyMode
{
	MODIFY_PARALLEL,
	MODIFY_SEQUENTIAL
};
enum ExplainSort
{
	SORT_EXECUTION_TIME,
	SORT_TASK_ID
};
extern int max_adaptive_executor_pool_size;
extern bool enable_binary_protocol;
extern bool enable_local_execution;
extern bool explain_all_tasks;
extern int explain_analyze_sort_method;
extern int task_assignment_policy;
extern int multi_shard_modify_mode;
extern int remote_task_check_interval;
extern bool all_modifications_commutative;
extern bool enable_deadlock_prevention;
extern int slow_start_interval;
void register_settings();

} // namespace civitas::executor
