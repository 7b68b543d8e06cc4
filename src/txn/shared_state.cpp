/*
 * shared_state.cpp: numbers of distributed transactions, and which of them are running.
 *
 * Numbers start at the server's start time in microseconds and grow by one, so they never repeat
 * across restarts. Each process has a slot that holds the number of its transaction from before the
 * first PREPARE until its outcome is visible to others (and the other nodes were told, or given up
 * on): recovery leaves those alone.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/compat.h"
#include "civitas/pg/shared_memory.h"

CIVITAS_PG_BEGIN
#include "access/twophase.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

struct SharedTransactions
{
	pg_atomic_uint64 next_number;
	int slot_count;
	pg_atomic_uint64 running[FLEXIBLE_ARRAY_MEMBER]; /* by process slot; 0: none */
};

SharedTransactions *shared;
bool exit_callback_registered;

int slots_needed()
{
	return MaxBackends + NUM_AUXILIARY_PROCS + max_prepared_xacts;
}

Size shared_size()
{
	return add_size(offsetof(SharedTransactions, running),
					mul_size(sizeof(pg_atomic_uint64), slots_needed()));
}

void attach()
{
	bool fresh;
	shared = static_cast<SharedTransactions *>(
		pg::shared_struct("civitas distributed transactions", shared_size(), &fresh));
	if (!fresh)
		return;
	pg_atomic_init_u64(&shared->next_number, static_cast<uint64>(GetCurrentTimestamp()));
	shared->slot_count = slots_needed();
	for (int i = 0; i < shared->slot_count; i++)
		pg_atomic_init_u64(&shared->running[i], 0);
}

pg::SharedMemory memory = {shared_size, attach, nullptr, nullptr};

void leave_slot(int code, Datum argument)
{
	clear_transaction_number();
}

} // namespace

void shared_state_init()
{
	pg::use_shared_memory(&memory);
}

uint64 next_transaction_number()
{
	return pg_atomic_fetch_add_u64(&shared->next_number, 1);
}

void enter_transaction_number(uint64 number)
{
	if (!exit_callback_registered)
	{
		on_shmem_exit(leave_slot, 0);
		exit_callback_registered = true;
	}
	pg_atomic_write_u64(&shared->running[pg::backend_slot()], number);
	pg_memory_barrier();
}

void clear_transaction_number()
{
	pg_memory_barrier();
	if (MyProc != nullptr)
		pg_atomic_write_u64(&shared->running[pg::backend_slot()], 0);
}

uint64 *running_transactions(int *count)
{
	uint64 *numbers = static_cast<uint64 *>(palloc(sizeof(uint64) * shared->slot_count));
	*count = 0;
	pg_memory_barrier();
	for (int i = 0; i < shared->slot_count; i++)
	{
		const uint64 number = pg_atomic_read_u64(&shared->running[i]);
		if (number != 0)
			numbers[(*count)++] = number;
	}
	return numbers;
}

} // namespace civitas::txn
