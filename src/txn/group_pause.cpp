/*
 * group_pause.cpp: traffic to a node group waits while another server takes its primary's place.
 *
 * Each process has a slot in shared memory with the groups that its transaction has used, as bits; shared with
 * them is which groups are paused, as bits, too. Several groups may share a bit: that costs a look, never an answer.
 *
 *     user:   set own bit   ─ barrier ─  is the group's bit paused? then wait
 *     pauser: set paused    ─ barrier ─  whose slot has the bit? wait for the end of those transactions
 *
 * so one of the two sees the other. A user that must wait takes its bit back first and then waits for a
 * heavyweight lock on the group, which the pauser holds to the end of its transaction: the lock is let go
 * after the invalidations were sent, so who waited sees the new address, and is woken by the server itself.
 *
 * A pauser with force waits for the transactions that have used the group no longer than it was told. Those that are left
 * are marked, as the victims of deadlocks are: whatever they do next fails with 40001, and what they do is cancelled.
 *
 * Invariants
 * - A group's paused bit is set as long as anybody holds its lock exclusively.
 * - The end of a transaction empties its slot before it looks whether somebody waits for that.
 * - A mark names the transaction (its serial number), so that it never hits the next one.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/catalog/relations.h"
#include "civitas/pg/clock.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/shared_memory.h"

CIVITAS_PG_BEGIN
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

#include <climits>

namespace civitas::txn {

void (*locks_released_hook)(bool committed);

namespace {

constexpr int BITS = 64;
/* What marked transactions have to come to their end, ms. */
constexpr int LAST_PATIENCE = 1000;

struct alignas(64) UserSlot
{
	pg_atomic_uint64 groups; /* used by the running transaction */
	pg_atomic_uint64 serial; /* of the running transaction */
	pg_atomic_uint64 doomed; /* the serial number of one that must end; 0: none */
	slock_t mutex;			 /* the transaction does not end while it is marked */
};

struct SharedPauses
{
	pg_atomic_uint64 paused;	 /* groups */
	pg_atomic_uint64 generation; /* pauses that have ended */
	slock_t mutex;				 /* of the counts */
	uint32 pausers[BITS];		 /* by bit */
	ConditionVariable left;		 /* a transaction that used a paused group has ended */
	int count;
	UserSlot slots[FLEXIBLE_ARRAY_MEMBER];
};

SharedPauses *shared;
UserSlot *own_slot;		/* null: not looked up yet */
uint64 own_groups;		/* what own_slot->groups says */
uint64 own_pauses;		/* groups that this transaction has paused */
uint64 seen_generation; /* of the pauses whose outcome this process has heard of */
bool ignores_pauses;
int node_pause_timeout; /* ms; 0: no limit */

Size shared_size()
{
	return add_size(offsetof(SharedPauses, slots),
					mul_size(sizeof(UserSlot), MaxBackends + NUM_AUXILIARY_PROCS));
}

void attach()
{
	bool fresh;
	shared = static_cast<SharedPauses *>(
		pg::shared_struct("civitas pauses of node groups", shared_size(), &fresh));
	if (!fresh)
		return;
	pg_atomic_init_u64(&shared->paused, 0);
	pg_atomic_init_u64(&shared->generation, 1);
	SpinLockInit(&shared->mutex);
	ConditionVariableInit(&shared->left);
	shared->count = MaxBackends + NUM_AUXILIARY_PROCS;
	for (int i = 0; i < shared->count; i++)
	{
		UserSlot *slot = &shared->slots[i];
		pg_atomic_init_u64(&slot->groups, 0);
		pg_atomic_init_u64(&slot->serial, 1);
		pg_atomic_init_u64(&slot->doomed, 0);
		SpinLockInit(&slot->mutex);
	}
}

pg::SharedMemory memory = {shared_size, attach, nullptr, nullptr};

uint64 bit_of(GroupId group)
{
	return UINT64CONST(1) << (static_cast<uint32>(group) % BITS);
}

LOCKTAG tag_of(GroupId group)
{
	LOCKTAG tag;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, catalog::relation_oid(catalog::Catalog::Node),
					   static_cast<Oid>(group), 0);
	return tag;
}

[[noreturn]] void raise_paused(GroupId group)
{
	ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					errmsg("node group %d is paused: another server takes the place of its primary",
						   group),
					errdetail("It did not come to an end within citus.node_pause_timeout (%d ms).",
							  node_pause_timeout),
					errhint("Run the transaction again.")));
}

/* Waits for a lock on the group that conflicts with a pause, as long as citus.node_pause_timeout allows. */
void acquire_patiently(const LOCKTAG& tag, GroupId group)
{
	const int users_timeout = LockTimeout;
	const bool bounded =
		node_pause_timeout > 0 && (users_timeout <= 0 || users_timeout > node_pause_timeout);
	MemoryContext context = CurrentMemoryContext;
	PG_TRY();
	{
		if (bounded)
			LockTimeout = node_pause_timeout;
		(void) LockAcquire(&tag, ShareLock, false, false);
	}
	PG_CATCH();
	{
		LockTimeout = users_timeout;
		MemoryContextSwitchTo(context);
		if (bounded && geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		{
			FlushErrorState();
			raise_paused(group);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
	LockTimeout = users_timeout;
}

/* The group may be paused. The slot has its bit again when this returns. */
void wait_for_end_of_pause(GroupId group)
{
	const uint64 bit = bit_of(group);
	pg_atomic_write_u64(&own_slot->groups, own_groups & ~bit);
	pg_memory_barrier();
	ConditionVariableBroadcast(&shared->left);
	const LOCKTAG tag = tag_of(group);
	acquire_patiently(tag, group);
	pg_atomic_write_u64(&own_slot->groups, own_groups);
	pg_memory_barrier();
	LockRelease(&tag, ShareLock, false);
	AcceptInvalidationMessages();
}

/* Kept sessions to places where no node is any more. */
void close_sessions_to_old_places()
{
	remote::for_each_session(
		[](remote::Session *session, void *) {
			const Participant *participant = existing_participant(session);
			if (remote::busy(session) || remote::claimed(session) ||
				remote::node_id(session) == 0 ||
				(participant != nullptr && (participant->begun || participant->beside)))
				return;
			const catalog::Node *node = catalog::find_node(remote::node_id(session));
			if (node == nullptr || node->port != remote::port(session) ||
				strcmp(node->name, remote::host(session)) != 0)
				remote::close(session);
		},
		nullptr);
}

/* --- the pauser --- */

bool in_same_database(int i)
{
	return ProcGlobal->allProcs[i].databaseId == MyDatabaseId;
}

/* Calls visit(slot, process) for the other transactions of this database that have used a group of the bit. */
template <typename Visit> void for_each_user(uint64 bit, Visit&& visit)
{
	for (int i = 0; i < shared->count; i++)
	{
		UserSlot *slot = &shared->slots[i];
		if (slot != own_slot && (pg_atomic_read_u64(&slot->groups) & bit) != 0 &&
			in_same_database(i))
			visit(slot, &ProcGlobal->allProcs[i]);
	}
}

bool is_doomed(UserSlot *slot)
{
	return pg_atomic_read_u64(&slot->doomed) == pg_atomic_read_u64(&slot->serial);
}

/* Waits for a client's next command: a mark is all that it needs. */
bool is_idle(const PGPROC *process)
{
	return process->wait_event_info == WAIT_EVENT_CLIENT_READ;
}

bool is_used(uint64 bit, bool by_others_than_doomed_idlers)
{
	bool used = false;
	for_each_user(bit, [&](UserSlot *slot, const PGPROC *process) {
		if (!by_others_than_doomed_idlers || !is_doomed(slot) || !is_idle(process))
			used = true;
	});
	return used;
}

/* timeout_ms < 0: without end. True: nobody uses it any more. */
bool wait_for_users(uint64 bit, int64 timeout_ms, bool without_doomed_idlers)
{
	const TimestampTz start = pg::monotonic_now();
	bool used;
	ConditionVariablePrepareToSleep(&shared->left);
	while ((used = is_used(bit, without_doomed_idlers)))
	{
		if (timeout_ms < 0)
		{
			ConditionVariableSleep(&shared->left, PG_WAIT_EXTENSION);
			continue;
		}
		const int64 left = timeout_ms - TimestampDifferenceMilliseconds(start, pg::monotonic_now());
		if (left <= 0)
			break;
		/* A process that dies, or begins to wait for its client, tells nobody. */
		const int64 look = without_doomed_idlers ? 10 : 1000;
		ConditionVariableTimedSleep(&shared->left, left < look ? left : look, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return !used;
}

void doom_users(uint64 bit)
{
	for_each_user(bit, [&](UserSlot *slot, PGPROC *process) {
		/* With the slot held the transaction does not end before the signal is sent. */
		SpinLockAcquire(&slot->mutex);
		const bool still = (pg_atomic_read_u64(&slot->groups) & bit) != 0;
		const bool cancel = still && process->waitStatus == PROC_WAIT_STATUS_WAITING;
		if (still)
			pg_atomic_write_u64(&slot->doomed, pg_atomic_read_u64(&slot->serial));
		if (cancel)
			kill(process->pid, SIGINT);
		SpinLockRelease(&slot->mutex);
		if (still && !cancel)
			SetLatch(&process->procLatch);
	});
}

void count_pauser(uint64 bits, int step)
{
	SpinLockAcquire(&shared->mutex);
	uint64 paused = pg_atomic_read_u64(&shared->paused);
	for (int i = 0; i < BITS; i++)
	{
		const uint64 bit = UINT64CONST(1) << i;
		if ((bits & bit) == 0)
			continue;
		shared->pausers[i] += step;
		paused = shared->pausers[i] > 0 ? paused | bit : paused & ~bit;
	}
	pg_atomic_write_u64(&shared->paused, paused);
	SpinLockRelease(&shared->mutex);
}

/* Of the whole transaction: its locks are gone now. */
void locks_released(ResourceReleasePhase phase, bool committed, bool top_level, void *argument)
{
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || !top_level)
		return;
	if (own_pauses != 0)
	{
		pg_atomic_fetch_add_u64(&shared->generation, 1);
		count_pauser(own_pauses, -1);
		own_pauses = 0;
	}
	if (locks_released_hook != nullptr)
		locks_released_hook(committed);
}

} // namespace

void watch_lock_release()
{
	static bool registered;
	if (!registered)
		RegisterResourceReleaseCallback(locks_released, nullptr);
	registered = true;
}

void use_group(GroupId group)
{
	const uint64 bit = bit_of(group);
	if ((own_groups & bit) != 0 || ignores_pauses)
		return;
	if (own_slot == nullptr)
		own_slot = &shared->slots[pg::backend_slot()];
	own_groups |= bit;
	pg_atomic_write_u64(&own_slot->groups, own_groups);
	pg_memory_barrier();
	if (unlikely((pg_atomic_read_u64(&shared->paused) & bit & ~own_pauses) != 0))
		wait_for_end_of_pause(group);
	/* A pause that has ended since has changed addresses. */
	const uint64 generation = pg_atomic_read_u64(&shared->generation);
	if (unlikely(generation != seen_generation))
	{
		seen_generation = generation;
		AcceptInvalidationMessages();
		close_sessions_to_old_places();
	}
}

void ignore_pauses()
{
	ignores_pauses = true;
}

void pause_group(GroupId group, bool force, int cooldown_ms)
{
	watch_lock_release();
	if (own_slot == nullptr)
		own_slot = &shared->slots[pg::backend_slot()];
	const uint64 bit = bit_of(group);
	if ((own_pauses & bit) == 0)
	{
		own_pauses |= bit;
		count_pauser(bit, 1);
	}
	pg_memory_barrier();
	const LOCKTAG tag = tag_of(group);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	if (wait_for_users(bit, force ? cooldown_ms : LockTimeout > 0 ? LockTimeout : -1, false))
		return;
	if (!force)
		ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						errmsg("transactions that use node group %d go on", group),
						errhint("Have them ended with force => true.")));
	doom_users(bit);
	if (!wait_for_users(bit, LAST_PATIENCE, true))
		ereport(LOG,
				(errmsg("node group %d is paused although transactions that use it go on", group)));
}

bool must_leave_group()
{
	return own_slot != nullptr && own_groups != 0 && is_doomed(own_slot);
}

void check_group_left()
{
	if (must_leave_group())
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg_internal("%s", LEAVE_MESSAGE), errhint("%s", LEAVE_HINT)));
}

void leave_groups()
{
	if (own_groups == 0)
		return;
	const uint64 groups = own_groups;
	own_groups = 0;
	pg_atomic_write_u64(&own_slot->groups, 0);
	pg_memory_barrier();
	if (unlikely((pg_atomic_read_u64(&shared->paused) & groups) != 0))
	{
		/* Who marks this transaction has done so, signal and all. */
		SpinLockAcquire(&own_slot->mutex);
		if (is_doomed(own_slot))
			QueryCancelPending = false;
		SpinLockRelease(&own_slot->mutex);
		pg_atomic_write_u64(&own_slot->serial, pg_atomic_read_u64(&own_slot->serial) + 1);
		ConditionVariableBroadcast(&shared->left);
	}
	else if (unlikely(pg_atomic_read_u64(&own_slot->doomed) != 0))
		pg_atomic_write_u64(&own_slot->doomed, 0);
}

void group_pause_init()
{
	DefineCustomIntVariable(
		"citus.node_pause_timeout",
		"How long statements wait while another server takes the place of a node; 0 is without "
		"limit.",
		"They fail then. Make it longer than a switchover of your nodes can take.",
		&node_pause_timeout, 30000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr,
		nullptr);
	pg::use_shared_memory(&memory);
}

} // namespace civitas::txn

using namespace civitas;

CIVITAS_PG_BEGIN

/* pause_group(group, force, lock_cooldown) */
PG_FUNCTION_INFO_V1(citus_internal_pause_group);
PGDLLEXPORT Datum citus_internal_pause_group(PG_FUNCTION_ARGS)
{
	txn::pause_group(PG_GETARG_INT32(0), PG_GETARG_BOOL(1), PG_GETARG_INT32(2));
	PG_RETURN_VOID();
}

CIVITAS_PG_END
