/*
 * distributed_id.cpp: which distributed transaction each backend belongs to.
 *
 * Each process has a slot in shared memory. The initiator fills its own when it first uses another
 * node and sends the id (its node, number, beginning) with every remote BEGIN;
 * assign_distributed_transaction_id() fills the slot there. The end of the transaction empties it.
 * Others read it for the views and for the search for deadlocks, and mark there a transaction that
 * must give way. One that is to give way before all others says that it begins at infinity.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/compat.h"
#include "civitas/pg/shared_memory.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

struct Slot
{
	slock_t mutex;
	DistributedId id; /* number 0: none */
	/* Number of the transaction that must give way; read by its backend without the mutex. */
	pg_atomic_uint64 doomed;
};

struct SharedSlots
{
	int count;
	Slot slots[FLEXIBLE_ARRAY_MEMBER];
};

SharedSlots *shared;
Slot *own_slot; /* null: empty */

Size shared_size()
{
	return add_size(offsetof(SharedSlots, slots),
					mul_size(sizeof(Slot), MaxBackends + NUM_AUXILIARY_PROCS));
}

void attach()
{
	bool fresh;
	shared = static_cast<SharedSlots *>(
		pg::shared_struct("civitas distributed transaction ids", shared_size(), &fresh));
	if (!fresh)
		return;
	shared->count = MaxBackends + NUM_AUXILIARY_PROCS;
	for (int i = 0; i < shared->count; i++)
	{
		SpinLockInit(&shared->slots[i].mutex);
		pg_atomic_init_u64(&shared->slots[i].doomed, 0);
	}
}

pg::SharedMemory memory = {shared_size, attach, nullptr, nullptr};

void leave_slot(int code, Datum argument)
{
	clear_distributed_id();
}

void fill_slot(const DistributedId& id)
{
	static bool exit_callback_registered;
	if (!exit_callback_registered)
	{
		on_shmem_exit(leave_slot, 0);
		exit_callback_registered = true;
	}
	Slot *slot = &shared->slots[pg::backend_slot()];
	SpinLockAcquire(&slot->mutex);
	slot->id = id;
	SpinLockRelease(&slot->mutex);
	pg_atomic_write_u64(&slot->doomed, 0);
	own_slot = slot;
}

DistributedId read_slot(int i)
{
	Slot *slot = &shared->slots[i];
	SpinLockAcquire(&slot->mutex);
	const DistributedId id = slot->id;
	SpinLockRelease(&slot->mutex);
	return id;
}

/* Waits for another process or node: what a transaction in a deadlock does. */
bool waits(const PGPROC *process)
{
	const uint32 kind = process->wait_event_info & 0xFF000000U;
	return kind == PG_WAIT_LOCK || kind == PG_WAIT_EXTENSION;
}

} // namespace

void distributed_id_init()
{
	pg::use_shared_memory(&memory);
}

const DistributedId *distributed_id()
{
	return own_slot != nullptr ? &own_slot->id : nullptr;
}

int32 initiating_node()
{
	const DistributedId *id = distributed_id();
	return id != nullptr ? id->initiator : 0;
}

const DistributedId& ensure_distributed_id()
{
	if (own_slot == nullptr)
	{
		/* A session of another node that runs a command on its own begins a transaction of its own:
		 * its initiator has others, which may wait for this one. */
		const int64 gpid = own_global_pid();
		fill_slot({MyDatabaseId, MyProcPid, node_of(gpid), true, next_transaction_number(),
				   GetCurrentTransactionStartTimestamp(), gpid});
	}
	return own_slot->id;
}

void join_distributed_transaction(int32 initiator, uint64 number, TimestampTz stamp, int64 gpid)
{
	fill_slot({MyDatabaseId, MyProcPid, initiator, false, number, stamp, gpid});
}

void begin_distributed_transaction()
{
	ensure_distributed_id();
}

void give_way_first()
{
	DistributedId id = ensure_distributed_id();
	id.stamp = DT_NOEND;
	fill_slot(id);
}

bool gives_way_first()
{
	return own_slot != nullptr && TIMESTAMP_IS_NOEND(own_slot->id.stamp);
}

void clear_distributed_id()
{
	if (own_slot == nullptr || shared == nullptr)
		return;
	SpinLockAcquire(&own_slot->mutex);
	const uint64 number = own_slot->id.number;
	own_slot->id = {};
	SpinLockRelease(&own_slot->mutex);
	/* The transaction was to give way, and has ended before it looked: the signal was for it alone. */
	if (number != 0 && pg_atomic_read_u64(&own_slot->doomed) == number)
		QueryCancelPending = false;
	own_slot = nullptr;
}

bool must_give_way(bool forget)
{
	if (own_slot == nullptr || pg_atomic_read_u64(&own_slot->doomed) == 0)
		return false;
	const bool now = pg_atomic_read_u64(&own_slot->doomed) == own_slot->id.number;
	if (forget)
		pg_atomic_write_u64(&own_slot->doomed, 0);
	return now;
}

bool make_give_way(int pid, uint64 number)
{
	for (int i = 0; i < shared->count; i++)
	{
		Slot *slot = &shared->slots[i];
		PGPROC *process = &ProcGlobal->allProcs[i];
		/* With the slot held the transaction does not end before the signal is sent, so that it is not
		 * the next one that is hit. A wait for other nodes sees the mark when it wakes up; a wait for
		 * a lock here must be cancelled. */
		SpinLockAcquire(&slot->mutex);
		const bool found = slot->id.pid == pid && slot->id.number == number && number != 0 &&
						   slot->id.is_initiator;
		const bool cancel = found && process->waitStatus == PROC_WAIT_STATUS_WAITING;
		if (found)
			pg_atomic_write_u64(&slot->doomed, number);
		if (cancel)
			kill(pid, SIGINT);
		SpinLockRelease(&slot->mutex);
		if (!found)
			continue;
		if (!cancel)
			SetLatch(&process->procLatch);
		return true;
	}
	return false;
}

List *databases_with_waits(int age)
{
	List *databases = NIL;
	const TimestampTz now = GetCurrentTimestamp();
	for (int i = 0; i < shared->count; i++)
	{
		const DistributedId id = read_slot(i);
		if (id.number != 0 && id.is_initiator && waits(&ProcGlobal->allProcs[i]) &&
			(TIMESTAMP_IS_NOEND(id.stamp) || TimestampDifferenceExceeds(id.stamp, now, age)))
			databases = list_append_unique_oid(databases, id.database);
	}
	return databases;
}

} // namespace civitas::txn

using namespace civitas;

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(get_all_active_transactions);

/* get_all_active_transactions() → the backends of this server that belong to a distributed
 * transaction. */
PGDLLEXPORT Datum get_all_active_transactions(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	for (int i = 0; i < txn::shared->count; i++)
	{
		const txn::DistributedId id = txn::read_slot(i);
		if (id.number == 0)
			continue;
		Datum values[7] = {ObjectIdGetDatum(id.database),
						   Int32GetDatum(id.pid),
						   Int32GetDatum(id.initiator),
						   BoolGetDatum(!id.is_initiator),
						   Int64GetDatum(static_cast<int64>(id.number)),
						   TimestampTzGetDatum(id.stamp),
						   Int64GetDatum(id.gpid)};
		bool nulls[7] = {};
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return Datum(0);
}

CIVITAS_PG_END
