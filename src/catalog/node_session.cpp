/*
 * node_session.cpp: what this server knows of sessions that other nodes have opened.
 *
 * Each process has an entry in shared memory with the global pid that its session has proven to
 * work for; the views and the search for deadlocks read them. Beside them are the nonces of the
 * tokens that were used: 8192 buckets of 8. A token goes to a bucket by its nonce. When a bucket is
 * full its oldest nonce makes room, and from then on the bucket takes no token that is older than
 * that one: so a token can never serve twice, but in a storm of new sessions (more than 200 a
 * second, for minutes) clocks may be less far apart than TOKEN_WINDOW_MS.
 */
#include "civitas/catalog/node_session.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/shared_memory.h"

CIVITAS_PG_BEGIN
#include "access/parallel.h"
#include "funcapi.h"
#include "nodes/plannodes.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

constexpr int BUCKETS = 8192;
constexpr int BUCKET_SIZE = 8;
constexpr const char *LOCK_NAME = "civitas node sessions";

struct UsedToken
{
	uint64 nonce;
	TimestampTz made_at; /* 0: none */
};

struct Bucket
{
	TimestampTz floor; /* no token older than this is taken */
	UsedToken used[BUCKET_SIZE];
};

struct Entry
{
	int pid;
	int64 global_pid; /* 0: a client's session */
};

struct SharedSessions
{
	LWLock *lock;
	TimestampTz since;
	Bucket buckets[BUCKETS];
	int count;
	Entry entries[FLEXIBLE_ARRAY_MEMBER];
};

SharedSessions *shared;

/* What this process's session has proven. */
struct Proof
{
	bool given;
	bool user_text;
	int64 global_pid;
};
Proof proof;

Size shared_size()
{
	return add_size(offsetof(SharedSessions, entries),
					mul_size(sizeof(Entry), MaxBackends + NUM_AUXILIARY_PROCS));
}

void attach()
{
	bool fresh;
	shared = static_cast<SharedSessions *>(pg::shared_struct(LOCK_NAME, shared_size(), &fresh));
	if (!fresh)
		return;
	shared->lock = pg::shared_lock(LOCK_NAME);
	shared->since = GetCurrentTimestamp();
	shared->count = MaxBackends + NUM_AUXILIARY_PROCS;
}

pg::SharedMemory memory = {shared_size, attach, LOCK_NAME, nullptr};

void set_entry(int64 global_pid)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->entries[pg::backend_slot()] = {MyProcPid, global_pid};
	LWLockRelease(shared->lock);
}

void clear_entry(int code, Datum argument)
{
	set_entry(0);
}

/* A parallel worker begins after its leader has proven itself, or in a client's session. */
void ask_leader()
{
	static bool asked;
	if (asked || MyProc == nullptr || MyProc->lockGroupLeader == nullptr)
		return;
	asked = true;
	const auto slot = MyProc->lockGroupLeader - ProcGlobal->allProcs;
	LWLockAcquire(shared->lock, LW_SHARED);
	const Entry entry = shared->entries[slot];
	LWLockRelease(shared->lock);
	if (entry.pid == MyProc->lockGroupLeader->pid && entry.global_pid != 0)
		proof = {true, true, entry.global_pid};
}

/* A statement that reads no relation and runs nothing but what its target list says. */
bool is_bare_select(const PlannedStmt *statement)
{
	if (statement->commandType != CMD_SELECT || statement->utilityStmt != nullptr ||
		statement->planTree == nullptr || !IsA(statement->planTree, Result) ||
		statement->planTree->lefttree != nullptr || statement->subplans != NIL)
		return false;
	ListCell *cell;
	foreach (cell, statement->rtable)
		if (lfirst_node(RangeTblEntry, cell)->rtekind != RTE_RESULT)
			return false;
	return true;
}

} // namespace

bool is_node_session()
{
	if (!proof.given && IsParallelWorker())
		ask_leader();
	return proof.given;
}

int64 node_session_global_pid()
{
	return is_node_session() ? proof.global_pid : 0;
}

bool is_top_statement(FunctionCallInfo call)
{
	/* Cursors of functions have names. */
	if (ActivePortal == nullptr || ActivePortal->name[0] != '\0' ||
		list_length(ActivePortal->stmts) != 1)
		return false;
	const PlannedStmt *statement = linitial_node(PlannedStmt, ActivePortal->stmts);
	if (!is_bare_select(statement))
		return false;
	ListCell *cell;
	foreach (cell, statement->planTree->targetlist)
	{
		/* The very call that stands there, not one of a function that it calls. */
		const void *expression = lfirst_node(TargetEntry, cell)->expr;
		if (expression == call->flinfo->fn_expr)
			return true;
	}
	return false;
}

namespace {

bool node_call_expected;

} // namespace

void expect_node_call(bool expected)
{
	node_call_expected = expected;
}

void require_node_call(FunctionCallInfo call)
{
	const bool expected = node_call_expected;
	node_call_expected = false;
	if (expected || superuser() || (proof.given && !proof.user_text && is_top_statement(call)))
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("this function is for the nodes of the cluster to call")));
}

void become_node_session(int64 global_pid, bool user_text)
{
	static bool exit_callback_registered;
	if (!exit_callback_registered)
		on_shmem_exit(clear_entry, 0);
	exit_callback_registered = true;
	set_entry(global_pid);
	proof = {true, user_text, global_pid};
}

bool use_nonce(uint64 nonce, int64 made_at)
{
	Bucket& bucket = shared->buckets[nonce % BUCKETS];
	bool good = true;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	UsedToken *oldest = &bucket.used[0];
	for (UsedToken& used : bucket.used)
	{
		if (used.made_at != 0 && used.nonce == nonce)
			good = false;
		if (used.made_at < oldest->made_at)
			oldest = &used;
	}
	if (made_at <= bucket.floor)
		good = false;
	if (good)
	{
		/* What is too old to be accepted at all leaves no trace. */
		if (oldest->made_at != 0)
			bucket.floor = oldest->made_at > bucket.floor ? oldest->made_at : bucket.floor;
		*oldest = {nonce, made_at};
	}
	LWLockRelease(shared->lock);
	return good;
}

int64 remembers_tokens_since()
{
	return shared->since;
}

void node_session_init()
{
	pg::use_shared_memory(&memory);
}

CIVITAS_PG_BEGIN

/* node_sessions() → process ids of this server's sessions that other nodes opened, and the global
 * pids of the backends that they work for. */
PG_FUNCTION_INFO_V1(citus_internal_node_sessions);
PGDLLEXPORT Datum citus_internal_node_sessions(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	for (int i = 0; i < shared->count; i++)
	{
		LWLockAcquire(shared->lock, LW_SHARED);
		const Entry entry = shared->entries[i];
		LWLockRelease(shared->lock);
		if (entry.global_pid == 0)
			continue;
		Datum values[] = {Int32GetDatum(entry.pid), Int64GetDatum(entry.global_pid)};
		bool nulls[] = {false, false};
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return Datum(0);
}

CIVITAS_PG_END

} // namespace civitas::catalog
